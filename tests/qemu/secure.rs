//! `netconsole.key=`: what is on the wire, opened with another implementation of the ciphers than the
//! kernel's, by the layout in doc/secure.md.

use crate::harness::{
    Boot, Capture, Content, Ends, Frame, Lease, Machine, Message, Nic, Peer, Service, Way, kernel, messages,
    status, target,
};
use crate::images::{UEFI, UEFI_TIME};
use crate::loaders::grub_image;
use crate::protocols::bzimage;
use crate::receiver::Receiver;
use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";
pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
const PATIENCE: Duration = Duration::from_secs(40);
const HEADER: usize = 28;
const TAG: usize = 16;

fn secret() -> SecretKey {
    let key: [u8; 32] = std::array::from_fn(|index| index as u8);
    SecretKey::try_from(&key).expect("32 bytes")
}

fn boot(name: &'static str, parameters: &str) -> Boot {
    let parameters = format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.key={KEY} {parameters}");
    Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).repeats()
}

/// Boot id and number, and the message, of a datagram sealed with [`KEY`].
pub fn open(datagram: &[u8]) -> (Vec<u8>, Vec<u8>) {
    open_with(&secret(), datagram).expect("sealed with the key")
}

/// `None` where it is sealed with another key.
fn open_with(key: &SecretKey, datagram: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    assert_eq!(datagram[..4], [0xf5, b'N', b'C', 1], "{:?}", datagram.escape_ascii().to_string());
    let (header, sealed) = datagram.split_at(HEADER);
    let nonce = Nonce::try_from(&header[4..]).expect("24 bytes");
    let mut message = vec![0; sealed.len() - TAG];
    XChaCha20Poly1305::open(key, &nonce, sealed, Some(header), &mut message).ok()?;
    Some((header[4..].to_vec(), message))
}

/// The messages of a boot with [`KEY`], after the checks that hold for each: nothing but sealed datagrams, no nonce twice,
/// one boot id.
pub fn opened(capture: &Capture) -> Vec<Message> {
    let payloads = capture.payloads(TARGET);
    let (nonces, texts): (Vec<_>, Vec<_>) = payloads.iter().map(|payload| open(payload)).unzip();
    let distinct: BTreeSet<_> = nonces.iter().collect();
    assert_eq!(distinct.len(), nonces.len(), "a nonce came twice");
    assert!(nonces.iter().all(|nonce| nonce[..16] == nonces[0][..16]), "another boot id");
    for datagram in capture.frames().filter_map(|frame| frame.datagram()) {
        assert_eq!(datagram.0, TARGET.parse::<SocketAddr>().expect("an address"), "to somebody else");
    }
    let messages = messages(texts.iter().map(Vec::as_slice)).expect("the extended format");
    let digits = &KEY[..16];
    assert!(!messages.iter().any(|message| message.text.contains(digits)), "the key is in the log");
    assert!(!capture.serial.contains(digits), "the key is on serial");
    messages
}

fn has(messages: &[Message], text: &str) -> bool {
    messages.iter().any(|message| message.text.contains(text))
}

fn boot_id(capture: &Capture) -> Vec<u8> {
    open(capture.payloads(TARGET)[0]).0[..16].to_vec()
}

#[test]
fn every_message_is_sealed_and_complete() {
    let capture = boot("secure", "flood=500 after=exit").start().end();
    assert_eq!(capture.status, status::GOOD);
    let messages = opened(&capture);
    assert!(messages.iter().map(|message| message.sequence).eq(0..messages.len() as u64), "all, in order");
    assert!(has(&messages, "network logging started") && has(&messages, "flood message 00000499"));
    assert!(has(&messages, "netconsole.key=****"));
    assert!(has(&messages, "no random numbers"), "QEMU's plain CPU has none");
}

#[test]
fn the_last_words_are_sealed_too() {
    for kind in
        ["PANIC", "EXCEPTION", "PANIC@panic", "OVERWRITE_NIC", "OVERWRITE_SENDER", "OVERWRITE_TARGETS"]
    {
        let capture = boot("secure-crash", &format!("crash={kind} after=exit")).start().end();
        assert_eq!(capture.status, status::PANIC, "{kind}");
        let payloads: Vec<_> = capture.frames().filter_map(|frame| frame.datagram()).collect();
        assert!(!payloads.is_empty());
        let texts: Vec<_> = payloads.iter().map(|(_, payload)| open(payload)).collect();
        let nonces: BTreeSet<_> = texts.iter().map(|(nonce, _)| nonce).collect();
        assert_eq!(nonces.len(), texts.len(), "{kind}: a nonce came twice");
        let report = texts.iter().any(|(_, text)| text.windows(12).any(|part| part == b"Kernel panic"));
        assert!(report, "{kind}");
    }
}

