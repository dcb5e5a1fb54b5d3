//! A real Linux that crashes, and the kernel as its crash kernel: what arrives is what Linux's serial console has shown, line
//! for line.

mod guest;
mod matrix;
mod systemd;
mod warm_reset;

use crate::harness::{Capture, Ends, Message, NcrxReceiver, Sent, Way};
use crate::receiver::Receiver;
use guest::{By, Guest, Kernel};
use std::collections::{BTreeMap, BTreeSet};

const EXTENDED: &str = "10.0.0.2:6666";
const BASIC: &str = "10.0.0.2:8888";
/// Linux's own netconsole, on a card that it drives through Intel's IOMMU where there is one.
const LIVE: &str = "intel_iommu=on modules=virtio_net records=100 \
                    netconsole=+6665@10.0.0.1/eth0,6666@10.0.0.2/02:00:0a:00:00:02";
const LIVE_CARD: &str = "virtio-net-pci,disable-legacy=on,iommu_platform=on";
const LIVE_MACHINE: [&str; 4] = ["-M", "q35", "-device", "intel-iommu"];

/// What serial has shown of Linux's records, and what of them has arrived.
struct Lines {
    shown: Vec<String>,
    arrived: Vec<String>,
    /// All that came in the basic format.
    text: String,
}

impl Lines {
    fn of(capture: &Capture, target: &str) -> Self {
        let is_own = |line: &&str| line.contains("] netconsole 0.") && line.contains(", build id ");
        let is_record = |line: &&str| line.starts_with('[');
        // Behind firmware's and loader's words there may be no line's end.
        let lines = capture.serial.lines().map(|line| line.trim_start_matches('\r'));
        let shown = lines.take_while(|line| !is_own(line)).filter(is_record);
        let text = capture.text(target);
        let arrived = text.lines().take_while(|line| !is_own(line)).map(String::from).collect();
        Self { shown: shown.map(String::from).collect(), arrived, text }
    }
}

/// All that serial has shown of Linux's records has arrived, and nothing else before the kernel's own; it has said which
/// Linux that was, what crashed on which CPU, and rebooted.
fn check(capture: &Capture, by: By, cpu: usize) {
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let Lines { shown, arrived, text } = Lines::of(capture, BASIC);
    assert!(!arrived.is_empty(), "no line has arrived; serial:\n{}", capture.serial);
    // Where the ring has wrapped, the oldest are gone.
    let is_whole = arrived[0].contains("] Linux version ");
    let first =
        if is_whole { 0 } else { shown.iter().position(|line| *line == arrived[0]).expect("it was shown") };
    let shown = &shown[first..];
    for (number, (arrived, shown)) in arrived.iter().zip(shown).enumerate() {
        assert_eq!(arrived, shown, "line {}", number + 1);
    }
    // In an NMI Linux writes to no console; its ring has what it says there.
    let is_all = if by == By::Nmi { shown.len() > 100 } else { shown.len() == arrived.len() };
    assert!(is_all && shown.len() <= arrived.len(), "{} lines of {}", arrived.len(), shown.len());
    assert_eq!(text.contains("; 0 overwritten before,"), is_whole, "{}", arrived[0]);
    assert_eq!(is_whole, !capture.serial.contains("records=4000"), "a ring that has wrapped begins later");
    assert!(arrived.iter().any(|line| line.contains(by.words())), "'{}' is not in {text}", by.words());
    let crashed = format!("CPU {cpu}, which crashed: process ");
    for said in [
        "linux: Linux ",
        " overwritten before, 0 unfinished, 0 unreadable",
        &crashed,
        "linux: the log has gone out",
    ] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
    // Each function from which Linux says that it came is on the stack.
    let crashed = text.split(&crashed).nth(1).expect("it is said");
    let crashed = crashed.split("] linux: ").next().unwrap_or_default();
    let trace = arrived.iter().rposition(|line| line.ends_with(" Call Trace:")).expect("a trace");
    // That of the interrupt, where it is one: what was interrupted has a stack of its own.
    let calls = arrived[trace..].iter().take_while(|line| !line.contains("]  </"));
    let calls = calls.filter_map(|line| line.split_once("]  ").map(|(_, call)| call));
    let calls: Vec<&str> = calls.filter(|call| call.contains("+0x") && !call.starts_with('?')).collect();
    let from = calls.iter().position(|call| call.starts_with(by.function())).expect("it is called");
    assert!(calls.len() > from + 2, "{calls:?}");
    for call in calls.iter().skip(from).take(5) {
        assert!(crashed.contains(&format!("? {call}")), "'{call}' is not in {crashed}");
    }
    let messages = capture.messages(EXTENDED);
    let is_linux =
        |message: &&Message| message.release.as_deref().is_some_and(|name| name.contains("-amd64"));
    let extended: Vec<String> = messages.iter().take_while(is_linux).flat_map(as_basic).collect();
    assert_eq!(extended, arrived, "both formats say the same");
}

