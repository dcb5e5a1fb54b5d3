//! Machine checks, as QEMU's monitor can make one.

use crate::harness::{Boot, Gdb, Peer, side_by_side, status, symbol};

const TARGET: &str = "10.0.0.2:6666";
const SAID: &str = "bank 5: status 0xbd00000000000134";

/// An error of the memory that can't be corrected, at the address 0x12345000 (Intel SDM volume 3, section 16.3.2.2).
#[test]
fn a_machine_check_is_reported_and_seen_by_the_next_boot() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ panic=-1 netconsole.panic_repeat=0";
    let boot = Boot::new("machine-check", parameters).peer(Peer::at("10.0.0.2")).repeats();
    let mut machine = boot.start();
    machine.wait_for_text(TARGET, "the local APIC ticks");
    machine.monitor("mce 0 5 0xbd00000000000134 0x5 0x12345000 0x8c");
    machine.wait_for_text(TARGET, "BUG: machine check (vector 18");
    machine.wait_for_text(TARGET, "machine check: status 0x0000000000000005");
    machine.wait_for_text(TARGET, &format!("{SAID}, address 0x0000000012345000, misc 0x000000000000008c"));
    machine.wait_for_text(TARGET, "end Kernel panic - not syncing: machine check");
    let before = format!("cpu: machine check before this boot: {SAID}, address 0x12345000, misc 0x8c");
    machine.wait_for_text(TARGET, &before);
    machine.stop();
}

/// While a dead kernel's memory is read: one that the CPU can go on after (Intel SDM volume 3, section 16.3.1.2, RIPV, and
/// section 16.3.2.2, PCC) costs what is read there, any other is a panic.
#[test]
fn in_a_dead_kernels_memory() {
    let cases = [
        ("machine-check-passed-over", "0xbd00000000000134 0x5", status::GOOD),
        ("machine-check-damaged", "0xbf00000000000134 0x5", status::PANIC),
        ("machine-check-no-return", "0xbd00000000000134 0x4", status::PANIC),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, check, expected)| {
            let gdb = Gdb::new(name);
            let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/ linux=scan after=exit");
            // Of a panic before the log has begun one line goes out.
            let boot = boot.peer(Peer::at("10.0.0.2")).paused().loses();
            let mut machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).start();
            let mut stub = gdb.accept();
            stub.run_to(symbol("read_old_memory"));
            machine.monitor(&format!("mce 0 5 {check} 0x12345000 0x8c"));
            stub.go_on();
            let capture = machine.end();
            assert_eq!(capture.status, expected, "{name}: {}", capture.serial);
            let text = capture.text(TARGET);
            let said = "linux: 1 reads of its memory failed and were passed over, the last one at 0x1000";
            assert_eq!(text.contains(said), expected == status::GOOD, "{name}: {text}");
        },
    );
}
