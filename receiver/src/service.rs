//! What a service manager is told (sd_notify(3)): that datagrams are taken, that options are read again, that it ends,
//! and again and again that the run goes on. Nothing where none asks for it.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::complain::complain;

/// So often in the time within which the manager expects a sign of life.
const SIGNS: u32 = 3;

/// The run as a service.
#[derive(Debug)]
pub struct Service {
    /// The time between two signs of life.
    interval: Option<Duration>,
    told: Duration,
}

impl Service {
    /// As the environment says; the first sign of life is due now.
    pub fn new() -> Self {
        Service { interval: sd_notify::watchdog_enabled().map(|most| most / SIGNS), told: Duration::ZERO }
    }

    /// Datagrams are taken from now on, at these addresses.
    pub fn ready(&self, addresses: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(&format!("listening on {addresses}"))]);
    }

    /// Another run begins in this one's place, and will be ready.
    pub fn reloading(&self) {
        let Ok(now) = NotifyState::monotonic_usec_now() else { return };
        tell(&[NotifyState::Reloading, now]);
    }

    /// The other run can't begin: this one goes on.
    pub fn goes_on(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The run ends: it only writes what there is.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Gives a sign of life, where it is time to.
    pub fn live(&mut self, now: Duration) {
        if self.due().is_some_and(|due| now >= due) {
            self.told = now;
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// When the next sign of life is due.
    pub fn due(&self) -> Option<Duration> {
        self.interval.map(|interval| self.told.saturating_add(interval))
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        complain(format_args!("the service manager can't be told: {error}"));
    }
}
