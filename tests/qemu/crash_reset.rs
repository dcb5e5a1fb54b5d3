//! Crashes that leave no time for last words: the log survives the reset in memory, and the next boot ships it.

use crate::harness::{Boot, Capture, Gdb, Message, Nic, Peer, Qtest, kernel, status, symbol};
use crate::loaders::grub_image;

const TARGET: &str = "10.0.0.2:6666";
const BASIC: &str = "10.0.0.2:7777";
pub const PARAMETERS: &str =
    "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=@10.0.0.1/,7777@10.0.0.2/ after=exit";
/// A line of the extended format that marks a record of the boot before.
const BEFORE: &str = "\n boot=-1";

pub fn boot(name: &'static str, parameters: &str) -> Boot {
    Boot::new(name, format!("{PARAMETERS} {parameters}")).peer(Peer::at("10.0.0.2")).repeats()
}

/// The boot before sent what it had; the one after sends it again, marked, with what had not come out, then
/// its own, in one stream of sequence numbers. `last` is the last record before the reset.
pub fn check(capture: &Capture, last: &str) {
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
    let messages = capture.messages(TARGET);
    let second = messages.windows(2).position(|pair| pair[1].sequence <= pair[0].sequence);
    let (first, second) = messages.split_at(second.expect("a second boot") + 1);
    assert!(first.iter().all(|message| !message.text.contains(BEFORE)));
    assert!(first.iter().any(|message| message.text.contains("network logging started")));

    let sequences: Vec<_> = second.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (0..sequences.len() as u64).collect::<Vec<_>>());
    let before: Vec<&Message> = second.iter().take_while(|message| message.text.ends_with(BEFORE)).collect();
    let own = &second[before.len()..];
    assert!(own.iter().all(|message| !message.text.contains(BEFORE)));
    let said = format!("previous boot ended without a goodbye: {} records", before.len());
    assert!(own.iter().any(|message| message.text == said), "'{said}' is not in {own:?}");
    assert!(own.iter().any(|message| message.text.contains("network logging started")));
    let last_before = before.last().expect("records of the boot before");
    assert_eq!(last_before.text, format!("{last}{BEFORE}"));
    // What both boots sent is the same.
    for (sent, again) in first.iter().zip(&before) {
        assert_eq!(format!("{}{BEFORE}", sent.text), again.text);
    }

    let text = capture.text(BASIC);
    let marked: Vec<_> = text.lines().filter(|line| line.starts_with("[boot -1] [")).collect();
    assert_eq!(marked.len(), before.len());
    assert!(marked.last().unwrap().ends_with(last), "{marked:?}");
}

#[test]
fn triple_fault() {
    let capture = boot("reset-triple-fault", "crash=TRIPLE_FAULT").start().end();
    check(&capture, "crash: provoking TRIPLE_FAULT");
}

/// Wherever it was, what was logged before is there, a record amid writing included.
#[test]
fn triple_fault_in_every_place() {
    for (name, place, last) in [
        ("reset-early", "@early", "crash: provoking TRIPLE_FAULT@early\n boot=-1"),
        ("reset-log", "@log", "crash: this record is cut here: half a \n boot=-1\n cut=1"),
        (
            "reset-message",
            "@message",
            "Kernel panic - not syncing: this message is cut here: half a \n boot=-1\n cut=1",
        ),
        ("reset-tx", "@tx", "crash: provoking TRIPLE_FAULT@tx\n boot=-1"),
        ("reset-serial", "@serial", "crash: provoking TRIPLE_FAULT@serial\n boot=-1"),
    ] {
        let capture = boot(name, &format!("crash=TRIPLE_FAULT{place}")).start().end();
        assert_eq!(capture.status, status::GOOD, "{place}");
        let messages = capture.messages(TARGET);
        let mut before = messages.iter().filter(|message| message.text.contains(BEFORE));
        assert_eq!(before.next_back().map(|message| message.text.as_str()), Some(last));
        // From record 0 on, each once, in one stream with the boot's own.
        let begin = messages.iter().rposition(|message| message.sequence == 0).expect("record 0");
        let sequences = messages[begin..].iter().map(|message| message.sequence);
        assert!(sequences.eq(0..(messages.len() - begin) as u64), "{place}");
    }
}

