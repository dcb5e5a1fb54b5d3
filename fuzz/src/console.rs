//! What is typed at the terminal and what targets send, down to the tree of targets.

use crate::pieces::pieces;
use netconsole::console::{Ending, Host, Remote, Show, Terminal};
use netconsole::format::MAX_DATAGRAM;
use netconsole::format::SharedStyle;
use netconsole::network::{Conversation, Neighbor, NetworkError, Sent};
use netconsole::ring::{Audience, Level, Ring, RingHeader, Timebase};
use netconsole::settings::DeviceName;
use netconsole::settings::parameter;
use netconsole::targets::attribute::{Attribute, SystemSwitch};
use netconsole::targets::table::TargetTable;
use netconsole::targets::user_data::UserData;
use netconsole::targets::{Common, LogFilter};
use netconsole::wire::{Endpoint, MacAddr};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicU64;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

#[path = "../../netconsole/src/console/tests/fake_host.rs"]
mod fake_host;
use fake_host::FakeHost;

/// Who answers; nobody else does.
const NEIGHBOR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// What the log has, and its size in words.
const RECORDS: usize = 20;
const WORDS: usize = 512;
/// How many turns a line may take that waits for nobody: the log through backquotes, as often as they fit.
const TURNS: usize = 20_000;
/// How long somebody at the terminal waits before Ctrl-C, in turns of a second.
const PATIENCE: usize = 20;
/// What a line may show, in bytes: 64 words, each a file.
const ANSWER: usize = 64 * 1024;
/// What waits for an answer at most, in bytes, with the end of the last line.
const WAITING: usize = 1024;
/// What a key may show, in bytes: the prompt and the line, drawn again.
const DRAWN: usize = 128;

/// [`pieces`] of which those with an even byte are keys at the terminal, the others datagrams of a target.
pub fn check(bytes: &[u8]) {
    let mut host = host();
    let (mut terminal, mut remote) = (Terminal::new(), Remote::new());
    for (control, piece) in pieces(bytes).take(16) {
        match control % 2 {
            0 => type_in(&mut terminal, piece, &mut host),
            _ => {
                if !send(&mut remote, piece, &mut host) {
                    // It waits for somebody who does not answer, and is not asked again.
                    remote = Remote::new();
                }
            }
        }
    }
    if let Some(ending) = host.ending.take() {
        assert!(!ending.to_string().is_empty());
    }
    check_targets(&mut host);
    for number in (0..16).filter(|&number| host.targets.get(number).is_some()).collect::<Vec<_>>() {
        host.targets.remove(number);
        assert_eq!(host.targets.user_data().items(number).count(), 0, "a target's items go with it");
    }
}

/// Types, as fast as the terminal takes it, and waits for the answers; then nothing is under way.
fn type_in(terminal: &mut Terminal, keys: &[u8], host: &mut FakeHost) {
    let mut shown = 0;
    for &key in keys {
        if !terminal.has_room() {
            shown += finish(terminal, host);
        }
        terminal.key(key);
    }
    shown += finish(terminal, host);
    let lines = keys.iter().filter(|&&key| matches!(key, b'\r' | b'\n')).count();
    assert!(shown <= lines * ANSWER + (keys.len() + 2) * DRAWN, "{shown} bytes for {keys:?}");
}

/// Goes on until there is nothing to do, with Ctrl-C where something waits too long; how much was shown.
fn finish(terminal: &mut Terminal, host: &mut FakeHost) -> usize {
    let (mut shown, mut waited, mut turns) = (0, 0, 0);
    loop {
        let is_busy = terminal.poll(host);
        let mut screen = [0; 256];
        while terminal.next(None) == Show::Output {
            shown += terminal.take_output(&mut screen);
        }
        match (is_busy, terminal.is_idle()) {
            (true, _) => turns += 1,
            (false, true) => return shown,
            (false, false) => {
                host.now += 1_000_000;
                waited += 1;
            }
        }
        if waited == PATIENCE {
            terminal.key(3);
            assert!(terminal.is_idle(), "Ctrl-C ends every command");
            waited = 0;
        }
        assert!(turns < TURNS * 64, "what was typed does not come to an end");
    }
}

