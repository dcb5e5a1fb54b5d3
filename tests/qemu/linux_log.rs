//! The log of a Linux that crashed goes out first, as Linux would have sent it: from the memory of real crashes
//! (linuxlog/tests/images), which QEMU's memory is filled with.

use crate::harness::{Boot, Capture, Peer, target};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const EXTENDED: &str = "10.0.0.2:6666";
const RELEASED: &str = "10.0.0.2:7777";
const BASIC: &str = "10.0.0.2:8888";
const TARGETS: &str = "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=+r@10.0.0.1/,7777@10.0.0.2/ netconsole=@10.0.0.1/,8888@10.0.0.2/";
const MEMORY: u64 = 512 << 20;
const PAGE: usize = 4096;
/// Where the images have their ELF core header, as their `.cmdline` says.
pub const CORE_HEADER: &str = "elfcorehdr=511348K";

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("linuxlog/tests/images")
}

fn text(name: &str) -> String {
    let path = images().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A machine's memory with the pages of a crash in it, and nothing else.
pub fn memory(image: &str, test: &str) -> PathBuf {
    let pages = images().join(format!("{image}.pages.gz"));
    let unpacked = Command::new("gzip").arg("-dc").arg(&pages).output().expect("gzip runs");
    assert!(unpacked.status.success(), "gzip: {}", String::from_utf8_lossy(&unpacked.stderr));
    fs::create_dir_all(target().join("tests")).expect("target/tests is writable");
    let path = target().join(format!("tests/{test}.memory"));
    let mut file = File::create(&path).expect("target/tests is writable");
    file.set_len(MEMORY).expect("a sparse file");
    for page in unpacked.stdout.chunks_exact(8 + PAGE) {
        let (address, content) = page.split_first_chunk().expect("a page's address");
        file.seek(SeekFrom::Start(u64::from_le_bytes(*address))).expect("it is a file");
        file.write_all(content).expect("target/tests is writable");
    }
    path
}

/// The machine with this memory, which ends when the kernel reboots it.
pub fn with_memory(boot: Boot, memory: &Path) -> Boot {
    let backend =
        format!("memory-backend-file,id=memory,size={MEMORY},mem-path={},share=off", memory.display());
    let arguments = ["-m", "512", "-object", &backend, "-machine", "pc,memory-backend=memory", "-no-reboot"];
    boot.first_arguments(arguments)
}

fn boot(name: &'static str, memory: &Path, parameters: &str) -> Boot {
    with_memory(Boot::new(name, parameters).peer(Peer::at("10.0.0.2")), memory)
}

/// All lines of Linux's own come first, and exactly; returns what follows.
fn follows<'t>(found: &'t str, expected: &str) -> Vec<&'t str> {
    let mut lines = found.lines();
    for (number, expected) in expected.lines().enumerate() {
        assert_eq!(lines.next(), Some(expected), "line {}", number + 1);
    }
    lines.collect()
}

fn crash(name: &'static str, image: &str, parameters: &str) -> Capture {
    let memory = memory(image, name);
    let capture = boot(name, &memory, parameters).start().end();
    fs::remove_file(memory).expect("it was there");
    capture
}

