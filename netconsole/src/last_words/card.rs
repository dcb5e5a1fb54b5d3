//! One card in a panic: reset until it runs, watched for its cable, and reset again where it hangs. Nothing waits here
//! but a reset, which counts its reads of the device.

use super::marked::Marked;
use crate::nic::{Nic, PanicDriver, TransmitError};
use crate::wire::MacAddr;

/// After how many failures in a row a card is given up: it is tried again then, but nobody waits for it.
const TRIES: u32 = 3;
/// How long a card may keep a frame, in µs.
const PATIENCE: u64 = 1_000_000;
/// How long a card that was given up is left alone, in µs; twice as long each time, up to 64 times.
const RETRY_INTERVAL: u64 = 1_000_000;
/// How often the cable is looked at, in µs: each look is an access to the device.
const LOOK_INTERVAL: u64 = 1_000;

/// What has become of the frames that were queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are with the card still, or there are none.
    Open,
    /// All have left by a link that was up.
    Left,
    /// The card failed under them, or the link did.
    Lost,
}

/// A card and how it is.
pub struct PanicCard {
    nic: Marked<PanicDriver>,
    runs: bool,
    /// How often it has failed since frames last left.
    failures: u32,
    retry_at: u64,
    /// Since when the link is up.
    link_since: Option<u64>,
    look_at: u64,
    /// Since when it has frames.
    busy_since: Option<u64>,
    has_lost: bool,
}

impl PanicCard {
    /// A card that [`poll`](Self::poll) will reset and start.
    pub const fn new(nic: Marked<PanicDriver>) -> Self {
        Self {
            nic,
            runs: false,
            failures: 0,
            retry_at: 0,
            link_since: None,
            look_at: 0,
            busy_since: None,
            has_lost: false,
        }
    }

    /// Looks after it at `now` µs.
    pub fn poll(&mut self, now: u64) -> Fate {
        if core::mem::take(&mut self.has_lost) {
            return Fate::Lost;
        }
        if !self.runs {
            if now >= self.retry_at {
                match self.nic.restart() {
                    Ok(()) => (self.runs, self.look_at) = (true, now),
                    Err(_) => self.fail(now),
                }
            }
            return Fate::Open;
        }
        if let Some(since) = self.busy_since {
            return self.look_at_frames(since, now);
        }
        if now >= self.look_at {
            self.look_at_link(now);
        }
        Fate::Open
    }

    fn look_at_frames(&mut self, since: u64, now: u64) -> Fate {
        if !self.nic.is_drained() {
            if now.saturating_sub(since) >= PATIENCE {
                self.fail(now);
            }
            return Fate::Open;
        }
        self.busy_since = None;
        // A card without link takes frames all the same.
        if self.nic.link_has_changed() || !self.nic.link_is_up() {
            self.link_since = None;
            return Fate::Lost;
        }
        self.failures = 0;
        Fate::Left
    }

    fn look_at_link(&mut self, now: u64) {
        self.look_at = now.saturating_add(LOOK_INTERVAL);
        if !self.nic.link_is_up() {
            self.link_since = None;
            // One that does not run has no link either, and says so when it is asked for a buffer.
            if self.nic.transmit(&mut |_| 0) == Err(TransmitError::Broken) {
                self.fail(now);
            }
        } else if self.link_since.is_none() {
            // What changes from here on matters.
            _ = self.nic.link_has_changed();
            self.link_since = self.nic.link_is_up().then_some(now);
        }
    }

    /// It does not do what it should at `now` µs: it is to be reset, and what it was given is lost.
    pub fn fail(&mut self, now: u64) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = match self.failures.checked_sub(TRIES) {
            None => now,
            Some(more) => now.saturating_add(RETRY_INTERVAL.unbounded_shl(more.min(6))),
        };
        (self.runs, self.link_since, self.busy_since, self.has_lost) = (false, None, None, true);
    }

    /// Whether it has not been given up.
    pub const fn is_alive(&self) -> bool {
        self.failures < TRIES
    }

    /// Since when the link is up, if it is.
    pub const fn link_since(&self) -> Option<u64> {
        self.link_since
    }

    /// Whether it has frames that have not left yet: it is to be given no others.
    pub const fn is_busy(&self) -> bool {
        self.busy_since.is_some()
    }

    /// Its own address.
    pub fn mac(&self) -> MacAddr {
        self.nic.mac()
    }

    /// The longest IP packet that it carries, in bytes.
    pub fn mtu(&self) -> usize {
        self.nic.mtu()
    }

    /// Has it send what `build` writes, as [`Nic::transmit`] does, once it is [kicked](Self::kick).
    pub fn transmit(
        &mut self,
        now: u64,
        build: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Result<(), TransmitError> {
        self.with_nic(now, |nic| (nic.transmit(build), true))
    }

    /// Lends the driver to `send`, which also tells whether it may have queued a frame.
    pub fn with_nic<T>(
        &mut self,
        now: u64,
        send: impl FnOnce(&mut Marked<PanicDriver>) -> (Result<T, TransmitError>, bool),
    ) -> Result<T, TransmitError> {
        let (sent, has_queued) = send(&mut self.nic);
        if has_queued {
            self.busy_since.get_or_insert(now);
        }
        if matches!(sent, Err(TransmitError::Broken)) {
            self.fail(now);
        }
        sent
    }

    /// Tells it of all that was queued.
    pub fn kick(&mut self) {
        self.nic.kick();
    }

    /// Lends the oldest received frame to `take`; false where there is none.
    pub fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        self.runs && self.nic.receive(take)
    }
}
