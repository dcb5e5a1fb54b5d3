//! From a captured frame to the UDP datagram in it: link layers, IP, fragments of IP put together.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{EtherType, IpNumber, Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket, UdpSlice};
use pcap_file::DataLink;

use crate::limits;

/// A UDP datagram of a capture.
#[derive(Debug, PartialEq, Eq)]
pub struct Captured {
    /// Since the Unix epoch.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// The port that it went to.
    pub port: u16,
    /// Its payload.
    pub bytes: Vec<u8>,
    /// Its end is not in the capture.
    pub is_cut: bool,
}

/// Finds datagrams in frames.
#[derive(Debug, Default)]
pub struct Dissector {
    /// Datagrams of which fragments are missing.
    partial: BTreeMap<Key, Partial>,
    /// Fragments of datagrams whose first one is missing.
    lost: u64,
}

/// What the fragments of a datagram have in common (RFC 791, RFC 8200 section 4.5).
type Key = (IpAddr, IpAddr, u32);

/// A datagram of which not all fragments have come.
#[derive(Debug)]
struct Partial {
    began: Duration,
    pieces: BTreeMap<usize, Vec<u8>>,
    /// Known once the last fragment has come.
    total: Option<usize>,
}

/// Where a fragment belongs.
struct Fragment {
    key: Key,
    offset: usize,
    is_last: bool,
}

/// Whether frames of this link layer are understood.
pub fn is_known(link: DataLink) -> bool {
    matches!(
        link,
        DataLink::ETHERNET
            | DataLink::LINUX_SLL
            | DataLink::LINUX_SLL2
            | DataLink::NULL
            | DataLink::LOOP
            | DataLink::RAW
            | DataLink::IPV4
            | DataLink::IPV6
    )
}

impl Dissector {
    /// Takes a frame; appends the datagram that it holds or completes.
    pub fn frame(&mut self, at: Duration, link: DataLink, frame: &[u8], out: &mut Vec<Captured>) {
        self.give_up(at, out);
        let Some(net) = packet(link, frame).and_then(|packet| packet.net) else { return };
        let Some(payload) = net.ip_payload_ref().filter(|payload| payload.ip_number == IpNumber::UDP) else {
            return;
        };
        let (payload, is_fragment) = (payload.payload, payload.fragmented);
        let Some((from, fragment)) = addresses(&net) else { return };
        if !is_fragment {
            out.extend(datagram(at, from, payload));
            return;
        }
        let Some(Fragment { key, offset, is_last }) = fragment else { return };
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            began: at,
            pieces: BTreeMap::new(),
            total: None,
        });
        partial.add(offset, is_last, payload);
        if partial.is_whole()
            && let Some(partial) = self.partial.remove(&key)
        {
            out.extend(datagram(at, from, &partial.beginning()));
        }
    }

    /// Gives out what there is of datagrams whose fragments are not all there.
    pub fn finish(&mut self, out: &mut Vec<Captured>) {
        let mut left: Vec<_> = std::mem::take(&mut self.partial).into_iter().collect();
        left.sort_by_key(|(_, partial)| partial.began);
        left.into_iter().for_each(|(key, partial)| self.remains(key, &partial, out));
    }

    /// Fragments of datagrams whose first one is missing: not even their ports are known.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Gives up the datagrams that are too old, and the oldest where there are too many.
    fn give_up(&mut self, now: Duration, out: &mut Vec<Captured>) {
        let is_old = |partial: &Partial| now.saturating_sub(partial.began) > limits::IP_FRAGMENT_WAIT;
        while let Some((&key, oldest)) = self.partial.iter().min_by_key(|(_, partial)| partial.began)
            && (self.partial.len() > limits::IP_FRAGMENTED || is_old(oldest))
            && let Some(partial) = self.partial.remove(&key)
        {
            self.remains(key, &partial, out);
        }
    }

    fn remains(&mut self, (from, _, _): Key, partial: &Partial, out: &mut Vec<Captured>) {
        match datagram(partial.began, from, &partial.beginning()) {
            Some(captured) => out.push(captured),
            None => self.lost = self.lost.saturating_add(partial.pieces.len() as u64),
        }
    }
}

impl Partial {
    fn add(&mut self, offset: usize, is_last: bool, payload: &[u8]) {
        if is_last {
            self.total = Some(offset.saturating_add(payload.len()));
        }
        self.pieces.entry(offset).or_insert_with(|| payload.to_vec());
    }

    fn is_whole(&self) -> bool {
        self.total.is_some_and(|total| self.beginning().len() >= total)
    }

    /// What there is from the first byte on without a gap.
    fn beginning(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (&offset, piece) in &self.pieces {
            let Some(new) = bytes.len().checked_sub(offset) else { break };
            bytes.extend_from_slice(piece.get(new..).unwrap_or_default());
        }
        bytes
    }
}

