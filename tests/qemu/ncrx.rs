//! Getting lost records back: the kernel and the real receiver, with a bad way between them.

use crate::harness::{Boot, Ends, Machine, NcrxReceiver, Nic, Peer, Relay, Sent, Way, kernel, target};
use crate::linux_log::{self, CORE_HEADER};
use crate::receiver::{Receiver, number};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(50);
const ADDRESS: &str = Ends::IPV4.receiver;
const TARGET: &str = "10.0.0.2:6666";

/// A boot with these parameters and one extended target, which may lose records and sends some twice.
fn boot(name: &'static str, parameters: &str) -> Boot {
    boot_between(Ends::IPV4, name, parameters)
}

fn boot_between(ends: Ends, name: &'static str, parameters: &str) -> Boot {
    let parameters = format!("{parameters} netconsole=+@{}/,@{}/", ends.kernel, ends.receiver);
    Boot::new(name, parameters).peer(ends.peer()).loses().repeats()
}

/// The receiver, at the end of this way from it.
fn receiver(way: Way, arguments: &[&str]) -> Receiver {
    Receiver::start(Ends::IPV4, way, arguments)
}

/// What the kernel has sent to the target so far: when, and the datagram as text.
fn sent(machine: &Machine) -> Vec<(Instant, String)> {
    datagrams(&machine.sent())
}

fn datagrams(sent: &[Sent]) -> Vec<(Instant, String)> {
    let targets = [Ends::IPV4, Ends::IPV6].map(|ends| ends.target());
    let to_one =
        |sent: &Sent| Some((sent.at, sent.datagram().filter(|(to, _)| targets.contains(to))?.1.to_vec()));
    let datagrams = sent.iter().filter_map(to_one);
    datagrams.map(|(at, payload)| (at, String::from_utf8_lossy(&payload).into_owned())).collect()
}

/// The sequence number of an extended datagram.
fn sequence(datagram: &str) -> u64 {
    datagram.split(',').nth(1).and_then(|number| number.parse().ok()).expect("the extended format")
}

/// The emergency transmissions among them.
fn emergencies(machine: &Machine) -> Vec<(Instant, String)> {
    let is_one =
        |datagram: &str| datagram.split(';').next().is_some_and(|header| header.contains(",ncemg=1"));
    sent(machine).into_iter().filter(|(_, datagram)| is_one(datagram)).collect()
}

/// Carries datagrams until everything that the kernel has sent has come to the receiver's output, complete and
/// in order; the newest record too, after which nothing comes that would show its loss.
fn everything_arrives(receiver: &mut Receiver, machine: &Machine, last_text: &str) {
    assert!(
        receiver.relay(machine, PATIENCE, |receiver| receiver.has(last_text)),
        "'{last_text}' did not come; the last was {:?}",
        receiver.said.last()
    );
    let newest = sent(machine).iter().map(|(_, datagram)| sequence(datagram)).max();
    receiver.relay(machine, PATIENCE, |receiver| receiver.sequences().last().copied() == newest);
    let all: Vec<u64> = (0..=newest.expect("something was sent")).collect();
    let is_other = |line: &&String| !line.contains("\"event\":\"record\"");
    let others: Vec<_> = receiver.said.iter().filter(is_other).collect();
    assert!(receiver.sequences() == all, "{others:?}; the last was asked: {:?}", receiver.answers.last());
}

#[test]
fn a_flood_arrives_complete_in_spite_of_loss() {
    let mut receiver = receiver(Way::LOSSY, &["--complete", "--stats"]);
    let machine = boot("ncrx-flood", "debug console=null log_buf_len=2M flood=10000").start();
    everything_arrives(&mut receiver, &machine, "flood message 00009999");
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    // It was lost in the first place.
    let recovered = stats.split(" recovered").next().and_then(|stats| stats.rsplit(' ').next());
    let recovered: u64 = recovered.and_then(|number| number.parse().ok()).expect("the receiver's counts");
    assert!((1000..10_000).contains(&recovered), "{stats}");
    machine.stop();
}

