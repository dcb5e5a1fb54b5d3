//! The names that systemd gives network devices, and what they tell of a card's place (systemd.net-naming-scheme(7)):
//! `enp3s0` is slot 0 of PCI bus 3, `ens3` the slot that is called 3, `eno1` the board's own first one, and
//! `enx525400123456` the one with that Ethernet address.

use crate::nic::BusAddress;
use crate::nic::pci::DeviceFunction;
use crate::wire::MacAddr;

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathName {
    /// `p<bus>s<slot>[f<function>]`; the segment is 0.
    Pci(DeviceFunction),
    /// `s<slot>[f<function>]`.
    Slot {
        /// The slot's number, as the firmware counts.
        slot: u16,
        /// The function in it.
        function: u8,
    },
    /// `o<index>`.
    Onboard {
        /// The number that the firmware gives it.
        index: u16,
    },
    /// `x<Ethernet address>`.
    Mac(MacAddr),
}

/// What the firmware calls a card's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The number of its slot.
    pub slot: Option<u16>,
    /// Its number among the devices on the board.
    pub onboard: Option<u16>,
}

impl PathName {
    /// Reads a name of an Ethernet device; `None` where it is none of these, or names a port of a card with several
    /// by more than the function (`enp3s0f0np1` is read, `enp3s0d1` is not).
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.strip_prefix("en")?;
        let (kind, rest) = name.split_at_checked(1)?;
        let (path, rest) = match kind {
            "x" => return mac(rest).map(Self::Mac),
            "o" => {
                let (index, rest) = number(rest)?;
                (Self::Onboard { index }, rest)
            }
            "s" => {
                let (slot, rest) = number(rest)?;
                let (function, rest) = function(rest)?;
                (Self::Slot { slot, function }, rest)
            }
            "p" => {
                let (bus, rest) = number(rest)?;
                let (device, rest) = number(rest.strip_prefix('s')?)?;
                let (function, rest) = function(rest)?;
                let bus = u8::try_from(bus).ok()?;
                let device = u8::try_from(device).ok().filter(|&device| device < 32)?;
                (Self::Pci(DeviceFunction { bus, device, function }), rest)
            }
            _ => return None,
        };
        // A port's own name follows: it does not change which function it is.
        (rest.is_empty() || rest.starts_with('n')).then_some(path)
    }

    /// Whether the card at this place, with this address and these labels, has the name.
    pub fn is(&self, place: BusAddress, mac: MacAddr, labels: Labels) -> bool {
        let function = match place {
            BusAddress::Pci(function) => Some(function),
            BusAddress::Mmio(_) => None,
        };
        match *self {
            Self::Pci(wanted) => function == Some(wanted),
            Self::Slot { slot, function: wanted } => {
                labels.slot == Some(slot) && function.is_some_and(|function| function.function == wanted)
            }
            Self::Onboard { index } => labels.onboard == Some(index),
            Self::Mac(wanted) => mac == wanted,
        }
    }

    /// Whether the card at this place is likely to have the name, where the firmware does not say: virtual machines
    /// call slots by the device numbers on bus 0.
    pub fn is_likely(&self, place: BusAddress) -> bool {
        match (*self, place) {
            (
                Self::Slot { slot, function: wanted },
                BusAddress::Pci(DeviceFunction { bus, device, function }),
            ) => bus == 0 && u16::from(device) == slot && function == wanted,
            _ => false,
        }
    }

    /// Whether it takes the firmware's [`Labels`] to tell which card has the name.
    pub fn needs_labels(&self) -> bool {
        matches!(self, Self::Slot { .. } | Self::Onboard { .. })
    }
}

/// The decimal number that a text begins with, and what follows it.
fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// `f<function>` where it is there, else function 0.
fn function(text: &str) -> Option<(u8, &str)> {
    let Some(text) = text.strip_prefix('f') else { return Some((0, text)) };
    let (function, rest) = number(text)?;
    Some((u8::try_from(function).ok().filter(|&function| function < 8)?, rest))
}

fn mac(digits: &str) -> Option<MacAddr> {
    if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, _, bytes @ ..] = u64::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some(MacAddr(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    const fn at(bus: u8, device: u8, function: u8) -> DeviceFunction {
        DeviceFunction { bus, device, function }
    }

    #[test]
    fn names_tell_places() {
        for (name, path) in [
            ("enp3s0", PathName::Pci(at(3, 0, 0))),
            ("enp0s31f6", PathName::Pci(at(0, 31, 6))),
            ("enp3s0f1", PathName::Pci(at(3, 0, 1))),
            ("enp65s0f0np0", PathName::Pci(at(65, 0, 0))),
            ("ens3", PathName::Slot { slot: 3, function: 0 }),
            ("ens192", PathName::Slot { slot: 192, function: 0 }),
            ("ens5f1", PathName::Slot { slot: 5, function: 1 }),
            ("eno1", PathName::Onboard { index: 1 }),
            ("eno16777736", PathName::Onboard { index: 0 }),
            ("enx525400123456", PathName::Mac(MAC)),
        ] {
            let expected = Some(path).filter(|_| name != "eno16777736");
            assert_eq!(PathName::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "",
            "eth0",
            "en",
            "enp",
            "enp3",
            "enps0",
            "enp3s",
            "enp256s0",
            "enp3s32",
            "enp3s0f8",
            "enp3s0d1",
            "ens",
            "eno",
            "ens3x",
            "enx52540012345",
            "enx5254001234zz",
            "enx+52540012345",
            "wlan0",
            "wlp3s0",
            "br0",
            "bond0",
            "vmbr0",
            "enp3s0.100",
            "enP1p3s0",
            "en\u{e4}1",
            "enp\u{661}s0",
        ] {
            assert_eq!(PathName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_card_has_the_names_of_its_place() {
        let place = BusAddress::Pci(at(3, 0, 1));
        let labels = Labels { slot: Some(5), onboard: Some(2) };
        let is = |name: &str, labels| PathName::parse(name).is_some_and(|path| path.is(place, MAC, labels));
        for name in ["enp3s0f1", "ens5f1", "eno2", "enx525400123456"] {
            assert!(is(name, labels), "{name}");
        }
        for name in ["enp3s0", "enp3s1f1", "enp4s0f1", "ens5", "ens4f1", "eno1", "enx525400123457"] {
            assert!(!is(name, labels), "{name}");
        }
        assert!(!is("ens5f1", Labels::default()) && !is("eno2", Labels::default()));
        let mmio = BusAddress::Mmio(0xfeb0_0e00);
        assert!(!PathName::parse("enp3s0").is_some_and(|path| path.is(mmio, MAC, labels)));
    }
}
