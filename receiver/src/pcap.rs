//! Captures: reads pcap and pcapng files, writes what was received as a pcap file.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};

use crate::dissect::{self, Captured, Dissector};
use crate::progress::Progress;

/// Magic number of pcapng, the same in both byte orders.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const HOP_LIMIT: u8 = 64;

/// Why a capture, or a part of it, can't be read.
#[derive(Debug)]
pub enum Error {
    /// The file.
    File(io::Error),
    /// Its content.
    Content(PcapError),
    /// It ends in the middle of a packet.
    Cut,
    /// How many of its packets are of a link layer that is not understood, and which.
    Link(u32, u64),
    /// How many fragments are of datagrams whose first fragment is missing.
    Fragments(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(error) => error.fmt(f),
            Error::Content(error) => write!(f, "not a readable capture: {error}"),
            Error::Cut => f.write_str("the file ends in the middle of a packet: what is before was read"),
            Error::Link(link, count) => write!(
                f,
                "{count} packets have the link type {link}, which is not understood; tcpdump -y EN10MB captures \
                 Ethernet, -i any what every interface has"
            ),
            Error::Fragments(count) => {
                write!(f, "{count} IP fragments belong to datagrams whose first fragment is not in the file")
            }
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::File(error)
    }
}

impl From<PcapError> for Error {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Error::Cut,
            PcapError::IoError(error) => Error::File(error),
            error => Error::Content(error),
        }
    }
}

/// Reads a capture; what holds no UDP is passed over, and what can't be read is told at the end.
pub struct Capture {
    packets: Packets,
    dissector: Dissector,
    /// Found, and not yet given out.
    found: VecDeque<Captured>,
    is_over: bool,
    /// The time of the last packet.
    at: Duration,
    problems: Vec<Error>,
    /// Packets of each link layer that is not understood.
    unknown: BTreeMap<u32, u64>,
}

enum Packets {
    Pcap(PcapReader<BufReader<Progress<File>>>),
    PcapNg(PcapNgReader<BufReader<Progress<File>>>),
}

/// A packet as it is in the file.
struct Packet {
    /// `None`: as the one before.
    at: Option<Duration>,
    link: DataLink,
    bytes: Vec<u8>,
}

impl Capture {
    /// Opens a capture. How far it is read is said where a terminal shows nothing else.
    pub fn open(path: &Path, is_shown: bool) -> Result<Self, Error> {
        let mut file = File::open(path)?;
        let mut magic = [0; PCAPNG.len()];
        file.read_exact(&mut magic)?;
        file.rewind()?;
        let size = file.metadata()?.len();
        let file = BufReader::new(Progress::new(file, size, is_shown));
        let packets = match magic {
            PCAPNG => Packets::PcapNg(PcapNgReader::new(file)?),
            _ => Packets::Pcap(PcapReader::new(file)?),
        };
        Ok(Capture {
            packets,
            dissector: Dissector::default(),
            found: VecDeque::new(),
            is_over: false,
            at: Duration::ZERO,
            problems: Vec::new(),
            unknown: BTreeMap::new(),
        })
    }

    /// What could not be read so far.
    pub fn problems(&self) -> impl Iterator<Item = &Error> {
        self.problems.iter()
    }

    /// Reads a packet, or at the end what there is of datagrams whose fragments are not all there.
    fn read(&mut self) {
        let mut found = Vec::new();
        match self.packets.next() {
            Ok(Some(Packet { link, .. })) if !dissect::is_known(link) => {
                let count = self.unknown.entry(link.into()).or_default();
                *count = count.saturating_add(1);
            }
            Ok(Some(packet)) => {
                self.at = packet.at.unwrap_or(self.at);
                self.dissector.frame(self.at, packet.link, &packet.bytes, &mut found);
            }
            ended => {
                self.is_over = true;
                self.dissector.finish(&mut found);
                self.problems.extend(ended.err());
                let unknown = self.unknown.iter().map(|(&link, &count)| Error::Link(link, count));
                self.problems.extend(unknown);
                let lost = self.dissector.lost();
                self.problems.extend((lost > 0).then_some(Error::Fragments(lost)));
            }
        }
        self.found.extend(found);
    }
}

/// The datagrams.
impl Iterator for Capture {
    type Item = Captured;

    fn next(&mut self) -> Option<Captured> {
        while self.found.is_empty() && !self.is_over {
            self.read();
        }
        self.found.pop_front()
    }
}

