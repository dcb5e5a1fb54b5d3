//! Datagrams that anybody sends to the receiver.

use crate::pieces::pieces;
use netconsole_receiver::event::Event;
use netconsole_receiver::limits;
use netconsole_receiver::senders::Senders;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// [`pieces`] that are datagrams; of the byte, the low two bits are the sender and the others the time that
/// has passed, in units of 16 ms.
pub fn check(bytes: &[u8]) {
    let mut senders = Senders::new(HashMap::new(), true);
    let mut heard = Vec::new();
    let mut now = Duration::from_secs(1_700_000_000);
    for (control, datagram) in pieces(bytes) {
        now += Duration::from_millis(u64::from(control >> 2) * 16);
        let from = SocketAddr::from((Ipv4Addr::new(10, 0, 0, control & 3), 6665));
        senders.datagram(from, 0, datagram, now, &mut heard);
        senders.tick(now, &mut heard);
        for answer in senders.answers(now) {
            assert!(answer.text.len() <= 1000 && answer.text.starts_with("ncrx"), "{answer:?}");
        }
        assert!(senders.held() <= limits::WINDOWS_BYTES);
    }
    senders.finish(now, &mut heard);
    assert_eq!(senders.held(), 0);
    for heard in heard {
        match heard.event {
            Event::Record { record, .. } => {
                assert!(record.size() <= 4 * (limits::RECORD_BYTES + limits::LINE_BYTES));
                assert!(record.level.is_none_or(|level| level <= 7));
            }
            Event::Missing { first, last, count } => assert!(first <= last && count <= last - first + 1),
            Event::Joined { .. }
            | Event::Moved { .. }
            | Event::Rebooted
            | Event::Skipped { .. }
            | Event::Stray { .. }
            | Event::Dropped { .. }
            | Event::Lost { .. }
            | Event::Report(_)
            | Event::Crash { .. } => {}
        }
    }
}
