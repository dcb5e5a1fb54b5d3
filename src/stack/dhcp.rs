//! The DHCP client (RFC 2131), which is smoltcp's, and how it is set up.

use crate::host_name::HostName;
use crate::wire::MacAddr;
use core::net::Ipv4Addr;
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::dhcpv4::Socket;
use smoltcp::time::Duration;
use smoltcp::wire::{DhcpOption, DhcpPacket};

// Options (RFC 2132).
const SUBNET_MASK: u8 = 1;
const ROUTER: u8 = 3;
const DOMAIN_NAME_SERVER: u8 = 6;
const HOST_NAME: u8 = 12;
const NTP_SERVERS: u8 = 42;
const MESSAGE_TYPE: u8 = 53;

const ACK: u8 = 5;

/// The first wait of RFC 2131, section 4.1. smoltcp repeats it without doubling it.
const DISCOVER_TIMEOUT: Duration = Duration::from_secs(4);
/// A server that offered an address answers the request for it soon, or the request was lost.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest host name in bytes, as in Linux.
const HOSTNAME_MAX: usize = 64;

/// The memory that a [`Stack`](super::Stack) borrows for its DHCP client, which smoltcp wants to be
/// elsewhere.
pub struct Storage<'a> {
    socket: [SocketStorage<'a>; 1],
    hostname: Option<DhcpOption<'a>>,
}

impl<'a> Storage<'a> {
    /// `hostname` is told to the DHCP server (option 12) unless it is empty or longer than 64 bytes.
    pub fn new(hostname: Option<&'a str>) -> Self {
        let data = hostname.map(str::as_bytes).filter(|name| (1..=HOSTNAME_MAX).contains(&name.len()));
        let hostname = data.map(|data| DhcpOption { kind: HOST_NAME, data });
        Self { socket: [SocketStorage::EMPTY], hostname }
    }

    /// The socket set, with a client in it where DHCP is wanted.
    pub(super) fn sockets(&'a mut self, wanted: bool) -> (SocketSet<'a>, Option<SocketHandle>) {
        let mut sockets = SocketSet::new(&mut self.socket[..]);
        let handle = wanted.then(|| {
            let mut socket = Socket::new();
            let mut retries = socket.get_retry_config();
            retries.discover_timeout = DISCOVER_TIMEOUT;
            retries.initial_request_timeout = REQUEST_TIMEOUT;
            socket.set_retry_config(retries);
            socket.set_outgoing_options(self.hostname.as_slice());
            socket.set_parameter_request_list(&[
                SUBNET_MASK,
                ROUTER,
                DOMAIN_NAME_SERVER,
                HOST_NAME,
                NTP_SERVERS,
            ]);
            sockets.add(socket)
        });
        (sockets, handle)
    }
}

/// What an acknowledgement tells beyond what smoltcp makes use of.
#[derive(Clone, Copy)]
pub(super) struct Told {
    /// The first of the NTP servers.
    pub ntp_server: Option<Ipv4Addr>,
    /// The machine's name.
    pub host_name: Option<HostName>,
}

impl Told {
    /// As before any acknowledgement.
    pub const NOTHING: Self = Self { ntp_server: None, host_name: None };

    /// What `message` tells the station `mac`; `None` where it is no acknowledgement for it.
    pub fn by(message: &[u8], mac: MacAddr) -> Option<Self> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let find = |kind| packet.options().find(|option| option.kind == kind).map(|option| option.data);
        if packet.client_hardware_address().0 != mac.0 || find(MESSAGE_TYPE)? != [ACK] {
            return None;
        }
        let ntp_server = find(NTP_SERVERS).and_then(<[u8]>::first_chunk::<4>).copied().map(Ipv4Addr::from);
        Some(Self { ntp_server, host_name: find(HOST_NAME).and_then(HostName::new) })
    }
}
