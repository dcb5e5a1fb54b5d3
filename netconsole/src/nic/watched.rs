//! A card whose received frames somebody sees before anybody else does.

use super::{LinkMode, MacAddr, Nic, NicError, TransmitError};

/// The card `nic`; `see` gets each received frame, and only those for which it says true are handed on.
pub struct Watched<'n, F: FnMut(&[u8]) -> bool> {
    /// The card.
    pub nic: &'n mut dyn Nic,
    /// Who sees its frames first.
    pub see: F,
}

impl<F: FnMut(&[u8]) -> bool> Nic for Watched<'_, F> {
    fn mac(&self) -> MacAddr {
        self.nic.mac()
    }

    fn mtu(&self) -> usize {
        self.nic.mtu()
    }

    fn link_is_up(&mut self) -> bool {
        self.nic.link_is_up()
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        self.nic.link_mode()
    }

    fn link_has_changed(&mut self) -> bool {
        self.nic.link_has_changed()
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        self.nic.transmit(build)
    }

    fn kick(&mut self) {
        self.nic.kick();
    }

    fn is_drained(&mut self) -> bool {
        self.nic.is_drained()
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        let Self { nic, see } = self;
        nic.receive(&mut |frame| {
            if see(frame) {
                take(frame);
            }
        })
    }

    fn restart(&mut self) -> Result<(), NicError> {
        self.nic.restart()
    }
}
