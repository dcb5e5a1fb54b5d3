//! A card that the machine's own firmware drives, as UEFI's Simple Network Protocol has it (UEFI specification 2.10, section
//! 24.1). How the firmware is called is the kernel's; here is what it is asked.
//!
//! The trust model: what the firmware says of a frame that has left or arrived is checked against what the driver gave it.

use super::frame::{ETHERNET_HEADER, fill_up};
use super::{Nic, NicError, TransmitError, Waits};
use crate::wire::MacAddr;

mod outcome;

pub use outcome::Outcome;

/// A card that the firmware drives. No call blocks for longer than the firmware itself does, or panics; each may be made in a
/// panic.
pub trait FirmwareCard: Sync {
    /// Brings the card up, if it is not up. `afresh` has it reset before: then the firmware has forgotten all frames.
    fn start(&self, afresh: bool) -> Result<(), NicError>;

    /// The card's own address.
    fn mac(&self) -> MacAddr;

    /// The largest IP packet that the card carries, in bytes.
    fn mtu(&self) -> usize;

    /// Whether the firmware takes a frame before the one before has left.
    fn takes_several(&self) -> bool;

    /// How the card is; an error where the firmware does not say or the card does not run.
    fn status(&self) -> Result<FirmwareStatus, NicError>;

    /// Gives the firmware a frame, from the destination address on. Its bytes are the firmware's until
    /// [`status`](Self::status) has given its address back; of firmware that does not always do so, until a tenth of a second
    /// has gone by in which the link was up.
    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError>;

    /// Takes the oldest received frame into `buffer`; its length in bytes, `None` where none has arrived.
    fn receive(&self, buffer: &mut [u8]) -> Option<usize>;
}

/// How a card is that the firmware drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareStatus {
    /// Whether the cable is connected; as if it were where the firmware does not know.
    pub link_is_up: bool,
    /// The address of one frame that has left.
    pub sent: Option<usize>,
}

/// The size of a buffer in bytes: an Ethernet frame of 1500 bytes with a VLAN tag, and more.
const FRAME_SIZE: usize = 1536;
const TRANSMIT_BUFFERS: usize = 8;
/// After this time with a link, in µs, a frame counts as sent that the firmware took and never gave back: not all firmware does.
/// What is kept by firmware that has given all back before is with a card that hangs, as whoever uses this will notice.
const RETURN_TIME: u64 = 100_000;
/// After so many of such hangs, each of them after others had been given back, it is the firmware that keeps some.
const MOST_HANGS: u8 = 8;
/// How long the firmware may refuse a frame, in µs, when all that it took have left. iPXE's driver of the PCnet, for one, frees
/// its ring only when a frame arrives, and where none does, takes no more until it starts again.
const REFUSAL_TIME: u64 = 20_000;

/// The memory of one card.
#[repr(C, align(64))]
pub struct FirmwareMemory {
    transmit: [[u8; FRAME_SIZE]; TRANSMIT_BUFFERS],
    received: [u8; FRAME_SIZE],
}

/// A card that the firmware drives.
pub struct FirmwareNic {
    card: &'static dyn FirmwareCard,
    waits: Waits,
    transmit: &'static mut [[u8; FRAME_SIZE]; TRANSMIT_BUFFERS],
    received: &'static mut [u8; FRAME_SIZE],
    /// What is in each transmit buffer.
    contents: [Content; TRANSMIT_BUFFERS],
    /// The number of the next frame.
    next: u64,
    link_is_up: bool,
    /// Since when the firmware has refused the next frame.
    refused_since: Option<u64>,
    /// Whether the firmware may have taken frames since its last start, and given each back.
    has_taken: bool,
    has_returned_all: bool,
    /// Whether it has given a frame back, and whether one has counted as sent without that, since it had none.
    has_returned: bool,
    has_lapsed: bool,
    /// Whether it has ever given back all that it had, and since its last start.
    gives_back: bool,
    gave_back: bool,
    hangs: u8,
    state: State,
}

/// What is in a transmit buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    /// A frame of this length that the firmware has not taken yet. They go in the order of their numbers.
    Waiting {
        number: u64,
        length: usize,
    },
    /// A frame that is with the firmware since then, or that had no link until then.
    Taken {
        at: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was done with it here; the firmware, or this kernel before its panic, may have started it.
    New,
    Running,
    Broken,
}

impl Content {
    const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }
}

impl FirmwareNic {
    /// The card, which [`restart`](Nic::restart) brings up. Panic-safe.
    pub fn new(card: &'static dyn FirmwareCard, waits: Waits, memory: &'static mut FirmwareMemory) -> Self {
        let FirmwareMemory { transmit, received } = memory;
        Self {
            card,
            waits,
            transmit,
            received,
            contents: [Content::Nothing; TRANSMIT_BUFFERS],
            next: 0,
            link_is_up: false,
            refused_since: None,
            has_taken: true,
            has_returned_all: true,
            has_returned: false,
            has_lapsed: false,
            gives_back: false,
            gave_back: false,
            hangs: 0,
            state: State::New,
        }
    }

