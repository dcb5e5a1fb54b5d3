//! The cable: not plugged in when the kernel boots, pulled later, and how fast it is.

use crate::harness::{Boot, Nic, Peer, status};
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

#[test]
fn serving_logs_link_changes() {
    for (name, device, up) in [
        ("link-flap-virtio", "virtio-net-pci", "eth0: link is up\n"),
        ("link-flap-e1000", "e1000", "eth0: link is up, 1000 Mbit/s, full duplex\n"),
        ("link-flap-rtl8139", "rtl8139", "eth0: link is up, 100 Mbit/s, full duplex\n"),
        ("link-flap-vmxnet3", "vmxnet3", "eth0: link is up, 1000 Mbit/s, full duplex\n"),
    ] {
        // What the card took shortly before the link went may have left or not: it comes again.
        let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/").repeats();
        let mut machine = boot.nics([Nic::device(device).peer(Peer::at("10.0.0.2"))]).start();
        machine.wait_for_text(TARGET, "network logging started");
        machine.monitor("set_link n0 off");
        machine.wait_for_serial("eth0: link is down");
        machine.monitor("set_link n0 on");
        machine.wait_for_text(TARGET, "eth0: link is down");
        machine.wait_for_text(TARGET, up);
        machine.stop();
    }
}

#[test]
fn the_log_says_how_fast_the_link_is() {
    for (name, device, said) in [
        ("link-speed-virtio", "virtio-net-pci,speed=2500,duplex=half", "link up, 2500 Mbit/s, half duplex"),
        ("link-speed-e1000", "e1000", "link up, 1000 Mbit/s, full duplex"),
        ("link-speed-e1000e", "e1000e", "link up, 1000 Mbit/s, full duplex"),
        ("link-speed-rtl8139", "rtl8139", "link up, 100 Mbit/s, full duplex"),
        ("link-speed-vmxnet3", "vmxnet3", "link up, 1000 Mbit/s, full duplex"),
        // It does not tell.
        ("link-speed-unknown", "virtio-net-pci", "link up\n"),
    ] {
        let boot = Boot::new(name, "netconsole=@10.0.0.1/,@10.0.0.2/");
        let machine = boot.nics([Nic::device(device).peer(Peer::at("10.0.0.2"))]).start();
        machine.wait_for_text(TARGET, &format!("eth0: ethernet address 52:54:00:12:34:56, MTU 1500, {said}"));
        machine.stop();
    }
}
