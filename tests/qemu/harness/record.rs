//! What has happened so far in one boot: frames and serial output, as its threads see them.

use super::frame::Frame;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// A frame that the kernel sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Instant,
    /// The NIC's number in the boot's list.
    pub nic: usize,
    /// The frame, or which rule it breaks.
    pub frame: Result<Frame, String>,
}

impl Sent {
    /// The frame, where it keeps to the rules.
    pub fn good(&self) -> Option<&Frame> {
        self.frame.as_ref().ok()
    }

    /// The datagram's destination and payload, where it is one.
    pub fn datagram(&self) -> Option<(SocketAddr, &[u8])> {
        self.good()?.datagram()
    }
}

#[derive(Debug, Default)]
pub struct Events {
    pub sent: Vec<Sent>,
    pub serial: Vec<u8>,
    /// Whether QEMU has ended.
    pub ended: bool,
}

#[derive(Debug, Default)]
pub struct Record {
    events: Mutex<Events>,
    changed: Condvar,
}

impl Record {
    pub fn events(&self) -> MutexGuard<'_, Events> {
        // A test that failed while it held the lock has left nothing half-written.
        self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn add(&self, change: impl FnOnce(&mut Events)) {
        change(&mut self.events());
        self.changed.notify_all();
    }

    /// Waits until `look` finds what it looks for; `None` at the deadline.
    pub fn wait<T>(&self, deadline: Instant, mut look: impl FnMut(&Events) -> Option<T>) -> Option<T> {
        let mut events = self.events();
        loop {
            if let Some(found) = look(&events) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            events = match self.changed.wait_timeout(events, left) {
                Ok((events, _)) => events,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}
