//! Several sockets at one address, which share its senders: what comes from one IP address comes through one socket,
//! so that each machine's datagrams stay in order, whatever ports it sends from.
//!
//! Linux would share them by address and port (`SO_REUSEPORT`). It is given a program, in classic BPF, that does so by
//! the address alone. It runs for what goes to this host: a broadcast comes through each of the sockets, and all but
//! one drop it here ([`Share::has`]).

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReusePort;
use nix::{setsockopt_impl, sockopt_impl};

use crate::limits;
use crate::share::Share;
use crate::socket;

/// Opens `count` sockets at an address, or one where they can't share it: a multicast group, and Linux before 4.5.
/// That another program listens there is an error, also where that one has several.
pub fn open(address: SocketAddr, interface: Option<&str>, count: u32) -> io::Result<Vec<(Share, UdpSocket)>> {
    let first = socket::open(address, interface)?;
    let mut sockets = vec![first];
    if count > 1 && !address.ip().is_multicast() {
        beside(&mut sockets, interface, count)?;
    }
    if sockets.len() > 1 {
        // Together they have what one would have.
        let bytes = (limits::SOCKET_BYTES / sockets.len()).max(limits::SOCKET_BYTES_LEAST);
        sockets.iter().try_for_each(|socket| socket::set_buffer_bytes(socket, bytes))?;
    }
    let of = u32::try_from(sockets.len()).unwrap_or(1);
    Ok(Share::each(of).zip(sockets).collect())
}

/// Goes on with sockets that were opened at one address already, in their order.
pub fn go_on(sockets: Vec<UdpSocket>) -> io::Result<Vec<(Share, UdpSocket)>> {
    let of = u32::try_from(sockets.len()).unwrap_or(1);
    if of > 1
        && let Some(first) = sockets.first()
    {
        share_by_address(first, of)?;
    }
    Ok(Share::each(of).zip(sockets).collect())
}

/// Opens the others beside the first, at the port that it has.
fn beside(sockets: &mut Vec<UdpSocket>, interface: Option<&str>, count: u32) -> io::Result<()> {
    let Some(first) = sockets.first() else { return Ok(()) };
    let address = first.local_addr()?;
    // Only now: the first one was not to share the port with another program's.
    setsockopt(first, ReusePort, &true)?;
    for _ in 1..count {
        sockets.push(socket::open_beside(address, interface)?);
    }
    if let Some(first) = sockets.first()
        && share_by_address(first, count).is_err()
    {
        // By address and port a machine's datagrams would be out of order.
        sockets.truncate(1);
    }
    Ok(())
}

/// Where an absolute load finds the network header (linux/filter.h, `SKF_NET_OFF`).
const NETWORK_HEADER: u32 = libc::SKF_NET_OFF as u32;
/// The source address in the headers of IPv4 (RFC 791) and IPv6 (RFC 8200).
const IPV4_SOURCE: u32 = NETWORK_HEADER + 12;
const IPV6_SOURCE: u32 = NETWORK_HEADER + 8;

