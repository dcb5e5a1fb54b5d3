//! What stands in for a driver that was not built (the crate's features): its memory is empty, and there is no
//! value of its type.

use super::{Nic, NicError, TransmitError};
use crate::wire::MacAddr;

/// A card that there is no driver for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCard {}

/// The memory that a driver which was not built needs.
pub struct NoMemory<const IN_PANIC: bool>;

impl Nic for NoCard {
    fn mac(&self) -> MacAddr {
        match *self {}
    }

    fn mtu(&self) -> usize {
        match *self {}
    }

    fn link_is_up(&mut self) -> bool {
        match *self {}
    }

    fn transmit(&mut self, _build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        match *self {}
    }

    fn kick(&mut self) {
        match *self {}
    }

    fn is_drained(&mut self) -> bool {
        match *self {}
    }

    fn receive(&mut self, _take: &mut dyn FnMut(&[u8])) -> bool {
        match *self {}
    }

    fn restart(&mut self) -> Result<(), NicError> {
        match *self {}
    }
}
