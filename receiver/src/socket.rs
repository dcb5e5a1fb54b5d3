//! UDP sockets: large buffers, datagrams in batches, IPv4 also through IPv6.

use std::collections::HashSet;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{
    BindToDevice, Ipv6V6Only, RcvBuf, RcvBufForce, ReceiveTimeout, ReuseAddr, ReusePort, RxqOvfl,
};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, SockaddrIn6,
    SockaddrStorage, bind, getsockopt, recvmmsg, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use nix::{getsockopt_impl, sockopt_impl};

use crate::clock::Clock;
use crate::limits;
use crate::pace::Pace;
use crate::share::Share;

/// How long a [`Taker`] waits for a datagram, so that its thread can be asked to end.
const TAKE_MOST: TimeVal = TimeVal::new(0, 200_000);
/// How many a socket that was quiet is to give at once.
const EXPECTED_LEAST: usize = 4;
/// So often at most is taken at once what came before the senders were shared, however fast more comes.
const FIRST_ROUNDS: usize = 64;

/// Datagrams that were taken together.
#[derive(Debug)]
pub struct Batch {
    /// The number of the socket.
    pub via: usize,
    /// When, since the Unix epoch.
    pub at: Duration,
    /// Datagrams that this host dropped so far, because the socket's buffer was full.
    pub dropped: u32,
    bytes: Vec<u8>,
    datagrams: Vec<Taken<Range<usize>>>,
}

/// A datagram that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<B> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Its payload, at most [`limits::DATAGRAM_BYTES`].
    pub bytes: B,
    /// It was longer: its end was cut off.
    pub is_cut: bool,
}

impl Batch {
    /// Each datagram.
    pub fn datagrams(&self) -> impl Iterator<Item = Taken<&[u8]>> {
        let with_bytes = |Taken { from, bytes, is_cut }: &Taken<Range<usize>>| Taken {
            from: *from,
            bytes: self.bytes.get(bytes.clone()).unwrap_or_default(),
            is_cut: *is_cut,
        };
        self.datagrams.iter().map(with_bytes)
    }

    /// The memory that it takes, roughly.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.datagrams.len() * size_of::<Taken<Range<usize>>>()
    }
}

sockopt_impl!(
    /// The socket's memory; its last number is the datagrams dropped (linux/sock_diag.h, SK_MEMINFO_DROPS).
    MemInfo, GetOnly, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; 9]);

/// Datagrams that were dropped so far because the socket's buffer was full, also where none has come since; `None`
/// where the system does not tell.
pub fn dropped(socket: &UdpSocket) -> Option<u32> {
    getsockopt(socket, MemInfo).ok().and_then(|memory| memory.last().copied())
}

/// How many bytes the socket's buffer has, of [`limits::SOCKET_BYTES`] that were asked for.
pub fn buffer_bytes(socket: &UdpSocket) -> usize {
    // Linux doubles what is asked for, and tells the double.
    getsockopt(socket, RcvBuf).unwrap_or_default() / 2
}

/// Gives a socket a buffer: beyond the host's limit where we may, up to it where not.
pub fn set_buffer_bytes(socket: &impl AsFd, bytes: usize) -> nix::Result<()> {
    setsockopt(socket, RcvBufForce, &bytes).or_else(|_| setsockopt(socket, RcvBuf, &bytes))
}

/// Has the system tell with a datagram how many it dropped.
pub fn tell_drops(socket: &impl AsFd) -> nix::Result<()> {
    setsockopt(socket, RxqOvfl, &1)
}

/// The interface that alone a socket hears.
pub fn device(socket: &impl AsFd) -> Option<String> {
    let name = getsockopt(socket, BindToDevice).ok()?.into_string().ok()?;
    let name = name.trim_end_matches('\0');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Opens a socket with a large buffer, of one interface or all; the unspecified IPv6 address hears IPv4 too, and means IPv4 alone on a
/// host without IPv6.
pub fn open(address: SocketAddr, interface: Option<&str>) -> io::Result<UdpSocket> {
    match open_one(address, interface, false) {
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) =>
        {
            Ok(open_one((Ipv4Addr::UNSPECIFIED, address.port()).into(), interface, false)?)
        }
        opened => Ok(opened?),
    }
}

/// Opens another socket at the address of one that lets others share it (`SO_REUSEPORT`).
pub fn open_beside(address: SocketAddr, interface: Option<&str>) -> io::Result<UdpSocket> {
    Ok(open_one(address, interface, true)?)
}

fn open_one(address: SocketAddr, interface: Option<&str>, is_beside: bool) -> Result<UdpSocket, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let file: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    set_buffer_bytes(&file, limits::SOCKET_BYTES)?;
    tell_drops(&file)?;
    if is_beside {
        setsockopt(&file, ReusePort, &true)?;
    }
    if let Some(interface) = interface {
        setsockopt(&file, BindToDevice, &interface.into())?;
    }
    match address {
        SocketAddr::V4(v4) => {
            if v4.ip().is_multicast() {
                setsockopt(&file, ReuseAddr, &true)?;
            }
            bind(file.as_raw_fd(), &SockaddrIn::from(v4))?;
        }
        SocketAddr::V6(v6) => {
            setsockopt(&file, Ipv6V6Only, &false)?;
            bind(file.as_raw_fd(), &SockaddrIn6::from(v6))?;
        }
    }
    Ok(UdpSocket::from(file))
}

