//! Targets and the link, switched off and on while records are logged.

use crate::harness::{Boot, Peer};
use std::collections::BTreeSet;

const TARGET: &str = "10.0.0.2:6666";

/// By name and by address the same.
#[test]
fn a_hundred_and_fifty_rounds_lose_no_record() {
    for (name, device) in [("flaps-by-name", "eth0"), ("flaps-by-mac", "52:54:00:12:34:56")] {
        let parameters = format!("debug netconsole=+@10.0.0.1/{device},@10.0.0.2/");
        // What was sent while the link was down unnoticed comes again, behind what came later.
        let boot = Boot::new(name, parameters).repeats().loses();
        let mut machine = boot.peer(Peer::at("10.0.0.2")).start();
        machine.wait_for_text(TARGET, "network logging started");
        machine.type_in("\rcd cmdline0\r");
        for round in 0..150 {
            match round % 3 {
                // Shorter than the kernel looks at the link.
                0 => {
                    machine.monitor("set_link n0 off");
                    machine.monitor("set_link n0 on");
                }
                1 => machine.type_in("echo 0 > enabled\recho 1 > enabled\r"),
                _ => {
                    machine.monitor("set_link n0 off");
                    machine.type_in("echo 0 > enabled\recho 1 > enabled\r");
                    machine.monitor("set_link n0 on");
                }
            }
        }
        machine.type_in("echo all rounds are over\r");
        machine.wait_for_serial("\r\nall rounds are over\r\n");
        machine.type_in("netconsole=@/last,@10.0.0.9/\r");
        machine.wait_for_text(TARGET, "last doesn't exist");
        let messages = machine.stop().messages(TARGET);
        let sequences: BTreeSet<u64> = messages.iter().map(|message| message.sequence).collect();
        let last = *sequences.last().expect("records");
        assert_eq!(sequences.len() as u64, last + 1, "by {device}");
    }
}
