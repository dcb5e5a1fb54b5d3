//! Which card serves a target that names one that is not here, or by another name.

use crate::harness::{Boot, Nic, Peer, Sent, status};
use std::net::SocketAddr;

const TARGET: &str = "10.0.0.2:6666";
const CARDS: &str = "the cards here are eth0 (00:12.0, 52:54:00:12:34:56)";

fn one_card() -> Nic {
    Nic::device("virtio-net-pci,id=lan,addr=0x12").peer(Peer::at("10.0.0.2"))
}

/// What people copy from machines where the card is called so.
#[test]
fn a_name_that_is_not_here_means_the_card_that_is() {
    const NAMES: [&str; 8] =
        ["enp3s0", "eno1", "ens33", "br0", "bond0", "vmbr0", "wlan0", "22:33:44:55:66:77"];
    let targets =
        NAMES.iter().zip(7000..).map(|(name, port)| format!("netconsole=+@10.0.0.1/{name},{port}@10.0.0.2/"));
    let parameters = format!("debug {} after=exit", targets.collect::<Vec<_>>().join(" "));
    let capture = Boot::new("names-from-elsewhere", parameters).nics([one_card()]).start().end();
    assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
    for (name, port) in NAMES.iter().zip(7000..) {
        let messages = capture.messages(&format!("10.0.0.2:{port}"));
        assert_eq!(messages[0].sequence, 0, "{name}");
        let warning = format!("netconsole: {name} doesn't exist; {CARDS}: using eth0");
        assert!(messages.iter().any(|message| message.level == 4 && message.text == warning), "{warning}");
    }
}

#[test]
fn systemd_s_names_are_understood() {
    let labels = ["-smbios", "type=41,designation=LAN,kind=ethernet,instance=1,pcidev=lan"];
    for (name, device, said) in [
        ("name-path", "enp0s18", "netconsole: enp0s18 is eth0"),
        ("name-mac", "enx525400123456", "netconsole: enx525400123456 is eth0"),
        ("name-onboard", "eno1", "netconsole: eno1 is eth0"),
        // SMBIOS does not say, but so virtual machines count.
        ("name-slot", "ens18", "netconsole: ens18 doesn't exist; the cards here are"),
    ] {
        let other = Nic::device("virtio-net-pci,addr=0x13").peer(Peer::at("10.0.0.2"));
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/{device},@10.0.0.2/ after=exit"));
        let capture = boot.nics([one_card(), other]).arguments(labels).start().end();
        assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
        assert!(capture.text(TARGET).contains(said), "{said}");
        let target: SocketAddr = TARGET.parse().expect("an address and port");
        let to_target = |sent: &&Sent| sent.datagram().is_some_and(|(to, _)| to == target);
        assert!(capture.sent.iter().filter(to_target).all(|sent| sent.nic == 0), "{device}");
    }
}

/// The first card has link, but the target is on the second one's network.
#[test]
fn the_card_whose_network_has_the_target_serves() {
    for (name, device) in [("nearest-of-any", ""), ("nearest-instead", "enp3s0")] {
        let parameters = format!(
            "debug ip=10.0.0.1:::255.255.255.0::eth1:off netconsole=+@/{device},@10.0.0.2/ after=exit"
        );
        let nics = [Nic::virtio().peer(Peer::at("10.0.0.2")), Nic::virtio().peer(Peer::at("10.0.0.2"))];
        let capture = Boot::new(name, parameters).nics(nics).start().end();
        assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
        let target: SocketAddr = TARGET.parse().expect("an address and port");
        let to_target = |sent: &&Sent| sent.datagram().is_some_and(|(to, _)| to == target);
        assert!(capture.sent.iter().filter(to_target).all(|sent| sent.nic == 1), "{name}");
        assert!(capture.text(TARGET).contains("netconsole: interface name 'eth1'"));
    }
}

/// With a given source address the first card with link serves, and it alone has the address.
#[test]
fn the_first_card_with_link_serves_where_nothing_else_tells() {
    let nics = [Nic::virtio().peer(Peer::at("10.0.0.2")), Nic::virtio().peer(Peer::at("10.0.0.2"))];
    let boot = Boot::new("first-with-link", "debug netconsole=+@10.0.0.1/,@10.0.0.2/").nics(nics).paused();
    let mut machine = boot.start();
    machine.monitor("set_link n0 off");
    machine.monitor("cont");
    machine.wait_for_text(TARGET, "network logging started");
    assert_eq!(machine.command("cat /sys/kernel/config/netconsole/cmdline0/dev_name"), "eth1\n");
    let shown = machine.command("ip");
    assert_eq!(shown.matches("10.0.0.1/24").count(), 1, "{shown}");
    let capture = machine.stop();
    assert!(capture.sent.iter().all(|sent| sent.nic == 1));
}

/// With a key, and where the memory is another machine's log, that card is meant and no other.
#[test]
fn a_secret_goes_by_no_other_card_than_the_one_whose_address_is_named() {
    let key = format!("netconsole.key={}", "5a".repeat(32));
    for (name, more) in [
        ("other-mac-key", key.as_str()),
        ("other-mac-crash-kernel", "elfcorehdr=0x7f000000"),
        ("other-mac-scan", "linux=scan"),
    ] {
        let parameters =
            format!("debug netconsole=+@10.0.0.1/22:33:44:55:66:77,@10.0.0.2/ {more} after=exit");
        let capture = Boot::new(name, parameters).nics([one_card()]).start().end();
        assert_eq!(capture.status, status::NO_TARGET, "{}", capture.serial);
        assert!(capture.serial.contains("netconsole: 22:33:44:55:66:77 doesn't exist, aborting"));
        assert_eq!(capture.payloads(TARGET).len(), 0);
    }
}
