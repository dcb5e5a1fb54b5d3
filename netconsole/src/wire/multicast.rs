//! The Ethernet addresses that need no asking: groups and broadcast.

use super::MacAddr;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The Ethernet address of a multicast group: the last 23 bits behind 01:00:5e for IPv4 (RFC 1112,
/// section 6.4), the last 32 behind 33:33 for IPv6 (RFC 2464, section 7). `None` for other addresses.
pub fn multicast_mac(ip: IpAddr) -> Option<MacAddr> {
    if !ip.is_multicast() {
        return None;
    }
    Some(MacAddr(match ip {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }))
}

/// Whether `ip` means every station: 255.255.255.255, or, where the own address and prefix length
/// are known, the highest address of that subnet (RFC 919). A /31 or /32 has no such address
/// (RFC 3021).
pub fn is_broadcast(ip: Ipv4Addr, subnet: Option<(Ipv4Addr, u8)>) -> bool {
    let directed = subnet.is_some_and(|(own, prefix_len)| {
        let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
        host_bits > 1 && ip.to_bits() == own.to_bits() | host_bits
    });
    ip.is_broadcast() || directed
}

/// The group that a station with this address joins, to be asked for it (RFC 4291, section 2.7.1).
pub fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., b, c, d] = ip.octets();
    [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff, b, c, d].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac_of(ip: &str) -> Option<String> {
        multicast_mac(ip.parse().expect("an address")).map(|mac| mac.to_string())
    }

    #[test]
    fn groups_have_their_own_ethernet_addresses() {
        assert_eq!(mac_of("224.0.0.251").as_deref(), Some("01:00:5e:00:00:fb"));
        assert_eq!(mac_of("239.129.1.2").as_deref(), Some("01:00:5e:01:01:02"));
        assert_eq!(mac_of("ff02::1:ff28:9c5a").as_deref(), Some("33:33:ff:28:9c:5a"));
        assert_eq!(mac_of("10.0.0.1"), None);
        assert_eq!(mac_of("255.255.255.255"), None);
        assert_eq!(mac_of("fd00::1"), None);
    }

    #[test]
    fn broadcast_is_limited_or_of_the_own_subnet() {
        let is = |ip: [u8; 4], prefix_len| is_broadcast(ip.into(), Some(([10, 1, 2, 3].into(), prefix_len)));
        assert!(is_broadcast(Ipv4Addr::BROADCAST, None));
        assert!(is([255; 4], 24));
        assert!(is([10, 1, 2, 255], 24));
        assert!(is([10, 255, 255, 255], 8));
        assert!(!is([10, 1, 2, 255], 16));
        assert!(!is([10, 1, 3, 255], 24));
        assert!(!is([10, 1, 2, 3], 31), "a point-to-point link has no broadcast");
        assert!(!is([10, 1, 2, 3], 32));
        assert!(!is([10, 1, 2, 3], 200));
        assert!(!is_broadcast([10, 1, 2, 255].into(), None));
    }

    #[test]
    fn the_solicited_node_group_is_rfc_4291s() {
        // The example of RFC 4291, section 2.7.1.
        let ip = "4037::01:800:200e:8c6c".parse().expect("an address");
        assert_eq!(solicited_node(ip).to_string(), "ff02::1:ff0e:8c6c");
    }
}
