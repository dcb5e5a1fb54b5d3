//! Ethernet II frames (IEEE 802.3, section 3) with an optional 802.1Q tag (IEEE 802.1Q, section 9).

use super::{MacAddr, field};

/// Destination, source and type.
pub const HEADER_LEN: usize = 14;
/// The longest IP packet in bytes (RFC 894, RFC 2464).
pub const MTU: usize = 1500;
/// What an 802.1Q tag adds to the header.
pub const TAG_LEN: usize = 4;
/// The shortest frame without its check sequence; what is shorter is padded.
pub const MIN_FRAME: usize = 60;

/// The types of payload that this kernel knows.
pub mod ether_type {
    /// IPv4 (RFC 894).
    pub const IPV4: u16 = 0x0800;
    /// ARP (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// An 802.1Q tag; the payload's own type follows it.
    pub const VLAN: u16 = 0x8100;
    /// IPv6 (RFC 2464).
    pub const IPV6: u16 = 0x86dd;
}

/// The highest VLAN identifier; 0 means no VLAN and 4095 is reserved (IEEE 802.1Q, table 9-2).
const MAX_VLAN: u16 = 4094;

/// A received frame, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'f> {
    /// Whom it is for.
    pub destination: MacAddr,
    /// Who sent it: always one station's address.
    pub source: MacAddr,
    /// The VLAN that its tag names; `None` without a tag, or with one that only sets a priority.
    pub vlan: Option<u16>,
    /// Whether it has a tag, be it one that only sets a priority.
    pub is_tagged: bool,
    /// The payload's [`ether_type`].
    pub ether_type: u16,
    /// What follows the header, padding included.
    pub payload: &'f [u8],
}

impl Frame<'_> {
    /// Whether it came through the port of a switch that forwards: a port that does not forward yet brings what the
    /// switch itself sends, to the addresses that no bridge forwards (IEEE 802.1Q, table 8-1: spanning tree, LACP,
    /// LLDP) or that bridges answer (MRP), to those of Cisco's protocols (CDP, DTP, UDLD, the spanning tree of each
    /// VLAN), Nortel's, Extreme's and Foundry's; and what tests each port for loops, whatever it is sent to.
    /// Panic-safe.
    pub const fn was_forwarded(&self) -> bool {
        let is_for_switches = matches!(
            self.destination.0,
            [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f | 0x20..=0x2f]
                | [0x01, 0x00, 0x0c, ..]
                | [0x01, 0x00, 0x81, ..]
                | [0x01, 0xe0, 0x2b, ..]
                | [0x00, 0xe0, 0x2b, 0x00, 0x00, _]
                | [0x01, 0xe0, 0x52, ..]
        );
        // MAC control, slow protocols, Realtek's loop detection, 802.1X, LLDP, and the loopback test of Cisco and others.
        let is_of_a_switch = matches!(self.ether_type, 0x8808 | 0x8809 | 0x8899 | 0x888e | 0x88cc | 0x9000);
        !is_for_switches && !is_of_a_switch
    }
}

/// Takes a frame apart; `None` where it ends within its header, its source is no station's address,
/// or its VLAN is the reserved one.
pub fn parse(frame: &[u8]) -> Option<Frame<'_>> {
    let destination = MacAddr(field::read(frame, 0)?);
    let source = MacAddr(field::read(frame, 6)?);
    let outer = field::read_u16(frame, 12)?;
    let (vlan, ether_type, header_len) = if outer == ether_type::VLAN {
        let vlan = field::read_u16(frame, HEADER_LEN)? & 0xfff;
        (Some(vlan), field::read_u16(frame, HEADER_LEN + 2)?, HEADER_LEN + TAG_LEN)
    } else {
        (None, outer, HEADER_LEN)
    };
    if !source.is_unicast() || vlan.is_some_and(|vlan| vlan > MAX_VLAN) {
        return None;
    }
    let (vlan, is_tagged) = (vlan.filter(|&vlan| vlan != 0), vlan.is_some());
    Some(Frame { destination, source, vlan, is_tagged, ether_type, payload: frame.get(header_len..)? })
}

/// Writes a header at the start of `frame` and returns its length: 14 bytes, or 18 with a VLAN.
/// `None` where `frame` is too short or the VLAN is not 1…4094.
pub fn write_header(
    frame: &mut [u8],
    destination: MacAddr,
    source: MacAddr,
    vlan: Option<u16>,
    ether_type: u16,
) -> Option<usize> {
    field::write(frame, 0, destination.0)?;
    field::write(frame, 6, source.0)?;
    let Some(vlan) = vlan else {
        field::write(frame, 12, ether_type.to_be_bytes())?;
        return Some(HEADER_LEN);
    };
    if vlan == 0 || vlan > MAX_VLAN {
        return None;
    }
    field::write(frame, 12, ether_type::VLAN.to_be_bytes())?;
    field::write(frame, HEADER_LEN, vlan.to_be_bytes())?;
    field::write(frame, HEADER_LEN + 2, ether_type.to_be_bytes())?;
    Some(HEADER_LEN + TAG_LEN)
}

/// Makes a frame of `len` bytes at least [`MIN_FRAME`] long and returns its length. The padding is
/// zeros and written here, not by the card, so that nothing that lay in the buffer before leaves the
/// machine (the leak of CVE-2003-0001). `None` where `frame` is too short.
pub fn pad(frame: &mut [u8], len: usize) -> Option<usize> {
    if len >= MIN_FRAME {
        return (len <= frame.len()).then_some(len);
    }
    frame.get_mut(len..MIN_FRAME)?.fill(0);
    Some(MIN_FRAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_blocked_port_brings_was_not_forwarded() {
        for (destination, expected) in [
            ("01:80:c2:00:00:00", false),
            ("01:80:c2:00:00:0e", false),
            ("01:80:c2:00:00:0f", false),
            ("01:00:0c:cc:cc:cc", false),
            ("01:00:0c:cc:cc:cd", false),
            ("01:80:c2:00:00:10", true),
            ("01:00:5e:00:00:fb", true),
            ("ff:ff:ff:ff:ff:ff", true),
            ("52:54:00:12:34:56", true),
        ] {
            let to: MacAddr = destination.parse().expect("an address");
            let mut bytes = [0; MIN_FRAME];
            write_header(&mut bytes, to, MacAddr([2, 0, 0, 0, 0, 1]), None, ether_type::ARP)
                .expect("a header");
            let frame = parse(&bytes).expect("a frame");
            assert_eq!(frame.was_forwarded(), expected, "{destination}");
        }
    }
}
