//! To whom a crashed Linux's log goes, beyond what linux_log.rs has: over IPv6, in a VLAN, sealed, and by the whole of
//! Linux's own command line.

use crate::harness::{Boot, Capture, Peer, messages};
use crate::linux_log::{CORE_HEADER, follows, memory, text, with_memory};
use crate::secure::{KEY, open};
use std::fs;

const IMAGE: &str = "6.12";
const BASIC: &str = "10.0.0.2:8888";
const IN_VLAN: &str = "10.0.1.2:6666";

/// Boots as that Linux's crash kernel.
fn crash(name: &'static str, parameters: &str, more: &[Peer]) -> Capture {
    let memory = memory(IMAGE, name);
    let boot = Boot::new(name, format!("{parameters} {CORE_HEADER}")).peer(Peer::at("10.0.0.2"));
    let boot = more.iter().cloned().fold(boot, Boot::peer);
    let capture = with_memory(boot, &memory).start().end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "{name}: it reboots; serial:\n{}", capture.serial);
    capture
}

#[test]
fn over_ipv6_and_in_a_vlan_all_of_it_arrives() {
    let parameters = "netconsole=+@fd00::1/,@fd00::2/ netconsole=+@10.0.1.1/eth0.100,@10.0.1.2/ netconsole=@10.0.0.1/,8888@10.0.0.2/";
    let peers = [Peer::at("fd00::2"), Peer::at("10.0.1.2").in_vlan(100)];
    let capture = crash("linux-targets", parameters, &peers);
    let extended = text(&format!("{IMAGE}.extended.txt"));
    for target in ["[fd00::2]:6666", IN_VLAN] {
        let own = capture.text(target);
        let own = follows(&own, &extended);
        assert!(own.iter().any(|line| line.contains("linux: Linux 6.12.")), "{target}: {own:?}");
    }
    follows(&capture.text(BASIC), &text(&format!("{IMAGE}.basic.txt")));
    for frame in capture.frames() {
        let Some((to, _)) = frame.datagram() else { continue };
        assert_eq!(frame.vlan, (to.to_string() == IN_VLAN).then_some(100), "{to}");
    }
}

/// All of it is, and nobody reads it without the key.
#[test]
fn with_a_key_linux_s_log_is_sealed() {
    let parameters = format!("netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.key={KEY}");
    let capture = crash("linux-sealed", &parameters, &[]);
    let sealed = capture.payloads("10.0.0.2:6666");
    assert_eq!(sealed.len(), capture.frames().filter(|frame| frame.datagram().is_some()).count());
    let opened: Vec<Vec<u8>> = sealed.iter().map(|datagram| open(datagram).1).collect();
    let found = messages(opened.iter().map(Vec::as_slice)).expect("the extended format");
    let expected = text(&format!("{IMAGE}.extended.txt"));
    let records: Vec<&str> = expected.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(found.len() > records.len() && records.len() > 400, "{} of {}", found.len(), records.len());
    for (message, record) in found.iter().zip(&records) {
        let (head, text) = record.split_once(';').expect("a record");
        let number = head.split(',').nth(1).and_then(|number| number.parse().ok());
        assert_eq!((Some(message.sequence), message.text.lines().next()), (number, Some(text)), "{record}");
    }
}

/// As kdump-tools gives it: what is Linux's alone is passed over, and the name of a device that only Linux's udev knew is found
/// by the network of its address.
#[test]
fn all_of_linux_s_own_command_line_serves() {
    let parameters = "BOOT_IMAGE=/boot/vmlinuz-6.12.117+deb13-cloud-amd64 root=UUID=0f3a7c7e-53a1-4b5e-9c8e-8d2f8f7f0a11 ro quiet \
        loglevel=3 splash console=tty0 console=ttyS0,115200n8 mitigations=auto,nosmt crashkernel=4M \
        ip=10.0.0.1::10.0.0.254:255.255.255.0:web7:lan0:off netconsole=6665@10.0.0.1/lan0,8888@10.0.0.2/ \
        irqpoll nr_cpus=1 reset_devices systemd.unit=kdump-tools-dump.service usbcore.nousb";
    let capture = crash("linux-whole-line", parameters, &[]);
    let found = capture.text(BASIC);
    let own = follows(&found, &text(&format!("{IMAGE}.basic.txt")));
    assert!(own.first().is_some_and(|line| line.contains("linux: Linux 6.12.")), "{own:?}");
}
