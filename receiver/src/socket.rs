//! The sockets: large buffers, a thread each that takes datagrams in batches, and a bounded queue to the rest.

use std::fmt;
use std::io::{self, BufRead, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv6V6Only, RcvBuf, RcvBufForce, ReuseAddr, RxqOvfl};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, SockaddrIn6,
    SockaddrStorage, bind, recvmmsg, setsockopt, socket,
};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::clock::Clock;
use crate::limits;

/// How long a thread rests while the queue is full; the datagrams wait in the socket's buffer.
const FULL_REST: Duration = Duration::from_millis(1);

/// Why nothing can be received.
#[derive(Debug)]
pub enum Error {
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// The multicast group can't be joined.
    Join(IpAddr, io::Error),
    /// A socket failed.
    Receive(io::Error),
    /// Signals can't be awaited.
    Signals(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen(address, error) => write!(f, "can't listen on {address}: {error}"),
            Error::Join(group, error) => write!(f, "can't join the multicast group {group}: {error}"),
            Error::Receive(error) => write!(f, "can't receive: {error}"),
            Error::Signals(error) => write!(f, "can't await signals: {error}"),
        }
    }
}

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
    datagrams: Vec<(SocketAddr, Range<usize>)>,
}

impl Batch {
    /// Each datagram and who sent it.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.datagrams.iter().map(|(from, range)| (*from, self.bytes.get(range.clone()).unwrap_or_default()))
    }

    /// The memory that it takes, roughly.
    fn size(&self) -> usize {
        self.bytes.len() + self.datagrams.len() * size_of::<(SocketAddr, Range<usize>)>()
    }
}

/// What can happen while waiting.
#[derive(Debug)]
pub enum Input {
    /// Datagrams came.
    Datagrams(Batch),
    /// SIGUSR1: the user wants the counts.
    Stats,
    /// SIGINT or SIGTERM.
    End,
    /// The line of standard input that was asked for, without its end; `None` at the end of all.
    Line(Option<Vec<u8>>),
    /// Nothing came in time.
    Nothing,
}

enum Message {
    Datagrams(Batch),
    Failed(io::Error),
    Signal(i32),
    Line(Option<Vec<u8>>),
}

/// The open sockets.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<Arc<UdpSocket>>,
    messages: Receiver<Message>,
    queued: Arc<AtomicUsize>,
    /// Each has the thread that reads standard input read a line.
    line_wanted: Sender<()>,
}

impl Sockets {
    /// Listens on all addresses, joins the multicast groups, and starts to take datagrams and signals.
    pub fn listen(addresses: &[SocketAddr], groups: &[IpAddr], clock: Clock) -> Result<Self, Error> {
        // First: who sees the sockets may send signals.
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(Error::Signals)?;
        let (sender, messages) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let mut sockets = Vec::new();
        for (via, &address) in addresses.iter().enumerate() {
            let socket = Arc::new(open(address).map_err(|error| Error::Listen(address, error))?);
            for &group in groups {
                join(&socket, group).map_err(|error| Error::Join(group, error))?;
            }
            sockets.push(Arc::clone(&socket));
            let (sender, queued) = (sender.clone(), Arc::clone(&queued));
            thread::spawn(move || take(&socket, via, clock, &sender, &queued));
        }
        let (line_wanted, wanted) = mpsc::channel();
        let lines = sender.clone();
        thread::spawn(move || wanted.iter().try_for_each(|()| lines.send(Message::Line(read_line()))));
        thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(Message::Signal(signal))));
        Ok(Sockets { sockets, messages, queued, line_wanted })
    }

    /// Waits for something to happen.
    pub fn wait(&self, most: Duration) -> Result<Input, Error> {
        match self.messages.recv_timeout(most) {
            Ok(Message::Datagrams(batch)) => {
                self.queued.fetch_sub(batch.size(), Ordering::Relaxed);
                Ok(Input::Datagrams(batch))
            }
            Ok(Message::Signal(SIGUSR1)) => Ok(Input::Stats),
            Ok(Message::Signal(_)) => Ok(Input::End),
            Ok(Message::Line(line)) => Ok(Input::Line(line)),
            Ok(Message::Failed(error)) => Err(Error::Receive(error)),
            Err(RecvTimeoutError::Timeout) => Ok(Input::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Input::End),
        }
    }

    /// Has a line of standard input read, which [`Sockets::wait`] gives when it has come.
    pub fn read_line(&self) {
        // The thread ends only with the program.
        let _ = self.line_wanted.send(());
    }

    /// Sends a datagram; one that can't be sent is as one lost on the way.
    pub fn send(&self, via: usize, to: SocketAddr, datagram: &[u8]) {
        let Some(socket) = self.sockets.get(via) else { return };
        let is_ipv6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        let to = match to {
            SocketAddr::V4(v4) if is_ipv6 => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
            _ => to,
        };
        let _ = socket.send_to(datagram, to);
    }

    /// The address of a socket, for the record.
    pub fn local(&self, via: usize) -> Option<SocketAddr> {
        self.sockets.get(via)?.local_addr().ok()
    }
}