/// GRUB, which uses memory of its own, leaves the log alone, the whole ring of it.
#[test]
fn triple_fault_with_grub() {
    // As much as fills the ring nearly.
    let crash = "flood=2000 crash=TRIPLE_FAULT";
    let commands = format!("multiboot /boot/netconsole {PARAMETERS} {crash}");
    let image = grub_image("reset-grub-image", &kernel(), &commands);
    let capture = boot("reset-grub", crash).image(image).start().end();
    check(&capture, "crash: provoking TRIPLE_FAULT");
}

#[test]
fn a_hang_is_ended_by_the_6300esb() {
    let boot = boot("reset-i6300esb", "watchdog=1 crash=LOOP").arguments(["-device", "i6300esb"]);
    check(&boot.start().end(), "crash: provoking LOOP");
}

#[test]
fn a_hang_is_ended_by_the_tco_timer() {
    let boot = boot("reset-tco", "watchdog=3 crash=LOOP").first_arguments([
        "-machine",
        "q35",
        "-global",
        "ICH9-LPC.noreboot=false",
    ]);
    check(&boot.start().end(), "crash: provoking LOOP");
}

/// What the timer has noted of the reset is cleared, or the next one would not come on real boards.
#[test]
fn the_tco_timer_forgets_the_reset() {
    /// TCO2_STS of QEMU's q35.
    const STATUS: u16 = 0x666;
    let qtest = Qtest::new("tco-status");
    let arguments = qtest.arguments();
    let machine = boot("reset-tco-status", "watchdog=3 crash=LOOP after=serve")
        .first_arguments(["-machine", "q35", "-global", "ICH9-LPC.noreboot=false"])
        .arguments(arguments.iter().map(String::as_str))
        .start();
    let mut ports = qtest.accept();
    machine.wait_for_text(TARGET, "previous boot ended without a goodbye");
    machine.wait_for_text(TARGET, "the local APIC ticks");
    assert_eq!(ports.read_port(STATUS), 0);
    machine.stop();
}

/// GRUB turns the chipset's registers off, where the timer is allowed to reset the machine.
#[test]
fn a_watchdog_that_would_not_reset_is_refused() {
    let commands = format!("setpci -s 00:1f.0 f0.L=0\nmultiboot /boot/netconsole {PARAMETERS} watchdog=3");
    let image = grub_image("watchdog-refused-image", &kernel(), &commands);
    let boot = boot("watchdog-refused", "watchdog=3").first_arguments(["-machine", "q35"]).image(image);
    let capture = boot.start().end();
    assert_eq!(capture.status, status::GOOD);
    let text = capture.text(BASIC);
    assert!(
        text.contains("watchdog: TCO timer at I/O 0x660 is not armed: the chipset's registers"),
        "{text}"
    );
}

/// As on a board that has NO_REBOOT set for good: where the chipset's registers should be is memory that only the firmware
/// sees (TSEG), which reads as ones and keeps nothing.
#[test]
fn a_watchdog_that_the_board_keeps_from_resetting_is_refused() {
    const CHIPSET: u32 = 127 << 20;
    let name = "watchdog-no-reboot";
    let (gdb, qtest) = (Gdb::new(name), Qtest::new(name));
    let arguments = gdb.arguments().into_iter().chain(qtest.arguments()).collect::<Vec<_>>();
    let boot = boot(name, "watchdog=3").first_arguments(["-machine", "q35", "-m", "128"]).paused();
    let machine = boot.arguments(arguments.iter().map(String::as_str)).start();
    let (mut stub, mut reach) = (gdb.accept(), qtest.accept());
    stub.run_to(symbol("netconsole::machine::watchdog::Watchdog::arm"));
    // RCBA, then the last MiB of memory.
    reach.write_configuration(31, 0xf0, CHIPSET | 1);
    let management = reach.read_configuration(0, 0x9c);
    reach.write_configuration(0, 0x9c, management | 1 << 16);
    assert_eq!(reach.read_word(u64::from(CHIPSET) + 0x3410), u32::MAX);
    stub.go_on();
    let capture = machine.end();
    assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
    let said = "watchdog: TCO timer at I/O 0x660 is not armed: NO_REBOOT can't be cleared on this board";
    assert!(capture.text(BASIC).contains(said), "{}", capture.text(BASIC));
}