/// Every datagram that the machine has sent, opened.
fn texts(capture: &Capture) -> Vec<String> {
    let datagrams = capture.frames().filter_map(|frame| frame.datagram());
    datagrams.map(|(_, payload)| String::from_utf8_lossy(&open(payload).1).into_owned()).collect()
}

/// The log of a boot with a key, which ends without last words, goes out sealed by the next one that has the same.
#[test]
fn the_boot_after_seals_it_with_the_same_key() {
    let capture = boot("secure-reset", "crash=TRIPLE_FAULT after=exit").start().end();
    assert_eq!(capture.status, status::GOOD);
    let texts = texts(&capture);
    let before: Vec<_> = texts.iter().filter(|text| text.contains("\n boot=-1\n")).collect();
    assert!(before.iter().any(|text| text.contains(";netconsole 0.")), "from the first record on");
    assert!(before.iter().any(|text| text.contains("crash: provoking TRIPLE_FAULT\n")), "to the last one");
    assert!(!texts.iter().any(|text| text.contains("withheld")));
}

/// GRUB, whose keys `1`, `2` and `3` boot with a key, and with another one or none after that.
fn two_boots(name: &'static str, next: char, more: &str) -> Machine {
    let ship = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";
    let entry = |key: char, parameters: &str| {
        format!(
            "menuentry 'boot {key}' --hotkey={key} {{\nmultiboot /boot/netconsole {ship} {parameters}\nboot\n}}\n"
        )
    };
    let serial = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n";
    let other_key = KEY.replace('0', "1");
    let menu = format!(
        "{serial}set timeout=100\n{}{}{}",
        entry('1', &format!("crash=TRIPLE_FAULT netconsole.key={KEY}")),
        entry('2', &format!("netconsole.key={other_key} {more}")),
        entry('3', more),
    );
    let image = grub_image(&format!("{name}-image"), &kernel(), &menu);
    let boot = Boot::new(name, "debug").image(image).peer(Peer::at("10.0.0.2")).loses().repeats();
    let mut machine = boot.start();
    let end = "boot 3";
    machine.wait_for_serial(end);
    machine.type_in("1");
    machine.wait_for("GRUB's menu again", |events| {
        let serial = String::from_utf8_lossy(&events.serial);
        serial.split_once("Command line: ")?.1.contains(end).then_some(())
    });
    machine.type_in(&next.to_string());
    machine
}

/// A record that the first boot logged, and the line that says how many there are.
const SECRET: &str = "crash: provoking TRIPLE_FAULT";
const WITHHELD: &str = "withheld: they leave only sealed with the key of their boot";

#[test]
fn a_boot_without_the_key_withholds_what_one_with_it_has_logged() {
    let capture = two_boots("secure-then-clear", '3', "after=exit").end();
    assert_eq!(capture.status, status::GOOD);
    let payloads = capture.payloads(TARGET);
    let clear: Vec<_> = payloads.iter().filter(|payload| !payload.starts_with(&[0xf5])).copied().collect();
    assert!(clear.len() < payloads.len(), "the first boot's are sealed");
    let messages = messages(clear).expect("the extended format");
    assert!(has(&messages, "network logging started"));
    assert!(!has(&messages, SECRET) && !has(&messages, "boot=-"), "{messages:?}");
    let said = messages.iter().find(|message| message.text.contains(WITHHELD)).expect("a line");
    // All records of the boot before, whose numbers are those before this boot's.
    let first = messages.iter().map(|message| message.sequence).min().expect("messages");
    let count = format!("previous boot ended without a goodbye: {first} records, {first} {WITHHELD}");
    assert_eq!(said.text, count);
    assert!(capture.serial.rsplit_once("netconsole 0.").is_some_and(|(before, _)| before.contains(SECRET)));
}

