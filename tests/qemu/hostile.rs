//! A network full of strangers: nothing that they send costs a record, and nothing but ARP, NDP and pings is
//! answered.

use crate::harness::{Boot, Content, Machine, Nic, Peer, read_pcap, status, target};
use smoltcp::wire::EthernetAddress;
use std::net::SocketAddr;
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";
const OWN: [u8; 4] = [10, 0, 0, 1];
const STRANGER: [u8; 4] = [10, 0, 0, 66];
const STRANGER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 66]);

fn ethernet(to: EthernetAddress, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &STRANGER_MAC.0, &ether_type.to_be_bytes(), payload].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| b.into())).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

/// An IPv4 packet from the stranger; `fragment` is the field of flags and offset.
fn ipv4(to: [u8; 4], protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let mut header =
        [0x45, 0, length[0], length[1], 0, 7, high, low, 64, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[12..16].copy_from_slice(&STRANGER);
    header[16..].copy_from_slice(&to);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [&header, payload].concat()
}

/// A UDP datagram without a checksum, which IPv4 allows.
fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len() as u16).to_be_bytes();
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length, &[0, 0], data].concat()
}

fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, operation][..], &STRANGER_MAC.0, &sender, &[0; 6], &target].concat()
}

/// A TCP segment with SYN, to `port`.
fn syn(port: u16) -> Vec<u8> {
    let mut segment = [0; 20];
    segment[..2].copy_from_slice(&40000u16.to_be_bytes());
    segment[2..4].copy_from_slice(&port.to_be_bytes());
    segment[12..14].copy_from_slice(&[0x50, 0x02]);
    let pseudo = [&STRANGER[..], &OWN, &[0, 6, 0, 20], &segment].concat();
    let sum = checksum(&pseudo);
    segment[16..18].copy_from_slice(&sum);
    segment.to_vec()
}

/// Frames of every unpleasant kind, to this machine and to all.
fn hostile_frames() -> Vec<Vec<u8>> {
    let (own, all) = (Nic::mac(0), EthernetAddress::BROADCAST);
    let datagram = |to, port, data: &[u8]| ipv4(to, 17, 0x4000, &udp(6666, port, data));
    let whole = ethernet(own, 0x0800, &datagram(OWN, 6665, b"dmesg"));
    let mut frames = vec![
        // ARP: for us, for others, answers that nobody asked for, one in our name.
        ethernet(all, 0x0806, &arp(1, STRANGER, OWN)),
        ethernet(all, 0x0806, &arp(1, STRANGER, [10, 0, 0, 9])),
        ethernet(own, 0x0806, &arp(2, STRANGER, OWN)),
        ethernet(all, 0x0806, &[0xff; 28]),
        // Broadcast.
        ethernet(all, 0x0800, &datagram([255; 4], 6666, b"x")),
        ethernet(all, 0x0800, &datagram([10, 0, 0, 255], 67, &[0; 300])),
        ethernet(all, 0x88cc, &[0; 60]),
        // To closed ports, and commands from a stranger.
        whole.clone(),
        ethernet(own, 0x0800, &datagram(OWN, 53, &[b'?'; 100])),
        ethernet(own, 0x0800, &ipv4(OWN, 6, 0x4000, &syn(22))),
        ethernet(own, 0x0800, &ipv4(OWN, 47, 0x4000, &[0; 40])),
        // VLANs, one within the other.
        ethernet(own, 0x8100, &[&[0, 7, 8, 0][..], &datagram(OWN, 6665, b"dmesg")].concat()),
        ethernet(own, 0x8100, &[&[0, 7, 0x81, 0, 0, 8, 8, 0][..], &datagram(OWN, 6665, b"dmesg")].concat()),
        // Fragments: a first, a middle and a last one, and one that would wrap.
        ethernet(own, 0x0800, &ipv4(OWN, 17, 0x2000, &udp(1, 6665, &[b'f'; 64]))),
        ethernet(own, 0x0800, &ipv4(OWN, 17, 0x2009, &[b'f'; 64])),
        ethernet(own, 0x0800, &ipv4(OWN, 17, 0x0012, &[b'f'; 64])),
        ethernet(own, 0x0800, &ipv4(OWN, 1, 0x1fff, &[b'f'; 1400])),
        // Longer than any frame may be.
        ethernet(own, 0x0800, &datagram(OWN, 6665, &[b'l'; 3000])),
        ethernet(all, 0x0800, &[0xff; 9000]),
        // IPv6 with an extension header that leads nowhere.
        ethernet(
            own,
            0x86dd,
            &[&[0x60, 0, 0, 0, 0, 8, 0, 64][..], &[0xfe; 32], &[60, 255, 0, 0, 0, 0, 0, 0]].concat(),
        ),
    ];
    frames.extend((14..whole.len()).step_by(5).map(|length| whole[..length].to_vec()));
    frames
}