impl Packets {
    fn next(&mut self) -> Result<Option<Packet>, Error> {
        match self {
            Packets::Pcap(reader) => {
                let header = reader.header();
                // Raw: the crate refuses packets that are longer than the capture took of them.
                let Some(packet) = reader.next_raw_packet().transpose()? else { return Ok(None) };
                let unit = match header.ts_resolution {
                    TsResolution::MicroSecond => 1000,
                    TsResolution::NanoSecond => 1,
                };
                let part = Duration::from_nanos(u64::from(packet.ts_frac).saturating_mul(unit));
                let at = Duration::from_secs(packet.ts_sec.into()).saturating_add(part);
                Ok(Some(Packet { at: Some(at), link: header.datalink, bytes: packet.data.into_owned() }))
            }
            Packets::PcapNg(reader) => {
                while let Some(block) = reader.next_block().transpose()? {
                    let (interface, units, bytes) = match block {
                        Block::EnhancedPacket(packet) => {
                            // The crate takes every unit for a nanosecond.
                            (packet.interface_id, Some(packet.timestamp.as_nanos()), packet.data.into_owned())
                        }
                        Block::SimplePacket(packet) => (0, None, packet.data.into_owned()),
                        _ => continue,
                    };
                    let number = usize::try_from(interface).ok();
                    let interface = number.and_then(|number| reader.interfaces().get(number));
                    let link = interface.map_or(DataLink::ETHERNET, |interface| interface.linktype);
                    let options = interface.map_or(&[][..], |interface| &interface.options);
                    return Ok(Some(Packet { at: units.map(|units| time(units, options)), link, bytes }));
                }
                Ok(None)
            }
        }
    }
}

/// The time of `units`, of the length that the interface's options tell (draft-ietf-opsawg-pcapng, section
/// 4.2): a negative power of 2 where the highest bit is set, else of 10; a microsecond where they don't.
fn time(units: u128, options: &[InterfaceDescriptionOption<'_>]) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let resolution = options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let resolution = resolution.unwrap_or(6);
    let exponent = u32::from(resolution & 0x7f);
    let base = if resolution & 0x80 == 0 { 10u128 } else { 2 };
    let a_second = base.checked_pow(exponent).unwrap_or(u128::MAX);
    // The units have 64 bits: the product fits.
    let nanos = units.saturating_mul(NANOS) / a_second;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What a capture of [`write()`]'s packets begins with.
pub fn header() -> Vec<u8> {
    /// Of a file with nanoseconds, in the byte order of the rest.
    const MAGIC: u32 = 0xa1b2_3c4d;
    /// 2.4, the major version in the low half.
    const VERSION: u32 = 4 << 16 | 2;
    const TIME_ZONE: u32 = 0;
    const TIME_ACCURACY: u32 = 0;
    const LONGEST: u32 = 0xffff;
    let link = u32::from(DataLink::RAW);
    [MAGIC, VERSION, TIME_ZONE, TIME_ACCURACY, LONGEST, link]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

/// Writes a datagram that came to this local address, as an IP packet without a link layer: what that was, a socket
/// does not say.
pub fn write(capture: &mut Vec<u8>, at: Duration, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    append(capture, at, (from, to), bytes, 0);
}

/// The same for a datagram whose end was cut off: its packet is one of which only the beginning was captured.
pub fn write_cut(capture: &mut Vec<u8>, at: Duration, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    // How much is missing is not known.
    append(capture, at, (from, to), &[bytes, &[0]].concat(), 1);
}

/// Appends the packet of a datagram without its last `missing` bytes.
fn append(
    capture: &mut Vec<u8>,
    at: Duration,
    (from, to): (SocketAddr, SocketAddr),
    bytes: &[u8],
    missing: usize,
) {
    let builder = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), to) => {
            let to = if let IpAddr::V4(to) = to { to } else { Ipv4Addr::UNSPECIFIED };
            PacketBuilder::ipv4(from.octets(), to.octets(), HOP_LIMIT)
        }
        (IpAddr::V6(from), to) => {
            let to = if let IpAddr::V6(to) = to { to } else { Ipv6Addr::UNSPECIFIED };
            PacketBuilder::ipv6(from.octets(), to.octets(), HOP_LIMIT)
        }
    };
    let mut packet = Vec::new();
    // Fails only where the packet would be longer than IP allows, which no datagram received is.
    if builder.udp(from.port(), to.port()).write(&mut packet, bytes).is_err() {
        return;
    }
    // pcap's seconds have 32 bits: it ends in 2106.
    let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let captured = packet.get(..packet.len().saturating_sub(missing)).unwrap_or_default();
    for word in [seconds, at.subsec_nanos(), length(captured), length(&packet)] {
        capture.extend_from_slice(&word.to_le_bytes());
    }
    capture.extend_from_slice(captured);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_time_are_as_the_interface_says() {
        let resolution = |resolution| [InterfaceDescriptionOption::IfTsResol(resolution)];
        assert_eq!(time(1_500_000, &[]), Duration::from_millis(1500));
        assert_eq!(time(1_500_000, &resolution(6)), Duration::from_millis(1500));
        assert_eq!(time(1_500_000_000, &resolution(9)), Duration::from_millis(1500));
        assert_eq!(time(3, &resolution(0x80 | 1)), Duration::from_millis(1500));
        assert_eq!(time(u64::MAX.into(), &resolution(0)), Duration::from_nanos(u64::MAX));
        assert_eq!(time(u64::MAX.into(), &resolution(0xff)), Duration::ZERO);
    }
}