/// What was lost of a crashed Linux's log is got back too; a second after the receiver has all, the machine reboots.
#[test]
fn a_crashed_linux_s_log_arrives_complete_in_spite_of_loss() {
    let mut receiver = receiver(Way::LOSSY, &["--complete", "--stats"]);
    let memory = linux_log::memory("6.12", "ncrx-linux");
    let boot = boot("ncrx-linux", &format!("debug {CORE_HEADER}"));
    let machine = linux_log::with_memory(boot, &memory).start();
    everything_arrives(&mut receiver, &machine, "boot: done, rebooting");
    assert!(
        receiver.has("sysrq: Trigger a crash") && receiver.has("the log has gone out and was acknowledged")
    );
    // A second after the last acknowledgement, by the guest's clock; the record before came earlier still.
    let mut datagrams = sent(&machine);
    datagrams.sort_by_key(|(_, datagram)| sequence(datagram));
    let end = datagrams
        .iter()
        .position(|(_, datagram)| datagram.contains("was acknowledged, "))
        .expect("it is sent");
    let micros = |datagram: &str| {
        datagram.split(',').nth(2).and_then(|time| time.parse::<u64>().ok()).expect("a time")
    };
    let [before, end] = [end - 1, end].map(|place| micros(&datagrams[place].1));
    assert!(end - before >= 1_000_000, "{before} to {end}");
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    assert!(!stats.contains(" 0 recovered"), "it was lost in the first place: {stats}");
    assert_eq!(machine.end().status, Some(0), "it reboots");
    let _ = std::fs::remove_file(memory);
}

/// A level that holds records back costs nothing of this: they are told, not missed, and neither asked for nor waited for.
#[test]
fn what_the_level_holds_back_is_not_missing() {
    let mut receiver = receiver(Way::LOSSY, &["--complete", "--stats"]);
    let machine = boot("ncrx-held", "console=null log_buf_len=2M flood=500").start();
    assert!(receiver.relay(&machine, PATIENCE, |receiver| receiver.has("flood message 00000499")));
    let mut shown: Vec<u64> = sent(&machine).iter().map(|(_, datagram)| sequence(datagram)).collect();
    shown.sort_unstable();
    shown.dedup();
    assert!(receiver.relay(&machine, PATIENCE, |receiver| receiver.sequences() == shown), "not all came");
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    let newest = shown[shown.len() - 1];
    let held = newest + 1 - shown.len() as u64;
    // An announcement of the newest tells what is held back behind it, too; it may have been lost.
    let announced = sent(&machine).into_iter().filter(|(_, datagram)| sequence(datagram) == newest);
    let behind = announced.map(|(_, datagram)| behind(&datagram)).max().unwrap_or(0);
    let says = |held| stats.contains(&format!(" 0 missing in 0 gaps, 0 skipped, {held} held back, "));
    assert!(held > 0 && (held..=held + behind).any(says), "{held} to {}: {stats}", held + behind);
    machine.stop();
}

/// How many records after this one the datagram tells to be held back.
fn behind(datagram: &str) -> u64 {
    let header = datagram.split(';').next().expect("the extended format");
    let number = header.split(',').find_map(|field| field.strip_prefix("behind="));
    number.map_or(0, |number| number.parse().expect("a number"))
}

