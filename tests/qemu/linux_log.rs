//! The log of a Linux that crashed goes out first, as Linux would have sent it: from the memory of real crashes
//! (linuxlog/tests/images), which QEMU's memory is filled with.

use crate::harness::{Boot, Capture, Gdb, Peer, side_by_side, status, symbol, target};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

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

pub fn text(name: &str) -> String {
    let path = images().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A machine's memory with the pages of a crash in it, and nothing else.
pub fn memory(image: &str, test: &str) -> PathBuf {
    changed_memory(image, test, |_| {})
}

/// The pages of a crash, by their addresses.
type Pages = BTreeMap<u64, Vec<u8>>;

/// The same, with some change to the pages.
fn changed_memory(image: &str, test: &str, change: impl FnOnce(&mut Pages)) -> PathBuf {
    let pages = images().join(format!("{image}.pages.gz"));
    let unpacked = Command::new("gzip").arg("-dc").arg(&pages).output().expect("gzip runs");
    assert!(unpacked.status.success(), "gzip: {}", String::from_utf8_lossy(&unpacked.stderr));
    let pages = unpacked.stdout.chunks_exact(8 + PAGE).map(|page| {
        let (address, content) = page.split_first_chunk().expect("a page's address");
        (u64::from_le_bytes(*address), content.to_vec())
    });
    let mut pages: Pages = pages.collect();
    change(&mut pages);
    fs::create_dir_all(target().join("tests")).expect("target/tests is writable");
    let path = target().join(format!("tests/{test}.memory"));
    let mut file = File::create(&path).expect("target/tests is writable");
    file.set_len(MEMORY).expect("a sparse file");
    for (address, content) in pages {
        file.seek(SeekFrom::Start(address)).expect("it is a file");
        file.write_all(&content).expect("target/tests is writable");
    }
    path
}

/// Has another text of the same length wherever this one is.
fn replace(content: &mut [u8], text: &str, other: &str) {
    assert_eq!(text.len(), other.len(), "{text}");
    for at in 0..content.len() {
        if content[at..].starts_with(text.as_bytes()) {
            content[at..at + text.len()].copy_from_slice(other.as_bytes());
        }
    }
}

/// The machine with this memory, which ends when the kernel reboots it.
pub fn with_memory(boot: Boot, memory: &Path) -> Boot {
    with_lasting_memory(boot, memory).first_arguments(["-no-reboot"])
}

/// The same, which boots again with its memory as it was.
fn with_lasting_memory(boot: Boot, memory: &Path) -> Boot {
    let backend =
        format!("memory-backend-file,id=memory,size={MEMORY},mem-path={},share=off", memory.display());
    boot.first_arguments(["-m", "512", "-object", &backend, "-machine", "pc,memory-backend=memory"])
}

fn boot(name: &'static str, memory: &Path, parameters: &str) -> Boot {
    with_memory(Boot::new(name, parameters).peer(Peer::at("10.0.0.2")), memory)
}

/// All lines of Linux's own come first, and exactly; returns what follows.
pub fn follows<'t>(found: &'t str, expected: &str) -> Vec<&'t str> {
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

/// The times are by Linux's clock, which has said when it crashed, whatever the real-time clock tells; by that one where
/// Linux has not. The host's name is the settings'.
#[test]
fn syslog_s_times_are_by_linux_s_clock() {
    let expected = text("6.12.extended.txt");
    let last = head(expected.lines().last().expect("records")).0;
    let cases = [
        // The crash's time, in seconds since 1970, is 2026-11-29T05:40:24Z.
        ("linux-syslog-time", "CRASHTIME=1795930824", "2026-11-29T05:40:24.000000Z"),
        ("linux-syslog-rtc", "CRASHTIMX=1795930824", "2001-02-03T04:05:"),
    ];
    for (name, note, time) in cases {
        let memory = changed_memory("6.12", name, |pages| {
            pages.values_mut().for_each(|page| replace(page, "CRASHTIME=1795930824", note));
        });
        let parameters = format!(
            "netconsole=s@10.0.0.1/,@10.0.0.2/ ip=10.0.0.1:::255.255.255.0:board7:: {CORE_HEADER} after=exit"
        );
        let boot = boot(name, &memory, &parameters);
        let capture = boot.arguments(["-rtc", "base=2001-02-03T04:05:06,clock=vm"]).start().end();
        fs::remove_file(memory).expect("it was there");
        let text = capture.text(EXTENDED);
        let of_last = format!(" kernel - - [netconsole@32473 seq=\"{last}\"] ");
        let message = text.split('<').find(|message| message.contains(&of_last)).expect("the last record");
        let fields: Vec<&str> = message.split(' ').collect();
        assert!(fields[1].starts_with(time) && fields[2] == "board7", "{name}: {message}");
    }
}