/// The last words of a boot without the key are its own alone.
#[test]
fn a_panic_without_the_key_withholds_it_too() {
    let mut machine = two_boots("secure-then-panic", '3', "");
    machine.wait_for_text(TARGET, "network logging started");
    // Everything is sent again then.
    machine.type_in("\rcrash OVERWRITE_SENDER\r");
    machine.wait_for_text(TARGET, "end Kernel panic");
    machine.wait_until_quiet(Duration::from_secs(2));
    let capture = machine.stop();
    let payloads = capture.payloads(TARGET);
    let clear: Vec<_> = payloads.iter().filter(|payload| !payload.starts_with(&[0xf5])).copied().collect();
    let messages = messages(clear).expect("the extended format");
    assert!(has(&messages, "end Kernel panic") && has(&messages, WITHHELD));
    assert!(!has(&messages, SECRET) && !has(&messages, "boot=-"), "{messages:?}");
}

#[test]
fn a_boot_with_another_key_withholds_it_too() {
    let capture = two_boots("secure-then-other", '2', "after=exit").end();
    assert_eq!(capture.status, status::GOOD);
    let key: [u8; 32] = std::array::from_fn(|index| {
        u8::from_str_radix(&KEY.replace('0', "1")[2 * index..2 * index + 2], 16).expect("digits")
    });
    let other = SecretKey::try_from(&key).expect("32 bytes");
    let payloads = capture.payloads(TARGET);
    let opened: Vec<_> = payloads.iter().filter_map(|payload| open_with(&other, payload)).collect();
    let texts: Vec<_> = opened.iter().map(|(_, text)| String::from_utf8_lossy(text)).collect();
    assert!(texts.iter().any(|text| text.contains("network logging started")));
    assert!(texts.iter().any(|text| text.contains(WITHHELD)));
    assert!(!texts.iter().any(|text| text.contains(SECRET) || text.contains("boot=-")), "{texts:?}");
}

/// What a server of NTP is asked, and what it answers, is not sealed: it has no key.
#[test]
fn the_time_comes_by_ntp_all_the_same() {
    // 2031-05-06 07:08:09
    const TIME: u64 = 1_935_817_689;
    let lease = Lease { address: [10, 0, 0, 1].into(), router: None, duration: 3600 };
    let service = Service::new(lease).time(TIME);
    let parameters = format!("debug netconsole=s@/,514@10.0.0.3/ netconsole.key={KEY}");
    let boot = Boot::new("secure-ntp", parameters).arguments(["-rtc", "base=2026-02-28T23:58:30"]);
    let mut machine = boot.peer(Peer::at("10.0.0.3").serving(service)).start();
    let target: SocketAddr = "10.0.0.3:514".parse().expect("an address");
    let wait_for = |machine: &Machine, text: &str| {
        machine.wait_for(text, |events| {
            let mut datagrams = events.sent.iter().filter_map(|sent| sent.datagram());
            datagrams.find_map(|(to, payload)| {
                let opened = (to == target).then(|| String::from_utf8_lossy(&open(payload).1).into_owned());
                opened.filter(|opened| opened.contains(text))
            })
        })
    };
    wait_for(&machine, "1935817689 seconds since 1970 by NTP server 10.0.0.3");
    let question = machine.wait_for("a question", |events| {
        let mut datagrams = events.sent.iter().filter_map(|sent| sent.datagram());
        datagrams.find(|(to, _)| to.port() == 123).map(|(_, payload)| payload.to_vec())
    });
    assert_eq!((question.len(), question[0]), (48, 0b00_100_011), "RFC 4330's client, in the clear");

    // An answer that nobody asked for: a day later, to the question before.
    let mut forged = vec![0; 48];
    (forged[0], forged[1]) = (0b00_100_100, 1);
    forged[24..32].copy_from_slice(&question[40..]);
    forged[40..44].copy_from_slice(&((TIME + 86_400 + 2_208_988_800) as u32).to_be_bytes());
    let own = "10.0.0.1:50123".parse().expect("an address");
    machine.send(0, &Peer::at("10.0.0.3").datagram(123, Nic::mac(0), own, &forged));
    // What comes behind it in the same queue was answered.
    let ping = Peer::at("10.0.0.3").ping(Nic::mac(0), [10, 0, 0, 1].into(), b"are you there?");
    let before = machine.sent().len();
    machine.send(0, &ping);
    machine.wait_for("the answer to the ping", |events| {
        let new = events.sent.get(before..).unwrap_or_default();
        let is_pong = |frame: &Frame| matches!(frame.content, Content::Icmp { .. });
        new.iter().filter_map(|sent| sent.good()).any(is_pong).then_some(())
    });
    machine.type_in("\rnetconsole=@/later,@10.0.0.9/\r");
    let later = wait_for(&machine, "later");
    assert!(later.contains("1 2031-05-06T07:08:"), "{later}");
    machine.stop();
}

