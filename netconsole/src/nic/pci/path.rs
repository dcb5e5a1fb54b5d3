//! What must be so for a card to be reached, and to reach memory: it is awake, the bridges above it let it through, and
//! its registers have an address. Firmware that did not boot from it may have left any of this undone.

use super::{
    COMMAND_BUS_MASTER, COMMAND_IO, COMMAND_MASK, COMMAND_MEMORY, ConfigurationAccess, DeviceFunction,
    Header, HeaderKind, RootBuses, Walk, capability_offsets, lowest_bit, register,
};
use crate::nic::Waits;
use core::fmt;
use core::ops::RangeInclusive;

/// PCI Bus Power Management Interface Specification 1.2, section 3.2: the capability, and its control register.
const POWER_MANAGEMENT: u8 = 0x01;
const CONTROL: u8 = 4;
const STATE: u32 = 0b11;
/// The upper bits are status, cleared by a written 1, and data.
const CONTROL_MASK: u32 = 0x7fff;
/// Section 5.4: the most µs until a function is awake.
const WAKING: u64 = 10_000;

/// Wakes a function from a sleep that somebody has put it into (D1 to D3), and gives it back what it forgets by that: its
/// command and its BARs. True where it slept. Panic-safe.
pub fn wake<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction, waits: Waits) -> bool {
    let Some(control) = capability_offsets(config, function, POWER_MANAGEMENT).next() else { return false };
    let control = control.wrapping_add(CONTROL);
    let before = config.read_word(function, control);
    if before == u32::MAX || before & STATE == 0 {
        return false;
    }
    let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
    let mut bars = [0; 6];
    for (bar, offset) in bars.iter_mut().zip(register::bars()) {
        *bar = config.read_word(function, offset);
    }
    config.write_word(function, control, before & CONTROL_MASK & !STATE);
    waits.pause(WAKING);
    config.write_word(
        function,
        register::COMMAND,
        command & !(COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER),
    );
    for (&bar, offset) in bars.iter().zip(register::bars()) {
        config.write_word(function, offset, bar);
    }
    config.write_word(function, register::COMMAND, command);
    true
}

/// Has every bridge above a function pass what goes to its registers, and its own accesses to memory; returns how many did
/// not. Panic-safe.
pub fn open_bridges<C: ConfigurationAccess>(
    config: &mut C,
    roots: RootBuses,
    function: DeviceFunction,
) -> usize {
    const NEEDED: u32 = COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER;
    if roots.has(function.bus) {
        return 0;
    }
    let mut opened: usize = 0;
    let mut walk = Walk::new(roots);
    while let Some(bridge) = walk.next(config) {
        if Header::read(config, bridge).kind != HeaderKind::Bridge {
            continue;
        }
        let [_, secondary, subordinate, _] = config.read_word(bridge, register::BUS_NUMBERS).to_le_bytes();
        let command = config.read_word(bridge, register::COMMAND) & COMMAND_MASK;
        if (secondary..=subordinate).contains(&function.bus) && command & NEEDED != NEEDED {
            config.write_word(bridge, register::COMMAND, command | NEEDED);
            opened = opened.saturating_add(1);
        }
    }
    opened
}

/// Whether a function's BARs have no address at all, as where the firmware has left that to the system.
pub fn is_unplaced<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> bool {
    register::bars().all(|offset| config.read_word(function, offset) & !0xf == 0)
}

/// Why a function's registers could not be given an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplaced {
    /// It is behind a bridge, whose window would have to be moved.
    BehindBridge,
    /// Nothing says which addresses the bus has.
    NoWindow,
    /// There is none that certainly nobody has.
    NoRoom,
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BehindBridge => "it is behind a bridge, where none is given here",
            Self::NoWindow => "ACPI does not write down which addresses its bus has",
            Self::NoRoom => "its bus has none that certainly nobody has",
        })
    }
}

impl core::error::Error for Unplaced {}

/// How many places are tried for a BAR.
const MAX_TRIES: usize = 256;