/// The time that passed from the first flood record on QEMU's capture to the last, and how many of the stranger's
/// frames came to the card meanwhile.
fn flooded(capture: &[(Duration, Vec<u8>)]) -> (Duration, usize) {
    let is_record = |frame: &[u8]| frame.windows(14).any(|text| text == b"flood message ");
    let first = capture.iter().position(|(_, frame)| is_record(frame)).expect("a record of the flood");
    let last = capture.iter().rposition(|(_, frame)| is_record(frame)).expect("a record of the flood");
    let during = &capture[first..=last];
    let hostile = during.iter().filter(|(_, frame)| frame.get(6..12) == Some(STRANGER_MAC.as_bytes()));
    (during[during.len() - 1].0 - during[0].0, hostile.count())
}

/// How many a second they are depends on this machine, and is told only; that they come all along is certain.
#[test]
fn hostile_frames_amid_a_flood_cost_no_record() {
    const RECORDS: usize = 60_000;
    const HOSTILE: usize = 1_000;
    let parameters =
        format!("debug console=null flood={RECORDS} netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
    let guest = target().join("tests/hostile/guest.pcap");
    let dump = format!("filter-dump,id=d0,netdev=n0,maxlen=96,file={}", guest.display());
    let nic = Nic::virtio().on_stream().peer(Peer::at("10.0.0.2"));
    let boot = Boot::new("hostile", parameters).nics([nic]);
    let machine = boot.arguments(["-icount", "shift=0", "-object", &dump]).start();
    machine.wait_for_text(TARGET, "flood message 00000000");
    let hostile = hostile_frames();
    assert!(hostile.iter().cycle().any(|frame| !machine.throw(0, frame)), "until the machine's end");
    let capture = machine.end();
    assert_eq!(capture.status, status::GOOD);
    // The harness has checked that all records came, in order; these are the flood's.
    let messages = capture.messages(TARGET);
    let flood = messages.iter().filter(|message| message.text.starts_with("flood message "));
    assert_eq!(flood.count(), RECORDS);
    let (time, frames) = flooded(&read_pcap(&guest));
    let rate = frames as f64 / time.as_secs_f64();
    println!("{frames} frames in {time:?} of the guest's time, {rate:.0} a second");
    assert!(frames >= HOSTILE, "only {frames} hostile frames in {time:?}");
}

/// What goes to the stranger, whatever it is.
fn answers(machine: &Machine, frames: &[Vec<u8>]) -> Vec<Content> {
    let before = machine.sent().len();
    assert!(frames.iter().all(|frame| machine.throw(0, frame)));
    machine.wait_until_quiet(Duration::from_millis(300));
    let sent = machine.sent();
    let to_stranger = |sent: &crate::harness::Sent| {
        let frame = sent.good()?;
        (frame.to_mac == STRANGER_MAC).then(|| frame.content.clone())
    };
    sent[before..].iter().filter_map(to_stranger).collect()
}

#[test]
fn strangers_get_no_answer_but_to_arp_and_ping() {
    let ping = {
        let mut message = [8, 0, 0, 0, 0, 1, 0, 1, b'h', b'i'];
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum);
        ethernet(Nic::mac(0), 0x0800, &ipv4(OWN, 1, 0x4000, &message))
    };
    for (name, parameter, pings) in [("closed", "", 1), ("closed-echo", "netconsole.echo=0", 0)] {
        let parameters = format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ {parameter}");
        let machine = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).start();
        machine.wait_for_text(TARGET, "network logging started");
        machine.wait_until_quiet(Duration::from_millis(300));

        let hostile = answers(&machine, &hostile_frames());
        assert!(matches!(hostile[..], [Content::Arp(_)]), "one asks for our address: {hostile:?}");
        let pinged = answers(&machine, std::slice::from_ref(&ping));
        assert_eq!(pinged.len(), pings, "{pinged:?}");
        assert!(pinged.iter().all(|answer| matches!(answer, Content::Icmp { .. })));

        let capture = machine.stop();
        let target: SocketAddr = TARGET.parse().expect("an address");
        let datagrams = capture.frames().filter_map(|frame| frame.datagram());
        assert!(datagrams.into_iter().all(|(to, _)| to == target), "a datagram to somebody else");
    }
}
