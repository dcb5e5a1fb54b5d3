//! Where a network card is found.

use super::pci::DeviceFunction;
use crate::wire::MacAddr;
use core::fmt;

/// Where a card's registers are found; with this alone the panic path brings it up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// By a PCI function's configuration space.
    Pci(DeviceFunction),
    /// virtio over MMIO, at this physical address.
    Mmio(u64),
}

/// PCI functions take the words below it, and no MMIO device lies there.
const MMIO_BEGINS: u64 = 1 << 20;

impl BusAddress {
    /// The address as one word: bus, device and function as PCI's configuration address has them, or the
    /// address. Panic-safe.
    pub fn to_word(self) -> u64 {
        match self {
            Self::Pci(DeviceFunction { bus, device, function }) => {
                u64::from(bus) << 8 | u64::from(device & 0x1f) << 3 | u64::from(function & 7)
            }
            Self::Mmio(address) => address,
        }
    }

    /// The address that a word stands for; `None` where it stands for none. Panic-safe.
    pub fn from_word(word: u64) -> Option<Self> {
        match u16::try_from(word) {
            Ok(function) => {
                let [low, bus] = function.to_le_bytes();
                Some(Self::Pci(DeviceFunction { bus, device: low >> 3, function: low & 7 }))
            }
            Err(_) => (word >= MMIO_BEGINS).then_some(Self::Mmio(word)),
        }
    }

    /// A locally administered address (IEEE 802, section 8.4) for a card that has none, made of its place and what tells
    /// the machine from others ([`Access::identity`](super::Access::identity)): the same for as long as that is. Panic-safe.
    pub(super) fn own_address(self, identity: u64) -> MacAddr {
        if identity != 0 {
            // SplitMix64's end (Steele, Lea and Flood, 2014): neighbours differ in every octet.
            let mixed = identity ^ self.to_word();
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            let [a, b, c, d, e, ..] = (mixed ^ mixed >> 31).to_le_bytes();
            return MacAddr([0x02, a, b, c, d, e]);
        }
        let [a, b, c, ..] = match self {
            Self::Pci(DeviceFunction { bus, device, function }) => [bus, device, function, 0],
            // What differs between neighbours: their registers are hundreds of bytes apart.
            Self::Mmio(address) => {
                let [_, b, c, d, ..] = address.to_le_bytes();
                [d, c, b, 0]
            }
        };
        MacAddr([0x02, b'n', b'c', a, b, c])
    }
}

/// `00:03.0`, or `virtio-mmio 0xfeb00e00`.
impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(function) => function.fmt(f),
            Self::Mmio(address) => write!(f, "virtio-mmio {address:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn cards_without_an_address_get_one_that_no_other_has() {
        let places = (0..4).map(|device| BusAddress::Pci(DeviceFunction { bus: 0, device, function: 0 }));
        let places: Vec<_> = places.chain([BusAddress::Mmio(0xfeb0_0e00)]).collect();
        let machines = [0, 1, 2, u64::MAX, 0x1234_5678_9abc_def0];
        let all: BTreeSet<_> = machines
            .iter()
            .flat_map(|&machine| places.iter().map(move |place| place.own_address(machine).0))
            .collect();
        assert_eq!(all.len(), machines.len() * places.len());
        assert!(all.iter().all(|octets| octets[0] == 0x02), "unicast, locally administered");
        assert_eq!(places[0].own_address(7), places[0].own_address(7));
    }
}
