//! A target on a card with little room: what is changed while records are under way.

use super::*;
use crate::log::{Ring, RingHeader, Timebase};
use crate::netconsole::attribute::SystemSwitch;
use crate::netconsole::secure::{KeyStore, Numbers, Protection};
use crate::nic::{NicError, TransmitError};
use crate::stack::{Addressing, Ipv4Method, Storage};
use crate::wire::udp;
use core::sync::atomic::AtomicU64;
use proptest::prelude::*;

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const FILTER: LogFilter = LogFilter {
    limit: 8,
    ignore_limits: false,
    oops_only: false,
    time: true,
    host_name: "",
    epoch: None,
    ncrx: false,
};

/// A card that takes `room` frames more.
struct Card {
    room: usize,
    payloads: Vec<Vec<u8>>,
}

impl Nic for Card {
    fn mac(&self) -> MacAddr {
        MAC
    }
    fn mtu(&self) -> usize {
        1500
    }
    fn link_is_up(&mut self) -> bool {
        true
    }
    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        self.room = self.room.checked_sub(1).ok_or(TransmitError::Full)?;
        let mut frame = [0; 1518];
        let len = build(&mut frame);
        self.payloads.extend(udp::parse(&frame[..len]).map(|datagram| datagram.payload.to_vec()));
        Ok(())
    }
    fn kick(&mut self) {}
    fn is_drained(&mut self) -> bool {
        true
    }
    fn receive(&mut self, _: &mut dyn FnMut(&[u8])) -> bool {
        false
    }
    fn restart(&mut self) -> Result<(), NicError> {
        Ok(())
    }
}

/// The bodies of the records, their fragments put together; fails where these don't fit.
fn bodies(payloads: &[Vec<u8>]) -> Result<Vec<String>, TestCaseError> {
    let mut bodies: Vec<String> = Vec::new();
    let mut under_way: Option<(String, String, usize)> = None;
    for payload in payloads {
        let text = String::from_utf8_lossy(payload);
        let (header, body) = text.split_once(';').expect("a header");
        let sequence = header.split(',').nth(1).expect("a sequence number").to_string();
        match (header.split_once(",ncfrag=").and_then(|(_, place)| place.split_once('/')), under_way.take()) {
            (None, None) => bodies.push(body.into()),
            (Some((offset, total)), before) => {
                let (offset, total): (usize, usize) = (offset.parse().unwrap(), total.parse().unwrap());
                let (before_sequence, mut whole, before_total) =
                    before.unwrap_or((sequence.clone(), String::new(), total));
                prop_assert_eq!((&sequence, offset, total), (&before_sequence, whole.len(), before_total));
                whole.push_str(body);
                if whole.len() == total {
                    bodies.push(whole);
                } else {
                    under_way = Some((sequence, whole, total));
                }
            }
            (None, Some(_)) => prop_assert!(false, "a record began before the last had ended"),
        }
    }
    prop_assert!(under_way.is_none(), "the last record is not complete");
    Ok(bodies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_record_keeps_its_style_from_its_first_piece_to_its_last(
        steps in proptest::collection::vec((0usize..4, 0usize..4, 0usize..400), 1..60),
    ) {
        let words = |count| -> Vec<AtomicU64> { (0..count).map(|_| AtomicU64::new(0)).collect() };
        let (header, index, data) = (RingHeader::new(), words(1 << 13), words(1 << 16));
        let ring = Ring::new(&header, &index, &data);
        ring.recover(0);

        let mut storage = Storage::new(None);
        let address = core::net::Ipv4Addr::new(10, 0, 0, 1);
        let addressing = Addressing {
            ipv4: Ipv4Method::Static { address, prefix: 24, gateway: None },
            ipv6: None,
            echo: false,
        };
        let mut stack = Stack::new(&mut storage, MAC, 1500, None, &addressing, 7, 0);
        let mut config = TargetConfig::DEFAULT;
        config.format = Format::Extended { release: false };
        config.remote_mac = Some(MacAddr::BROADCAST);
        let mut target = Target::new(TargetName::of_command_line(0), config);
        target.enable(0);
        let mut card = Card { room: 0, payloads: Vec::new() };
        let mut interface =
            Interface { name: "eth0", nic: &mut card, stack: &mut stack, link_is_up: true, ipv4_may_come: true };
        target.advance(Some(&mut interface), 0, 0);
        prop_assert!(target.is_running());

        let keys = KeyStore::new();
        let sealing = Sealing { protection: &Protection::Clear, numbers: Numbers::Counted(&keys) };
        let mut user_data = String::new();
        let (mut logged, mut waits) = (0u64, false);
        for (records, room, length) in steps {
            for _ in 0..records {
                ring.append_str(Level::Info, "test", 0, &format!("record {logged} {}", "x".repeat(length * 5)));
                logged += 1;
            }
            waits |= length % 2 == 1;
            if waits && target.settle() {
                waits = false;
                user_data = format!(" key={}\n", "v".repeat(length % 200)).repeat(length % 8);
                let on = if length % 4 == 1 { "1" } else { "0" };
                prop_assert!(SystemSwitch::MessageId.store(&mut target, on).is_ok());
            }
            card.room = room;
            target.ship(&ring, &Timebase::new(0), &FILTER, user_data.as_bytes(), sealing, &mut card, 0);
        }
        card.room = 1000;
        while target.ship(&ring, &Timebase::new(0), &FILTER, user_data.as_bytes(), sealing, &mut card, 0) == Shipped::More {
            card.room = 1000;
        }
        let bodies = bodies(&card.payloads)?;
        prop_assert_eq!(bodies.len() as u64, logged);
        for (number, body) in bodies.iter().enumerate() {
            let start = format!("record {number} ");
            prop_assert!(body.starts_with(&start));
        }
    }
}
