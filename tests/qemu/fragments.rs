//! Records that are longer than a datagram. The command line is one: the kernel logs it.

use crate::harness::{Boot, Content, Lease, MAX_DATAGRAM, Nic, Peer, Service, status};
use std::net::SocketAddr;

#[test]
fn a_long_record_comes_in_parts() {
    // Two bytes a character, so that cutting at any byte would show; 3.3 KiB in all.
    let filler = format!("filler={}", "äöü".repeat(550));
    let parameters =
        format!(r#"debug netconsole="+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,7777@10.0.0.2/" after=exit {filler}"#);
    let capture = Boot::new("fragments", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);

    // Extended: the fragments' offsets were checked when they were put together; every byte is there, escaped.
    let escaped: String = "äöü".bytes().map(|byte| format!(r"\x{byte:02x}")).collect();
    let messages = capture.messages("10.0.0.2:6666");
    let long = messages.iter().find(|message| message.text.contains("filler=")).expect("the command line");
    assert!(long.text.contains(&format!("filler={}", escaped.repeat(550))), "{}", long.text);
    assert!(long.fragments > escaped.len() * 550 / MAX_DATAGRAM, "{} fragments", long.fragments);

    // Basic: consecutive datagrams, cut between characters, which give the text again.
    let datagrams = capture.payloads("10.0.0.2:7777");
    for datagram in &datagrams {
        assert!(datagram.len() <= MAX_DATAGRAM && std::str::from_utf8(datagram).is_ok());
    }
    assert!(capture.text("10.0.0.2:7777").contains(&filler));
    assert!(datagrams.len() > messages.len() + filler.len() / MAX_DATAGRAM - 1);
}

/// A card whose link carries 576 bytes, and a lease that says so: no packet is longer, in each format, in a panic, and
/// in answers.
#[test]
fn no_packet_is_longer_than_the_mtu() {
    // Besides the headers of IPv4 and UDP.
    const ROOM: usize = 576 - 20 - 8;
    const TO: [&str; 3] = ["10.0.0.2:6666", "10.0.0.2:7777", "10.0.0.2:514"];
    let filler = format!("filler={}", "x".repeat(2500));
    let parameters = format!(
        r#"debug netconsole="+@/,@10.0.0.2/;@/,7777@10.0.0.2/;s@/,514@10.0.0.2/" netconsole.input=1 {filler}"#
    );
    let lease = Lease { address: [10, 0, 0, 1].into(), router: None, duration: 3600 };
    for (name, device, service) in [
        ("mtu-card", "virtio-net-pci,host_mtu=576", Service::new(lease)),
        ("mtu-lease", "virtio-net-pci", Service::new(lease).option(26, [2, 0x40])),
    ] {
        let nic = Nic::device(device).peer(Peer::at("10.0.0.3").serving(service)).peer(Peer::at("10.0.0.2"));
        let mut machine = Boot::new(name, parameters.as_str()).nics([nic]).repeats().start();
        for to in TO {
            machine.wait_for_text(to, "network logging started");
        }
        let own: SocketAddr = "10.0.0.1:6665".parse().expect("an address and port");
        machine.send(0, &Peer::at("10.0.0.2").datagram(4321, Nic::mac(0), own, b"dmesg\n"));
        machine.wait_for_text("10.0.0.2:4321", "# ");
        machine.type_in("\rcrash PANIC\r");
        for to in TO {
            machine.wait_for_text(to, "---[ end Kernel panic");
        }
        let capture = machine.stop();
        let mut longest = 0;
        for frame in capture.frames() {
            if let Content::Udp { from, to, payload } = &frame.content {
                assert!(payload.len() <= ROOM, "{name}: {} bytes from {from} to {to}", payload.len());
                longest = longest.max(payload.len());
            }
        }
        assert!(longest > ROOM - 10, "{name}: the room is used: {longest}");
        // The records are whole nevertheless.
        for to in ["10.0.0.2:7777", "10.0.0.2:4321"] {
            assert!(capture.text(to).contains(&filler), "{name}: {to}");
        }
        let messages = capture.messages(TO[0]);
        assert!(messages.iter().any(|message| message.text.contains(&filler) && message.fragments > 4));
    }
}
