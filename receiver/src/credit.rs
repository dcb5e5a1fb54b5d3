//! How much may be sent to an address, so that nobody has a machine flooded by datagrams in its name.
//!
//! Until a sender of an address has sent again a record that was asked for, no more bytes go there than came from
//! there, and at most one answer in `BETWEEN`. Each sender has its own bytes, so all of an address have no more
//! together. What an address has proven is remembered for `PROVEN`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;

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

#[derive(Debug)]
struct Address {
    answered_at: Duration,
    proven_at: Option<Duration>,
}

impl Address {
    fn is_proven(&self, now: Duration) -> bool {
        self.proven_at.is_some_and(|at| now < at.saturating_add(PROVEN))
    }

    fn rests(&self, now: Duration) -> bool {
        now < self.answered_at.saturating_add(BETWEEN)
    }
}

/// The addresses that something was sent to.
#[derive(Debug, Default)]
pub struct Credits {
    all: HashMap<IpAddr, Address, RandomState>,
    /// With more addresses than this it is time to forget some.
    most: usize,
    forgot_at: Duration,
}

impl Credits {
    /// What may be sent to a sender of this address, from which `bytes` came that were not answered.
    pub fn room(&self, ip: IpAddr, bytes: usize, now: Duration) -> Room {
        match self.all.get(&ip) {
            Some(address) if address.is_proven(now) => Room::All,
            Some(address) if address.rests(now) => Room::Bytes(0),
            _ => Room::Bytes(bytes),
        }
    }

    /// Something was sent there.
    pub fn answered(&mut self, ip: IpAddr, now: Duration) {
        self.of(ip).answered_at = now;
    }

    /// A record that was asked for came from there.
    pub fn proven(&mut self, ip: IpAddr, now: Duration) {
        self.of(ip).proven_at = Some(now);
    }

    /// Forgets the addresses of which nothing is to be known any more, where twice as many are known as after the last
    /// time, or the last time is long ago.
    pub fn forget(&mut self, now: Duration) {
        let is_over = now >= self.forgot_at.saturating_add(OFTEN) && self.all.capacity() > FEW;
        if self.all.len() > self.most.max(FEW) || is_over {
            self.all.retain(|_, address| address.is_proven(now) || address.rests(now));
            self.most = self.all.len().saturating_mul(2);
            self.all.shrink_to(self.most);
            self.forgot_at = now;
        }
    }

    fn of(&mut self, ip: IpAddr) -> &mut Address {
        self.all.entry(ip).or_insert(Address { answered_at: Duration::ZERO, proven_at: None })
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
        assert!(credits.all.len() < 10_000, "{} are remembered", credits.all.len());
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