    /// Asks the firmware how the card is, until it gives no buffer back any more, and gives it what waits.
    fn look(&mut self) {
        let had_link = self.link_is_up;
        // One that gives back what it never got must not keep this from ending.
        for _ in 0..=TRANSMIT_BUFFERS {
            if self.state != State::Running {
                return;
            }
            let Ok(status) = self.card.status() else {
                self.state = State::Broken;
                return;
            };
            self.link_is_up = status.link_is_up;
            let Some(sent) = status.sent else { break };
            for (buffer, content) in self.transmit.iter().zip(&mut self.contents) {
                if buffer.as_ptr().addr() == sent && content.is_taken() {
                    *content = Content::Nothing;
                    self.has_returned = true;
                }
            }
        }
        let keeps_none = self.gives_back && self.hangs < MOST_HANGS;
        let now = self.waits.now();
        let may_have_left = had_link && self.link_is_up;
        for content in &mut self.contents {
            let Content::Taken { at } = content else { continue };
            if !may_have_left {
                // The card keeps it until the cable is back, and reads its bytes only then.
                *at = now;
            } else if !keeps_none && now.wrapping_sub(*at) >= RETURN_TIME {
                *content = Content::Nothing;
                (self.has_returned_all, self.has_lapsed) = (false, true);
            }
        }
        if !self.contents.iter().any(Content::is_taken) {
            let gave_back = self.has_returned && !self.has_lapsed;
            (self.gives_back, self.gave_back) = (self.gives_back || gave_back, self.gave_back || gave_back);
            (self.has_returned, self.has_lapsed) = (false, false);
        }
        self.give();
    }

    /// Gives the firmware the frames that wait, the oldest first, as far as it takes them.
    fn give(&mut self) {
        for _ in 0..TRANSMIT_BUFFERS {
            if self.state != State::Running
                || self.contents.iter().any(Content::is_taken) && !self.card.takes_several()
            {
                return;
            }
            let waiting = |content: &Content| match *content {
                Content::Waiting { number, length } => Some((number, length)),
                Content::Nothing | Content::Taken { .. } => None,
            };
            let slots = self.transmit.iter().zip(&mut self.contents);
            let slots = slots.filter_map(|(buffer, content)| Some((waiting(content)?, buffer, content)));
            let Some(((_, length), buffer, content)) = slots.min_by_key(|((number, _), ..)| *number) else {
                return;
            };
            let Some(frame) = buffer.get(..length) else { return };
            match self.card.transmit(frame) {
                Ok(()) => {
                    *content = Content::Taken { at: self.waits.now() };
                    (self.refused_since, self.has_taken) = (None, true);
                }
                Err(TransmitError::Broken) => self.state = State::Broken,
                Err(TransmitError::Full) => return self.was_refused(),
            }
        }
    }

    /// Starts the firmware's driver again where it has nothing to send and takes nothing all the same. One that lost frames, or
    /// takes none after that, is left to who uses this.
    fn was_refused(&mut self) {
        let now = self.waits.now();
        let since = *self.refused_since.get_or_insert(now);
        let all_left = self.has_returned_all && !self.contents.iter().any(Content::is_taken);
        if all_left && self.has_taken && now.wrapping_sub(since) >= REFUSAL_TIME {
            // Only frames that wait are left: they go with the next look. Where it fails, the card is broken.
            _ = self.start(true);
        }
    }

    fn start(&mut self, afresh: bool) -> Result<(), NicError> {
        (self.refused_since, self.has_taken, self.has_returned_all) = (None, !afresh, true);
        (self.has_returned, self.has_lapsed, self.gave_back) = (false, false, false);
        self.state = State::Broken;
        self.card.start(afresh)?;
        // Firmware may start a card that does not answer.
        self.link_is_up = self.card.status()?.link_is_up;
        self.state = State::Running;
        Ok(())
    }

    /// The number of a buffer that may be filled now.
    fn free(&self) -> Option<usize> {
        self.contents.iter().position(|content| *content == Content::Nothing)
    }

    fn is_empty(&self) -> bool {
        self.contents.iter().all(|content| *content == Content::Nothing)
    }
}

impl Nic for FirmwareNic {
    fn mac(&self) -> MacAddr {
        self.card.mac()
    }

    fn mtu(&self) -> usize {
        self.card.mtu()
    }

    fn link_is_up(&mut self) -> bool {
        self.look();
        self.state == State::Running && self.link_is_up
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        if self.free().is_none() {
            self.look();
        }
        if self.state != State::Running {
            return Err(TransmitError::Broken);
        }
        let number = self.free().ok_or(TransmitError::Full)?;
        let (Some(buffer), Some(content)) = (self.transmit.get_mut(number), self.contents.get_mut(number))
        else {
            return Err(TransmitError::Full);
        };
        let length = build(buffer).min(FRAME_SIZE);
        if length > 0 {
            // Firmware that fills no frame up would send one that is too short.
            *content = Content::Waiting { number: self.next, length: fill_up(buffer, length) };
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }

    fn kick(&mut self) {
        self.give();
    }

    fn is_drained(&mut self) -> bool {
        if !self.is_empty() {
            self.look();
        }
        self.is_empty()
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        if self.state != State::Running {
            return false;
        }
        let Some(length) = self.card.receive(self.received) else { return false };
        let frame = self.received.get(..length).filter(|frame| frame.len() >= ETHERNET_HEADER);
        let Some(frame) = frame else { return false };
        take(frame);
        true
    }

    fn restart(&mut self) -> Result<(), NicError> {
        if self.state == State::Running && self.gave_back && self.contents.iter().any(Content::is_taken) {
            self.hangs = self.hangs.saturating_add(1);
        }
        self.contents = [Content::Nothing; TRANSMIT_BUFFERS];
        self.start(self.state != State::New)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
