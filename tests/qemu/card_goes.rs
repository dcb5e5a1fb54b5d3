//! A card that stops answering and comes back, as on a bad slot: its registers go elsewhere behind the driver's back.

use crate::harness::{Boot, Nic, Peer, Qtest};

const TARGET: &str = "10.0.0.2:6666";
/// The slot of QEMU's first card.
const DEVICE: u8 = 2;

#[test]
fn a_card_goes_and_comes_back() {
    // What the target's device is called, and the BAR that the driver uses (PCI 3.0, section 6.2.5.1).
    for (name, card, target, bar) in [
        ("card-goes-by-name", "virtio-net-pci", "eth0", 0x20),
        ("card-goes-by-mac", "virtio-net-pci", "52:54:00:12:34:56", 0x20),
        ("card-goes-e1000", "e1000", "eth0", 0x10),
    ] {
        let qtest = Qtest::new(name);
        let parameters = format!("debug netconsole=+@10.0.0.1/{target},@10.0.0.2/");
        // What it had taken when it went comes again.
        let boot = Boot::new(name, parameters).nics([Nic::device(card).peer(Peer::at("10.0.0.2"))]).repeats();
        let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
        let mut ports = qtest.accept();
        machine.wait_for_text(TARGET, "network logging started");
        machine.wait_until_idle();

        let place = machine.while_stopped(|| {
            let place = ports.read_configuration(DEVICE, bar);
            ports.write_configuration(DEVICE, bar, 0xe000_0000);
            place
        });
        machine.type_in("netconsole=@/gone,@10.0.0.9/\r");
        machine.wait_for_serial("gone doesn't exist");
        machine.wait_for_serial("eth0: link is down");
        let sent = machine.count(TARGET);
        machine.type_in("netconsole=@/still-gone,@10.0.0.9/\r");
        machine.wait_for_serial("still-gone doesn't exist");
        assert_eq!(machine.count(TARGET), sent);

        machine.while_stopped(|| ports.write_configuration(DEVICE, bar, place));
        // In the order in which they were logged, as `Boot` checks, with nothing missing.
        for text in ["gone doesn't exist", "link is down", "still-gone doesn't exist", "link is up"] {
            machine.wait_for_text(TARGET, text);
        }
        machine.stop();
    }
}
