//! A stack on a card in memory, and peers that are written with smoltcp's `wire`.

mod closed;
mod dhcp;
mod ipv4;
mod ipv6;
mod neighbors;

use super::*;
use crate::nic::fake::{Card, MAC};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::*;
use std::collections::VecDeque;

const PEER_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x99]);
const OTHER_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xaa]);
const SECOND: u64 = 1_000_000;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

const DHCP: Addressing = Addressing { ipv4: Ipv4Method::Dhcp, ipv6: None, echo: true };
const STATIC: Addressing = Addressing {
    ipv4: Ipv4Method::Static { address: ADDRESS, prefix: 24, gateway: Some(GATEWAY) },
    ipv6: None,
    echo: true,
};

/// A stack, its card, the time, and what it handed out.
struct Bench {
    stack: Stack<'static>,
    card: Card,
    now: u64,
    inputs: Vec<(IpAddr, Vec<u8>)>,
}

impl Bench {
    fn new(addressing: &Addressing) -> Self {
        Self::on_vlan(addressing, None)
    }

    fn on_vlan(addressing: &Addressing, vlan: Option<u16>) -> Self {
        Self::with(None, 1500, addressing, vlan)
    }

    fn with(hostname: Option<&'static str>, mtu: usize, addressing: &Addressing, vlan: Option<u16>) -> Self {
        let stack = Stack::new(hostname, MAC, mtu, vlan, addressing, 7, 0);
        Self { stack, card: Card::default(), now: 0, inputs: Vec::new() }
    }

    /// Polls once and returns the frames that were sent.
    fn poll(&mut self) -> Vec<Vec<u8>> {
        let inputs = &mut self.inputs;
        self.stack.poll(&mut self.card, self.now, &mut |datagram| {
            inputs.push((datagram.source.ip, datagram.payload.to_vec()));
        });
        assert_eq!(self.card.unkicked, 0, "the card was told of every frame");
        std::mem::take(&mut self.card.sent)
    }

    /// Lets a frame arrive and returns the frames that are sent at once.
    fn hear(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.card.arriving.push_back(frame);
        self.poll()
    }

    /// Runs to `end`, polling only when the stack says it is due or a frame arrives. `peer` sees each
    /// frame and gives its answers. All frames are returned, with the time at which they were sent.
    fn run(&mut self, end: u64, peer: impl FnMut(&[u8]) -> Vec<Vec<u8>>) -> Vec<(u64, Vec<u8>)> {
        self.run_with(0, end, peer)
    }

    /// As [`run`](Self::run), where each answer comes only after `delay`.
    fn run_with(
        &mut self,
        delay: u64,
        end: u64,
        mut peer: impl FnMut(&[u8]) -> Vec<Vec<u8>>,
    ) -> Vec<(u64, Vec<u8>)> {
        let (mut seen, mut under_way) = (Vec::new(), VecDeque::new());
        for _ in 0..100_000 {
            while let Some((at, _)) = under_way.front()
                && *at <= self.now
            {
                self.card.arriving.extend(under_way.pop_front().map(|(_, frame)| frame));
            }
            for frame in self.poll() {
                under_way.extend(peer(&frame).into_iter().map(|answer| (self.now + delay, answer)));
                seen.push((self.now, frame));
            }
            let arrives_at = under_way.front().map_or(u64::MAX, |(at, _)| *at);
            if self.card.arriving.is_empty() && arrives_at > self.now {
                let due = self.stack.due.max(self.now).min(arrives_at);
                if due > end {
                    self.now = end;
                    return seen;
                }
                self.now = due;
            }
        }
        panic!("the stack is due all the time");
    }

    /// All that it has to tell.
    fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.stack.take_news()).collect()
    }

    fn resolve(&mut self, target: IpAddr) -> Resolution {
        let source = self.stack.source_for(target, self.now).expect("a source address");
        self.stack.resolve(&mut self.card, source, target, self.now)
    }
}

