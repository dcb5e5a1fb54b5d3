//! A card in a panic, with a mark for as long as its driver runs: what is written into a frame meanwhile, and what is made
//! of one, is not the card's doing.

use super::skip::Mark;
use crate::nic::{LinkMode, Nic, NicError, TransmitError};
use crate::wire::MacAddr;

/// The card `nic`, whose driver runs under `mark`.
pub struct Marked<N> {
    /// The card.
    pub nic: N,
    /// Its mark.
    pub mark: Mark,
}

impl<N: Nic> Nic for Marked<N> {
    fn mac(&self) -> MacAddr {
        self.nic.mac()
    }

    fn mtu(&self) -> usize {
        self.nic.mtu()
    }

    fn link_is_up(&mut self) -> bool {
        self.mark.at(|| self.nic.link_is_up())
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        self.mark.at(|| self.nic.link_mode())
    }

    fn link_has_changed(&mut self) -> bool {
        self.mark.at(|| self.nic.link_has_changed())
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        let Self { nic, mark } = self;
        mark.at(|| nic.transmit(&mut |frame| mark.away(|| build(frame))))
    }

    fn kick(&mut self) {
        self.mark.at(|| self.nic.kick());
    }

    fn is_drained(&mut self) -> bool {
        self.mark.at(|| self.nic.is_drained())
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        let Self { nic, mark } = self;
        mark.at(|| nic.receive(&mut |frame| mark.away(|| take(frame))))
    }

    fn restart(&mut self) -> Result<(), NicError> {
        self.mark.at(|| self.nic.restart())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::last_words::skip::DeadlyCards;

    static CARDS: DeadlyCards = DeadlyCards::new();

    fn marked() -> Option<u8> {
        CARDS.marked()
    }

    /// A card at place 2, whose driver is marked wherever it runs.
    struct Card;

    impl Nic for Card {
        fn mac(&self) -> MacAddr {
            MacAddr::BROADCAST
        }
        fn mtu(&self) -> usize {
            1500
        }
        fn link_is_up(&mut self) -> bool {
            marked() == Some(2)
        }
        fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
            assert_eq!(marked(), Some(2));
            build(&mut [0; 64]);
            assert_eq!(marked(), Some(2));
            Ok(())
        }
        fn kick(&mut self) {
            assert_eq!(marked(), Some(2));
        }
        fn is_drained(&mut self) -> bool {
            marked() == Some(2)
        }
        fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
            assert_eq!(marked(), Some(2));
            take(&[0; 64]);
            marked() == Some(2)
        }
        fn restart(&mut self) -> Result<(), NicError> {
            assert_eq!(marked(), Some(2));
            Ok(())
        }
    }

    #[test]
    fn the_driver_is_marked_and_what_reads_and_writes_frames_is_not() {
        let mut card = Marked { nic: Card, mark: CARDS.mark(2) };
        let mut frames = 0;
        let mut count = || {
            assert_eq!(marked(), None, "a fault here is not the card's");
            frames += 1;
        };
        let transmitted = card.transmit(&mut |_| {
            count();
            64
        });
        assert_eq!(transmitted, Ok(()));
        assert!(card.receive(&mut |_| count()));
        assert!(card.link_is_up() && card.is_drained());
        card.kick();
        assert_eq!(card.restart(), Ok(()));
        assert_eq!((frames, marked()), (2, None));
    }
}
