//! The driver's side of the four rings: one each way, and one each for the card's answers.
//!
//! The trust model: the card may write the answers and the receive buffers at any time and in any way. What the driver believes
//! is in its own memory: which descriptors are with the card. An answer is read once, and counts only where it is about one of those.

use super::memory::{Place, RECEIVE_BUFFERS, RING, Ring, TRANSMIT_BUFFERS};
use super::registers::*;
use crate::nic::addresses::Offset;
use crate::nic::frame::{RECEIVE_SIZE, ReceiveBuffer, TRANSMIT_SIZE, Taken};
use core::sync::atomic::Ordering;

/// The card has answered about what it does not have.
pub(super) struct Impossible;

/// The descriptor that an answer is about, by how many it lies behind the oldest with the card.
fn behind(first: u64, oldest: usize) -> Option<usize> {
    let index = usize::try_from(first & DONE_INDEX).ok().filter(|&index| index < RING)?;
    Some(index.wrapping_sub(oldest) % RING)
}

/// The ring by which frames are sent.
pub(super) struct TransmitRing {
    pub(super) ring: &'static Ring,
    pub(super) done: &'static Ring,
    pub(super) buffers: &'static mut [[u8; TRANSMIT_SIZE]; TRANSMIT_BUFFERS],
    pub(super) offset: Offset,
    /// The descriptor that is filled next.
    pub(super) tail: Place,
    /// How many before it are with the card: at most as many as there are buffers.
    pub(super) outstanding: usize,
    /// The answer that is due next.
    pub(super) due: Place,
}

impl TransmitRing {
    /// Makes the ring new. The card must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self) {
        self.ring.clear();
        self.done.clear();
        (self.tail, self.outstanding, self.due) = (Place::FIRST, 0, Place::FIRST);
    }

    /// Whether all buffers are with the card.
    pub(super) const fn is_full(&self) -> bool {
        self.outstanding >= TRANSMIT_BUFFERS
    }

    /// The buffer of the descriptor at the tail, which is the driver's where the ring is not full.
    pub(super) fn buffer(&mut self) -> Option<&mut [u8; TRANSMIT_SIZE]> {
        self.buffers.get_mut(self.tail.index % TRANSMIT_BUFFERS)
    }

    /// Gives the card the first `length` bytes of that buffer, not 0 and at most its size.
    pub(super) fn publish(&mut self, length: usize) {
        let (Some(descriptor), Some(buffer), Ok(length)) = (
            self.ring.at(self.tail.index),
            self.buffers.get(self.tail.index % TRANSMIT_BUFFERS),
            u64::try_from(length),
        ) else {
            return;
        };
        let turn = self.tail.turn.unbounded_shl(TRANSMIT_TURN_SHIFT);
        descriptor.set(self.offset.physical(buffer), length | turn | TRANSMIT_WHOLE);
        self.tail.advance();
        self.outstanding = self.outstanding.wrapping_add(1);
    }

    /// Takes back the buffers that the card is done with.
    pub(super) fn reclaim(&mut self) -> Result<(), Impossible> {
        while self.outstanding > 0
            && let Some(answer) = self.done.at(self.due.index)
            // Acquire: a buffer is written again only after the card has said that it is done.
            && answer.second.load(Ordering::Acquire).unbounded_shr(DONE_TURN_SHIFT) == self.due.turn
        {
            let oldest = self.tail.index.wrapping_sub(self.outstanding) % RING;
            let last = behind(answer.first.load(Ordering::Relaxed), oldest);
            let last = last.filter(|&last| last < self.outstanding).ok_or(Impossible)?;
            self.outstanding = self.outstanding.wrapping_sub(last).wrapping_sub(1);
            self.due.advance();
        }
        Ok(())
    }
}

/// The ring by which frames are received.
pub(super) struct ReceiveRing {
    pub(super) ring: &'static Ring,
    pub(super) done: &'static Ring,
    pub(super) buffers: &'static [ReceiveBuffer; RECEIVE_BUFFERS],
    pub(super) offset: Offset,
    /// A received frame is copied here before anything looks at it: the card can't change it then, and has a buffer back at once.
    pub(super) received: &'static mut [u8; RECEIVE_SIZE],
    /// The descriptor that is given next; as many as there are buffers, before it, are with the card.
    pub(super) tail: Place,
    /// The answer that is due next.
    pub(super) due: Place,
}

impl ReceiveRing {
    /// Makes the ring new, all buffers with the card. It must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self) {
        self.ring.clear();
        self.done.clear();
        (self.tail, self.due) = (Place::FIRST, Place::FIRST);
        (0..RECEIVE_BUFFERS).for_each(|_| self.give());
    }

    fn give(&mut self) {
        if let (Some(descriptor), Some(buffer)) =
            (self.ring.at(self.tail.index), self.buffers.get(self.tail.index % RECEIVE_BUFFERS))
        {
            let turn = self.tail.turn.unbounded_shl(RECEIVE_TURN_SHIFT);
            descriptor.set(self.offset.physical(buffer), RECEIVE_SIZE as u64 | turn);
        }
        self.tail.advance();
    }

    /// The copy of the frame taken last.
    pub(super) fn frame(&self, length: usize) -> &[u8] {
        self.received.get(..length).unwrap_or_default()
    }

    /// Copies the next frame and makes its buffer ready for the card, which may use it once it is told. The card may leave
    /// buffers out, and gets these back as well.
    pub(super) fn take(&mut self) -> Result<Taken, Impossible> {
        let Some(answer) = self.done.at(self.due.index) else { return Err(Impossible) };
        // Acquire: what the card wrote before it said so is read after it.
        let second = answer.second.load(Ordering::Acquire);
        if second.unbounded_shr(DONE_TURN_SHIFT) != self.due.turn {
            return Ok(Taken::Nothing);
        }
        let first = answer.first.load(Ordering::Relaxed);
        let oldest = self.tail.index.wrapping_sub(RECEIVE_BUFFERS) % RING;
        let last = behind(first, oldest).filter(|&last| last < RECEIVE_BUFFERS).ok_or(Impossible)?;
        let place = oldest.wrapping_add(last) % RECEIVE_BUFFERS;
        let is_whole = first & DONE_WHOLE == DONE_WHOLE && second & DONE_ERROR == 0;
        let length = usize::try_from(second & DONE_LENGTH).unwrap_or(usize::MAX);
        let taken = match self.buffers.get(place) {
            Some(buffer) if is_whole => buffer.take(length, self.received),
            _ => Taken::Damaged,
        };
        self.due.advance();
        (0..=last).for_each(|_| self.give());
        Ok(taken)
    }
}
