//! Machine checks, as QEMU's monitor can make one.

use crate::harness::{Boot, Peer};

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
