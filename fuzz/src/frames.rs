//! Received frames through the stack, smoltcp included.

use crate::nic::{Card, MAC};
use crate::pieces::pieces;
use netconsole::stack::{Addressing, Ipv4Method, Stack};
use std::net::Ipv4Addr;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

/// The first byte says how the card gets its address; the rest is [`pieces`] that are frames, whose byte says
/// how long it is until the frame, in units of 20 ms.
pub fn check(bytes: &[u8]) {
    let Some((&mode, frames)) = bytes.split_first() else { return };
    let ipv4 = match mode % 2 {
        0 => Ipv4Method::Static { address: ADDRESS, prefix: 24, gateway: None },
        _ => Ipv4Method::Dhcp,
    };
    let addressing = Addressing { ipv4, ipv6: None, echo: mode & 2 == 0 };
    let mut card = Card::default();
    let mut now = 0;
    let mut stack = Stack::new(Some("host"), MAC, 1500, None, &addressing, 7, now);
    for (wait, frame) in pieces(frames).take(32) {
        now += u64::from(wait) * 20_000;
        // What is due by itself comes first, so that what follows is the answer.
        for _ in 0..8 {
            stack.poll(&mut card, now, &mut |_| {});
        }
        card.sent.clear();
        card.arriving.push_back(frame.to_vec());
        stack.poll(&mut card, now, &mut |datagram| assert!(datagram.payload.len() < frame.len()));
        for sent in &card.sent {
            assert!((60..=1514).contains(&sent.len()) && sent[6..12] == MAC.0);
            check_answer(frame, sent);
        }
    }
    if mode % 2 == 0 {
        let kept = stack.ipv4().is_none_or(|ipv4| ipv4.address == ADDRESS);
        assert!(kept, "nobody gives a machine another address than its own");
    }
}

/// Nothing goes to the sender of a frame but answers to ARP and NDP, echo replies no longer than the
/// question, and DHCP's own.
fn check_answer(question: &[u8], sent: &[u8]) {
    if question.get(6..12) != Some(&sent[..6]) || sent[0] & 1 != 0 {
        return;
    }
    let is = |at: usize, value: u8| sent.get(at) == Some(&value);
    match sent[12..14] {
        [0x08, 0x06] => assert!(sent.len() <= 60),
        // DHCP's client to server.
        [0x08, 0x00] if is(23, 17) => assert_eq!(sent[34..38], [0, 68, 0, 67]),
        [0x08, 0x00] => {
            assert!(is(23, 1) && is(34, 0), "an echo reply and nothing else");
            assert!(sent.len() <= question.len().max(60));
        }
        // Neighbour solicitations and advertisements, router solicitations.
        [0x86, 0xdd] if is(20, 58) && (133..=136).contains(&sent[54]) => assert!(sent.len() <= 86),
        [0x86, 0xdd] => {
            assert!(is(20, 58) && is(54, 129), "an echo reply and nothing else");
            assert!(sent.len() <= question.len().max(60));
        }
        _ => panic!("a frame that is neither ARP nor IP"),
    }
}
