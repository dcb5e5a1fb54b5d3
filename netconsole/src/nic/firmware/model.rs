//! Firmware that drives a card, as the specification of its Simple Network Protocol has it (UEFI specification 2.10, section
//! 24.1), and independent of the driver. It can be told to lie.

use super::{FirmwareCard, FirmwareStatus};
use crate::nic::{NicError, TransmitError};
use crate::wire::MacAddr;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

/// How many received frames it keeps; what arrives then is lost.
const MOST_ARRIVED: usize = 32;

/// `EFI_SIMPLE_NETWORK_STATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Started,
    Initialized,
}

/// The firmware's side of everything. What is `pub` may be set to be a lie.
pub struct Inner {
    state: State,
    /// Addresses and bytes of the frames that it was given and has not sent.
    pub frames: Vec<(usize, Vec<u8>)>,
    /// The addresses of those that it has sent and not given back: GetStatus gives back one a call.
    returns: VecDeque<usize>,
    pub sent: Vec<Vec<u8>>,
    pub arrived: VecDeque<Vec<u8>>,
    /// Each start, and whether it was afresh.
    pub starts: Vec<bool>,
    /// It sends only when it is told to, not whenever it is asked how the card is.
    pub holds_back: bool,
    pub has_link: bool,
    /// MultipleTxSupported is false.
    pub takes_one: bool,
    /// How many frames it has room for at once.
    pub room: usize,
    /// How many frames it takes in all after a start.
    pub most: Option<usize>,
    taken: usize,
    /// Every function ends with a device error.
    pub is_gone: bool,
    /// Initialize ends with a device error.
    pub refuses: bool,
    /// GetStatus ends with a device error.
    pub is_mute: bool,
    /// The address that it says to have sent next, in place of the truth.
    pub sent_lie: Option<usize>,
    /// The length that it says the next received frame to have, in place of the truth.
    pub length_lie: Option<usize>,
    /// What Transmit ends with, in place of the truth: it takes no frame, though it may say so.
    pub transmit_lie: Option<Result<(), TransmitError>>,
    /// The media's state flaps: it is another each time that it is asked for.
    pub flaps: bool,
    /// A driver that believed a lie may give it a buffer twice.
    pub has_lied: bool,
}

/// Firmware with one card.
pub struct Firmware(Mutex<Inner>);

impl Firmware {
    /// An honest one, which somebody has left running.
    pub fn new() -> &'static Self {
        Box::leak(Box::new(Self(Mutex::new(Inner {
            state: State::Initialized,
            frames: Vec::new(),
            returns: VecDeque::new(),
            sent: Vec::new(),
            arrived: VecDeque::new(),
            starts: Vec::new(),
            holds_back: false,
            has_link: true,
            takes_one: false,
            room: usize::MAX,
            most: None,
            taken: 0,
            is_gone: false,
            refuses: false,
            is_mute: false,
            sent_lie: None,
            length_lie: None,
            transmit_lie: None,
            flaps: false,
            has_lied: false,
        }))))
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic while it was locked")
    }
}

impl Inner {
    /// Sends up to `count` of the frames that it has; how many there were.
    pub fn send(&mut self, count: usize) -> usize {
        let count = count.min(self.frames.len());
        for (address, frame) in self.frames.drain(..count) {
            self.returns.push_back(address);
            self.sent.push(frame);
        }
        count
    }

    /// Receives a frame off the cable; false where it keeps no more.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        let has_room = self.state == State::Initialized && self.arrived.len() < MOST_ARRIVED;
        if has_room {
            self.arrived.push_back(frame.to_vec());
        }
        has_room
    }

    /// Tells no lies from here on.
    pub fn become_honest(&mut self) {
        (self.is_gone, self.refuses, self.is_mute) = (false, false, false);
        (self.flaps, self.has_link) = (false, true);
        (self.sent_lie, self.length_lie, self.transmit_lie) = (None, None, None);
        (self.room, self.most) = (usize::MAX, None);
    }

    fn is_running(&self) -> bool {
        !self.is_gone && self.state == State::Initialized
    }
}

impl FirmwareCard for Firmware {
    fn start(&self, afresh: bool) -> Result<(), NicError> {
        let mut inner = self.inner();
        inner.starts.push(afresh);
        if inner.is_gone {
            return Err(NicError::Configuration);
        }
        if afresh && inner.state == State::Initialized {
            // Shutdown: it forgets every frame, whosever it is.
            inner.state = State::Started;
        }
        // Start.
        if inner.state == State::Stopped {
            inner.state = State::Started;
        }
        if inner.state == State::Started {
            if inner.refuses {
                return Err(NicError::Firmware("Initialize", 7));
            }
            inner.frames.clear();
            inner.returns.clear();
            inner.arrived.clear();
            inner.taken = 0;
            inner.state = State::Initialized;
        }
        Ok(())
    }

    fn mac(&self) -> MacAddr {
        MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56])
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn takes_several(&self) -> bool {
        !self.inner().takes_one
    }

    fn status(&self) -> Result<FirmwareStatus, NicError> {
        let mut inner = self.inner();
        if !inner.is_running() || inner.is_mute {
            return Err(NicError::Firmware("GetStatus", 7));
        }
        if !inner.holds_back {
            inner.send(1);
        }
        if inner.flaps {
            inner.has_link = !inner.has_link;
        }
        let sent = inner.returns.pop_front();
        Ok(FirmwareStatus { link_is_up: inner.has_link, sent: inner.sent_lie.or(sent) })
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        let mut inner = self.inner();
        if !inner.is_running() {
            return Err(TransmitError::Broken);
        }
        // Its media header and what fits behind that (IEEE 802.3: 60 bytes at least, and with a tag 1518 at most).
        assert!((60..=1536).contains(&frame.len()), "{} bytes", frame.len());
        if let Some(lie) = inner.transmit_lie {
            return lie;
        }
        let is_busy = inner.takes_one && !inner.frames.is_empty();
        if is_busy || inner.frames.len() >= inner.room || inner.most.is_some_and(|most| inner.taken >= most) {
            return Err(TransmitError::Full);
        }
        let address = frame.as_ptr().addr();
        let is_taken =
            inner.frames.iter().map(|(taken, _)| taken).chain(&inner.returns).any(|&taken| taken == address);
        assert!(inner.has_lied || !is_taken, "the buffer is the firmware's");
        inner.taken += 1;
        inner.frames.push((address, frame.to_vec()));
        Ok(())
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut inner = self.inner();
        if !inner.is_running() {
            return None;
        }
        let frame = inner.arrived.pop_front()?;
        // One that does not fit stays the firmware's: it ends with EFI_BUFFER_TOO_SMALL.
        buffer.get_mut(..frame.len())?.copy_from_slice(&frame);
        Some(inner.length_lie.unwrap_or(frame.len()))
    }
}