/// Gives an address within `window` to each memory BAR of a function on a root bus that [has none](is_unplaced). It
/// is one that no BAR and no bridge's window of any function can include, and that `is_used` does not name.
pub fn place<C: ConfigurationAccess>(
    config: &mut C,
    roots: RootBuses,
    function: DeviceFunction,
    window: Option<RangeInclusive<u64>>,
    is_used: &dyn Fn(&RangeInclusive<u64>) -> bool,
) -> Result<(), Unplaced> {
    if !roots.has(function.bus) {
        return Err(Unplaced::BehindBridge);
    }
    let window = window.ok_or(Unplaced::NoWindow)?;
    let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
    config.write_word(function, register::COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
    let mut offsets = register::bars();
    while let Some(offset) = offsets.next() {
        let kind = config.read_word(function, offset) & 0b111;
        config.write_word(function, offset, u32::MAX);
        let mask = config.read_word(function, offset);
        config.write_word(function, offset, 0);
        // The upper half of a wide one stays 0.
        if kind == 0b100 {
            let _ = offsets.next();
        }
        let length = lowest_bit(u64::from(mask & !0xf));
        if kind & 1 != 0 || length == 0 {
            continue;
        }
        let address = find_room(config, roots, length, &window, is_used).ok_or(Unplaced::NoRoom)?;
        config.write_word(function, offset, u32::try_from(address).map_err(|_| Unplaced::NoRoom)?);
    }
    config.write_word(function, register::COMMAND, command);
    Ok(())
}

/// The highest free place of this length in the window.
fn find_room<C: ConfigurationAccess>(
    config: &C,
    roots: RootBuses,
    length: u64,
    window: &RangeInclusive<u64>,
    is_used: &dyn Fn(&RangeInclusive<u64>) -> bool,
) -> Option<u64> {
    let mask = !length.checked_sub(1)?;
    let mut start = window.end().checked_add(1)?.checked_sub(length)? & mask;
    for _ in 0..MAX_TRIES {
        let range = start..=start.checked_add(length)?.checked_sub(1)?;
        if start < *window.start() {
            return None;
        }
        match lowest_taken(config, roots, &range) {
            None if !is_used(&range) => return Some(start),
            taken => start = taken.unwrap_or(start).min(start).checked_sub(length)? & mask,
        }
    }
    None
}

/// Where the lowest range begins that some function may have of this one.
fn lowest_taken<C: ConfigurationAccess>(
    config: &C,
    roots: RootBuses,
    range: &RangeInclusive<u64>,
) -> Option<u64> {
    let mut lowest: Option<u64> = None;
    let mut take = |start: u64, end: u64| {
        if start <= *range.end() && end >= *range.start() && start != 0 {
            lowest = Some(lowest.map_or(start, |lowest| lowest.min(start)));
        }
    };
    let mut walk = Walk::new(roots);
    while let Some(function) = walk.next(config) {
        let count = match Header::read(config, function).kind {
            HeaderKind::Device => 6,
            HeaderKind::Bridge => 2,
            HeaderKind::Other => 0,
        };
        if count == 2 {
            for offset in [register::MEMORY_WINDOW, register::PREFETCHABLE_WINDOW] {
                let [a, b, c, d] = config.read_word(function, offset).to_le_bytes();
                let [base, limit] =
                    [[a, b], [c, d]].map(|half| u64::from(u16::from_le_bytes(half) & 0xfff0) << 16);
                if base <= limit {
                    take(base, limit | 0xf_ffff);
                }
            }
        }
        let mut offsets = register::bars().take(count);
        while let Some(offset) = offsets.next() {
            let bar = config.read_word(function, offset);
            if bar & 1 != 0 {
                continue;
            }
            let high = if bar & 0b110 == 0b100 {
                offsets.next().map_or(0, |high| config.read_word(function, high))
            } else {
                0
            };
            let start = u64::from(bar & !0xf) | u64::from(high) << 32;
            // It is not sized: it is at most as long as its address is round.
            take(start, start.saturating_add(lowest_bit(start)).saturating_sub(1));
        }
    }
    lowest
}