/// What is held back after the newest record is told by its announcement, acknowledged, and not counted twice when the
/// next record tells it, too.
#[test]
fn what_is_held_back_behind_the_newest_is_announced() {
    const HIDDEN: u64 = 5;
    let mut receiver = receiver(Way::default(), &["--complete", "--stats"]);
    let mut machine = boot("ncrx-behind", "loglevel=7").start();
    assert!(receiver.relay(&machine, PATIENCE, |receiver| receiver.has("network logging started")));
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    for number in 0..HIDDEN {
        machine.command(&format!("echo '<7>hidden {number}' > /dev/kmsg"));
    }
    let acknowledges = |answer: &[u8], number: u64| answer == format!("ncrx{number}").as_bytes();
    let told = |(_, datagram): &(Instant, String)| behind(datagram) >= HIDDEN;
    let heard = receiver.relay(&machine, PATIENCE, |receiver| {
        sent(&machine).iter().filter(|sent| told(sent)).any(|(_, datagram)| {
            let last = sequence(datagram) + behind(datagram);
            receiver.answers.iter().any(|answer| acknowledges(answer, last))
        })
    });
    assert!(heard, "{:?}", sent(&machine).last());

    // But for that it is the newest record as it went out before.
    let all = sent(&machine);
    let (_, announcement) = all.iter().find(|sent| told(sent)).expect("it was heard");
    let newest = sequence(announcement);
    let (_, first) = all.iter().find(|(_, datagram)| sequence(datagram) == newest).expect("it was sent");
    let field = format!(",behind={}", behind(announcement));
    assert_eq!(announcement.replacen(&field, "", 1).replacen(",ncemg=1", "", 1), *first);
    assert!(all.iter().all(|(_, datagram)| behind(datagram) == 0 || sequence(datagram) == newest));

    machine.command("echo '<6>shown' > /dev/kmsg");
    let shown = |receiver: &Receiver| receiver.said.iter().any(|line| line.contains("\"text\":\"shown\""));
    assert!(receiver.relay(&machine, PATIENCE, |receiver| shown(receiver)));
    let all = sent(&machine);
    let records: BTreeSet<u64> = all.iter().map(|(_, datagram)| sequence(datagram)).collect();
    let last = records.last().copied().expect("it was sent");
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    let held = stats.split(" held back").next().and_then(|stats| stats.rsplit(' ').next());
    let held: u64 = held.and_then(|number| number.parse().ok()).expect("the receiver's counts");
    // The last record's own announcement may have told a few more.
    let most =
        all.iter().filter(|(_, datagram)| sequence(datagram) == last).map(|(_, datagram)| behind(datagram));
    let before = last + 1 - records.len() as u64;
    assert!((before..=before + most.max().unwrap_or(0)).contains(&held), "{before} before {last}: {stats}");
    assert!(stats.contains(" 0 missing in 0 gaps, "), "{stats}");
    // A record in parts may be asked for; one that was held back is not.
    let answers = receiver.answers.iter().map(|answer| String::from_utf8_lossy(answer));
    let asked = answers.flat_map(|answer| answer.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>());
    let in_vain: Vec<_> =
        asked.filter(|number| number.parse().is_ok_and(|number| !records.contains(&number))).collect();
    assert_eq!(in_vain, [""; 0]);
    machine.stop();
}

#[test]
fn the_same_over_ipv6() {
    let mut receiver = Receiver::start(Ends::IPV6, Way::LOSSY, &["--complete"]);
    let machine =
        boot_between(Ends::IPV6, "ncrx-ipv6", "debug console=null log_buf_len=2M flood=3000").start();
    everything_arrives(&mut receiver, &machine, "flood message 00002999");
    assert_eq!(receiver.end().0, Some(0));
    assert!(sent(&machine).len() > 3500, "what was lost went again");
    machine.stop();
}

#[test]
fn neither_reordering_nor_doubling_does_harm() {
    let way = Way { loses: 20, doubles: 10, delay: Duration::from_millis(15) };
    let mut receiver = receiver(way, &["--complete"]);
    let machine = boot("ncrx-reordered", "debug console=null log_buf_len=2M flood=3000").start();
    everything_arrives(&mut receiver, &machine, "flood message 00002999");
    assert_eq!(receiver.end().0, Some(0));
    machine.stop();
}