/// The frame with an 802.1Q tag.
fn tagged(frame: &[u8], control: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &control.to_be_bytes(), &frame[12..]].concat()
}

fn silent(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

fn hardware(mac: MacAddr) -> EthernetAddress {
    EthernetAddress(mac.0)
}

fn ethernet(
    source: MacAddr,
    destination: MacAddr,
    ethertype: EthernetProtocol,
    len: usize,
    emit: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut bytes = vec![0; EthernetFrame::<&[u8]>::buffer_len(len)];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_src_addr(hardware(source));
    frame.set_dst_addr(hardware(destination));
    frame.set_ethertype(ethertype);
    emit(frame.payload_mut());
    bytes
}

fn arp(operation: ArpOperation, sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: hardware(sender.0),
        source_protocol_addr: sender.1,
        target_hardware_addr: hardware(target.0),
        target_protocol_addr: target.1,
    };
    let destination = if operation == ArpOperation::Request { MacAddr::BROADCAST } else { target.0 };
    ethernet(sender.0, destination, EthernetProtocol::Arp, repr.buffer_len(), |payload| {
        repr.emit(&mut ArpPacket::new_unchecked(payload));
    })
}

/// The ARP packet in a frame: operation, sender, target address.
fn arp_in(frame: &[u8]) -> Option<(ArpOperation, MacAddr, Ipv4Addr, Ipv4Addr)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()?
    else {
        return None;
    };
    Some((operation, MacAddr(source_hardware_addr.0), source_protocol_addr, target_protocol_addr))
}

/// An IP packet in a frame from `source` to `destination`, its payload `len` bytes that `emit` writes.
fn ip(
    source: (MacAddr, IpAddr),
    destination: (MacAddr, IpAddr),
    protocol: IpProtocol,
    hop_limit: u8,
    len: usize,
    emit: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let repr = IpRepr::new(source.1.into(), destination.1.into(), protocol, len, hop_limit);
    let ethertype = match source.1 {
        IpAddr::V4(_) => EthernetProtocol::Ipv4,
        IpAddr::V6(_) => EthernetProtocol::Ipv6,
    };
    ethernet(source.0, destination.0, ethertype, repr.buffer_len(), |payload| {
        repr.emit(&mut *payload, &ChecksumCapabilities::default());
        emit(&mut payload[repr.header_len()..]);
    })
}

fn udp_frame(source: (MacAddr, IpAddr, u16), destination: (MacAddr, IpAddr, u16), data: &[u8]) -> Vec<u8> {
    let repr = UdpRepr { src_port: source.2, dst_port: destination.2 };
    let len = repr.header_len() + data.len();
    ip((source.0, source.1), (destination.0, destination.1), IpProtocol::Udp, 64, len, |bytes| {
        repr.emit(
            &mut UdpPacket::new_unchecked(bytes),
            &source.1.into(),
            &destination.1.into(),
            data.len(),
            |payload| payload.copy_from_slice(data),
            &ChecksumCapabilities::default(),
        );
    })
}

fn icmpv6(source: (MacAddr, Ipv6Addr), destination: (MacAddr, Ipv6Addr), repr: &Icmpv6Repr<'_>) -> Vec<u8> {
    let (from, to) = ((source.0, source.1.into()), (destination.0, destination.1.into()));
    ip(from, to, IpProtocol::Icmpv6, 255, repr.buffer_len(), |bytes| {
        let mut packet = Icmpv6Packet::new_unchecked(bytes);
        repr.emit(&source.1, &destination.1, &mut packet, &ChecksumCapabilities::default());
    })
}

/// The ICMPv6 message in a frame whose checksums are right, and the addresses it goes from and to.
fn icmpv6_in(frame: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr, Icmpv6Repr<'_>)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let packet = Ipv6Packet::new_checked(frame.get(14..)?).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv6 || packet.next_header() != IpProtocol::Icmpv6 {
        return None;
    }
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    let repr = Icmpv6Repr::parse(&source, &destination, &message, &ChecksumCapabilities::default()).ok()?;
    Some((source, destination, repr))
}
