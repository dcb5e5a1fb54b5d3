//! Sockets that were open before this run: systemd's (socket activation, sd_listen_fds(3)), or those of the run that
//! this one goes on from ([`crate::again`]).

use std::env;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use listenfd::ListenFd;

use crate::socket;

/// How one run tells the next what sd_listen_fds(3) has no place for: whether systemd opened the sockets, and how many
/// datagrams each had dropped when it was last said, or that nobody has taken from it yet.
const ABOUT: &str = "NETCONSOLE_RECEIVER_SOCKETS";
const SYSTEMD: &str = "systemd";
const NEW: &str = "new";

/// One of them.
#[derive(Debug)]
pub struct Socket {
    /// The socket.
    pub socket: UdpSocket,
    /// Its number among those that were passed.
    pub number: usize,
    /// Datagrams that it has dropped, as far as it was said; `None`: nobody has taken from it yet.
    pub dropped: Option<u32>,
    local: SocketAddr,
    device: Option<String>,
}

/// All of them, in their order.
#[derive(Debug, Default)]
pub struct Passed {
    sockets: Vec<Socket>,
    is_by_systemd: bool,
    is_by_run: bool,
}

impl Passed {
    /// Takes them, once a run. An error where what was passed is no UDP socket.
    pub fn take() -> io::Result<Self> {
        let about = env::var(ABOUT).ok();
        let mut words = about.as_deref().unwrap_or(SYSTEMD).split(',');
        let is_by_systemd = words.next() == Some(SYSTEMD);
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(passed.len());
        for index in 0..passed.len() {
            let dropped = words.next().and_then(|word| word.parse().ok());
            sockets.extend(passed.take_udp_socket(index)?.map(|socket| (socket, dropped)));
        }
        let is_by_run = about.is_some() && !sockets.is_empty();
        Ok(Passed { is_by_run, ..Passed::new(sockets, is_by_systemd)? })
    }

    /// These sockets, with the datagrams that each has dropped, as far as it was said.
    pub fn new(sockets: Vec<(UdpSocket, Option<u32>)>, is_by_systemd: bool) -> io::Result<Self> {
        let known = |(number, (socket, dropped)): (usize, (UdpSocket, Option<u32>))| {
            socket::tell_drops(&socket)?;
            let (local, device) = (socket.local_addr()?, socket::device(&socket));
            Ok(Socket { socket, number, dropped, local, device })
        };
        let sockets = sockets.into_iter().enumerate().map(known).collect::<io::Result<_>>()?;
        Ok(Passed { sockets, is_by_systemd, is_by_run: false })
    }

    /// Whether this run goes on from another one.
    pub fn is_by_run(&self) -> bool {
        self.is_by_run
    }

    /// Whether systemd says where to listen.
    pub fn is_by_systemd(&self) -> bool {
        self.is_by_systemd && !self.sockets.is_empty()
    }

    /// Takes those at an address, of one interface or all: port 0 is any.
    pub fn at(&mut self, address: SocketAddr, interface: Option<&str>) -> Vec<Socket> {
        let everywhere = |address: SocketAddr| address.ip().is_unspecified();
        let is_there = |socket: &Socket| {
            let is_port = address.port() == 0 || address.port() == socket.local.port();
            // On a host without IPv6 it is IPv4's.
            let is_all = address.ip() == Ipv6Addr::UNSPECIFIED && everywhere(socket.local);
            let is_address = address.ip() == socket.local.ip() || is_all;
            is_port && is_address && interface == socket.device.as_deref()
        };
        let Some(first) = self.sockets.iter().position(is_there) else { return Vec::new() };
        let local = self.sockets.get(first).map(|socket| socket.local);
        self.sockets.extract_if(.., |socket| is_there(socket) && Some(socket.local) == local).collect()
    }

    /// Takes those at the next address, whichever it is.
    pub fn take_next(&mut self) -> Option<(SocketAddr, Vec<Socket>)> {
        let first = self.sockets.first()?;
        let (local, device) = (first.local, first.device.clone());
        Some((local, self.at(local, device.as_deref())))
    }
}

/// What one run says of its sockets to the next, as a variable of its environment.
pub fn about(is_by_systemd: bool, dropped: impl IntoIterator<Item = Option<u32>>) -> (&'static str, String) {
    let mut text = if is_by_systemd { SYSTEMD } else { "own" }.to_owned();
    for dropped in dropped {
        // Writing to a String does not fail.
        let _ = match dropped {
            Some(dropped) => write!(text, ",{dropped}"),
            None => write!(text, ",{NEW}"),
        };
    }
    (ABOUT, text)
}
