//! `eth0.100`: the log in a VLAN (802.1Q), next to one without.

use crate::harness::{Boot, Peer, status};

const TAGGED: &str = "10.0.1.2:6666";
const UNTAGGED: &str = "10.0.0.2:6666";

#[test]
fn a_vlan_is_a_device_of_its_own() {
    let parameters =
        "debug netconsole=+@10.0.1.1/eth0.100,@10.0.1.2/ netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
    let boot = Boot::new("vlan", parameters);
    let boot = boot.peer(Peer::at("10.0.1.2").in_vlan(100)).peer(Peer::at("10.0.0.2"));
    let capture = boot.start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(capture.messages(TAGGED), capture.messages(UNTAGGED));
    assert!(capture.text(TAGGED).contains("netconsole: interface name 'eth0.100'"));
    // Its Ethernet address was asked for, and answered, in the VLAN.
    assert!(capture.text(TAGGED).contains("netconsole: remote ethernet address 02:00:0a:00:01:02"));
    for frame in capture.frames() {
        if let Some((to, _)) = frame.datagram() {
            let expected = match to.to_string().as_str() {
                TAGGED => Some(100),
                UNTAGGED => None,
                _ => continue,
            };
            assert_eq!(frame.vlan, expected, "{to}");
        }
    }
}

#[test]
fn a_vlan_can_be_added_while_it_runs() {
    let boot = Boot::new("vlan-late", "debug netconsole=+@10.0.0.1/,@10.0.0.2/");
    let boot = boot.peer(Peer::at("10.0.1.2").in_vlan(7)).peer(Peer::at("10.0.0.2"));
    let mut machine = boot.start();
    machine.wait_for_text(UNTAGGED, "network logging started");
    machine.type_in("\rnetconsole=+@10.0.1.1/eth0.7,@10.0.1.2/\r");
    machine.wait_for_text(TAGGED, "network logging started");
    machine.wait_for_text(TAGGED, "remote ethernet address 02:00:0a:00:01:02");
    machine.stop();
}

#[test]
fn a_card_has_eight_vlans() {
    let target =
        |number: u8| format!("netconsole=+@10.0.{number}.1/eth0.{number},@10.0.{number}.2/02:00:00:00:00:01");
    let targets: Vec<String> = (1..=9).map(target).collect();
    let capture = Boot::new("vlan-many", format!("debug {} after=exit", targets.join(" "))).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert!(capture.text("10.0.8.2:6666").contains("netconsole: eth0.9 doesn't exist, aborting"));
    assert_eq!(capture.payloads("10.0.9.2:6666").len(), 0);
}
