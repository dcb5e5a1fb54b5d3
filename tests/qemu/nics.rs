//! Which NIC a target uses, and the kinds of virtio NIC.

use crate::harness::{Boot, Nic, Peer, Sent, kernel, status};
use crate::loaders::grub_image;

const TARGET: &str = "10.0.0.2:6666";

#[test]
fn the_second_is_chosen_by_name_and_by_mac() {
    for (name, device) in [("nic-by-name", "eth1"), ("nic-by-mac", "52:54:00:12:34:57")] {
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/{device},@10.0.0.2/ after=exit"));
        let peer = || Peer::at("10.0.0.2");
        let capture = boot.nics([Nic::virtio().peer(peer()), Nic::virtio().peer(peer())]).start().end();
        assert_eq!(capture.status, status::GOOD, "{device}");
        let to_target = |sent: &&Sent| sent.datagram().is_some_and(|(to, _)| to == TARGET.parse().unwrap());
        assert!(capture.sent.iter().filter(to_target).all(|sent| sent.nic == 1), "{device}");
        assert!(capture.text(TARGET).contains("netconsole: interface name 'eth1'"));
    }
}

#[test]
fn two_ship_at_once() {
    let parameters = r#"debug netconsole="+@10.0.0.1/eth0,@10.0.0.2/;+@10.0.1.1/eth1,@10.0.1.2/" after=exit"#;
    let nics = [Nic::virtio().peer(Peer::at("10.0.0.2")), Nic::virtio().peer(Peer::at("10.0.1.2"))];
    let capture = Boot::new("nics-both", parameters).nics(nics).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(capture.messages(TARGET), capture.messages("10.0.1.2:6666"));
}

#[test]
fn every_kind_of_virtio_nic_works() {
    for (name, device) in [
        ("nic-non-transitional", "virtio-net-pci,disable-legacy=on"),
        ("nic-without-event-index", "virtio-net-pci,event_idx=off"),
        (
            "nic-bare",
            "virtio-net-pci,event_idx=off,indirect_desc=off,mrg_rxbuf=off,status=off,ctrl_vq=off,csum=off",
        ),
        ("nic-small-queues", "virtio-net-pci,rx_queue_size=256,tx_queue_size=256,host_mtu=1280"),
    ] {
        let nic = Nic::device(device).peer(Peer::at("10.0.0.2"));
        let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
        let capture = boot.nics([nic]).start().end();
        assert_eq!(capture.status, status::GOOD, "{device}; serial:\n{}", capture.serial);
        assert!(capture.text(TARGET).contains("network logging started"), "{device}");
    }
}

#[test]
fn none_is_an_error_and_a_defined_end() {
    let capture = Boot::new("nic-none", "netconsole=@/,@10.0.0.2/ after=exit").nics([]).start().end();
    assert_eq!(capture.status, status::NO_TARGET);
    assert!(capture.serial.contains("eth0 doesn't exist, aborting"), "{}", capture.serial);
}

#[test]
fn four_are_used_and_a_fifth_is_told() {
    let parameters = r#"debug netconsole="+@10.0.0.1/eth3,@10.0.0.2/;@10.0.0.1/eth4,@10.0.0.3/" after=exit"#;
    let nics = (0..5).map(|_| Nic::virtio().peer(Peer::at("10.0.0.2")));
    let capture = Boot::new("nics-five", parameters).nics(nics).start().end();
    assert_eq!(capture.status, status::GOOD);
    let text = capture.text(TARGET);
    assert!(text.contains("more than 4 network cards, not used"), "{text}");
    assert!(text.contains("netconsole: eth4 doesn't exist; the cards here are eth0 ("), "{text}");
}

/// GRUB takes the registers away from the first of five cards: the next one has its name, and all four others serve.
#[test]
fn a_card_that_fails_takes_no_other_s_place() {
    let parameters =
        "debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/ netconsole=+@10.0.3.1/eth3,7777@10.0.3.2/ after=exit";
    let commands = format!(
        "setpci -s 00:04.0 20.L=0\nsetpci -s 00:04.0 24.L=0\nmultiboot /boot/netconsole {parameters}"
    );
    let image = grub_image("failing-card-image", &kernel(), &commands);
    let nics = [
        Nic::device("virtio-net-pci,addr=4,disable-legacy=on"),
        Nic::device("virtio-net-pci,addr=5").peer(Peer::at("10.0.0.2")),
        Nic::device("virtio-net-pci,addr=6"),
        Nic::device("virtio-net-pci,addr=7"),
        Nic::device("virtio-net-pci,addr=8").peer(Peer::at("10.0.3.2")),
    ];
    let capture = Boot::new("failing-card", parameters).nics(nics).image(image).start().end();
    assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
    let text = capture.text("10.0.3.2:7777");
    for said in [
        "virtio network card at 00:04.0: can't be brought up",
        "eth0: virtio network card at 00:05.0",
        "eth3: virtio network card at 00:08.0",
    ] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
    assert!(capture.text("10.0.0.2:6666").contains("network logging started"));
}

/// A multicast address is no card's: this one gets an address of its own (IEEE 802, section 8.4), which the same card has
/// in no other machine.
#[test]
fn a_card_without_an_address_has_another_one_in_each_machine() {
    let address = |name| {
        let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/02:00:0a:00:00:02 after=exit")
            .nics([Nic::device("virtio-net-pci,id=card")]);
        let boot = boot.arguments(["-cpu", "max", "-set", "device.card.mac=03:00:00:00:00:01"]);
        let capture = boot.start().end();
        assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
        let said = capture.serial.split("eth0: ethernet address ").nth(1).and_then(|rest| rest.get(..17));
        said.unwrap_or_else(|| panic!("no address: {}", capture.serial)).to_owned()
    };
    let [one, other] = ["own-address-one", "own-address-other"].map(address);
    assert!(one.starts_with("02:") && other.starts_with("02:") && one != other, "{one}, {other}");
}
