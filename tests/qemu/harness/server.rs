//! What a station that serves DHCP and NTP says: a lease, another when that is renewed, and a time that does not move.

use smoltcp::wire::{DHCP_SERVER_PORT, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use std::net::Ipv4Addr;
use std::time::Duration;

const NTP_PORT: u16 = 123;
const HOST_NAME_OPTION: u8 = 12;
const NTP_SERVERS: u8 = 42;
/// The name that every client gets.
pub const HOST_NAME: &str = "board9.lab";
/// Seconds from NTP's 1900 to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// What a client gets by DHCP.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    /// In seconds; the client asks for more when half of them are over (RFC 2131, section 4.4.5).
    pub duration: u32,
}

/// What is served.
#[derive(Clone, Debug)]
pub struct Service {
    lease: Lease,
    renewal: Lease,
    time: u64,
    options: Vec<(u8, Vec<u8>)>,
    pub(super) delay: Duration,
    leases: usize,
}

impl Service {
    /// A lease, the same when that is renewed, and 1970 as the time.
    pub fn new(lease: Lease) -> Self {
        Self {
            lease,
            renewal: lease,
            time: 0,
            options: Vec::new(),
            delay: Duration::ZERO,
            leases: usize::MAX,
        }
    }

    /// Gives this to who renews.
    pub fn renewal(self, renewal: Lease) -> Self {
        Self { renewal, ..self }
    }

    /// Serves this time, in seconds since 1970.
    pub fn time(self, time: u64) -> Self {
        Self { time, ..self }
    }

    /// Adds a DHCP option to each offer and lease.
    pub fn option(mut self, kind: u8, data: impl AsRef<[u8]>) -> Self {
        self.options.push((kind, data.as_ref().to_vec()));
        self
    }

    /// Answers only after this time.
    pub fn delayed(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Gives or renews `leases` leases, and is silent then.
    pub fn leases(self, leases: usize) -> Self {
        Self { leases, ..self }
    }

    /// The answer to a datagram to `port`, and where it goes, if it is a question.
    pub fn answer(&mut self, own: Ipv4Addr, port: u16, payload: &[u8]) -> Option<Vec<u8>> {
        match port {
            DHCP_SERVER_PORT => self.lease(own, payload),
            NTP_PORT => Some(self.time_answer(payload)),
            _ => None,
        }
    }

    fn lease(&mut self, own: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
        let question = DhcpPacket::new_checked(payload).ok()?;
        let question = DhcpRepr::parse(&question).ok()?;
        let message_type = match question.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            _ => return None,
        };
        if message_type == DhcpMessageType::Ack {
            self.leases = self.leases.checked_sub(1)?;
        } else if self.leases == 0 {
            return None;
        }
        // RFC 2131, section 4.3.2: a client that renews names the address that it has.
        let renews = question.client_ip != Ipv4Addr::UNSPECIFIED;
        let lease = if renews { self.renewal } else { self.lease };
        let ntp = own.octets();
        let mut options = vec![
            DhcpOption { kind: HOST_NAME_OPTION, data: HOST_NAME.as_bytes() },
            DhcpOption { kind: NTP_SERVERS, data: &ntp },
        ];
        options.extend(self.options.iter().map(|(kind, data)| DhcpOption { kind: *kind, data }));
        let answer = DhcpRepr {
            message_type,
            transaction_id: question.transaction_id,
            secs: 0,
            client_hardware_address: EthernetAddress(question.client_hardware_address.0),
            client_ip: question.client_ip,
            your_ip: lease.address,
            server_ip: own,
            router: lease.router,
            subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: true,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(own),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: Some(lease.duration),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &options,
        };
        let mut message = vec![0; answer.buffer_len()];
        answer.emit(&mut DhcpPacket::new_unchecked(&mut message)).expect("a DHCP message");
        Some(message)
    }

    /// RFC 4330, section 5: the question's transmit timestamp comes back as the originate timestamp.
    fn time_answer(&self, question: &[u8]) -> Vec<u8> {
        let mut answer = vec![0; 48];
        answer[0] = 0b00_100_100;
        answer[1] = 1;
        answer[24..32].copy_from_slice(&question[40..48]);
        answer[40..44].copy_from_slice(&((self.time + UNIX_EPOCH) as u32).to_be_bytes());
        answer
    }
}