/// The packet in a frame, as much of it as is there. `None`: nothing of it is understood.
fn packet(link: DataLink, frame: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    /// An address family, in the byte order of whoever captured.
    const NULL: usize = 4;
    /// The EtherType is the last field of `LINKTYPE_LINUX_SLL`, and the first of `LINKTYPE_LINUX_SLL2`.
    const SLL: usize = 16;
    const SLL2: usize = 20;
    let typed = |header: usize, at: usize| {
        let kind = u16::from_be_bytes(*frame.get(at..)?.first_chunk()?);
        Some(LaxSlicedPacket::from_ether_type(EtherType(kind), frame.get(header..)?))
    };
    match link {
        DataLink::ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok(),
        DataLink::LINUX_SLL => typed(SLL, SLL - 2),
        DataLink::LINUX_SLL2 => typed(SLL2, 0),
        DataLink::NULL | DataLink::LOOP => LaxSlicedPacket::from_ip(frame.get(NULL..)?).ok(),
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => LaxSlicedPacket::from_ip(frame).ok(),
        _ => None,
    }
}

/// Who sent it, and where it belongs if it is a fragment.
fn addresses(net: &LaxNetSlice<'_>) -> Option<(IpAddr, Option<Fragment>)> {
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let (from, to) = (header.source_addr().into(), header.destination_addr().into());
            let fragment = Fragment {
                key: (from, to, header.identification().into()),
                offset: header.fragments_offset().byte_offset().into(),
                is_last: !header.more_fragments(),
            };
            Some((from, Some(fragment)))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let (from, to) = (header.source_addr().into(), header.destination_addr().into());
            let fragment = ip.extensions().clone().into_iter().find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(fragment) => Some(Fragment {
                    key: (from, to, fragment.identification()),
                    offset: fragment.fragment_offset().byte_offset().into(),
                    is_last: !fragment.more_fragments(),
                }),
                _ => None,
            });
            Some((from, fragment))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// The datagram of UDP's header and payload, as much of it as is there.
fn datagram(at: Duration, from: IpAddr, payload: &[u8]) -> Option<Captured> {
    let udp = UdpSlice::from_slice_lax(payload).ok()?;
    Some(Captured {
        at,
        from: (from, udp.source_port()).into(),
        port: udp.destination_port(),
        bytes: udp.payload().to_vec(),
        is_cut: usize::from(udp.length()) > payload.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    /// An IPv4 packet, cut into fragments whose payloads have `size` bytes.
    fn fragments(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 5], [10, 0, 0, 2], 64).udp(6665, 6666);
        builder.write(&mut whole, text).expect("memory");
        let (header, payload) = whole.split_at(20);
        let chunks = payload.chunks(size).enumerate();
        let count = payload.len().div_ceil(size);
        let packet = |(index, chunk): (usize, &[u8])| {
            let more = if index + 1 < count { 0x2000 } else { 0 };
            let offset = u16::try_from(index * size / 8).expect("short") | more;
            let mut packet = [header, chunk].concat();
            let length = u16::try_from(packet.len()).expect("short");
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            packet[6..8].copy_from_slice(&offset.to_be_bytes());
            packet
        };
        chunks.map(packet).collect()
    }

    fn seen(frames: &[Vec<u8>]) -> (Vec<(Vec<u8>, bool)>, u64) {
        let (mut dissector, mut out) = (Dissector::default(), Vec::new());
        frames.iter().for_each(|frame| dissector.frame(Duration::ZERO, DataLink::RAW, frame, &mut out));
        dissector.finish(&mut out);
        (out.into_iter().map(|captured| (captured.bytes, captured.is_cut)).collect(), dissector.lost())
    }

    #[test]
    fn fragments_in_any_order_and_twice() {
        let text = vec![b'x'; 3000];
        let mut frames = fragments(&text, 1480);
        assert_eq!(frames.len(), 3);
        frames.rotate_left(1);
        frames.insert(1, frames[0].clone());
        assert_eq!(seen(&frames), (vec![(text, false)], 0));
    }

    #[test]
    fn of_a_datagram_with_a_fragment_missing_what_is_before_it_is_read() {
        let text: Vec<u8> = (0..3000u32).map(|index| (index % 251) as u8).collect();
        let mut frames = fragments(&text, 1480);
        frames.remove(1);
        assert_eq!(seen(&frames), (vec![(text[..1472].to_vec(), true)], 0));
        frames.remove(0);
        assert_eq!(seen(&frames), (vec![], 1));
    }

    proptest! {
        #[test]
        fn no_frame_panics(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..20), link in 0usize..5) {
            let links = [DataLink::ETHERNET, DataLink::LINUX_SLL, DataLink::LINUX_SLL2, DataLink::NULL, DataLink::RAW];
            let (mut dissector, mut out) = (Dissector::default(), Vec::new());
            frames.iter().for_each(|frame| dissector.frame(Duration::ZERO, links[link], frame, &mut out));
            dissector.finish(&mut out);
        }
    }
}