#[test]
fn a_crash_report_arrives_complete_in_spite_of_loss() {
    let mut receiver = receiver(Way::LOSSY, &["--complete", "--crash-ok"]);
    let machine = boot("ncrx-crash", "debug console=null log_buf_len=2M flood=1000 crash=EXCEPTION").start();
    everything_arrives(&mut receiver, &machine, "---[ end Kernel panic");
    assert_eq!(receiver.end().0, Some(0));
    machine.stop();
}

#[test]
fn the_log_s_end_arrives_before_the_machine_ends() {
    let mut receiver = receiver(Way::LOSSY, &["--complete", "--until", "boot: done, exiting"]);
    let machine = boot("ncrx-exit", "debug flood=200 after=exit").start();
    receiver.relay(&machine, PATIENCE, |receiver| receiver.has("boot: done, exiting"));
    assert_eq!(receiver.end().0, Some(0), "{:?}", receiver.said.last());
    machine.end();
}

/// At the default level, which holds records back: these are not missing.
#[test]
fn the_readme_s_line_for_ci_passes_on_a_healthy_boot() {
    let readme = include_str!("../../README.md");
    let line = readme.lines().find_map(|line| line.strip_suffix("# in CI")?.split_once(" -- "));
    let (_, arguments) = line.expect("the line in the README");
    // Every second part is in quotes.
    let parts = arguments.split('\'').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    let logs = target().join("tests").join("ncrx-ci-logs");
    let logs = logs.to_str().expect("a plain path");
    // The machine that runs this may be slow, and not to blame.
    let words: Vec<_> = words.map(|word| if word == "30" { "100" } else { word }).collect();
    let words: Vec<_> = words.iter().map(|word| if *word == "logs" { logs } else { word }).collect();
    assert!(["--complete", "--until", logs, "100"].iter().all(|word| words.contains(word)), "{words:?}");
    let mut receiver = receiver(Way { loses: 0, ..Way::LOSSY }, &words);
    let machine = boot("ncrx-ci", "").start();
    assert!(receiver.ends(&machine, PATIENCE), "{:?}", receiver.said.last());
    let (status, errors) = receiver.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(receiver.has("\"held\":"), "the level holds something back");
    assert!(!receiver.has("\"event\":\"missing\""));
    machine.stop();
}

/// A power cut: the numbers begin again at 0, far below those that the receiver has acknowledged. Each record of the
/// next boot is shown, and its crash decides the status.
#[test]
fn a_boot_after_a_power_cut_is_no_repetition() {
    let mut receiver = receiver(
        Way { loses: 0, ..Way::LOSSY },
        &["--fail-on", "end Kernel panic", "--stats", "--timeout", "100"],
    );
    let first = boot("ncrx-power-cut", "console=null log_buf_len=2M flood=5000").start();
    everything_passes(&mut receiver, &first, "flood message 00004999");
    // Acknowledged, it announces its newest record.
    receiver.relay(&first, Duration::from_millis(1500), |_| false);
    first.stop();
    let shown = receiver.said.len();
    receiver.way = Relay::new(Ends::IPV4, Way { loses: 0, ..Way::LOSSY });
    let second = boot("ncrx-power-back", "console=null crash=EXCEPTION").start();
    // What the receiver still had to say to the first goes nowhere before the second is there.
    second.wait_for("its first frame", |events| (!events.sent.is_empty()).then_some(()));
    assert!(receiver.ends(&second, PATIENCE), "{:?}", receiver.said.last());
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(2), "{stats}");
    let after = &receiver.said[shown..];
    let sent: Vec<_> = sent(&second).into_iter().map(|(_, datagram)| sequence(&datagram)).collect();
    let sequences: Vec<u64> = after
        .iter()
        .filter(|line| line.contains("\"event\":\"record\""))
        .filter_map(|line| number(line, "sequence"))
        .collect();
    assert!(sequences.iter().all(|sequence| sent.contains(sequence)), "{sequences:?} of {sent:?}");
    assert_eq!(sequences.first(), sent.iter().min(), "from its first record on");
    assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
    let is =
        |event: &str| after.iter().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count();
    assert_eq!((is("rebooted"), is("crash"), is("missing"), is("stray")), (1, 1, 0, 0), "{stats}");
    second.stop();
}

