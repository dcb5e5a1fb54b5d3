//! The card for the last words. It is the same driver, started again beside the one that the crash
//! interrupted, and sound whatever that one left behind:
//! - Of the interrupted driver nothing is read, neither its state nor its queues. Where the card is, the
//!   caller knows; the rest comes from configuration space.
//! - The card is reset first, so that it forgets the old queues; only then does it get new ones, in
//!   [`PanicVirtioMemory`], which nothing else uses. A card that does not come out of reset gets none.
//! - Only the features are taken that sending cannot do without, and the link's state, so the least of the card's
//!   code runs.
//! - There is no lock, every wait has a deadline, and nothing that is linked here
//!   can panic: what may be missing is an `Option`, numbers wrap or saturate, and no array is indexed.

use super::net::{PANIC_FEATURES, VirtioNet, VirtioNetMemory};
use super::{AnyTransport, PANIC_RECEIVE_BUFFERS, PANIC_TRANSMIT_BUFFERS};
use crate::nic::{Access, BusAddress, NicError, Waits};

/// The queues and buffers of one card in a panic.
pub type PanicVirtioMemory = VirtioNetMemory<PANIC_TRANSMIT_BUFFERS, PANIC_RECEIVE_BUFFERS>;
/// A virtio network card in a panic.
pub type PanicVirtioNic = VirtioNet<AnyTransport, PANIC_TRANSMIT_BUFFERS, PANIC_RECEIVE_BUFFERS>;

impl PanicVirtioNic {
    /// The card at `place`, which `transport` reaches. It is still as the crash left it:
    /// [`restart`](crate::nic::Nic::restart) resets it and brings it up. Panic-safe.
    pub fn open(
        transport: AnyTransport,
        place: BusAddress,
        access: &Access,
        waits: Waits,
        memory: &'static mut PanicVirtioMemory,
    ) -> Result<Self, NicError> {
        let offset = access.addresses.offset_of(memory)?;
        Ok(VirtioNet::new(
            transport,
            waits,
            PANIC_FEATURES,
            place.own_address(access.identity),
            offset,
            memory,
        ))
    }
}