/// A message of the extended format as the lines of the basic one.
fn as_basic(message: &Message) -> Vec<String> {
    let escaped = message.text.split('\n').next().unwrap_or_default();
    let mut pieces = escaped.split("\\x");
    let mut text = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        text.push(u8::from_str_radix(&piece[..2], 16).expect("two hexadecimal digits"));
        text.extend_from_slice(&piece.as_bytes()[2..]);
    }
    let (seconds, micros) = (message.micros / 1_000_000, message.micros % 1_000_000);
    let line = |line: &str| format!("[{seconds:5}.{micros:06}] {line}");
    String::from_utf8_lossy(&text).lines().map(line).collect()
}

#[test]
fn all_of_dmesg_arrives_when_the_kernel_was_loaded_by_kexec_file_load() {
    check(&Guest::new("linux-crash-file").crash(), By::Sysrq, 0);
}

/// README's commands as they are printed; the address comes by DHCP.
fn as_the_readme_says(name: &'static str, kernel: Kernel) {
    let machine = Guest::new(name).kernel(kernel).way("readme").start("", &[]);
    let capture = machine.end();
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let Lines { shown, arrived, .. } = Lines::of(&capture, EXTENDED);
    assert!(arrived.iter().any(|line| line.contains(By::Sysrq.words())), "{}", capture.serial);
    assert_eq!(arrived, shown);
}

#[test]
fn the_readme_s_commands_work_in_debian_12() {
    as_the_readme_says("linux-crash-readme", Kernel::Own);
}

#[test]
fn the_readme_s_commands_work_in_debian_13() {
    as_the_readme_says("linux-crash-readme-13", Kernel::Trixie);
}

/// By kexec_load, for another card; with `panic=5`, with which a Linux from 7.x on sends nothing itself.
#[test]
fn all_of_dmesg_arrives_when_the_kernel_was_loaded_by_kexec_load() {
    let guest = Guest::new("linux-crash-load").linux("loader=-c panic=5").nic("e1000");
    check(&guest.by(By::Nmi).crash(), By::Nmi, 0);
}

/// netconsole-arm loads it so that nobody need be asked for anything, takes it out, and crashes the machine when told so.
#[test]
fn netconsole_arm_arms_disarms_and_crashes() {
    let capture = Guest::new("linux-crash-arm").way("arm").linux("loader=-s").crash();
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let said: Vec<&str> = capture
        .serial
        .lines()
        .filter_map(|line| {
            line.split_once("arm ").filter(|(before, _)| !before.contains(']')).map(|(_, said)| said)
        })
        .collect();
    let expected =
        ["--status: 1", "-s: 0", "--status: 0", "--disarm: 0", "--status: 1", "-s: 0", "--test: 1"];
    assert_eq!(said, expected, "{}", capture.serial);
    assert!(
        !capture.serial.contains("loaded as it is"),
        "it is unpacked before; serial:\n{}",
        capture.serial
    );
    let line =
        "armed: netconsole=+r6665@10.0.0.1/52:54:00:12:34:56,6666@10.0.0.2/02:00:0a:00:00:02 ip=10.0.0.1:::";
    assert!(capture.serial.contains(line), "{}", capture.serial);
    let text = capture.text(EXTENDED);
    assert!(
        text.starts_with("6.1.") && text.contains("-;Kernel panic - not syncing: sysrq triggered crash\n"),
        "{text}"
    );
}

/// By kexec_load, which is told where everything lies; and a receiver knows the stream by its port, format and userdata, which
/// are those of the target in configfs.
#[test]
fn netconsole_arm_loads_by_kexec_load_what_configfs_has() {
    let linux = "loader=-c log_buf_len=4M userdata=\"b 7\"";
    let guest = Guest::new("linux-crash-arm-load").kernel(Kernel::Trixie).way("arm").linux(linux).loses();
    let capture = guest.crash();
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let line = "armed: netconsole=+7000@10.0.0.1/52:54:00:12:34:56,6666@10.0.0.2/02:00:0a:00:00:02 netconsole.userdata=rack=b\\x207 ip=";
    assert!(capture.serial.contains(line), "{}", capture.serial);
    assert!(capture.serial.contains("arm -c: 0"), "{}", capture.serial);
    let messages = capture.messages(EXTENDED);
    let said = |text: &str| messages.iter().any(|message| message.text.starts_with(text));
    // All of it, by one who never heard Linux's own.
    let first = messages.iter().position(|message| message.sequence == 0).expect("the first record");
    assert!(messages[first..].iter().all(|message| message.text.ends_with("\n rack=b 7")), "{messages:?}");
    assert!(messages[first].text.starts_with("Linux version 6.12."), "{:?}", messages[first]);
    assert!(said("Kernel panic - not syncing: sysrq triggered crash"), "{}", capture.serial);
    let crashed = messages.iter().find(|message| message.text.starts_with("linux: CPU 0, which crashed: "));
    let crashed = &crashed.expect("its registers").text;
    assert!(crashed.contains("? sysrq_handle_crash+0x"), "{crashed}");
    assert!(said("linux: Linux 6.12.") && said("linux: the log has gone out"), "{messages:?}");
}