/// Carries datagrams until a record with this text has come.
fn everything_passes(receiver: &mut Receiver, machine: &Machine, last_text: &str) {
    let came = receiver.relay(machine, PATIENCE, |receiver| receiver.has(last_text));
    assert!(came, "'{last_text}' did not come; the last was {:?}", receiver.said.last());
}

#[test]
fn what_the_ring_no_longer_has_is_named() {
    let mut receiver = receiver(Way::LOSSY, &["--complete"]);
    let machine = boot("ncrx-small", "debug console=null log_buf_len=64K flood=20000").start();
    receiver.relay(&machine, PATIENCE, |receiver| receiver.has("flood message 00019999"));
    assert_eq!(receiver.end().0, Some(4));
    let mut next = 0;
    let mut missing = 0;
    for line in &receiver.said {
        if line.contains("\"event\":\"missing\"") {
            let gap = number(line, "first").zip(number(line, "last")).expect("a gap has both");
            assert_eq!(gap.0, next, "{line}");
            missing += gap.1 + 1 - gap.0;
            next = gap.1 + 1;
        } else if line.contains("\"late\":true") {
            // It was given up, and came after all.
            assert!(number(line, "sequence").is_some_and(|sequence| sequence < next), "{line}");
        } else if let Some(sequence) = number(line, "sequence") {
            assert_eq!(sequence, next, "{line}");
            next += 1;
        }
    }
    assert!((1..20_000).contains(&missing), "{missing} missing");
    machine.stop();
}

/// Has the receiver acknowledge what it has, which it does 200 ms after it first heard the machine; what the kernel sends
/// meanwhile is lost, so that it does not acknowledge everything.
fn something_is_acknowledged(receiver: &mut Receiver, machine: &Machine) {
    receiver.way.to_receiver.way = Way::CUT;
    assert!(receiver.relay(machine, PATIENCE, |receiver| !receiver.answers.is_empty()));
}

#[test]
fn without_acknowledgement_it_sends_slowly_until_there_is_one() {
    let mut receiver = receiver(Way::default(), &["--complete"]);
    let machine = boot("ncrx-emergency", "debug console=null log_buf_len=2M flood=4000").start();
    assert!(receiver.relay(&machine, PATIENCE, |receiver| receiver.has("flood message 00000100")));
    something_is_acknowledged(&mut receiver, &machine);
    // Nothing gets through, for longer than the kernel waits.
    receiver.way.set_way(Way::CUT);
    assert!(receiver.relay(&machine, PATIENCE, |_| emergencies(&machine).len() >= 8));
    let slow = emergencies(&machine);
    let oldest = sequence(&slow[0].1);
    assert!(oldest < 4000, "from the oldest unacknowledged on, not {oldest}");
    // Far from as fast as it can; the exact times are the library's tests to judge.
    assert!(slow[7].0 - slow[0].0 > Duration::from_millis(300));
    for (number, pair) in slow.windows(2).enumerate() {
        assert_eq!(sequence(&pair[1].1), oldest + number as u64 + 1);
    }

    receiver.way.set_way(Way::default());
    everything_arrives(&mut receiver, &machine, "flood message 00003999");
    // The acknowledgement that ends it comes within a second. What is marked so then are the announcements of
    // the newest record, which ncrx would otherwise take for one of another boot.
    receiver.relay(&machine, Duration::from_secs(2), |_| false);
    let ended = emergencies(&machine).len();
    receiver.relay(&machine, Duration::from_secs(4), |_| false);
    let newest = receiver.sequences().last().copied();
    let after = emergencies(&machine).split_off(ended);
    assert!(
        after.len() <= 3 && after.iter().all(|(_, datagram)| Some(sequence(datagram)) == newest),
        "{after:?}"
    );
    assert_eq!(receiver.end().0, Some(0));
    machine.stop();
}

