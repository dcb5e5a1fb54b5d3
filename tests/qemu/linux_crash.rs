//! A real Linux that crashes, and the kernel as its crash kernel: what arrives is what Linux's serial console has shown, line
//! for line.

use crate::harness::{Boot, Capture, Message, Nic, Peer, target};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

const EXTENDED: &str = "10.0.0.2:6666";
const BASIC: &str = "10.0.0.2:8888";
const TARGETS: &str = "netconsole=+r@10.0.0.1/,@10.0.0.2/ netconsole=@10.0.0.1/,8888@10.0.0.2/";
/// Every record is shown, and on a busy host Linux would find its timer too slow.
const LINUX: &str = "console=ttyS0,115200 ignore_loglevel printk.devkmsg=on no_timer_check crashkernel=4M";

/// A Debian Linux, with these parameters more, that loads the kernel in one of the ways of scripts/kexec-linux and crashes.
fn crash(name: &'static str, way: &str, linux: &str, nic: Nic, arguments: &[&str]) -> Capture {
    // Made once, also where several tests want it at the same time.
    static MADE: Mutex<()> = Mutex::new(());
    let directory = target().join("linux-crash");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kexec-linux");
    let guard = MADE.lock().expect("the other test has made it");
    let made = Command::new(script).arg(&directory).args(["", way]).output();
    drop(guard);
    let made = made.expect("scripts/kexec-linux runs");
    assert!(made.status.success(), "kexec-linux: {}", String::from_utf8_lossy(&made.stderr));
    let (kernel, initrd) = (directory.join("vmlinuz"), directory.join(format!("initrd-{way}")));
    let [kernel, initrd] = [kernel, initrd].map(|file| file.display().to_string());
    let append = format!("{LINUX} {linux} -- {TARGETS}");
    let loader = ["-kernel", &kernel, "-initrd", &initrd, "-append", &append, "-no-reboot"];
    let boot = Boot::new(name, "")
        .loader(loader)
        .nics([nic.peer(Peer::at("10.0.0.2"))])
        .arguments(arguments.iter().copied());
    // Of a ring that has wrapped the first records are gone.
    let boot = if way == "crash-wrapped" { boot.loses() } else { boot };
    boot.timeout(Duration::from_secs(300)).start().end()
}

/// All that serial has shown of Linux's records has arrived, and nothing else before the kernel's own; it has said which
/// Linux that was, and rebooted.
fn check(capture: &Capture) {
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let is_own = |line: &&str| line.contains("] netconsole 0.") && line.contains(", build id ");
    let shown: Vec<&str> = capture
        .serial
        .lines()
        .take_while(|line| !is_own(line))
        .filter(|line| line.starts_with('['))
        .collect();
    let text = capture.text(BASIC);
    let arrived: Vec<&str> = text.lines().take_while(|line| !is_own(line)).collect();
    // Where the ring has wrapped, the oldest are gone.
    let shown = shown.get(shown.len().saturating_sub(arrived.len())..).unwrap_or_default();
    for (number, (arrived, shown)) in arrived.iter().zip(shown).enumerate() {
        assert_eq!(arrived, shown, "line {}", number + 1);
    }
    assert_eq!(arrived.len(), shown.len(), "lines");
    let is_whole = arrived[0].contains("] Linux version 6.");
    assert_eq!(text.contains("; 0 overwritten before,"), is_whole, "{}", arrived[0]);
    assert_eq!(
        is_whole,
        !capture.serial.contains("] user record 3999 "),
        "a ring that has wrapped begins later"
    );
    assert!(shown.iter().any(|line| line.ends_with("Kernel panic - not syncing: sysrq triggered crash")));
    for said in [
        "linux: Linux 6.",
        " overwritten before, 0 unfinished, 0 unreadable",
        "which crashed: process 1, RIP 0010:",
        "linux: the log has gone out",
    ] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
    // Each function from which Linux says that it came is on the stack.
    let crashed = text.split("which crashed: process 1, RIP 0010:").nth(1).expect("it is said");
    let calls = arrived.iter().skip_while(|line| !line.ends_with(" Call Trace:"));
    let calls = calls.filter_map(|line| line.split_once("]  ").map(|(_, call)| call));
    let calls: Vec<&str> = calls.filter(|call| call.contains("+0x") && !call.starts_with('?')).collect();
    let panic = calls.iter().position(|call| call.starts_with("sysrq_handle_crash+"));
    for call in calls.iter().skip(panic.expect("it is called")).take(5) {
        assert!(crashed.contains(&format!("? {call}")), "'{call}' is not in {crashed}");
    }
    let messages = capture.messages(EXTENDED);
    let is_linux = |message: &&Message| message.release.as_deref().is_some_and(|name| name.starts_with("6."));
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
    check(&crash("linux-crash-file", "crash", "", Nic::virtio(), &["-m", "512"]));
}

#[test]
fn all_of_dmesg_arrives_when_the_kernel_was_loaded_by_kexec_load() {
    check(&crash("linux-crash-load", "crash-load", "", Nic::device("e1000"), &["-m", "512"]));
}

/// netconsole-arm loads it so that nobody need be asked for anything, takes it out, and crashes the machine when told so.
#[test]
fn netconsole_arm_arms_disarms_and_crashes() {
    let capture = crash("linux-crash-arm", "arm", "", Nic::virtio(), &["-m", "512"]);
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let said: Vec<&str> = capture
        .serial
        .lines()
        .filter_map(|line| {
            line.split_once("arm ").filter(|(before, _)| !before.contains(']')).map(|(_, said)| said)
        })
        .collect();
    let expected = ["--status: 1", ": 0", "--status: 0", "--disarm: 0", "--status: 1", ": 0", "--test: 1"];
    assert_eq!(said, expected, "{}", capture.serial);
    let line =
        "armed: netconsole=+r6665@10.0.0.1/52:54:00:12:34:56,6666@10.0.0.2/02:00:0a:00:00:02 ip=10.0.0.1:::";
    assert!(capture.serial.contains(line), "{}", capture.serial);
    let text = capture.text(EXTENDED);
    assert!(
        text.starts_with("6.1.") && text.contains("-;Kernel panic - not syncing: sysrq triggered crash\n"),
        "{text}"
    );
}

#[test]
fn of_a_ring_that_has_wrapped_all_that_it_holds_arrives() {
    let capture = crash("linux-crash-wrapped", "crash-wrapped", "", Nic::virtio(), &["-m", "512"]);
    check(&capture);
    // Under Linux's own numbers.
    let first = capture.text(EXTENDED).split(',').nth(2).and_then(|number| number.parse::<u64>().ok());
    assert!(first.is_some_and(|first| first > 500), "{first:?}");
}

/// The log is 4 MiB, and lies beyond 4 GiB; it is the second of two CPUs that crashes, on one with all that QEMU has.
#[test]
fn a_large_log_beyond_4_gib_arrives() {
    let arguments = ["-m", "5G", "-smp", "2", "-cpu", "max"];
    check(&crash("linux-crash-large", "crash", "log_buf_len=4M", Nic::virtio(), &arguments));
}
