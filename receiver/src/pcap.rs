//! Captures: reads pcap and pcapng files, writes what was received as a pcap file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

/// Magic number of pcapng, the same in both byte orders.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const HOP_LIMIT: u8 = 64;

/// Why a capture can't be read.
#[derive(Debug)]
pub enum Error {
    /// The file.
    File(io::Error),
    /// Its content.
    Content(PcapError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(error) => error.fmt(f),
            Error::Content(error) => write!(f, "not a readable capture: {error}"),
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
            PcapError::IoError(error) => Error::File(error),
            error => Error::Content(error),
        }
    }
}

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
}

/// Reads a capture; what is no whole UDP datagram is passed over.
pub struct Capture {
    packets: Packets,
}

enum Packets {
    Pcap(PcapReader<BufReader<File>>),
    PcapNg(PcapNgReader<BufReader<File>>),
}

impl Capture {
    /// Opens a capture.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path)?;
        let mut magic = [0; PCAPNG.len()];
        file.read_exact(&mut magic)?;
        file.rewind()?;
        let file = BufReader::new(file);
        let packets = match magic {
            PCAPNG => Packets::PcapNg(PcapNgReader::new(file)?),
            _ => Packets::Pcap(PcapReader::new(file)?),
        };
        Ok(Capture { packets })
    }

    /// The next datagram; `None` at the end.
    pub fn next_datagram(&mut self) -> Result<Option<Captured>, Error> {
        loop {
            match self.packets.next()? {
                Some((at, link, packet)) => {
                    if let Some(captured) = datagram(at, link, &packet) {
                        return Ok(Some(captured));
                    }
                }
                None => return Ok(None),
            }
        }
    }
}

impl Packets {
    fn next(&mut self) -> Result<Option<(Duration, DataLink, Vec<u8>)>, Error> {
        match self {
            Packets::Pcap(reader) => {
                let link = reader.header().datalink;
                let packet = reader.next_packet().transpose()?;
                Ok(packet.map(|packet| (packet.timestamp, link, packet.data.into_owned())))
            }
            Packets::PcapNg(reader) => {
                while let Some(block) = reader.next_block().transpose()? {
                    if let Block::EnhancedPacket(packet) = block {
                        // The crate takes every unit for a nanosecond.
                        let (units, data) = (packet.timestamp.as_nanos(), packet.data.to_vec());
                        let number = usize::try_from(packet.interface_id).ok();
                        let interface = number.and_then(|number| reader.interfaces().get(number));
                        let link = interface.map_or(DataLink::ETHERNET, |interface| interface.linktype);
                        let at = time(units, interface.map_or(&[], |interface| &interface.options));
                        return Ok(Some((at, link, data)));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// The time of so many units, of the length that the interface's options tell (draft-ietf-opsawg-pcapng, section
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

fn datagram(at: Duration, link: DataLink, packet: &[u8]) -> Option<Captured> {
    let sliced = match link {
        DataLink::ETHERNET => SlicedPacket::from_ethernet(packet).ok()?,
        DataLink::LINUX_SLL => SlicedPacket::from_linux_sll(packet).ok()?,
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => SlicedPacket::from_ip(packet).ok()?,
        _ => return None,
    };
    let address: IpAddr = match sliced.net? {
        NetSlice::Ipv4(ip) => ip.header().source_addr().into(),
        NetSlice::Ipv6(ip) => ip.header().source_addr().into(),
        _ => return None,
    };
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { return None };
    Some(Captured {
        at,
        from: (address, udp.source_port()).into(),
        port: udp.destination_port(),
        bytes: udp.payload().to_vec(),
    })
}

/// What a capture of [`write`]'s packets begins with.
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
    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    for word in [seconds, at.subsec_nanos(), length, length] {
        capture.extend_from_slice(&word.to_le_bytes());
    }
    capture.extend_from_slice(&packet);
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