#[test]
fn a_receiver_that_was_away_during_the_crash_gets_the_report() {
    let mut receiver = receiver(Way::default(), &["--complete", "--crash-ok"]);
    let mut machine = boot("ncrx-crash-away", "debug console=null log_buf_len=2M flood=4000").start();
    assert!(receiver.relay(&machine, PATIENCE, |receiver| receiver.has("flood message 00000100")));
    something_is_acknowledged(&mut receiver, &machine);
    receiver.way.set_way(Way::CUT);
    machine.monitor("nmi");
    let has_ended = |datagram: &(Instant, String)| datagram.1.contains("---[ end Kernel panic");
    assert!(receiver.relay(&machine, PATIENCE, |_| sent(&machine).iter().any(has_ended)));
    receiver.way.set_way(Way::LOSSY);
    everything_arrives(&mut receiver, &machine, "---[ end Kernel panic");
    assert_eq!(receiver.end().0, Some(0));
    machine.stop();
}

/// How often each of these records was sent.
fn times<const N: usize>(sent: &[Sent], sequences: [u64; N]) -> [usize; N] {
    let sent: Vec<u64> = datagrams(sent).iter().map(|(_, datagram)| sequence(datagram)).collect();
    sequences.map(|wanted| sent.iter().filter(|&&sequence| sequence == wanted).count())
}

#[test]
fn only_the_target_itself_is_answered_and_only_what_its_level_lets_through() {
    let mut machine = boot("ncrx-who", "loglevel=7").start();
    machine.wait_for_text(TARGET, "network logging started");
    machine.wait_until_idle();
    let numbers: Vec<u64> = sent(&machine).iter().map(|(_, datagram)| sequence(datagram)).collect();
    let hidden = (0..).find(|number| !numbers.contains(number)).expect("the boot has a debug record");
    assert!(hidden < numbers[numbers.len() - 1], "no debug record among {numbers:?}");
    let before = numbers.len();

    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address and port");
    let ask = |machine: &Machine, peer: Peer, from: u16, to: SocketAddr, payload: &str| {
        machine.send(0, &peer.datagram(from, Nic::mac(0), to, payload.as_bytes()));
    };
    let other_port: SocketAddr = "10.0.0.1:6667".parse().expect("an address and port");
    ask(&machine, Peer::at("10.0.0.3"), 6666, kernel, "ncrx0 1 2");
    ask(&machine, Peer::at(ADDRESS), 6667, kernel, "ncrx0 1 2");
    ask(&machine, Peer::at(ADDRESS), 6666, other_port, "ncrx0 1 2");
    for nonsense in ["ncr", "ncrx", "ncrx ", "ncrxx 1", "ncrx-1 1", "ncrx99999999999999999999 1", "nc 1 2"] {
        ask(&machine, Peer::at(ADDRESS), 6666, kernel, nonsense);
    }
    ask(&machine, Peer::at(ADDRESS), 6666, kernel, &format!("ncrx0 {}", "1 ".repeat(600)));
    machine.nothing_new(before, Duration::from_millis(500));

    ask(
        &machine,
        Peer::at(ADDRESS),
        6666,
        kernel,
        &format!("ncrx18446744073709551615 {hidden} 1 2 999999 x 0"),
    );
    machine.wait_for("records 1 and 2 again", |events| (times(&events.sent, [1, 2]) == [2, 2]).then_some(()));
    let all = machine.sent_after(0, Duration::ZERO);
    assert_eq!(times(&all, [0, 1, 2, hidden, 999_999]), [1, 2, 2, 0, 0]);

    // The one after it says each time that it was held back, even when the level no longer hides it.
    let shown = (hidden..).find(|number| numbers.contains(number)).expect("one after it");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    machine.command("dmesg -n 8");
    ask(&machine, Peer::at(ADDRESS), 6666, kernel, &format!("ncrx18446744073709551615 {shown}"));
    machine.wait_for("that one again", |events| (times(&events.sent, [shown]) == [2]).then_some(()));
    let copies: Vec<_> =
        sent(&machine).into_iter().filter(|(_, datagram)| sequence(datagram) == shown).collect();
    assert_eq!(copies[0].1, copies[1].1);
    assert!(copies[0].1.contains(&format!(",-,held={};", shown - hidden)), "{}", copies[0].1);
    machine.stop();
}

