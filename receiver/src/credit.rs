//! How much may be sent to an address, so that nobody has a machine flooded by datagrams in its name.
//!
//! Until a sender of an address has sent again a record that was asked for, no more bytes go there than came from
//! there, and at most one answer in `BETWEEN`. Each sender has its own bytes, so all of an address have no more
//! together. What an address has proven is remembered for `PROVEN`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;

use crate::nanos::Nanos;

/// Between two answers to an address that has proven nothing.
const BETWEEN: Duration = Duration::from_secs(1);
/// Of more addresses than these those are forgotten again of which nothing is to be known, at least so often.
const FEW: usize = 1 << 10;
const OFTEN: Duration = Duration::from_secs(10);
/// So long an address is taken to be that of who sends from it.
const PROVEN: Duration = Duration::from_secs(600);

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Whatever there is: the address is proven.
    All,
    /// One answer, of at most this many bytes.
    Bytes(usize),
}

/// The addresses that something was sent to. There may be very many of them, and few that have proven anything.
#[derive(Debug, Default)]
pub struct Credits {
    answered_at: HashMap<IpAddr, Nanos, RandomState>,
    proven_at: HashMap<IpAddr, Nanos, RandomState>,
    /// With more addresses than this it is time to forget some.
    most: usize,
    forgot_at: Duration,
}

impl Credits {
    /// What may be sent to a sender of this address, from which `bytes` came that were not answered.
    pub fn room(&self, ip: IpAddr, bytes: usize, now: Duration) -> Room {
        let is_within = |at: Option<&Nanos>, time| at.is_some_and(|at| now < at.after(time));
        if is_within(self.proven_at.get(&ip), PROVEN) {
            Room::All
        } else if is_within(self.answered_at.get(&ip), BETWEEN) {
            Room::Bytes(0)
        } else {
            Room::Bytes(bytes)
        }
    }

    /// Something was sent there.
    pub fn answered(&mut self, ip: IpAddr, now: Duration) {
        self.answered_at.insert(ip, now.into());
    }

    /// A record that was asked for came from there.
    pub fn proven(&mut self, ip: IpAddr, now: Duration) {
        self.proven_at.insert(ip, now.into());
    }

    /// Forgets the addresses of which nothing is to be known any more, where twice as many are known as after the last
    /// time, or the last time is long ago.
    pub fn forget(&mut self, now: Duration) {
        let count = self.answered_at.len().saturating_add(self.proven_at.len());
        let room = self.answered_at.capacity().max(self.proven_at.capacity());
        let is_over = now >= self.forgot_at.saturating_add(OFTEN) && room > FEW;
        if count > self.most.max(FEW) || is_over {
            self.answered_at.retain(|_, at| now < at.after(BETWEEN));
            self.proven_at.retain(|_, at| now < at.after(PROVEN));
            self.most = self.answered_at.len().saturating_add(self.proven_at.len()).saturating_mul(2);
            self.answered_at.shrink_to(self.answered_at.len().saturating_mul(2));
            self.proven_at.shrink_to(self.proven_at.len().saturating_mul(2));
            self.forgot_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_700_000_000);

    fn after(millis: u64) -> Duration {
        START + Duration::from_millis(millis)
    }

    /// Also where very many others were sent something meanwhile, and were forgotten.
    #[test]
    fn a_proven_address_is_remembered_for_ten_minutes() {
        let mut credits = Credits::default();
        let proven = IpAddr::from([10, 0, 0, 5]);
        assert_eq!(credits.room(proven, 9, START), Room::Bytes(9));
        credits.proven(proven, START);
        for number in 0..600_000u32 {
            let now = after(number.into());
            credits.answered(IpAddr::from((0x0b00_0000 + number).to_be_bytes()), now);
            credits.forget(now);
            if number % 1000 == 999 {
                assert_eq!(credits.room(proven, 9, now), Room::All, "{number}");
            }
        }
        assert!(credits.answered_at.len() < 10_000, "{} are remembered", credits.answered_at.len());
        assert_eq!(credits.room(proven, 9, after(599_999)), Room::All);
        assert_eq!(credits.room(proven, 9, after(600_000)), Room::Bytes(9));
        // What is proven later counts from then on.
        credits.proven(proven, after(600_000));
        assert_eq!(credits.room(proven, 9, after(1_199_999)), Room::All);
        assert_eq!(credits.room(proven, 9, after(1_200_000)), Room::Bytes(9));
    }

    #[test]
    fn an_unproven_address_is_answered_once_a_second() {
        let mut credits = Credits::default();
        let ip = IpAddr::from([10, 0, 0, 5]);
        credits.answered(ip, START);
        assert_eq!(credits.room(ip, 9, after(999)), Room::Bytes(0));
        assert_eq!(credits.room(ip, 9, after(1000)), Room::Bytes(9));
        assert_eq!(credits.room(IpAddr::from([10, 0, 0, 6]), 9, START), Room::Bytes(9));
    }
}
