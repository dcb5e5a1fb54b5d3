//! The cable: not plugged in when the kernel boots. What each card says of it, and that it is pulled, is in models.rs.

use crate::harness::{Boot, Peer, status};
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";

#[test]
fn the_log_waits_for_the_link() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
    let mut machine = Boot::new("link-late", parameters).peer(Peer::at("10.0.0.2")).paused().start();
    machine.monitor("set_link n0 off");
    machine.monitor("cont");
    machine.nothing_comes_to(TARGET, Duration::from_secs(2));
    machine.monitor("set_link n0 on");

    let capture = machine.end();
    assert_eq!(capture.status, status::GOOD);
    assert!(capture.text(TARGET).contains("netconsole: network logging started"));
}

#[test]
fn a_link_after_the_timeout_still_starts_the_target() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.carrier_timeout=1";
    let mut machine = Boot::new("link-after-timeout", parameters).peer(Peer::at("10.0.0.2")).paused().start();
    machine.monitor("set_link n0 off");
    machine.monitor("cont");
    machine.wait_for_serial("timeout waiting for carrier");
    machine.nothing_comes_to(TARGET, Duration::from_millis(500));
    machine.monitor("set_link n0 on");
    machine.wait_for_text(TARGET, "network logging started");

    let capture = machine.stop();
    assert_eq!(capture.messages(TARGET)[0].sequence, 0);
}