#[test]
fn the_newest_record_is_announced_to_who_has_answered() {
    let machine = boot("ncrx-announced", "debug").start();
    machine.wait_for_text(TARGET, "network logging started");
    machine.wait_until_idle();
    let numbers: Vec<u64> = sent(&machine).iter().map(|(_, datagram)| sequence(datagram)).collect();
    // To one that never answers everything goes once.
    machine.nothing_new(numbers.len(), Duration::from_secs(5));
    assert!(numbers.is_sorted());

    let newest = numbers[numbers.len() - 1];
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address and port");
    let asked = Instant::now();
    machine
        .send(0, &Peer::at(ADDRESS).datagram(6666, Nic::mac(0), kernel, format!("ncrx{newest}").as_bytes()));
    machine.wait_for("three announcements", |events| (times(&events.sent, [newest]) == [4]).then_some(()));
    let sent = sent(&machine);
    assert!(sent[numbers.len()..].iter().all(|(_, datagram)| sequence(datagram) == newest));
    // After 1, 2 and 4 s; a busy host may keep a datagram, or the clock from being measured well.
    let last = sent[sent.len() - 1].0 - asked;
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&last), "{last:?}");
    machine.nothing_new(sent.len(), Duration::from_secs(3));
    machine.stop();
}

/// Carries datagrams between the kernel and a receiver as ncrx is until `until` says so; false where it did not.
fn converse(
    machine: &Machine,
    relay: &mut Relay,
    ncrx: &mut NcrxReceiver,
    patience: Duration,
    mut until: impl FnMut(&NcrxReceiver) -> bool,
) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        let arrived = relay.carry(machine);
        let arrived = arrived.iter().map(|payload| str::from_utf8(payload).expect("text"));
        for datagram in arrived.map(Some).chain([None]) {
            if let Some(answer) = ncrx.process(datagram, Instant::now()) {
                relay.to_kernel.put(answer.as_bytes());
            }
        }
        if until(ncrx) {
            return true;
        }
    }
    false
}

/// All from the first that it heard to the kernel's newest, in order.
fn ncrx_has_all(machine: &Machine, ncrx: &NcrxReceiver) -> bool {
    let newest = sent(machine).iter().map(|(_, datagram)| sequence(datagram)).max();
    let first = ncrx.given.first().copied().unwrap_or(0);
    newest.is_some_and(|newest| ncrx.given.iter().copied().eq(first..=newest))
}

#[test]
fn a_receiver_as_ncrx_gets_everything() {
    let mut relay = Relay::new(Ends::IPV4, Way::LOSSY);
    let mut ncrx = NcrxReceiver::new(Instant::now());
    let machine = boot("ncrx-ncrx", "debug console=null log_buf_len=2M flood=2000").start();
    let all = |ncrx: &NcrxReceiver| ncrx.given.len() > 2000 && ncrx_has_all(&machine, ncrx);
    assert!(converse(&machine, &mut relay, &mut ncrx, PATIENCE, all), "{} given out", ncrx.given.len());
    assert_eq!(ncrx.foreign, [""; 0]);
    machine.stop();
}

