//! The network cards below a device: of a bridge, bond, team or VLAN those that it is made of.

use crate::error::ArmError;
use crate::system::System;
use netconsole::nic::Model;
use std::fs;
use std::path::{Path, PathBuf};

/// A card that the crash kernel drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub mac: String,
    /// Where in PCI's order of the cards it is: the crash kernel calls it `eth` and this number.
    pub place: Option<usize>,
    pub vlan: Option<u16>,
}

/// What was found below a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cards {
    pub cards: Vec<Card>,
    pub warnings: Vec<String>,
}

/// The driven cards below a device; an error where there is none, which says why of the first one.
pub fn below(system: &System, device: &str) -> Result<Cards, ArmError> {
    let mut found = Cards::default();
    let mut refused = Vec::new();
    follow(system, device, None, 0, &mut found, &mut refused)?;
    if found.cards.is_empty() {
        return Err(refused.into_iter().next().unwrap_or_else(|| ArmError::NoCard(device.to_string())));
    }
    found.warnings.extend(refused.iter().map(|error| format!("{device}: left out: {error}")));
    Ok(found)
}

/// How many devices may lie on one another: a VLAN on a bridge on a bond.
const MAX_DEPTH: usize = 8;

fn follow(
    system: &System,
    device: &str,
    vlan: Option<u16>,
    depth: usize,
    found: &mut Cards,
    refused: &mut Vec<ArmError>,
) -> Result<(), ArmError> {
    let class = PathBuf::from("sys/class/net").join(device);
    if !system.exists(&class) || depth > MAX_DEPTH {
        return Err(ArmError::NoDevice(device.to_string()));
    }
    if system.exists(class.join("device")) {
        match card(system, device, vlan) {
            Ok(card) => found.cards.push(card),
            Err(error) => refused.push(error),
        }
        return Ok(());
    }
    let vlan = vlan_of(system, device).or(vlan);
    if system.read(class.join("bonding/mode")).is_some_and(|mode| mode.starts_with("802.3ad")) {
        found
            .warnings
            .push(format!("{device} uses LACP (802.3ad): a switch may shut a member that does not speak it"));
    }
    let mut below: Vec<String> = system
        .list(&class)
        .iter()
        .filter_map(|name| Some(name.strip_prefix("lower_")?.to_string()))
        .collect();
    // The one that a bond uses is tried first.
    let active = system.read(class.join("bonding/active_slave"));
    below.sort_by_key(|name| Some(name) != active.as_ref());
    for lower in below {
        follow(system, &lower, vlan, depth + 1, found, refused)?;
    }
    Ok(())
}

/// The number of the VLAN that a device is, if it is one.
fn vlan_of(system: &System, device: &str) -> Option<u16> {
    let text = system.read(format!("proc/net/vlan/{device}"))?;
    let line = text.lines().next()?;
    line.split_once("VID: ")?.1.split_whitespace().next()?.parse().ok()
}

fn card(system: &System, device: &str, vlan: Option<u16>) -> Result<Card, ArmError> {
    let class = PathBuf::from("sys/class/net").join(device);
    if system.exists(class.join("wireless")) || system.exists(class.join("phy80211")) {
        return Err(ArmError::Wireless(device.to_string()));
    }
    let place = fs::canonicalize(system.path(class.join("device"))).unwrap_or_default();
    // A virtio device's parent is its PCI function.
    let function = match place.file_name() {
        Some(name) if name.to_string_lossy().starts_with("virtio") => {
            place.parent().map(PathBuf::from).unwrap_or_default()
        }
        _ => place,
    };
    if function.join("physfn").exists() {
        return Err(ArmError::VirtualFunction(device.to_string()));
    }
    let (vendor, id) = ids(&function).ok_or_else(|| ArmError::NoCard(device.to_string()))?;
    if Model::of((vendor, id)).is_none() {
        return Err(ArmError::NoDriver(device.to_string(), vendor, id));
    }
    let bond = system.list("proc/net/bonding").into_iter().find_map(|bond| {
        // The members of a bond share an address; the card's own is here.
        let text = system.read(format!("proc/net/bonding/{bond}"))?;
        let member = text.split("Slave Interface: ").find(|part| part.lines().next() == Some(device))?;
        let line = member.lines().find_map(|line| line.strip_prefix("Permanent HW addr: "))?;
        Some(line.trim().to_string())
    });
    let mac = bond.or_else(|| system.read(class.join("address")));
    let mac = mac.ok_or_else(|| ArmError::NoCard(device.to_string()))?;
    Ok(Card { mac, place: place_of(system, &function), vlan })
}

/// Vendor and device of a PCI function, by its directory in sysfs.
fn ids(function: &Path) -> Option<(u16, u16)> {
    let id = |name: &str| {
        let text = fs::read_to_string(function.join(name)).ok()?;
        u16::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
    };
    Some((id("vendor")?, id("device")?))
}

/// How many cards that the crash kernel drives come before this function on all buses. It numbers those of segment 0 by
/// bus, device and function, which is the order of their names, and does not see virtual functions.
fn place_of(system: &System, function: &Path) -> Option<usize> {
    const BUS: &str = "sys/bus/pci/devices";
    let own = function.file_name()?.to_string_lossy();
    let is_driven = |name: &String| {
        let directory = system.path(BUS).join(name);
        name.starts_with("0000:")
            && !directory.join("physfn").exists()
            && ids(&directory).is_some_and(|ids| Model::of(ids).is_some())
    };
    system.list(BUS).into_iter().filter(is_driven).position(|name| name == own)
}