/// Neither the targets of the command line, nor those made later, nor the last words.
#[test]
fn with_a_key_that_can_t_be_read_nothing_goes_out() {
    let parameters = format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.key={}", &KEY[1..]);
    let mut machine = Boot::new("secure-silent", &parameters).peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_serial("no target is started, so that nothing goes out in the clear");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    machine.type_in("netconsole=+@10.0.0.1/,@10.0.0.2/\r");
    machine.wait_for_serial("netconsole: netconsole.key can't be read: nothing goes out, aborting");
    machine.type_in("crash OVERWRITE_TARGETS\r");
    machine.wait_for_serial("Kernel panic");
    machine.wait_until_quiet(Duration::from_secs(1));
    let capture = machine.stop();
    let mut datagrams = capture.frames().filter_map(|frame| frame.datagram());
    assert!(datagrams.all(|(to, _)| to.port() == 67), "nothing but DHCP's questions");
}

/// A command line with a target and `key`, as far behind its beginning as few lines are long.
fn long_line(key: &str) -> String {
    format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ {}{key} after=exit", "filler=123456789 ".repeat(300))
}

/// Behind the 4,096 bytes that are kept of the command line, by each way to hand it over that has room for more in QEMU;
/// its PVH has not.
#[test]
fn a_key_far_behind_in_the_command_line_seals() {
    let line = long_line(&format!("netconsole.key={KEY}"));
    let bzimage = bzimage();
    let uefi = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", &line]).collect();
    for (name, loader) in [
        ("long-multiboot", vec![]),
        ("long-linux", vec!["-kernel", &bzimage, "-append", &line]),
        ("long-uefi", uefi),
    ] {
        let boot = Boot::new(name, &line).peer(Peer::at("10.0.0.2")).repeats().timeout(UEFI_TIME);
        let mut machine = if loader.is_empty() { boot } else { boot.loader(loader) }.start();
        // Its end is one of the parameters that are cut.
        machine.wait_for_serial("boot: the command line is longer than 4096 bytes");
        machine.wait_for_serial("messages are sealed with the key");
        machine.wait_for("the log", |events| {
            (events.sent.iter().filter(|sent| sent.datagram().is_some()).count() > 20).then_some(())
        });
        machine.wait_until_quiet(Duration::from_secs(1));
        machine.type_in("\r");
        let messages = opened(&machine.stop());
        assert!(has(&messages, "network logging started"), "{name}");
        assert!(!has(&messages, "after=exit"), "{name}");
    }
}

/// The same with half a key: nothing goes out, and serial says why.
#[test]
fn half_a_key_far_behind_in_the_command_line_stops_everything() {
    let line = long_line(&format!("netconsole.key={}", &KEY[..40]));
    let machine = Boot::new("long-half", &line).peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_serial("no target is started, so that nothing goes out in the clear");
    machine.wait_until_idle();
    let capture = machine.stop();
    let mut datagrams = capture.frames().filter_map(|frame| frame.datagram());
    assert!(datagrams.all(|(to, _)| to.port() == 67), "nothing but DHCP's questions");
    assert!(!capture.serial.contains(&KEY[..40]));
}

#[test]
fn no_two_boots_have_the_same_id() {
    let mut ids = BTreeSet::new();
    for cpu in ["qemu64", "qemu64", "max", "max"] {
        let capture = boot("secure-id", "after=exit").arguments(["-cpu", cpu]).start().end();
        assert_eq!(has(&opened(&capture), "no random numbers"), cpu == "qemu64");
        assert!(ids.insert(boot_id(&capture)), "{cpu}");
    }
}

