//! What comes after the boot log.

use crate::harness::{Boot, Peer, status};
use std::thread;
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";

#[test]
fn the_machine_ends_as_told() {
    for (name, after, expected) in [
        ("after-exit", "exit", status::GOOD),
        ("after-poweroff", "poweroff", Some(0)),
        // With -no-reboot a reset ends QEMU.
        ("after-reboot", "reboot", Some(0)),
    ] {
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ after={after}"));
        let capture = boot.peer(Peer::at("10.0.0.2")).arguments(["-no-reboot"]).start().end();
        assert_eq!(capture.status, expected, "{after}");
        assert!(capture.text(TARGET).contains("network logging started"), "{after}");
    }
}

#[test]
fn it_can_power_off_a_q35_machine() {
    let boot = Boot::new("after-poweroff-q35", "netconsole=@10.0.0.1/,@10.0.0.2/ after=poweroff");
    let capture = boot.peer(Peer::at("10.0.0.2")).arguments(["-M", "q35"]).start().end();
    assert_eq!(capture.status, Some(0));
}

#[test]
fn serving_and_halting_leave_the_cpu_alone() {
    for (name, after) in [("after-serve", "serve"), ("after-halt", "halt")] {
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ after={after}"));
        let machine = boot.peer(Peer::at("10.0.0.2")).start();
        machine.wait_for_text(TARGET, "network logging started");
        machine.wait_until_idle();
        let before = machine.cpu_time();
        let measured = Duration::from_secs(2);
        thread::sleep(measured);
        let used = machine.cpu_time() - before;
        assert!(used < measured / 5, "{after}: {used:?} of CPU time in {measured:?}");
        machine.stop();
    }
}
