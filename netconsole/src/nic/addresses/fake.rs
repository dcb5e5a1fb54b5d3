//! A machine whose physical addresses are far from its pointers, as a higher-half kernel's are: a driver that mixes them
//! up reaches nothing.

use super::{Access, Addresses, Offset};
use crate::nic::pci::DeviceFunction;
use crate::nic::ports::fake::NoPorts;
use crate::nic::{NicError, Ports};
use std::ptr::{NonNull, with_exposed_provenance_mut};

const SHIFT: u64 = 1 << 52;
/// Memory below 4 GiB, which a test asks for where the card can't reach other, stays there.
const LOW_SHIFT: u64 = 1 << 31;
const LOW_END: u64 = 1 << 32;

/// No port may be accessed.
pub const NO_PORTS: Access = access(&NoPorts);

pub const fn access(ports: &'static dyn Ports) -> Access {
    // SAFETY: the addresses are those of memory that a test has leaked for its driver's card.
    Access { ports, addresses: unsafe { Addresses::new(translate, map) }, configuration, identity: 0 }
}

/// By which a card reaches what is there.
pub fn physical<T>(pointer: *const T) -> u64 {
    let address = pointer.expose_provenance() as u64;
    if address < LOW_END { address ^ LOW_SHIFT } else { address + SHIFT }
}

/// What a card reaches by an address.
pub fn pointer<T>(physical: u64) -> *mut T {
    let address = if physical < LOW_END { physical ^ LOW_SHIFT } else { physical - SHIFT };
    with_exposed_provenance_mut(address as usize)
}

/// How far the addresses of a card's memory are from its pointers.
pub fn offset<T>(memory: *const T) -> Offset {
    access(&NoPorts).addresses.offset_of(memory).expect("memory in one piece")
}

const fn configuration(_: DeviceFunction, _: u8) -> u32 {
    u32::MAX
}

fn translate(pointer: *const u8) -> Option<u64> {
    Some(physical(pointer))
}

fn map(physical: u64, _length: usize) -> Option<NonNull<u8>> {
    NonNull::new(pointer(physical))
}

/// Memory that lies in one piece for the program and in two for a card is refused, and so is what has no address.
#[test]
fn memory_must_be_in_one_piece() {
    static MEMORY: [u8; 3 * 4096] = [0; 3 * 4096];
    let refused = |physical| {
        // SAFETY: nothing is given to a card.
        let addresses = unsafe { Addresses::new(physical, map) };
        addresses.offset_of(&raw const MEMORY).err()
    };
    fn place(pointer: *const u8) -> u64 {
        (pointer.addr() - (&raw const MEMORY).addr()) as u64
    }
    assert_eq!(refused(|pointer| Some(0x5000 + place(pointer))), None);
    assert_eq!(refused(|_| None), Some(NicError::Scattered));
    assert_eq!(refused(|pointer| Some(place(pointer) ^ 0x1000)), Some(NicError::Scattered));
    // The last page alone is elsewhere.
    assert_eq!(
        refused(|pointer| Some(place(pointer) + if place(pointer) < 0x2fff { 0 } else { 1 << 20 })),
        Some(NicError::Scattered)
    );
}
