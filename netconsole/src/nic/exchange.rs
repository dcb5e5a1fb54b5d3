//! What the tests of all drivers do with a card.

use super::{Nic, NicError, TransmitError};

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