/// The panic is in an interrupt.
#[test]
fn of_a_ring_that_has_wrapped_all_that_it_holds_arrives() {
    let guest = Guest::new("linux-crash-wrapped").linux("records=4000").loses().by(By::Serial);
    let capture = guest.crash();
    check(&capture, By::Serial, 0);
    // Under Linux's own numbers.
    let first = capture.text(EXTENDED).split(',').nth(2).and_then(|number| number.parse::<u64>().ok());
    assert!(first.is_some_and(|first| first > 500), "{first:?}");
}

/// The log's ring is 16 MiB, and lies beyond 4 GiB; it is the second of two CPUs that crashes, on one with all that QEMU has.
#[test]
fn a_large_log_beyond_4_gib_arrives() {
    let guest = Guest::new("linux-crash-large").kernel(Kernel::Trixie).linux("log_buf_len=16M cpu=1");
    let guest = guest.arguments(&["-m", "5G", "-smp", "2", "-cpu", "max"]);
    check(&guest.crash(), By::Sysrq, 1);
}

/// Linux's own netconsole sends until the crash, through the IOMMU, and the crash kernel sends the same and the rest after it:
/// a record has one number, one time and one text.
#[test]
fn what_linux_s_own_netconsole_has_sent_comes_again_as_it_was() {
    let guest = Guest::new("linux-crash-live").kernel(Kernel::Trixie).linux(LIVE).nic(LIVE_CARD).loses();
    let mut receiver = Receiver::start(Ends::IPV4, Way::default(), &["--stats"]);
    let machine = guest.first_arguments(&LIVE_MACHINE).start("debug netconsole=+@10.0.0.1/,@10.0.0.2/", &[]);
    receiver.relay(&machine, guest::TIME, |receiver| receiver.has("boot: done, rebooting"));
    let capture = machine.end();
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let messages = capture.messages(EXTENDED);
    let mut records = BTreeMap::new();
    for Message { sequence, micros, text, .. } in &messages {
        let first = *records.entry(sequence).or_insert((micros, text));
        assert_eq!((micros, text), first, "record {sequence}");
    }
    assert!(records.keys().copied().copied().eq(0..records.len() as u64), "no number is missing");
    // Linux lets its datagrams be split, the kernel does not.
    let linux_s = capture.frames().filter(|frame| frame.may_be_split).count();
    assert!(linux_s > 300 && messages.len() > records.len() + 300, "Linux has sent {linux_s}");
    shows_one_stream(&mut receiver, records.len() as u64);
    shows_one_stream_by_ncrx(&capture, records.len() as u64);
}

/// Our receiver has shown each record once, whoever had sent it, and no reboot. What Linux had lost may come late.
fn shows_one_stream(receiver: &mut Receiver, end: u64) {
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    let mut sequences = receiver.sequences();
    let late = receiver.said.iter().filter(|line| line.contains("\"late\":true")).count();
    let unsorted = sequences.windows(2).filter(|pair| pair[1] <= pair[0]).count();
    assert!(unsorted <= 2 * late, "{unsorted} steps back, {late} late; {stats}");
    sequences.sort_unstable();
    assert!(sequences.iter().copied().eq(0..end), "each once; {stats}");
    assert!(stats.contains(" 0 strays, 0 reboots"), "{stats}");
}

/// Neither is there a gap nor a repetition for Meta's ncrx.
fn shows_one_stream_by_ncrx(capture: &Capture, end: u64) {
    let target = EXTENDED.parse().expect("an address and port");
    let mut sent = capture.sent.iter().peekable();
    let mut ncrx = NcrxReceiver::new(sent.peek().expect("frames").at);
    for (at, (to, payload)) in sent.filter_map(|sent: &Sent| Some((sent.at, sent.datagram()?))) {
        if to == target {
            ncrx.process(Some(&String::from_utf8_lossy(payload)), at);
        }
    }
    assert!(ncrx.given.iter().copied().eq(0..end), "{:?}", ncrx.given);
    // What it takes for another boot's is what it had long before: records of Linux's, from the oldest on, and none of the
    // crash kernel's own.
    let messages = capture.messages(EXTENDED);
    let own =
        messages.iter().find(|message| message.text.starts_with("netconsole 0.")).expect("its first record");
    let foreign: BTreeSet<u64> = ncrx.foreign.iter().map(|datagram| number(datagram)).collect();
    let is_linux_s =
        foreign.iter().copied().eq(0..foreign.len() as u64) && foreign.len() as u64 <= own.sequence;
    assert!(is_linux_s, "{foreign:?}, and the crash kernel's begin with {}", own.sequence);
    assert_eq!(ncrx.foreign.len(), foreign.len(), "each once");
}

/// The sequence number of a datagram in the extended format.
fn number(datagram: &str) -> u64 {
    datagram.split(',').nth(1).and_then(|number| number.parse().ok()).expect("a sequence number")
}