#[test]
fn a_receiver_as_ncrx_takes_nothing_for_another_boot_s() {
    let mut relay = Relay::new(Ends::IPV4, Way::default());
    let mut ncrx = NcrxReceiver::new(Instant::now());
    let mut machine = boot("ncrx-ncrx-away", "debug").start();
    let acknowledged = |ncrx: &NcrxReceiver| ncrx_has_all(&machine, ncrx) && ncrx.has_acknowledged_all();
    assert!(converse(&machine, &mut relay, &mut ncrx, PATIENCE, acknowledged));
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    // Of what is logged from here on everything arrives, and no acknowledgement.
    relay.to_kernel.way = Way::CUT;
    for number in 4..12 {
        machine.command(&format!("netconsole=@/eth{number},@10.0.0.3/"));
    }
    assert!(converse(&machine, &mut relay, &mut ncrx, PATIENCE, |_| !emergencies(&machine).is_empty()));
    relay.to_kernel.way = Way::default();
    // What the kernel announces when it hears of it again comes within 4 s of the acknowledgement.
    converse(&machine, &mut relay, &mut ncrx, Duration::from_secs(6), |_| false);
    assert!(ncrx_has_all(&machine, &ncrx));
    assert_eq!(ncrx.foreign, [""; 0]);
    machine.stop();
}

#[test]
fn it_can_be_turned_off() {
    let mut receiver = receiver(Way::LOSSY, &["--complete"]);
    // Nothing is sent twice: the boot's checks see to it.
    let parameters = "debug console=null flood=500 netconsole.ncrx=0 netconsole=+@10.0.0.1/,@10.0.0.2/";
    let machine = Boot::new("ncrx-off", parameters).peer(Ends::IPV4.peer()).start();
    receiver.relay(&machine, Duration::from_secs(5), |_| false);
    // One a second, to who has never reacted.
    assert!(receiver.answers.len() > 2, "{} answers", receiver.answers.len());
    assert_eq!(receiver.end().0, Some(4));
    machine.stop();
}

#[test]
fn addresses_of_a_crash_report_become_functions_and_lines() {
    let symbols = kernel().with_extension("debug");
    let elf = symbols.to_str().expect("a plain path");
    let mut receiver = receiver(Way::default(), &["--crash-ok", "--elf", elf]);
    let machine = boot("ncrx-symbols", "debug crash=PANIC").start();
    everything_arrives(&mut receiver, &machine, "---[ end Kernel panic");
    assert_eq!(receiver.end().0, Some(0));
    let line = receiver
        .said
        .iter()
        .find(|line| line.contains("kernel_main"))
        .expect("the boot is among the callers");
    assert!(line.contains("\"symbols\":[{") && line.contains("src/main.rs\",\"line\":"), "{line}");
    assert!(!receiver.has("\"warning\""), "the build id fits");
    machine.stop();
}

#[test]
fn wireshark_s_dissector_understands_it() {
    let mut receiver = receiver(Way::LOSSY, &["--complete"]);
    // No hexadecimal digits, which may be a key and are not shown.
    let filler = "x".repeat(2500);
    let name = "ncrx-dissected";
    let machine = boot(name, &format!("debug flood=200 filler={filler}")).start();
    everything_arrives(&mut receiver, &machine, "flood message 00000199");
    machine.stop();

    let capture = target().join("tests").join(name).join("nic0.pcap");
    let tshark = |filter: &str, field: &str| {
        let script = concat!("lua_script:", env!("CARGO_MANIFEST_DIR"), "/receiver/netconsole.lua");
        let mut tshark = Command::new("tshark");
        tshark.args(["-2", "-X", script, "-Y", filter, "-T", "fields", "-e", field, "-r"]).arg(&capture);
        let output = tshark.output().expect("tshark is missing: run scripts/setup tshark");
        assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(tshark("netconsole.malformed", "frame.number"), [""; 0]);
    let whole = tshark("netconsole.text", "netconsole.text");
    assert!(whole.iter().any(|text| text.contains(&filler)), "the command line, put together");
    assert!(!tshark("netconsole.reassembled_in", "netconsole.reassembled_in").is_empty());
    let answers = tshark("netconsole.ncrx.ack", "netconsole.ncrx.missing");
    assert!(answers.iter().any(|missing| !missing.is_empty()), "what the receiver asked for");
}
