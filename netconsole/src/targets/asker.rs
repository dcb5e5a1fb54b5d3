//! Who may ask: whether a datagram that arrived comes from a target. One answer for normal running and for the panic
//! path.
//!
//! Whoever sees the frames can forge all of this. It keeps out everybody else: other stations, and whoever forges a
//! target's address from beyond a router. Where that is too little there is a key (doc/secure.md).

use crate::wire::Endpoint;
use crate::wire::udp::Received;
use core::net::IpAddr;

/// A target as it is sent to: the two ends of its frames, and the VLAN that they go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// This machine's end; its Ethernet address is the card's.
    pub own: Endpoint,
    /// The target's end; its Ethernet address is that of the next hop, which is the gateway's for a target on another
    /// subnet, and broadcast while nobody has answered for it.
    pub target: Endpoint,
    /// The VLAN, if any.
    pub vlan: Option<u16>,
}

impl Route {
    /// Whether a datagram may be a command: it is from the target's address by any port, as another program there may
    /// have sent it, and to the port that the log comes from. It came in the target's VLAN, and from the Ethernet
    /// address that frames to the target go to, where that is known. Panic-safe.
    pub fn may_command(&self, received: &Received<'_>) -> bool {
        let mac_is_known = self.target.mac.is_unicast();
        self.concerns(received)
            && (!mac_is_known || received.source.mac == self.target.mac)
            && received.source.ip == self.target.ip
            && received.destination.port == self.own.port
    }

    /// Whether a datagram may be an answer of the target's receiver by the ncrx protocol: it is from the very address
    /// and port that the log goes to, and to those that it comes from, in the target's VLAN.
    ///
    /// Its Ethernet address does not count. What is asked for goes to the target alone, at a bounded rate, whoever
    /// asks; and where two routers share an address (VRRP), or a receiver two cards, an answer comes from another
    /// Ethernet address than the one that frames go to. Panic-safe.
    pub fn may_answer(&self, received: &Received<'_>) -> bool {
        let ends = |own: &Endpoint, target: &Endpoint| [(own.ip, own.port), (target.ip, target.port)];
        self.concerns(received)
            && ends(&received.destination, &received.source) == ends(&self.own, &self.target)
    }

    /// Whether it came to this card, in this VLAN, from one station. A group's or broadcast's address is nobody's.
    fn concerns(&self, received: &Received<'_>) -> bool {
        received.vlan == self.vlan
            && received.destination.mac == self.own.mac
            && is_station(received.source.ip)
    }
}

/// Whether one station can have this address. Which one is a subnet's broadcast address is not known here.
fn is_station(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !is_broadcast && !ip.is_multicast() && !ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MacAddr;
    use core::net::Ipv4Addr;

    const OWN: Endpoint =
        Endpoint { mac: MacAddr([2, 0, 0, 0, 0, 1]), ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), port: 6665 };
    const TARGET: Endpoint =
        Endpoint { mac: MacAddr([2, 0, 0, 0, 0, 2]), ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), port: 6666 };
    const ROUTE: Route = Route { own: OWN, target: TARGET, vlan: None };
    const GOOD: Received<'_> = Received { source: TARGET, destination: OWN, vlan: None, payload: b"" };

    /// Whether it may be a command, and an answer by ncrx.
    fn taken(route: &Route, received: &Received<'_>) -> (bool, bool) {
        (route.may_command(received), route.may_answer(received))
    }

    fn from(source: Endpoint) -> Received<'static> {
        Received { source, ..GOOD }
    }

    fn to(destination: Endpoint) -> Received<'static> {
        Received { destination, ..GOOD }
    }

    const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);
    const OTHER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

    #[test]
    fn a_command_comes_from_the_target_by_any_port() {
        assert_eq!(taken(&ROUTE, &GOOD), (true, true));
        assert_eq!(taken(&ROUTE, &from(Endpoint { port: 40_000, ..TARGET })), (true, false));
        assert_eq!(taken(&ROUTE, &from(Endpoint { mac: OTHER_MAC, ..TARGET })), (false, true));
        assert_eq!(
            taken(&ROUTE, &to(Endpoint { ip: OTHER_IP, ..OWN })),
            (true, false),
            "another own address"
        );
        for wrong in [
            from(Endpoint { ip: OTHER_IP, ..TARGET }),
            to(Endpoint { port: 6667, ..OWN }),
            to(Endpoint { mac: MacAddr::BROADCAST, ..OWN }),
            Received { vlan: Some(1), ..GOOD },
        ] {
            assert_eq!(taken(&ROUTE, &wrong), (false, false), "{wrong:?}");
        }
    }

    #[test]
    fn the_vlan_is_the_target_s() {
        let route = Route { vlan: Some(7), ..ROUTE };
        assert_eq!(taken(&route, &Received { vlan: Some(7), ..GOOD }), (true, true));
        assert_eq!(taken(&route, &Received { vlan: Some(8), ..GOOD }), (false, false));
        assert_eq!(taken(&route, &GOOD), (false, false));
    }

    /// Until somebody has answered for the target its frames are broadcast, and it may have any Ethernet address.
    #[test]
    fn an_ethernet_address_that_is_not_known_is_not_compared() {
        let route = Route { target: Endpoint { mac: MacAddr::BROADCAST, ..TARGET }, ..ROUTE };
        assert_eq!(taken(&route, &from(Endpoint { mac: OTHER_MAC, ..TARGET })), (true, true));
    }

    #[test]
    fn nobody_speaks_for_a_group() {
        for ip in [[255; 4], [224, 0, 0, 1], [0; 4]].map(IpAddr::from) {
            let target = Endpoint { mac: MacAddr::BROADCAST, ip, ..TARGET };
            let route = Route { target, ..ROUTE };
            assert_eq!(taken(&route, &from(Endpoint { mac: OTHER_MAC, ..target })), (false, false), "{ip}");
        }
    }
}