/// Joins a multicast group, at the interface that the host's routes choose.
pub fn join(socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, 0),
    }
}

/// Takes datagrams from a socket, many at once.
#[derive(Debug)]
pub struct Taker {
    socket: Arc<UdpSocket>,
    via: usize,
    share: Share,
    clock: Clock,
    buffer: Vec<u8>,
    /// The system tells what it dropped only where that has changed.
    dropped: u32,
    /// This many may come this time: twice as many as the last time, and after a rest the most. To make room for those
    /// each time would cost more than to take one.
    expected: usize,
    pace: Pace,
    rest: Option<Duration>,
}

impl Taker {
    /// From socket number `via`, what its share of the senders sends.
    pub fn new(socket: &Arc<UdpSocket>, via: usize, share: Share, clock: Clock) -> Self {
        // Without it only the next datagram ends a wait.
        let _ = setsockopt(socket, ReceiveTimeout, &TAKE_MOST);
        let buffer = vec![0; limits::BATCH * limits::DATAGRAM_BYTES];
        let (socket, pace) = (Arc::clone(socket), Pace::default());
        Taker { socket, via, share, clock, buffer, dropped: 0, expected: EXPECTED_LEAST, pace, rest: None }
    }

    /// Takes what is there already, also what came before the senders were shared; without waiting. A broadcast is in each of the
    /// sockets: what one before this has taken, which is noted in `earlier`, is left out.
    pub fn take_first(&mut self, earlier: &mut HashSet<(SocketAddr, Vec<u8>)>) -> io::Result<Vec<Batch>> {
        let mut batches = Vec::new();
        for _ in 0..FIRST_ROUNDS {
            self.expected = limits::BATCH;
            match self.receive(MsgFlags::MSG_DONTWAIT) {
                Ok(taken) => {
                    let is_new = |from, bytes: &[u8]| !earlier.contains(&(from, bytes.to_vec()));
                    batches.push(self.pack(&taken, is_new));
                }
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let datagrams = batches.iter().flat_map(Batch::datagrams);
        earlier.extend(datagrams.map(|taken| (taken.from, taken.bytes.to_vec())));
        Ok(batches)
    }

    /// Waits for a datagram and takes what else is there, of very many those of a short time. The error is
    /// [`io::ErrorKind::WouldBlock`] where none has come for a while.
    pub fn take(&mut self) -> io::Result<Batch> {
        if let Some(rest) = self.rest.take() {
            thread::sleep(rest);
            self.expected = limits::BATCH;
        }
        let taken = self.receive(MsgFlags::MSG_WAITFORONE)?;
        let batch = self.pack(&taken, |from, _| self.share.has(from.ip()));
        self.pace.took(taken.len(), batch.at);
        self.rest = self.pace.rest(taken.len());
        Ok(batch)
    }

    /// Who sent each datagram, and the length of what was taken of it.
    fn receive(&mut self, flags: MsgFlags) -> Result<Vec<Taken<usize>>, Errno> {
        // Made each time: the system call overwrites the lengths in it.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(self.expected, Some(cmsg_space!(u32)));
        let chunks = self.buffer.chunks_exact_mut(limits::DATAGRAM_BYTES).take(self.expected);
        let mut slices: Vec<_> = chunks.map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let results = recvmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
        let mut datagrams = Vec::with_capacity(self.expected);
        for result in results {
            for message in result.cmsgs()? {
                if let ControlMessageOwned::RxqOvfl(count) = message {
                    self.dropped = count;
                }
            }
            let from = result.address.and_then(|address| socket_address(&address));
            // A datagram without an address keeps its place, as the buffer's chunks are counted.
            datagrams.push(Taken {
                from: from.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()),
                bytes: result.bytes,
                is_cut: result.flags.contains(MsgFlags::MSG_TRUNC),
            });
        }
        self.expected = datagrams.len().saturating_mul(2).clamp(EXPECTED_LEAST, limits::BATCH);
        Ok(datagrams)
    }

    fn pack(&self, taken: &[Taken<usize>], is_own: impl Fn(SocketAddr, &[u8]) -> bool) -> Batch {
        let mut bytes = Vec::with_capacity(taken.iter().map(|taken| taken.bytes).sum());
        let mut datagrams = Vec::with_capacity(taken.len());
        let chunks = self.buffer.chunks_exact(limits::DATAGRAM_BYTES);
        for (chunk, &Taken { from, bytes: length, is_cut }) in chunks.zip(taken) {
            let chunk = chunk.get(..length).unwrap_or(chunk);
            if !is_own(from, chunk) {
                continue;
            }
            let start = bytes.len();
            bytes.extend_from_slice(chunk);
            datagrams.push(Taken { from, bytes: start..bytes.len(), is_cut });
        }
        Batch { via: self.via, at: self.clock.now(), dropped: self.dropped, bytes, datagrams }
    }
}

/// Sends a datagram, to an IPv4 address also through an IPv6 socket.
pub fn send(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    let is_ipv6 = socket.local_addr()?.is_ipv6();
    let to = match to {
        SocketAddr::V4(v4) if is_ipv6 => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        _ => to,
    };
    socket.send_to(datagram, to).map(|_| ())
}

/// IPv4 as IPv4, also where it came through an IPv6 socket.
fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = SocketAddrV6::from(*storage.as_sockaddr_in6()?);
    Some(match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::from((v4, v6.port())),
        None => v6.into(),
    })
}