/// Input as a holder of the key makes it, for a boot.
fn input(boot: &[u8], number: u64, text: &[u8]) -> Vec<u8> {
    let header = [&[0xf5, b'N', b'C', 2][..], &[7; 16], &number.to_be_bytes()].concat();
    let nonce = Nonce::try_from(&header[4..]).expect("24 bytes");
    let associated = [&header[..], boot].concat();
    let mut sealed = vec![0; text.len() + TAG];
    XChaCha20Poly1305::seal(&secret(), &nonce, text, Some(&associated), &mut sealed).expect("room");
    [&header[..], &sealed].concat()
}

fn send(machine: &Machine, payload: &[u8]) {
    let to = "10.0.0.1:6665".parse().expect("an address");
    machine.send(0, &Peer::at("10.0.0.2").datagram(6666, Nic::mac(0), to, payload));
}

/// After a crash the machine answers a `dmesg`: with a key, only a sealed one for this boot, and once.
#[test]
fn commands_are_taken_only_sealed() {
    let machine = boot("secure-dmesg", "crash=PANIC netconsole.panic_repeat=0").start();
    let datagrams = |events: &[crate::harness::Sent]| {
        events.iter().filter_map(|sent| sent.datagram()).map(|(_, payload)| open(payload)).collect::<Vec<_>>()
    };
    let last = b"end Kernel panic";
    let ends = |texts: &[(Vec<u8>, Vec<u8>)]| {
        texts.iter().filter(|(_, text)| text.windows(last.len()).any(|part| part == last)).count()
    };
    let id = machine.wait_for("the report's end", |events| {
        let texts = datagrams(&events.sent);
        (ends(&texts) == 1).then(|| texts[0].0[..16].to_vec())
    });
    let good = input(&id, 100, b"dmesg");
    send(&machine, b"dmesg");
    send(&machine, &input(&[0; 16], 100, b"dmesg"));
    let mut changed = good.clone();
    *changed.last_mut().expect("a tag") ^= 1;
    send(&machine, &changed);
    machine.nothing_more_comes(Duration::from_millis(500));

    send(&machine, &good);
    machine.wait_for("the log again", |events| (ends(&datagrams(&events.sent)) == 2).then_some(()));
    machine.wait_until_quiet(Duration::from_millis(300));
    send(&machine, &good);
    machine.nothing_more_comes(Duration::from_millis(500));
    opened(&machine.stop());
}

/// The console on a running machine: the same holds for every command, and the answer is sealed.
#[test]
fn the_console_takes_and_gives_only_what_is_sealed() {
    let machine = boot("secure-console", "netconsole.input=1").start();
    let texts = |events: &[crate::harness::Sent]| {
        events.iter().filter_map(|sent| sent.datagram()).map(|(_, payload)| open(payload)).collect::<Vec<_>>()
    };
    let id = machine.wait_for("the target's start", |events| {
        let texts = texts(&events.sent);
        let started = b"network logging started";
        let has_started =
            texts.iter().any(|(_, text)| text.windows(started.len()).any(|part| part == started));
        has_started.then(|| texts[0].0[..16].to_vec())
    });
    machine.wait_until_quiet(Duration::from_millis(300));
    send(&machine, b"help\n");
    send(&machine, &input(&[0; 16], 100, b"help\n"));
    machine.nothing_more_comes(Duration::from_millis(500));

    let before = machine.sent().len();
    let command = input(&id, 100, b"help\n");
    send(&machine, &command);
    machine.wait_for("the sealed answer", |events| {
        let new = events.sent.get(before..).unwrap_or_default();
        texts(new).iter().any(|(_, text)| text.windows(6).any(|part| part == b"arping")).then_some(())
    });
    machine.wait_until_quiet(Duration::from_millis(300));
    send(&machine, &command);
    machine.nothing_more_comes(Duration::from_millis(500));
    machine.stop();
}

/// The key in a file, as the receiver wants it.
fn key_file() -> String {
    let directory = target().join("tests");
    std::fs::create_dir_all(&directory).expect("target/tests is writable");
    let file = directory.join("secure.key");
    std::fs::write(&file, format!("{KEY}\n")).expect("target/tests is writable");
    file.to_str().expect("UTF-8").to_string()
}