const fn step(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn load(bytes: u32, at: u32) -> libc::sock_filter {
    step(libc::BPF_LD | bytes | libc::BPF_ABS, at)
}

const KEEP: libc::sock_filter = step(libc::BPF_MISC | libc::BPF_TAX, 0);
const ADD_KEPT: libc::sock_filter = step(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0);

/// The number of the socket, of `count`, that a packet belongs to: as [`Share::has`] has it.
const fn program(count: u32) -> [libc::sock_filter; 17] {
    /// The steps for IPv4, which those for IPv6 follow.
    const IPV4_STEPS: u8 = 2;
    const IPV6_STEPS: u32 = 10;
    let is_ipv6 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    [
        load(libc::BPF_B, NETWORK_HEADER),
        step(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 4),
        libc::sock_filter { code: is_ipv6 as u16, jt: IPV4_STEPS, jf: 0, k: 6 },
        load(libc::BPF_W, IPV4_SOURCE),
        step(libc::BPF_JMP | libc::BPF_JA, IPV6_STEPS),
        load(libc::BPF_W, IPV6_SOURCE),
        KEEP,
        load(libc::BPF_W, IPV6_SOURCE + 4),
        ADD_KEPT,
        KEEP,
        load(libc::BPF_W, IPV6_SOURCE + 8),
        ADD_KEPT,
        KEEP,
        load(libc::BPF_W, IPV6_SOURCE + 12),
        ADD_KEPT,
        step(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, count),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ]
}

sockopt_impl!(
    /// Which socket of a port has a packet (socket(7), `SO_ATTACH_REUSEPORT_CBPF`).
    ReusePortProgram, SetOnly, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, libc::sock_fprog);

/// Has the system share the senders of a port among its sockets by their addresses.
fn share_by_address(socket: &UdpSocket, count: u32) -> nix::Result<()> {
    let mut steps = program(count);
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    setsockopt(socket, ReusePortProgram, &program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr};

    /// What a socket has got, by now: on loopback sending is receiving.
    fn received(socket: &UdpSocket) -> Vec<String> {
        socket.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 100];
        let mut texts = Vec::new();
        while let Ok(length) = socket.recv(&mut buffer) {
            texts.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        texts
    }

    /// Linux shares as we do, IPv4 and IPv6, from whatever port.
    #[test]
    fn what_one_address_sends_comes_through_one_socket() {
        for count in [2, 3, 7] {
            let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
            let sockets = open(all, None, count).expect("sockets");
            assert_eq!(sockets.len(), count as usize, "Linux is 4.5 or newer");
            let port = sockets[0].1.local_addr().expect("an address").port();
            let addresses: Vec<IpAddr> = (1..=20u8).map(|last| IpAddr::from([127, 0, 0, last])).collect();
            for &ip in addresses.iter().chain([&Ipv6Addr::LOCALHOST.into()]) {
                for _ in 0..5 {
                    let sender = UdpSocket::bind((ip, 0)).expect("loopback");
                    let to = if ip.is_ipv4() { "127.0.0.1" } else { "::1" };
                    sender.send_to(ip.to_string().as_bytes(), (to, port)).expect("loopback");
                }
            }
            let mut all = 0;
            for (share, socket) in &sockets {
                let received = received(socket);
                all += received.len();
                assert!(!received.is_empty(), "{count}: each has a part");
                assert!(received.iter().all(|ip| share.has(ip.parse().expect("an address"))), "{received:?}");
            }
            assert_eq!(all, 21 * 5, "{count}");
        }
    }

    /// Each of the sockets gets it, and one of the shares has it.
    #[test]
    fn a_broadcast_is_one_sockets() {
        let sockets = open(([0, 0, 0, 0], 0).into(), None, 4).expect("sockets");
        let port = sockets[0].1.local_addr().expect("an address").port();
        let sender = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        sender.set_broadcast(true).expect("a socket");
        sender.send_to(b"to all", ("127.255.255.255", port)).expect("loopback");
        assert_eq!(sockets.iter().map(|(_, socket)| received(socket).len()).sum::<usize>(), 4);
        for last in 1..=20 {
            let has = |(share, _): &&(Share, UdpSocket)| share.has([127, 0, 0, last].into());
            assert_eq!(sockets.iter().filter(has).count(), 1);
        }
    }

    #[test]
    fn the_sockets_share_one_buffer_s_bytes() {
        let bytes = |count| {
            let sockets = open(([127, 0, 0, 1], 0).into(), None, count).expect("sockets");
            sockets.iter().map(|(_, socket)| socket::buffer_bytes(socket)).collect::<Vec<_>>()
        };
        // Where the host's limit is lower, that.
        let one = bytes(1)[0];
        assert_eq!(bytes(4), [one.min(limits::SOCKET_BYTES / 4); 4]);
    }

    #[test]
    fn another_program_s_sockets_are_an_error() {
        let sockets = open(([127, 0, 0, 1], 0).into(), None, 2).expect("sockets");
        let address = sockets[0].1.local_addr().expect("an address");
        for count in [1, 2] {
            let error = open(address, None, count).expect_err("the port is taken");
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
