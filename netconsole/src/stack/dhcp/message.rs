//! DHCP's messages (RFC 2131, section 2): a question written, an answer read.

use super::option::{Options, Told};
use crate::stack::filter::is_unicast;
use crate::wire::{MacAddr, udp};
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOpCode, DhcpOption, DhcpPacket, DhcpRepr,
    EthernetAddress,
};

/// What makes BOOTP's vendor area DHCP's options (RFC 2131, section 3).
const MAGIC: u32 = 0x6382_5363;
/// The shortest message: what is shorter some relays drop (RFC 1542, section 2.1).
const MIN_LEN: usize = 300;
/// What is asked for. The classless routes must come before the router (RFC 3442).
const PARAMETERS: [u8; 6] = [
    super::option::SUBNET_MASK,
    super::option::CLASSLESS_ROUTES,
    super::option::ROUTER,
    super::option::HOST_NAME,
    super::option::MTU,
    super::option::NTP_SERVERS,
];

/// An address and what comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub address: Ipv4Addr,
    /// Who gives it.
    pub server: Ipv4Addr,
    pub told: Told,
}

/// What the client asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(super) kind: DhcpMessageType,
    pub(super) xid: u32,
    pub(super) secs: u16,
    pub(super) mac: MacAddr,
    pub(super) broadcast: bool,
    /// The address that the client has and answers for, which is also where the question comes from; else unspecified.
    pub(crate) client: Ipv4Addr,
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    /// The server that it goes to; `None`: to all.
    pub(crate) renews_with: Option<Ipv4Addr>,
    pub(super) hostname: Option<&'a [u8]>,
}

impl Question<'_> {
    /// Writes the message to the start of `payload`, and returns its length. `None` where it does not fit. `mtu` is
    /// the longest IP packet that may come back, in bytes.
    pub(crate) fn write(&self, mtu: u16, payload: &mut [u8]) -> Option<usize> {
        // Who declines asks for nothing (RFC 2131, table 5).
        let asks = self.kind != DhcpMessageType::Decline;
        let hostname =
            self.hostname.filter(|_| asks).map(|data| DhcpOption { kind: super::option::HOST_NAME, data });
        let message = DhcpRepr {
            message_type: self.kind,
            transaction_id: self.xid,
            secs: self.secs,
            client_hardware_address: EthernetAddress(self.mac.0),
            client_ip: self.client,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: self.broadcast,
            requested_ip: self.requested,
            client_identifier: Some(EthernetAddress(self.mac.0)),
            server_identifier: self.server,
            parameter_request_list: asks.then_some(&PARAMETERS),
            dns_servers: None,
            max_size: asks.then_some(mtu),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: hostname.as_slice(),
        };
        let len = message.buffer_len();
        let whole = payload.get_mut(..len.max(MIN_LEN))?;
        whole.fill(0);
        message.emit(&mut DhcpPacket::new_unchecked(whole.get_mut(..len)?)).ok()?;
        Some(whole.len())
    }
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(super) xid: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It would give this.
    Offer(Lease),
    /// It gives this.
    Acknowledgement(Lease),
    /// This server does not give what was asked for.
    Refusal(Ipv4Addr),
}

impl Answer {
    /// The answer for the station `mac` in a datagram; `None` where it is none. A server is known by its identifier
    /// (option 54), and where it leaves that out by its address; one that has neither can't be asked for its offer.
    pub(crate) fn read(datagram: &udp::Received<'_>, mac: MacAddr) -> Option<Self> {
        let ports = (datagram.source.port, datagram.destination.port);
        let packet = DhcpPacket::new_checked(datagram.payload).ok()?;
        let is_ethernet = (u16::from(packet.hardware_type()), packet.hardware_len()) == (1, 6);
        if ports != (DHCP_SERVER_PORT, DHCP_CLIENT_PORT)
            || packet.opcode() != DhcpOpCode::Reply
            || packet.magic_number() != MAGIC
            || !is_ethernet
            || packet.client_hardware_address().0 != mac.0
        {
            return None;
        }
        let options = Options::of(datagram.payload)?;
        let source = match datagram.source.ip {
            IpAddr::V4(source) => Some(source),
            IpAddr::V6(_) => None,
        };
        let server =
            [options.server_identifier(), source].into_iter().flatten().find(|&ip| is_unicast(ip))?;
        let lease = |address| Lease { address, server, told: Told::by(&options) };
        let address = Some(packet.your_ip()).filter(|&ip| is_unicast(ip));
        let kind = match options.message_type()? {
            DhcpMessageType::Offer => Kind::Offer(lease(address?)),
            DhcpMessageType::Ack => Kind::Acknowledgement(lease(address?)),
            DhcpMessageType::Nak => Kind::Refusal(server),
            _ => return None,
        };
        Some(Self { xid: packet.transaction_id(), kind })
    }
}
