//! A network card for the targets.

use netconsole::nic::{Nic, NicError, TransmitError};
use netconsole::wire::MacAddr;

/// Its address.
pub const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// A card that has received one frame, and keeps what is sent.
#[derive(Default)]
pub struct Card {
    /// What comes next.
    pub received: Option<Vec<u8>>,
    /// What was sent.
    pub sent: Vec<Vec<u8>>,
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
        let mut frame = vec![0xee; 1518];
        let len = build(&mut frame);
        frame.truncate(len);
        self.sent.extend((len > 0).then_some(frame));
        Ok(())
    }

    fn kick(&mut self) {}

    fn is_drained(&mut self) -> bool {
        true
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        self.received.take().inspect(|frame| take(frame)).is_some()
    }

    fn restart(&mut self) -> Result<(), NicError> {
        Ok(())
    }
}
