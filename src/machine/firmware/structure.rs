//! The firmware's structures (UEFI specification 2.10): tables of functions and fields at the offsets that it gives.

use core::ptr::with_exposed_provenance;

/// Appendix D.
pub type Status = usize;
/// As it says.
pub const SUCCESS: Status = 0;
const ERROR: Status = 1 << 63;
/// The image, or what it needs, could not be loaded.
pub const LOAD_ERROR: Status = ERROR | 1;
/// The device does not do what it should.
pub const DEVICE_ERROR: Status = ERROR | 7;

/// What a protocol is known by.
pub type Guid = [u8; 16];
/// Section 24.1, `EFI_SIMPLE_NETWORK_PROTOCOL`'s, as it is in memory.
pub static SIMPLE_NETWORK: Guid =
    [0xb9, 0x32, 0x98, 0xa1, 0x25, 0xac, 0xd3, 0x11, 0x9a, 0x2d, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d];

/// One of the firmware's structures. The invariant: the firmware gave its address, for a structure that the
/// specification describes, and its boot services have not ended.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Structure(pub usize);

impl Structure {
    /// The field at `offset`, where the specification has one of the type `T`: an integer, or a function.
    pub fn field<T: Copy>(self, offset: usize) -> T {
        // SAFETY: the structure's invariant.
        unsafe { with_exposed_provenance::<T>(self.0.wrapping_add(offset)).read_unaligned() }
    }
}

/// Calls the firmware while its own tables are in force; its services may turn interrupts on, which this turns off again.
pub fn call_firmware(call: impl FnOnce() -> Status) -> Status {
    let status = call();
    x86_64::instructions::interrupts::disable();
    status
}