/// Where the watchdog gives an NMI, the hang has last words of its own.
#[test]
fn a_hang_is_reported_by_the_watchdogs_nmi() {
    let capture = boot("reset-watchdog-nmi", "watchdog=1 crash=LOOP")
        .arguments(["-device", "i6300esb", "-action", "watchdog=inject-nmi"])
        .start()
        .end();
    assert_eq!(capture.status, status::PANIC);
    let messages = capture.messages(TARGET);
    let report: String = messages.iter().map(|message| message.text.clone() + "\n").collect();
    assert!(report.contains("BUG: non-maskable interrupt (vector 2"), "{report}");
    assert!(
        report.ends_with("---[ end Kernel panic - not syncing: non-maskable interrupt ]---\n"),
        "{report}"
    );
}

/// As by a server's NMI button.
#[test]
fn a_hang_is_reported_by_an_nmi() {
    let mut machine = boot("reset-nmi", "crash=LOOP").start();
    machine.wait_for_text(TARGET, "network logging started");
    // When all has gone out it hangs, and uses its CPU up: nothing tells but that time passes.
    std::thread::sleep(std::time::Duration::from_millis(500));
    machine.monitor("nmi");
    let capture = machine.end();
    assert_eq!(capture.status, status::PANIC);
    let text = capture.text(BASIC);
    assert!(text.contains("crash: provoking LOOP"), "{text}");
    assert!(text.ends_with("---[ end Kernel panic - not syncing: non-maskable interrupt ]---\n"), "{text}");
}

/// A machine that is alive is left alone, and one that stays after its last words too.
#[test]
fn the_watchdog_is_fed_and_stopped() {
    let machine = boot("watchdog-fed", "watchdog=1 after=serve").arguments(["-device", "i6300esb"]).start();
    machine.wait_for_text(TARGET, "network logging started");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let capture = machine.stop();
    assert_eq!(capture.text(BASIC).matches("Command line").count(), 1);

    let machine = boot("watchdog-stopped", "watchdog=1 after=serve crash=PANIC netconsole.panic_repeat=0")
        .arguments(["-device", "i6300esb"])
        .start();
    machine.wait_for_text(TARGET, "---[ end Kernel panic");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let capture = machine.stop();
    assert_eq!(capture.text(BASIC).matches("Command line").count(), 1);
}

/// Two cards, and each target's own share of the log of the boot before.
#[test]
fn triple_fault_on_two_cards() {
    let parameters = "debug netconsole=+@fd00::1/,@fd00::2/ netconsole=+@10.0.1.1/eth1,7777@10.0.1.2/ after=exit \
                      crash=TRIPLE_FAULT";
    let nics = [Nic::virtio().peer(Peer::at("fd00::2")), Nic::virtio().peer(Peer::at("10.0.1.2"))];
    let capture = Boot::new("reset-two-cards", parameters).nics(nics).repeats().start().end();
    assert_eq!(capture.status, status::GOOD);
    for target in ["[fd00::2]:6666", "10.0.1.2:7777"] {
        let messages = capture.messages(target);
        let provoked = messages.iter().find(|message| message.text.contains("crash: provoking TRIPLE_FAULT"));
        assert!(provoked.expect("the last record").text.ends_with(BEFORE));
    }
}
