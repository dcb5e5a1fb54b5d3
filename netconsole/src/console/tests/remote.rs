//! Lines in datagrams: how many are taken.

use super::*;
use crate::format::MAX_DATAGRAM;
use crate::wire::Endpoint;

fn from(host: u8) -> Conversation {
    let end =
        |host, port| Endpoint { mac: MacAddr([2, 0, 0, 0, 0, host]), ip: [10, 0, 0, host].into(), port };
    Conversation { local: end(1, 6665), remote: end(host, 40000), vlan: None, card: 0 }
}

/// Whether a datagram is taken at `now`.
fn takes(remote: &mut Remote, host: u8, payload: &[u8], now: u64) -> bool {
    let before = remote.counters();
    remote.take(from(host), payload, now);
    let after = remote.counters();
    assert_eq!(after.accepted + after.limited, before.accepted + before.limited + 1);
    after.accepted > before.accepted
}

/// Everything that is answered to whom.
fn answers(remote: &mut Remote, host: &mut FakeHost) -> (Vec<u8>, Vec<Endpoint>) {
    let (mut text, mut to) = (Vec::new(), Vec::new());
    while !remote.is_quiet() {
        remote.poll(host);
        if let Some((conversation, datagram)) = remote.datagram(MAX_DATAGRAM) {
            text.extend_from_slice(datagram);
            to.push(conversation.remote);
            let length = datagram.len();
            remote.sent(length);
        }
    }
    (text, to)
}

#[test]
fn twenty_datagrams_may_come_at_once_and_twenty_a_second() {
    let mut remote = Box::new(Remote::new());
    for number in 0..25 {
        assert_eq!(takes(&mut remote, 2, b"", 0), number < 20, "{number}");
    }
    for (now, taken) in [(49_999, false), (50_000, true), (50_001, false), (99_999, false), (100_000, true)] {
        assert_eq!(takes(&mut remote, 2, b"", now), taken, "{now}");
    }
    let at_once = (0..25).filter(|_| takes(&mut remote, 2, b"", 3_600_000_000)).count();
    assert_eq!(at_once, 20, "an hour earns no more");
}

#[test]
fn what_waits_is_bounded() {
    let mut remote = Box::new(Remote::new());
    assert!(!takes(&mut remote, 2, &[b'x'; 1024], 0), "with its line's end it has no room");
    assert!(takes(&mut remote, 2, &[b'x'; 1023], 0));
    assert!(!takes(&mut remote, 2, b"", 0), "until that is answered");
    let mut host = Box::new(FakeHost::new(LOG_WORDS));
    let (text, to) = answers(&mut remote, &mut host);
    assert!(text.ends_with(b"\nnetconsole# "), "{:?}", text.escape_ascii().to_string());
    assert!(to.iter().all(|end| *end == from(2).remote));
    assert!(takes(&mut remote, 2, b"uptime", 0));
}

/// What goes out in this many turns.
fn turns(remote: &mut Remote, host: &mut FakeHost) -> Vec<(Endpoint, String)> {
    let mut sent = Vec::new();
    for _ in 0..1000 {
        remote.poll(host);
        if let Some((conversation, datagram)) = remote.datagram(MAX_DATAGRAM) {
            sent.push((conversation.remote, String::from_utf8_lossy(datagram).into_owned()));
            let length = datagram.len();
            remote.sent(length);
        }
    }
    sent
}

#[test]
fn a_followed_log_comes_as_it_is_logged_and_ends_with_the_next_line() {
    let mut remote = Box::new(Remote::new());
    let mut host = Box::new(FakeHost::new(LOG_WORDS));
    let asker = from(2).remote;
    host.log("first");
    assert!(takes(&mut remote, 2, b"dmesg -w\n", 0));
    assert_eq!(turns(&mut remote, &mut host), [(asker, "first\n".into())]);
    host.log("second");
    assert_eq!(turns(&mut remote, &mut host), [(asker, "second\n".into())]);
    (0..300).for_each(|_| host.log("ten bytes"));
    let many = turns(&mut remote, &mut host);
    assert!(many.len() < 10 && many.iter().all(|(_, text)| text.len() <= 1000), "{}", many.len());
    assert_eq!(many.iter().map(|(_, text)| text.lines().count()).sum::<usize>(), 300);
    assert!(takes(&mut remote, 2, b"echo next", 0));
    assert_eq!(turns(&mut remote, &mut host), [(asker, "next\nnetconsole# ".into())]);
    host.log("later");
    assert_eq!(turns(&mut remote, &mut host), []);
}

#[test]
fn a_followed_log_keeps_nobody_else_out() {
    let mut remote = Box::new(Remote::new());
    let mut host = Box::new(FakeHost::new(LOG_WORDS));
    assert!(takes(&mut remote, 2, b"dmesg -w", 0));
    assert_eq!(turns(&mut remote, &mut host), []);
    host.log("first");
    assert!(takes(&mut remote, 3, b"echo mine", 0));
    assert_eq!(turns(&mut remote, &mut host), [(from(3).remote, "mine\nnetconsole# ".into())]);
}

#[test]
fn one_is_answered_before_another_is_listened_to() {
    let mut remote = Box::new(Remote::new());
    assert!(takes(&mut remote, 2, b"echo first", 0));
    assert!(!takes(&mut remote, 3, b"echo second", 0));
    let mut host = Box::new(FakeHost::new(LOG_WORDS));
    assert_eq!(answers(&mut remote, &mut host), (b"first\nnetconsole# ".to_vec(), vec![from(2).remote]));
    assert!(takes(&mut remote, 3, b"echo second", 0));
    assert_eq!(answers(&mut remote, &mut host), (b"second\nnetconsole# ".to_vec(), vec![from(3).remote]));
}