/// Sends a target's lines; whether they have been answered.
fn send(remote: &mut Remote, lines: &[u8], host: &mut FakeHost) -> bool {
    let end =
        |host, port| Endpoint { mac: MacAddr([2, 0, 0, 0, 0, host]), ip: [10, 0, 0, host].into(), port };
    let conversation = Conversation { local: end(1, 6665), remote: end(2, 40000), vlan: None, card: 0 };
    host.now += 50_000;
    let before = remote.counters();
    remote.take(conversation, lines, host.now);
    let is_taken = remote.counters().accepted > before.accepted;
    assert_eq!(is_taken, lines.len() < WAITING, "once a turn is allowed, and what fits is taken");
    let count = lines.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let (mut shown, mut waited) = (0, 0);
    for _ in 0..TURNS * count {
        let is_busy = remote.poll(host);
        if let Some((to, datagram)) = remote.datagram(MAX_DATAGRAM) {
            assert!(!datagram.is_empty() && datagram.len() <= MAX_DATAGRAM);
            assert_eq!(*to, conversation, "who asks is answered");
            let length = datagram.len();
            shown += length;
            remote.sent(length);
        } else if !is_busy {
            if remote.is_quiet() {
                assert!(shown <= count * (ANSWER + DRAWN), "{shown} bytes for {lines:?}");
                return true;
            }
            host.now += 1_000_000;
            waited += 1;
            if waited == PATIENCE {
                return false;
            }
        }
    }
    panic!("what was sent does not come to an end");
}

/// What a target's files show can be written to them again, and they show the same; so for its items, and for
/// the target as a parameter.
fn check_targets(host: &mut FakeHost) {
    for number in 0..16 {
        let Some(target) = host.targets.get_mut(number) else { continue };
        if target.is_enabled() {
            Attribute::Enabled.store(target, "0", host.now).expect("an enabled target can be disabled");
        }
        let shown = files(host, number);
        let target = host.targets.get_mut(number).expect("it is still there");
        for (attribute, text) in Attribute::ALL.iter().zip(&shown) {
            let stored = attribute.store(target, text, host.now);
            let is_constant = matches!(
                attribute,
                Attribute::Enabled | Attribute::LocalMac | Attribute::TransmitErrors | Attribute::Stats
            );
            assert_eq!(stored.is_err(), is_constant, "{}: {text}", attribute.name());
        }
        for (switch, text) in SystemSwitch::ALL.iter().zip(shown.iter().skip(Attribute::ALL.len())) {
            switch.store(target, text).expect("a switch's own text");
        }
        let config = target.config;
        if config.local_ip.is_none_or(|local| local.is_ipv4() == config.remote_ip.is_ipv4()) {
            let text = config.to_string();
            let parsed: Vec<_> = parameter::targets(text.as_bytes()).map(|parsed| parsed.target).collect();
            assert_eq!(parsed, [Ok(config)], "{text}");
        }
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let items: Vec<_> = host.targets.user_data().items(number).map(owned).collect();
        let lines = host.targets.user_data().lines(number).to_vec();
        for (key, value) in &items {
            host.targets.user_data_mut().set(number, key, value).expect("an item's own value");
        }
        assert_eq!(host.targets.user_data().lines(number), lines);
        assert_eq!(files(host, number), shown);
    }
}

/// What the files of a target show.
fn files(host: &FakeHost, number: usize) -> Vec<String> {
    let target = host.targets.get(number).expect("a target");
    let shown = |show: &dyn Fn(&mut String) -> fmt::Result| {
        let mut text = String::new();
        show(&mut text).expect("a String takes everything");
        assert!(text.ends_with('\n') && text.len() <= MAX_DATAGRAM, "{text}");
        text
    };
    let attributes = Attribute::ALL.iter().map(|file| shown(&|text| file.show(target, text)));
    attributes.chain(SystemSwitch::ALL.iter().map(|file| shown(&|text| file.show(target, text)))).collect()
}

/// The one host, without targets: its items and its log have no end, and so can't be made for each input.
fn host() -> MutexGuard<'static, FakeHost> {
    static HOST: LazyLock<Mutex<FakeHost>> = LazyLock::new(|| {
        let mut host = FakeHost::new(WORDS);
        host.neighbor = Some((NEIGHBOR, MacAddr([2, 0, 0, 0, 0, 2])));
        for number in 0..RECORDS {
            host.log(&format!("record {number} of `echo` | and\ttwo\nlines"));
        }
        Mutex::new(host)
    });
    let mut host = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    (host.now, host.common) = (0, FakeHost::COMMON);
    host.common.style.time = true;
    host
}