/// The real receiver with the key, a bad way between: what is lost is asked for again, sealed too.
#[test]
fn the_receiver_opens_it_and_asks_again_for_what_is_lost() {
    let way = Way { loses: 20, doubles: 10, delay: Duration::ZERO };
    let mut receiver =
        Receiver::start(Ends::IPV4, way, &["--key-file", &key_file(), "--complete", "--stats"]);
    let boot = boot("secure-receiver", "console=null log_buf_len=2M flood=1000").loses();
    let machine = boot.start();
    let last = "flood message 00000999";
    let all = |receiver: &Receiver| {
        let sequences = receiver.sequences();
        receiver.has(last) && sequences.iter().copied().eq(0..sequences.len() as u64)
    };
    assert!(receiver.relay(&machine, Duration::from_secs(50), all), "{:?}", receiver.said.last());
    assert!(!receiver.answers.is_empty());
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    assert!(stats.contains("refused, a repetition"), "what came twice: {stats}");
    assert!(!stats.contains("not sealed") && !stats.contains("another key"), "{stats}");
    machine.stop();
}

/// What the receiver sends of a line typed at it, by its length: sealed input.
fn sealed_line(receiver: &Receiver, line: &str) -> Vec<u8> {
    let mut lines = receiver.answers.iter().filter(|sent| sent.len() == HEADER + line.len() + TAG);
    let sealed = lines.next().expect("the line was sent").clone();
    assert_eq!(sealed[..4], [0xf5, b'N', b'C', 2]);
    sealed
}

/// The receiver as the way to type commands, started when the log had long gone: the greeting makes the machine
/// known to it. What was recorded of it is worth nothing.
#[test]
fn the_receiver_seals_what_is_typed() {
    let machine = boot("secure-typed", "netconsole.input=1").timeout(PATIENCE * 3).start();
    machine.wait_until_idle();
    let arguments = ["--key-file", &key_file(), "--console", "KERNEL", "--stats"];
    let mut receiver = Receiver::start(Ends::IPV4, Way::default(), &arguments);
    receiver.way.skip(&machine);
    let line = "cat cmdline0/remote_ip";
    receiver.type_in(&format!("{line}\n"));
    assert!(
        receiver.relay(&machine, PATIENCE, |receiver| receiver.has("\"text\":\"10.0.0.2\"")),
        "{:?}",
        receiver.said
    );

    // Replayed, changed, in the clear: nothing of it is answered.
    let sealed = sealed_line(&receiver, line);
    send(&machine, &sealed);
    for byte in [4, HEADER - 1, HEADER, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[byte] ^= 1;
        send(&machine, &changed);
    }
    send(&machine, line.as_bytes());
    // What comes behind it is answered.
    receiver.type_in("dmesg -n 3\ncat cmdline0/remote_port");
    receiver.close_input();
    assert!(
        receiver.relay(&machine, PATIENCE, |receiver| receiver.has("\"text\":\"6666\"")),
        "{:?}",
        receiver.said
    );
    assert!(receiver.ends(&machine, Duration::from_secs(4)), "with the answer to the last line");
    let (status, errors) = receiver.end();
    assert_eq!(status, Some(0), "{errors}");
    let answers = texts(&machine.stop());
    let of_line = answers.iter().filter(|text| text.starts_with("10.0.0.2\n"));
    assert_eq!(of_line.count(), 1, "{answers:?}");
}

/// After a crash there is `dmesg`, also for a receiver that was not there before.
#[test]
fn the_log_of_a_crashed_machine_can_be_asked_for_later() {
    let machine = boot("secure-late", "crash=PANIC netconsole.panic_repeat=0").start();
    machine.wait_for_serial("end Kernel panic");
    machine.wait_until_quiet(Duration::from_secs(2));
    let arguments = ["--key-file", &key_file(), "--console", "KERNEL", "--crash-ok"];
    let mut receiver = Receiver::start(Ends::IPV4, Way::default(), &arguments);
    receiver.way.skip(&machine);
    receiver.type_in("dmesg\n");
    receiver.close_input();
    let all = |receiver: &Receiver| receiver.has("Command line:") && receiver.has("end Kernel panic");
    assert!(receiver.relay(&machine, PATIENCE, all), "{:?}", receiver.said);
    assert!(receiver.ends(&machine, Duration::from_secs(10)), "after a while, as there is no prompt");
    let (status, errors) = receiver.end();
    assert_eq!(status, Some(0), "{errors}");
    machine.stop();
}
