//! DHCP's options (RFC 2132), and what is made of them.

use crate::host_name::HostName;
use crate::stack::addressing::{Route, Routes};
use crate::stack::filter::is_unicast;
use core::net::Ipv4Addr;
use smoltcp::wire::DhcpMessageType;

const PAD: u8 = 0;
const END: u8 = 255;
pub(super) const SUBNET_MASK: u8 = 1;
pub(super) const ROUTER: u8 = 3;
pub(super) const HOST_NAME: u8 = 12;
pub(super) const MTU: u8 = 26;
pub(super) const NTP_SERVERS: u8 = 42;
const LEASE_TIME: u8 = 51;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const SERVER_IDENTIFIER: u8 = 54;
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
pub(super) const CLASSLESS_ROUTES: u8 = 121;

/// A message's options. There may be more of them in the fields for the server's and the boot file's names (option 52).
pub(super) struct Options<'m> {
    areas: [&'m [u8]; 3],
}

impl<'m> Options<'m> {
    /// The options of a message; `None` where it ends before them.
    pub(super) fn of(message: &'m [u8]) -> Option<Self> {
        let own = message.get(240..)?;
        let overload = match find([own], OVERLOAD).next() {
            Some(&[overload]) => overload,
            _ => 0,
        };
        let area = |bit: u8, from: usize, to: usize| {
            if overload & bit != 0 { message.get(from..to).unwrap_or_default() } else { &[] }
        };
        Some(Self { areas: [own, area(1, 108, 236), area(2, 44, 108)] })
    }

    /// The bytes of an option, which may come in several parts (RFC 3396).
    fn bytes(&self, kind: u8) -> impl Iterator<Item = u8> {
        find(self.areas, kind).flatten().copied()
    }

    /// An option of one fixed length; `None` where it is missing or has another.
    fn fixed<const N: usize>(&self, kind: u8) -> Option<[u8; N]> {
        find(self.areas, kind).next().and_then(|data| data.try_into().ok())
    }

    /// The first of a list of addresses that a station can have.
    fn station(&self, kind: u8) -> Option<Ipv4Addr> {
        let mut bytes = self.bytes(kind);
        core::iter::from_fn(|| next_address(&mut bytes)).find(|&ip| is_unicast(ip))
    }

    pub(super) fn message_type(&self) -> Option<DhcpMessageType> {
        self.fixed(MESSAGE_TYPE).map(|[kind]| DhcpMessageType::from(kind))
    }

    pub(super) fn server_identifier(&self) -> Option<Ipv4Addr> {
        self.fixed::<4>(SERVER_IDENTIFIER).map(Ipv4Addr::from)
    }

    /// The default router and the other routes of option 121 (RFC 3442); `None` where there is none, or it breaks off in
    /// the middle of a route.
    fn classless_routes(&self) -> Option<(Option<Ipv4Addr>, Routes)> {
        let mut bytes = self.bytes(CLASSLESS_ROUTES).peekable();
        bytes.peek()?;
        let (mut default, mut routes) = (None, Routes::NONE);
        while let Some(prefix) = bytes.next() {
            let significant = usize::from(prefix.div_ceil(8));
            let mut network = [0; 4];
            for byte in network.get_mut(..significant)? {
                *byte = bytes.next()?;
            }
            let router = next_address(&mut bytes)?;
            let router =
                if router.is_unspecified() { None } else { Some(router).filter(|&ip| is_unicast(ip)) };
            match prefix {
                0 => default = default.or(router),
                1..=32 => routes.add(Route::new(network.into(), prefix, router)),
                _ => return None,
            }
        }
        Some((default, routes))
    }
}

/// The data of each option of this kind, up to an area's end or the first option that is cut short.
fn find<const N: usize>(areas: [&[u8]; N], wanted: u8) -> impl Iterator<Item = &[u8]> {
    areas.into_iter().flat_map(move |mut rest| {
        core::iter::from_fn(move || {
            loop {
                match *rest {
                    [PAD, ref behind @ ..] => rest = behind,
                    [kind, len, ref behind @ ..] if kind != END => {
                        let (data, behind) = behind.split_at_checked(len.into())?;
                        rest = behind;
                        if kind == wanted {
                            return Some(data);
                        }
                    }
                    _ => return None,
                }
            }
        })
    })
}

fn next_address(bytes: &mut impl Iterator<Item = u8>) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    for octet in &mut octets {
        *octet = bytes.next()?;
    }
    Some(octets.into())
}

/// What comes with an address; `None` where the server does not say, or not so that it makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The subnet's prefix length.
    pub(crate) prefix: Option<u8>,
    /// The router to everywhere else, and the routes besides. Where there are classless routes, the router is
    /// theirs or none: the router option does not count then (RFC 3442).
    router: Option<Ipv4Addr>,
    classless: Option<(Option<Ipv4Addr>, Routes)>,
    /// The longest IP packet in bytes.
    pub(crate) mtu: Option<u16>,
    /// The machine's name.
    pub(crate) host_name: Option<HostName>,
    /// The first of the NTP servers.
    pub(crate) ntp_server: Option<Ipv4Addr>,
    /// In seconds: how long the lease lasts, and when it is to be renewed with its server and with any.
    pub(super) lease: Option<u32>,
    pub(super) renew: Option<u32>,
    pub(super) rebind: Option<u32>,
}

impl Told {
    /// As before any lease.
    pub(crate) const NOTHING: Self = Self {
        prefix: None,
        router: None,
        classless: None,
        mtu: None,
        host_name: None,
        ntp_server: None,
        lease: None,
        renew: None,
        rebind: None,
    };

    pub(super) fn by(options: &Options<'_>) -> Self {
        let seconds = |kind| options.fixed(kind).map(u32::from_be_bytes);
        let mask = options.fixed(SUBNET_MASK).map(u32::from_be_bytes);
        let is_mask = |mask: &u32| *mask != 0 && mask.leading_ones() == mask.count_ones();
        let host_name = find(options.areas, HOST_NAME).next();
        Self {
            prefix: mask.filter(is_mask).and_then(|mask| u8::try_from(mask.leading_ones()).ok()),
            router: options.station(ROUTER),
            classless: options.classless_routes(),
            mtu: options.fixed(MTU).map(u16::from_be_bytes),
            // Some servers end it with a zero.
            host_name: host_name
                .and_then(|name| name.split(|&byte| byte == 0).next())
                .and_then(HostName::new),
            ntp_server: options.station(NTP_SERVERS),
            lease: seconds(LEASE_TIME),
            renew: seconds(RENEWAL_TIME),
            rebind: seconds(REBINDING_TIME),
        }
    }

    /// The same with what was told `before` where it tells nothing.
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            prefix: self.prefix.or(before.prefix),
            router: self.router.or(before.router),
            classless: self.classless.or(before.classless),
            mtu: self.mtu.or(before.mtu),
            host_name: self.host_name.or(before.host_name),
            ntp_server: self.ntp_server.or(before.ntp_server),
            lease: self.lease.or(before.lease),
            renew: self.renew.or(before.renew),
            rebind: self.rebind.or(before.rebind),
        }
    }

    /// The router to everywhere else, and the routes besides.
    pub(crate) fn routes(&self) -> (Option<Ipv4Addr>, Routes) {
        self.classless.unwrap_or((self.router, Routes::NONE))
    }
}
