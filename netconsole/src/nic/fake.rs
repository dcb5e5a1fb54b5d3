//! A card in memory, for tests of what sends and receives; the fuzz targets have this file, too.

use super::{MacAddr, Nic, NicError, TransmitError};
use std::collections::VecDeque;

/// Its address.
pub const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// A card whose cable is two queues.
pub struct Card {
    /// What is received next.
    pub arriving: VecDeque<Vec<u8>>,
    /// What was sent.
    pub sent: Vec<Vec<u8>>,
    /// How many frames it takes more.
    pub room: usize,
    /// How many frames it was given since it was last told.
    pub unkicked: usize,
}

impl Default for Card {
    fn default() -> Self {
        Self { arriving: VecDeque::new(), sent: Vec::new(), room: usize::MAX, unkicked: 0 }
    }
}

impl Nic for Card {
    fn mac(&self) -> MacAddr {
        MAC
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn link_is_up(&mut self) -> bool {
        true
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        let room = self.room.checked_sub(1).ok_or(TransmitError::Full)?;
        let mut frame = vec![0xee; 1518];
        let len = build(&mut frame);
        if len > 0 {
            frame.truncate(len);
            self.sent.push(frame);
            self.unkicked += 1;
            self.room = room;
        }
        Ok(())
    }

    fn kick(&mut self) {
        self.unkicked = 0;
    }

    fn is_drained(&mut self) -> bool {
        true
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        self.arriving.pop_front().inspect(|frame| take(frame)).is_some()
    }

    fn restart(&mut self) -> Result<(), NicError> {
        Ok(())
    }
}
