//! What the tests of all drivers do with a card.

use super::{Nic, NicError, TransmitError};
use proptest::prelude::*;

/// A frame that tells its number, 14 bytes or more.
pub fn frame(number: u32, length: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(length.max(14)).collect()
}

/// The card, running.
pub fn started<N: Nic>(card: Result<N, NicError>) -> Result<N, NicError> {
    let mut card = card?;
    card.restart()?;
    Ok(card)
}

/// Has the card send a frame.
pub fn transmit(nic: &mut dyn Nic, bytes: &[u8]) -> Result<(), TransmitError> {
    nic.transmit(&mut |buffer| {
        buffer[..bytes.len()].copy_from_slice(bytes);
        bytes.len()
    })
}

/// The next frame that the card has received.
pub fn receive(nic: &mut dyn Nic) -> Option<Vec<u8>> {
    let mut received = None;
    let any = nic.receive(&mut |frame| received = Some(frame.to_vec()));
    assert_eq!(any, received.is_some());
    received
}

/// What may be asked of a driver at any time, for the property tests in which its card lies.
#[derive(Clone, Debug)]
pub enum Call {
    /// Queue a frame, said to be this long.
    Transmit(usize),
    Kick,
    Receive,
    IsDrained,
    LinkIsUp,
    LinkMode,
    LinkHasChanged,
    Restart,
}

/// Any call.
pub fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (0..2000usize).prop_map(Call::Transmit),
        3 => Just(Call::Kick),
        4 => Just(Call::Receive),
        1 => Just(Call::IsDrained),
        1 => Just(Call::LinkIsUp),
        1 => Just(Call::LinkMode),
        1 => Just(Call::LinkHasChanged),
        1 => Just(Call::Restart),
    ]
}

impl Call {
    /// Makes the call. A transmit buffer must have `transmit` bytes, and a received frame at least a header and at most `receive`.
    pub fn make(self, nic: &mut dyn Nic, transmit: usize, receive: usize) {
        match self {
            Self::Transmit(length) => {
                let _ = nic.transmit(&mut |buffer| {
                    assert_eq!(buffer.len(), transmit);
                    buffer.fill(0x5a);
                    length
                });
            }
            Self::Kick => nic.kick(),
            Self::Receive => {
                nic.receive(&mut |frame| assert!((14..=receive).contains(&frame.len())));
            }
            Self::IsDrained => drop(nic.is_drained()),
            Self::LinkIsUp => drop(nic.link_is_up()),
            Self::LinkMode => drop(nic.link_mode()),
            Self::LinkHasChanged => drop(nic.link_has_changed()),
            Self::Restart => drop(nic.restart()),
        }
    }
}