/// Opens a socket; the unspecified IPv6 address hears IPv4 too, and stands for IPv4 alone on a host without IPv6.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    match open_one(address) {
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) =>
        {
            Ok(open_one((Ipv4Addr::UNSPECIFIED, address.port()).into())?)
        }
        opened => Ok(opened?),
    }
}

fn open_one(address: SocketAddr) -> Result<UdpSocket, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let file: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // Beyond the host's limit where we may, up to it where not.
    if setsockopt(&file, RcvBufForce, &limits::SOCKET_BYTES).is_err() {
        setsockopt(&file, RcvBuf, &limits::SOCKET_BYTES)?;
    }
    setsockopt(&file, RxqOvfl, &1)?;
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

fn join(socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, 0),
    }
}

/// The next line of standard input, without its end; `None` at the end, or where it can't be read.
fn read_line() -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let length = io::stdin().lock().read_until(b'\n', &mut line).unwrap_or(0);
    line.pop_if(|byte| *byte == b'\n');
    (length > 0).then_some(line)
}

/// A thread's work: from the socket to the queue, until nobody listens.
fn take(socket: &UdpSocket, via: usize, clock: Clock, sender: &Sender<Message>, queued: &AtomicUsize) {
    let mut buffer = vec![0; limits::BATCH * limits::DATAGRAM_BYTES];
    let mut dropped = 0;
    loop {
        while queued.load(Ordering::Relaxed) > limits::QUEUE_BYTES {
            thread::sleep(FULL_REST);
        }
        let message = match receive(socket, &mut buffer, &mut dropped) {
            Ok(datagrams) => {
                let batch = pack(&buffer, &datagrams, via, clock.now(), dropped);
                queued.fetch_add(batch.size(), Ordering::Relaxed);
                Message::Datagrams(batch)
            }
            Err(Errno::EINTR) => continue,
            Err(error) => {
                let _ = sender.send(Message::Failed(error.into()));
                return;
            }
        };
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// Waits for a datagram and takes what else is there. Gives who sent each and its length.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    dropped: &mut u32,
) -> Result<Vec<(SocketAddr, usize)>, Errno> {
    // Made anew each time: the system call overwrites the lengths in it.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(limits::BATCH, Some(cmsg_space!(u32)));
    let mut slices: Vec<_> =
        buffer.chunks_exact_mut(limits::DATAGRAM_BYTES).map(|chunk| [IoSliceMut::new(chunk)]).collect();
    let results =
        recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
    let mut datagrams = Vec::with_capacity(limits::BATCH);
    for result in results {
        for message in result.cmsgs()? {
            if let ControlMessageOwned::RxqOvfl(count) = message {
                *dropped = count;
            }
        }
        let from = result.address.and_then(|address| socket_address(&address));
        // A datagram without an address keeps its place, as the buffer's chunks are counted.
        datagrams.push((from.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()), result.bytes));
    }
    Ok(datagrams)
}

fn pack(buffer: &[u8], taken: &[(SocketAddr, usize)], via: usize, at: Duration, dropped: u32) -> Batch {
    let mut bytes = Vec::with_capacity(taken.iter().map(|(_, length)| length).sum());
    let mut datagrams = Vec::with_capacity(taken.len());
    for (chunk, &(from, length)) in buffer.chunks_exact(limits::DATAGRAM_BYTES).zip(taken) {
        let start = bytes.len();
        bytes.extend_from_slice(chunk.get(..length).unwrap_or(chunk));
        datagrams.push((from, start..bytes.len()));
    }
    Batch { via, at, dropped, bytes, datagrams }
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
