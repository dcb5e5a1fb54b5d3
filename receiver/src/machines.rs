//! Which machines might be the one that a datagram from an address not heard before is of: those of the same
//! address, and those that were started at the same time.
//!
//! Both are found without a walk over all of them, and at most [`LOOKED_AT`] are looked at: whoever sends from many
//! ports of one address costs no more than others.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ahash::RandomState;

/// Machines that are looked at for one datagram.
pub const LOOKED_AT: usize = 64;
/// By how much the moment at which a machine was started must have moved for a new entry, in µs.
const STEP: u64 = 200_000;

/// The machines, told by their numbers, as they can be searched for.
#[derive(Debug, Default)]
pub struct Machines {
    alone: Alone,
    /// At addresses that have several or had, in the order of their first datagrams.
    several: HashMap<IpAddr, Vec<u32>, RandomState>,
    by_start: BTreeSet<(u64, u32)>,
}

/// The machines that are the only ones at their addresses, as nearly all are: in few bytes each.
#[derive(Debug, Default)]
struct Alone {
    v4: HashMap<Ipv4Addr, u32, RandomState>,
    v6: HashMap<Ipv6Addr, u32, RandomState>,
}

impl Alone {
    fn get(&self, ip: IpAddr) -> Option<&u32> {
        match ip {
            IpAddr::V4(v4) => self.v4.get(&v4),
            IpAddr::V6(v6) => self.v6.get(&v6),
        }
    }

    fn remove(&mut self, ip: IpAddr) -> Option<u32> {
        match ip {
            IpAddr::V4(v4) => self.v4.remove(&v4),
            IpAddr::V6(v6) => self.v6.remove(&v6),
        }
    }

    fn insert(&mut self, ip: IpAddr, number: u32) -> &mut u32 {
        match ip {
            IpAddr::V4(v4) => self.v4.entry(v4).insert_entry(number).into_mut(),
            IpAddr::V6(v6) => self.v6.entry(v6).insert_entry(number).into_mut(),
        }
    }
}

impl Machines {
    /// There is one at this address. All that are there, this one last.
    pub fn add(&mut self, ip: IpAddr, number: u32) -> &[u32] {
        if let Some(before) = self.alone.remove(ip) {
            self.several.insert(ip, vec![before]);
        }
        match self.several.get_mut(&ip) {
            Some(all) => {
                all.push(number);
                all
            }
            None => std::slice::from_ref(self.alone.insert(ip, number)),
        }
    }

    /// It is no longer there.
    pub fn remove(&mut self, ip: IpAddr, number: u32) {
        let Some(numbers) = self.several.get_mut(&ip) else {
            if self.alone.get(ip) == Some(&number) {
                self.alone.remove(ip);
            }
            return;
        };
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            self.several.remove(&ip);
        }
    }

    /// Those at this address, the newest first.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = u32> {
        self.all_at(ip).iter().rev().take(LOOKED_AT).copied()
    }

    /// Those at this address, the oldest first.
    pub fn first_at(&self, ip: IpAddr) -> impl Iterator<Item = u32> {
        self.all_at(ip).iter().take(LOOKED_AT).copied()
    }

    fn all_at(&self, ip: IpAddr) -> &[u32] {
        match self.alone.get(ip) {
            Some(number) => std::slice::from_ref(number),
            None => self.several.get(&ip).map_or(&[], Vec::as_slice),
        }
    }

    /// One was started then, in µs since the Unix epoch, and has been noted with `before`; 0 is not known. The time to
    /// note it with.
    pub fn started(&mut self, number: u32, start: u64, before: u64) -> u64 {
        if start.abs_diff(before) < STEP {
            return before;
        }
        self.by_start.remove(&(before, number));
        if start > 0 {
            self.by_start.insert((start, number));
        }
        start
    }

    /// Those that were started at this time, or up to `reach` µs before or after.
    pub fn started_at(&self, start: u64, reach: u64) -> impl Iterator<Item = u32> {
        let (reach, last) = (reach.saturating_add(STEP), u32::MAX);
        let range = (start.saturating_sub(reach), 0)..=(start.saturating_add(reach), last);
        self.by_start.range(range).take(LOOKED_AT).map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_found_by_address_and_start() {
        let mut machines = Machines::default();
        let ip = IpAddr::from([10, 0, 0, 5]);
        for number in 0..100 {
            machines.add(ip, number);
        }
        machines.remove(ip, 98);
        assert_eq!(machines.at(ip).count(), LOOKED_AT);
        assert_eq!(machines.at(ip).take(2).collect::<Vec<_>>(), [99, 97]);
        let noted = machines.started(7, 5_000_000, 0);
        assert_eq!((noted, machines.started(7, 5_100_000, noted)), (5_000_000, 5_000_000));
        assert_eq!(machines.started_at(5_300_000, 200_000).collect::<Vec<_>>(), [7]);
        let noted = machines.started(7, 9_000_000, noted);
        assert_eq!(machines.started_at(5_300_000, 200_000).count(), 0);
        machines.started(7, 0, noted);
        assert_eq!(machines.started_at(9_000_000, 0).count(), 0);
    }

    #[test]
    fn one_alone_is_found_as_several_are() {
        for ip in [IpAddr::from([10, 0, 0, 5]), IpAddr::from([1u16; 8])] {
            let mut machines = Machines::default();
            assert_eq!(machines.add(ip, 3), [3]);
            machines.remove(ip, 4);
            assert_eq!(machines.first_at(ip).collect::<Vec<_>>(), [3]);
            assert_eq!(machines.add(ip, 4), [3, 4]);
            assert_eq!(machines.at(ip).collect::<Vec<_>>(), [4, 3]);
            machines.remove(ip, 3);
            assert_eq!(machines.at(ip).collect::<Vec<_>>(), [4]);
            machines.remove(ip, 4);
            assert_eq!(machines.at(ip).count(), 0);
            machines.add(ip, 5);
            machines.remove(ip, 5);
            assert_eq!(machines.first_at(ip).count(), 0);
        }
    }
}