/// A page of memory that is not there: beyond what the CPU addresses, so that each read of it is a page fault, or where
/// neither memory nor a device answers. The log's records that are on it are missing, and no others.
#[test]
fn a_page_that_cannot_be_read_costs_its_own_records() {
    let name = |is_far: bool| if is_far { "linux-page-fault" } else { "linux-hole" };
    side_by_side(
        &[true, false],
        |&is_far| name(is_far).into(),
        |&is_far| {
            // QEMU's default CPU has 40 bits of address, and its PC nothing between the memory and 0xe0000000.
            let (name, place) = (name(is_far), if is_far { 1 << 45 } else { 0xa000_0000 });
            let memory =
                changed_memory("7.2-log_buf_len-4M", name, |pages| move_a_page_of_texts(pages, place));
            let boot = boot(name, &memory, &format!("{TARGETS} elfcorehdr=0x1e000000")).loses();
            let capture = boot.start().end();
            fs::remove_file(memory).expect("it was there");
            assert_eq!(capture.status, Some(0), "{name}: it reboots; serial:\n{}", capture.serial);
            let (basic, extended) = (capture.text(BASIC), capture.messages(EXTENDED));
            let expected = text("7.2-log_buf_len-4M.extended.txt");
            let all: Vec<u64> =
                expected.lines().filter(|line| !line.starts_with(' ')).map(|line| head(line).0).collect();
            let (first, last) = (all[0], all[all.len() - 1]);
            let sent = extended.iter().map(|message| message.sequence).take_while(|number| *number <= last);
            let sent: Vec<u64> = sent.collect();
            let missing: Vec<u64> = (first..=last).filter(|number| !sent.contains(number)).collect();
            assert!((1..120).contains(&missing.len()), "{name}: {missing:?}");
            assert!(missing.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{name}: {missing:?}");
            let said = format!(" 0 unfinished, {} unreadable\n", missing.len());
            assert!(basic.contains(&said), "{name}: '{said}' is not in {basic}");
            let failed = " reads of its memory failed and were passed over, the last one at 0x200000000";
            assert_eq!(basic.contains(failed), is_far, "{name}: {basic}");
        },
    );
}

/// Has the core header say that the page with the crash's first line is at another place of memory: it splits the stretch of
/// memory that the page is in.
fn move_a_page_of_texts(pages: &mut Pages, place: u64) {
    const HEADERS: usize = 64;
    const LEN: usize = 56;
    // Of a program header: type and flags, offset, virtual and physical address, sizes in the file and in memory, alignment.
    type Header = [u64; 7];
    let has_text = |page: &&Vec<u8>| page.windows(22).any(|text| text == b"sysrq: Trigger a crash");
    let page = *pages.iter().find(|(_, page)| has_text(page)).expect("it is one page").0;
    let core = pages.get_mut(&0x1e00_0000).expect("the core header");
    let count = usize::from(core[56]);
    let words = |bytes: &[u8]| -> Header {
        std::array::from_fn(|word| {
            u64::from_le_bytes(bytes[word * 8..][..8].try_into().expect("eight bytes"))
        })
    };
    let mut headers: Vec<Header> = core[HEADERS..HEADERS + count * LEN].chunks(LEN).map(words).collect();
    let is_of_page = |&[_, _, address, physical, _, len, _]: &Header| {
        address != 0 && address < 0xffff_ffff_8000_0000 && (physical..physical + len).contains(&page)
    };
    let number = headers.iter().position(is_of_page).expect("it is in the direct map");
    let [kind, _, address, physical, _, len, alignment] = headers[number];
    let part = |from: u64, to: u64, at: u64| [kind, at, address + from, at, to - from, to - from, alignment];
    let (before, size) = (page - physical, PAGE as u64);
    headers.splice(
        number..=number,
        [
            part(0, before, physical),
            part(before, before + size, place),
            part(before + size, len, page + size),
        ],
    );
    core[56] += 2;
    for (to, word) in core[HEADERS..].chunks_mut(8).zip(headers.as_flattened()) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

/// A CPU that has no encryption turned on can't read what was encrypted, which is said.
#[test]
fn encrypted_memory_is_named() {
    const NAME: &str = "linux-encrypted";
    let memory = changed_memory("6.12", NAME, |pages| {
        let (plain, encrypted) =
            ("NUMBER(sme_mask)=0\nCRASHTIME=1795930824\n", "NUMBER(sme_mask)=2251799813685248\nPAD=1\n");
        pages.values_mut().for_each(|page| replace(page, plain, encrypted));
    });
    let capture = boot(NAME, &memory, &format!("{TARGETS} {CORE_HEADER} after=exit")).start().end();
    fs::remove_file(memory).expect("it was there");
    let text = capture.text(BASIC);
    let said = "the log of the Linux that crashed can't be read: its memory is encrypted (sme_mask)";
    assert!(text.contains(said) && !text.contains("linux raw: "), "{text}");
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

/// Its summary is logged before the log is read. Here the CPU refuses a read after that, by a machine check.
#[test]
fn a_read_that_fails_while_the_log_goes_out_is_said_at_its_end() {
    let name = "linux-read-fails";
    let memory = memory("6.12", name);
    let parameters = format!("netconsole=@10.0.0.1/,8888@10.0.0.2/ {CORE_HEADER} after=exit");
    let gdb = Gdb::new(name);
    let boot = boot(name, &memory, &parameters).paused();
    let mut machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).start();
    let mut stub = gdb.accept();
    stub.run_to(symbol("netconsole::kernel::Kernel::start_targets"));
    stub.run_to(symbol("read_old_memory"));
    machine.monitor("mce 0 5 0xbd00000000000134 0x5 0x12345000 0x8c");
    stub.go_on();
    let capture = machine.end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
    let text = capture.text(BASIC);
    let said = "linux: 1 reads of its memory failed while its log went out, the last one at 0x";
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("'{what}' is not in {text}"));
    assert!(at("linux: the log has gone out") < at(said));
    assert!(!text.contains("were passed over"), "{text}");
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

/// The note does not say where the descriptors are: what can be found is the text, which comes marked.
#[test]
fn of_a_log_that_cannot_be_read_the_raw_text_arrives() {
    const NAME: &str = "linux-raw";
    let memory = changed_memory("6.12", NAME, |pages| {
        let content = pages.values_mut();
        content.for_each(|page| {
            replace(page, "OFFSET(prb_desc_ring.count_bits)", "OFFSET(prb_desc_ring.count_bitz)");
        });
    });
    let capture = boot(NAME, &memory, &format!("{TARGETS} {CORE_HEADER}")).start().end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    let found = capture.text(BASIC);
    let said = "linux: the log of the Linux that crashed can't be read: its vmcoreinfo does not say where its log is";
    assert!(found.contains(said) && found.contains("linux: the text where its log was follows"), "{found}");
    let raw: Vec<&str> =
        found.lines().filter_map(|line| line.split_once("] linux raw: ").map(|(_, raw)| raw)).collect();
    let expected = text("6.12.basic.txt");
    let texts: Vec<&str> =
        expected.lines().filter_map(|line| Some(line.split_once("] ")?.1.trim())).collect();
    let texts = texts.iter().filter(|text| (12..150).contains(&text.len()) && text.is_ascii());
    let missing: Vec<_> = texts.filter(|text| !raw.iter().any(|raw| raw.contains(**text))).collect();
    assert!(raw.len() > 200 && missing.is_empty(), "{missing:?}");
}

/// Boots with this memory and `linux=scan`; returns what the target got.
fn scan(name: &'static str, memory: &Path, parameters: &str) -> String {
    let capture = boot(name, memory, &format!("{parameters} linux=scan after=exit")).start().end();
    fs::remove_file(memory).expect("it was there");
    capture.text(BASIC)
}

/// Boots with this memory again and again, until a boot finds that all of it was sent; returns what the target got of them.
fn scan_until_all_is_sent(name: &'static str, memory: &Path) -> String {
    let parameters = format!("{TARGETS} linux=scan after=reboot");
    let boot = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).repeats();
    let machine = with_lasting_memory(boot, memory).start();
    machine
        .wait_for_text(BASIC, "the log of a Linux that is in memory was sent by a boot before: linux=again");
    let text = machine.stop().text(BASIC);
    fs::remove_file(memory).expect("it was there");
    text
}

/// What was shipped once is not shipped at each further boot, unless that is asked for; the mark is this kernel's own, and
/// is not where Linux's memory was.
#[test]
fn a_log_that_a_scan_has_sent_is_not_sent_again() {
    const NAME: &str = "linux-scan-twice";
    let file = memory("7.2", NAME);
    let text = scan_until_all_is_sent(NAME, &file);
    assert_eq!(text.matches("] Linux version 7.2.").count(), 1, "{text}");
    assert!(text.contains("linux: noted that its log was sent"), "{text}");
}

#[test]
fn a_scan_for_a_log_that_was_sent_can_be_asked_for() {
    const NAME: &str = "linux-scan-again";
    let file = memory("7.2", NAME);
    let boot =
        Boot::new(NAME, format!("{TARGETS} linux=again after=reboot")).peer(Peer::at("10.0.0.2")).repeats();
    let machine = with_lasting_memory(boot, &file).start();
    machine.wait_for("the log twice", |events| {
        let target = BASIC.parse().expect("an address and port");
        let payloads = events.sent.iter().filter_map(|sent| sent.datagram()).filter(|(to, _)| *to == target);
        let is_first = |payload: &[u8]| String::from_utf8_lossy(payload).contains("] Linux version 7.2.");
        (payloads.filter(|(_, payload)| is_first(payload)).count() >= 2).then_some(())
    });
    machine.stop();
    fs::remove_file(file).expect("it was there");
}

/// In memory there may be the log of one that was reset, or shut down.
#[test]
fn a_log_without_a_crash_is_called_so() {
    let file = changed_memory("7.2", "linux-scan-calm", |pages| {
        for page in pages.values_mut() {
            replace(page, "sysrq: Trigger a crash", "sysrq: Trigger a trash");
            replace(page, "Kernel panic", "Kernel clock");
        }
    });
    let text = scan("linux-scan-calm", &file, TARGETS);
    assert!(text.contains("after a reset (linux=scan): a log without a crash"), "{text}");
    let text = scan("linux-scan-crash", &memory("7.2", "linux-scan-crash"), TARGETS);
    assert!(text.contains("after a reset (linux=scan)\n"), "{text}");
}

/// Of `7.2.13+deb14-cloud-amd64`, as long.
const OTHER: &str = "7.2.99+deb14-cloud-amd64";

/// A second note, of a Linux that crashed a second before or after, beside the one that is there; returns it to be changed.
fn add_note(pages: &mut Pages, is_newer: bool) -> &mut Vec<u8> {
    let is_note =
        |page: &&Vec<u8>| page.starts_with(b"\x0b\0\0\0") && page[12..].starts_with(b"VMCOREINFO\0");
    let mut note = pages.values().find(is_note).expect("it has a note").clone();
    let text = String::from_utf8_lossy(&note);
    let time =
        text.split("CRASHTIME=").nth(1).and_then(|rest| rest.get(..10)).expect("ten digits").to_string();
    let other = (time.parse::<u64>().expect("a number") + 2 * u64::from(is_newer) - 1).to_string();
    replace(&mut note, &format!("CRASHTIME={time}"), &format!("CRASHTIME={other}"));
    replace(&mut note, "OSRELEASE=7.2.13+deb14-cloud-amd64", &format!("OSRELEASE={OTHER}"));
    let free = (1..).map(|number| (256 << 20) + number * PAGE as u64).find(|page| !pages.contains_key(page));
    pages.entry(free.expect("a page that nothing is in")).or_insert(note)
}

/// Two notes, of which the one that crashed last counts; a page of another kernel's note leads nowhere.
#[test]
fn of_several_notes_the_newest_counts() {
    for (name, is_newer) in [("linux-scan-older", false), ("linux-scan-newer", true)] {
        let file = changed_memory("7.2", name, |pages| {
            add_note(pages, is_newer);
        });
        let text = scan(name, &file, TARGETS);
        let release = if is_newer { OTHER } else { "7.2.13+deb14-cloud-amd64" };
        let said = format!("linux: Linux {release} ran for ");
        assert!(text.contains(&said) && text.contains("as the newest of 2"), "{name}: {text}");
    }
}

/// Two in one memory, the newer of which can't be read: each of three boots sends what the ones before have not.
#[test]
fn of_several_notes_each_log_is_sent_once() {
    const NAME: &str = "linux-scan-each";
    let file = changed_memory("7.2", NAME, |pages| {
        let note = add_note(pages, true);
        replace(note, "OFFSET(prb_desc_ring.count_bits)", "OFFSET(prb_desc_ring.count_bitz)");
    });
    let text = scan_until_all_is_sent(NAME, &file);
    let first = |what: &str| text.find(what).unwrap_or_else(|| panic!("'{what}' is not in {text}"));
    assert!(first("] linux raw: ") < first("linux: Linux 7.2.13+deb14-cloud-amd64 ran for "));
    for (said, count) in [
        ("linux: the log of the Linux that crashed can't be read: ", 1),
        ("linux: Linux 7.2.13+deb14-cloud-amd64 ran for ", 1),
        ("as the newest of 2, 1 of them sent before", 1),
        ("linux: noted that its log was sent", 2),
    ] {
        // What a boot had logged before comes again in the next one.
        let lines = text.lines().filter(|line| line.contains(said) && !line.starts_with("[boot "));
        assert_eq!(lines.count(), count, "'{said}' in {text}");
    }
}

/// The menu's first choice sends to those whom netconsole.cfg names, and to everybody only if that is chosen.
#[test]
fn a_scan_s_log_is_not_broadcast_where_that_is_refused() {
    const NAME: &str = "linux-scan-broadcast";
    let parameters = "netconsole=@10.0.0.1/,8888@10.0.0.2/ netconsole=@10.0.0.1/eth0,@/ \
         netconsole=@10.0.0.1/,9001@10.0.0.255/ netconsole=@10.0.0.1/,9002@10.0.0.3/01:00:5e:00:00:01 \
         netconsole=@10.0.0.1/,9003@10.0.0.9/ ip=10.0.0.1:::255.255.255.0::: linux.broadcast=0 linux.patience=8";
    let file = memory("7.2", NAME);
    let capture = boot(NAME, &file, &format!("{parameters} linux=scan after=exit")).start().end();
    fs::remove_file(file).expect("it was there");
    assert!(capture.text(BASIC).contains("Linux version 7.2."));
    for refused in [
        "255.255.255.255 is everybody or a group, who are not to have the log of a Linux",
        "10.0.0.255 is everybody or a group on eth0, who are not to have the log of a Linux",
        "01:00:5e:00:00:01 is everybody or a group, who are not to have the log of a Linux",
        "nobody answers for 10.0.0.9: waiting until somebody does",
    ] {
        assert!(capture.serial.contains(refused), "'{refused}' is not in {}", capture.serial);
    }
    // Nobody answers for the last one.
    let datagrams = capture.frames().filter(|frame| frame.datagram().is_some());
    assert_eq!(datagrams.filter(|frame| frame.to_mac.0[0] & 1 != 0).count(), 0);
    assert_eq!(capture.text("10.0.0.9:9003"), "");
}

/// Who logged a record is known of each, and shown where that Linux did.
#[test]
fn with_caller_each_record_says_who_logged_it() {
    let capture = crash("linux-caller", "6.12", &format!("{TARGETS} {CORE_HEADER} linux.caller=1"));
    let count = text("6.12.basic.txt").lines().count();
    let found = capture.text(BASIC);
    let linux: Vec<&str> = found.lines().take(count).collect();
    let has_caller = |line: &&&str| {
        let caller = line.split_once("][").map(|(_, rest)| rest.trim_start());
        caller.is_some_and(|caller| caller.starts_with('T') || caller.starts_with('C'))
    };
    // Before there are threads Linux says 0, which is no number of one.
    let named = linux.iter().filter(has_caller).count();
    assert!(named > 400, "{named} of {count}: {}", linux[0]);
    let extended = capture.text(EXTENDED);
    assert!(
        extended.contains("-,caller=T1;") && extended.contains(",caller=T147;sysrq: Trigger a crash"),
        "{extended}"
    );
}

/// All levels go out where nothing is said, whatever Linux showed; a parameter holds the others back.
#[test]
fn a_level_of_its_own_limits_linux_s_records() {
    let parameters = format!("{TARGETS} {CORE_HEADER} linux.loglevel=5");
    let memory = memory("6.12", "linux-loglevel");
    let capture = boot("linux-loglevel", &memory, &parameters).start().end();
    fs::remove_file(memory).expect("it was there");
    let expected = text("6.12.extended.txt");
    let level = |line: &str| {
        line.split(',').next().and_then(|number| number.parse::<u32>().ok()).map(|number| number & 7)
    };
    let records: Vec<&str> = expected.lines().filter(|line| level(line).is_some()).collect();
    let expected: Vec<u64> =
        records.iter().filter(|line| level(line) < Some(5)).map(|line| head(line).0).collect();
    let last = head(records[records.len() - 1]).0;
    let messages = capture.messages(EXTENDED);
    let found: Vec<u64> =
        messages.iter().map(|message| message.sequence).take_while(|number| *number <= last).collect();
    assert!(found == expected && expected.len() > 10, "{found:?}, not {expected:?}");
    assert!(messages.iter().any(|message| message.level == 6), "the kernel's own are not limited by it");
}

/// `after=` and `panic=` mean what they do elsewhere.
#[test]
fn what_follows_is_as_the_command_line_says() {
    let exits = crash("linux-after-exit", "6.1", &format!("{TARGETS} {CORE_HEADER} after=exit"));
    assert_eq!(exits.status, status::GOOD, "{}", exits.serial);
    let parameters = format!("{TARGETS} {CORE_HEADER} crash=PANIC netconsole.panic_repeat=0 panic=10");
    let memory = memory("6.1", "linux-panic-10");
    let machine = boot("linux-panic-10", &memory, &parameters).repeats().start();
    machine.wait_for_text(BASIC, "---[ end Kernel panic - not syncing: panic");
    let end = Instant::now();
    let capture = machine.end();
    // However late the text was noticed on a busy host.
    assert!(end.elapsed() > Duration::from_secs(5), "panic=10");
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "it reboots; serial:\n{}", capture.serial);
    // Without a way to anybody else, it stays and answers.
    let memory = crate::linux_log::memory("6.1", "linux-after-serve");
    let machine =
        boot("linux-after-serve", &memory, &format!("{TARGETS} {CORE_HEADER} debug after=serve")).start();
    machine.wait_for_text(BASIC, "the local APIC ticks");
    machine.stop();
    fs::remove_file(memory).expect("it was there");
}