/// The sequence number and the time of a line in the extended format.
fn head(line: &str) -> (u64, u64) {
    let mut fields = line.split(',').skip(1);
    let mut number =
        || fields.next().and_then(|field| field.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    (number(), number())
}

/// `quiet` holds none of it back; then come the kernel's own records, which go on in number and time and say what it
/// found; then it reboots by itself.
#[test]
fn every_record_as_linux_would_have_sent_it() {
    for (name, image, release) in [
        ("linux-5.4", "5.4-log_buf_len-4M", "5.4.0-150-generic"),
        ("linux-6.1", "6.1", "6.1.0-50-cloud-amd64"),
        ("linux-6.12", "6.12", "6.12.117+deb13-cloud-amd64"),
        ("linux-7.2", "7.2", "7.2.13+deb14-cloud-amd64"),
    ] {
        let capture = crash(name, image, &format!("{TARGETS} {CORE_HEADER} quiet"));
        assert_eq!(capture.status, Some(0), "{name}: it reboots; serial:\n{}", capture.serial);

        let (basic, extended) = (text(&format!("{image}.basic.txt")), text(&format!("{image}.extended.txt")));
        let own = capture.text(BASIC);
        let own = follows(&own, &basic);
        let said = |what: &str| own.iter().any(|line| line.contains(what));
        assert!(said(&format!("linux: Linux {release} crashed after ")), "{own:?}");
        assert!(
            said("0 unfinished, 0 unreadable") && said("linux: CPU 0, which crashed: process "),
            "{own:?}"
        );
        assert!(said("RIP 0010:0xffffffff") && said("network logging started"), "{own:?}");

        let sent = capture.text(EXTENDED);
        let own = follows(&sent, &extended);
        let (last, micros) = head(extended.lines().rfind(|line| !line.starts_with(' ')).expect("records"));
        let (first, then) = head(own[0].split_once(',').map(|_| own[0]).expect("a record"));
        assert!(first > last && then >= micros && then < micros + 60_000_000, "{name}: {}", own[0]);

        let released: String = extended
            .lines()
            .map(
                |line| {
                    if line.starts_with(' ') { format!("{line}\n") } else { format!("{release},{line}\n") }
                },
            )
            .collect();
        follows(&capture.text(RELEASED), &released);
    }
}

/// In syslog's format Linux's facilities are kept, and the sequence is Linux's.
#[test]
fn in_the_syslog_format() {
    let capture =
        crash("linux-syslog", "6.12", &format!("netconsole=s@10.0.0.1/,@10.0.0.2/ {CORE_HEADER} after=exit"));
    let text = capture.text(EXTENDED);
    let first = text.split('<').nth(1).expect("a message");
    assert!(
        first.starts_with("5>1 ")
            && first.contains(" kernel - - [netconsole@32473 seq=\"0\"] Linux version 6.12."),
        "{first}"
    );
    // What user space wrote to /dev/kmsg: facility 1.
    assert!(text.contains("<11>1 ") && text.contains("] shell record 39<6>1 "), "facilities are kept");
}

/// A log is for whom the command line names, and for nobody else.
#[test]
fn without_a_target_nothing_is_sent_and_it_reboots() {
    let capture = crash("linux-no-target", "6.1", CORE_HEADER);
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    assert_eq!(capture.sent.len(), 0);
    assert!(capture.serial.contains("netconsole: no target was given"), "{}", capture.serial);
}

/// From the crash's first line on.
#[test]
fn with_oops_only_the_crash_alone_is_sent() {
    let capture = crash(
        "linux-oops-only",
        "6.12",
        &format!("{TARGETS} {CORE_HEADER} netconsole.oops_only=1 after=exit"),
    );
    let expected = text("6.12.basic.txt");
    let at = expected.find("[    3.674081] sysrq: Trigger a crash").expect("the crash");
    let found = capture.text(BASIC);
    let own = follows(&found, &expected[at..]);
    assert!(own[0].contains("linux: Linux 6.12."), "{own:?}");
}

/// A crash kernel that panics itself is not left there, as nobody may be near.
#[test]
fn a_crash_kernel_that_panics_reboots_too() {
    let memory = memory("6.1", "linux-panic");
    let parameters = format!("{TARGETS} {CORE_HEADER} crash=PANIC netconsole.panic_repeat=0");
    let capture = boot("linux-panic", &memory, &parameters).repeats().start().end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let text = capture.text(BASIC);
    assert!(
        text.contains("Linux version 6.1.") && text.contains("---[ end Kernel panic - not syncing: panic"),
        "{text}"
    );
}

/// What is not there is said, to the target too.
#[test]
fn without_a_core_header_it_says_so() {
    let capture = crash("linux-no-header", "6.1", &format!("{TARGETS} elfcorehdr=0x10000000 after=exit"));
    let text = capture.text(BASIC);
    let said =
        "nothing is known of the Linux that crashed: there is no ELF core header at 0x10000000 (elfcorehdr=)";
    assert!(text.contains(said), "{text}");
}

/// After a reset that left memory alone, on request: marked as of a boot before.
#[test]
fn a_scan_finds_it_after_a_reset() {
    let capture = crash("linux-scan", "7.2", &format!("{TARGETS} linux=scan log_buf_len=1M after=exit"));
    let expected: String = text("7.2.basic.txt").lines().map(|line| format!("[boot -1] {line}\n")).collect();
    let found = capture.text(BASIC);
    let own = follows(&found, &expected);
    let said = |what: &str| own.iter().any(|line| line.contains(what));
    assert!(
        said("linux: Linux 7.2.13+deb14-cloud-amd64 ran for ")
            && said(" s, found in memory, after a reset (linux=scan)"),
        "{own:?}"
    );
    assert!(said("log_buf_len: behind the log of a Linux this kernel's has 256 KiB, not 1024"), "{own:?}");
    assert!(said("linux: the log has gone out"), "after= waits until it was heard: {own:?}");
    let messages = capture.messages(EXTENDED);
    assert!(messages[0].text.starts_with("Linux version 7.2.") && messages[0].text.ends_with("\n boot=-1"));

    let capture = crash("linux-scan-nothing", "7.2", &format!("{TARGETS} after=exit"));
    assert!(!capture.text(BASIC).contains("Linux version"), "only on request");
}

/// A reset would find the same log again, or again none: it stays, where nothing else is said.
#[test]
fn after_a_scan_it_serves() {
    for (name, image, said) in [
        ("linux-scan-serves", "7.2", "ran for "),
        ("linux-scan-finds-none", "", "linux: no log of a Linux was found in memory (linux=scan)"),
    ] {
        let parameters = format!("{TARGETS} linux=scan debug");
        let machine = if image.is_empty() {
            Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).start()
        } else {
            boot(name, &memory(image, name), &parameters).start()
        };
        machine.wait_for_text(BASIC, said);
        machine.wait_for_text(BASIC, "the local APIC ticks");
        machine.stop();
        let _ = fs::remove_file(target().join(format!("tests/{name}.memory")));
    }
}
