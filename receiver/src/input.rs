//! What wakes a run: datagrams, signals, lines of standard input. Threads wait for each, and one bounded queue
//! leads to the rest.

use std::fmt;
use std::io::{self, BufRead};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::clock::Clock;
use crate::limits;
use crate::socket::{self, Batch};

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
            Error::Listen(address, error) => {
                write!(f, "can't listen on {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(
                            f,
                            "; another program listens there, see: ss -ulpn; end it, or choose another --port"
                        )
                    }
                    io::ErrorKind::PermissionDenied => write!(f, "; ports below 1024 are for root"),
                    io::ErrorKind::AddrNotAvailable => {
                        write!(f, "; --bind takes an address of this host, see: ip address")
                    }
                    _ => Ok(()),
                }
            }
            Error::Join(group, error) => write!(f, "can't join the multicast group {group}: {error}"),
            Error::Receive(error) => write!(f, "can't receive: {error}"),
            Error::Signals(error) => write!(f, "can't await signals: {error}"),
        }
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

/// Where a run's inputs come together: a thread for each socket, one for signals, one for standard input.
#[derive(Debug)]
pub struct Inputs {
    sockets: Vec<Arc<UdpSocket>>,
    messages: Receiver<Message>,
    queued: Arc<AtomicUsize>,
    /// Each has the thread that reads standard input read a line.
    line_wanted: Sender<()>,
}

impl Inputs {
    /// Listens on all addresses, joins the multicast groups, and starts to take datagrams and signals.
    pub fn listen(
        addresses: &[(SocketAddr, Option<&str>)],
        groups: &[IpAddr],
        clock: Clock,
    ) -> Result<Self, Error> {
        // First: who sees the sockets may send signals.
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(Error::Signals)?;
        let (sender, messages) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let mut sockets = Vec::new();
        for (via, &(address, interface)) in addresses.iter().enumerate() {
            let socket =
                Arc::new(socket::open(address, interface).map_err(|error| Error::Listen(address, error))?);
            for &group in groups {
                socket::join(&socket, group).map_err(|error| Error::Join(group, error))?;
            }
            sockets.push(Arc::clone(&socket));
            let (sender, queued) = (sender.clone(), Arc::clone(&queued));
            thread::spawn(move || take(&socket, via, clock, &sender, &queued));
        }
        let (line_wanted, wanted) = mpsc::channel();
        let lines = sender.clone();
        thread::spawn(move || wanted.iter().try_for_each(|()| lines.send(Message::Line(read_line()))));
        thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(Message::Signal(signal))));
        Ok(Inputs { sockets, messages, queued, line_wanted })
    }

    /// The addresses listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok())
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

    /// Has a line of standard input read, which [`Inputs::wait`] gives when it has come.
    pub fn read_line(&self) {
        // The thread ends only with the program.
        let _ = self.line_wanted.send(());
    }

    /// Sends a datagram; one that can't be sent is as one lost on the way.
    pub fn send(&self, via: usize, to: SocketAddr, datagram: &[u8]) {
        if let Some(socket) = self.sockets.get(via) {
            let _ = socket::send(socket, to, datagram);
        }
    }

    /// Whether more has come already.
    pub fn has_more(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    /// Datagrams that this host dropped so far, by socket, those included of which no later datagram tells.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, u32)> {
        let dropped = |(via, socket): (usize, &Arc<UdpSocket>)| Some((via, socket::dropped(socket)?));
        self.sockets.iter().enumerate().filter_map(dropped)
    }

    /// Bytes of the smallest of the sockets' buffers.
    pub fn buffer_bytes(&self) -> usize {
        self.sockets.iter().map(|socket| socket::buffer_bytes(socket)).min().unwrap_or_default()
    }

    /// The address of a socket, for the record.
    pub fn local(&self, via: usize) -> Option<SocketAddr> {
        self.sockets.get(via)?.local_addr().ok()
    }
}

/// A thread's work: from the socket to the queue, until nobody listens.
fn take(socket: &UdpSocket, via: usize, clock: Clock, sender: &Sender<Message>, queued: &AtomicUsize) {
    let (mut buffer, mut dropped) = (socket::buffer(), 0);
    loop {
        while queued.load(Ordering::Relaxed) > limits::QUEUE_BYTES {
            thread::sleep(FULL_REST);
        }
        let message = match socket::take(socket, &mut buffer, &mut dropped, via, clock) {
            Ok(batch) => {
                queued.fetch_add(batch.size(), Ordering::Relaxed);
                Message::Datagrams(batch)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = sender.send(Message::Failed(error));
                return;
            }
        };
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// The next line of standard input, without its end; `None` at the end, or where it can't be read.
fn read_line() -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let length = io::stdin().lock().read_until(b'\n', &mut line).unwrap_or(0);
    line.pop_if(|byte| *byte == b'\n');
    (length > 0).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What waits in the queue is bounded: above that, datagrams stay in the socket.
    #[test]
    fn a_queue_of_more_than_64_mib_takes_nothing() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let queued = Arc::new(AtomicUsize::new((64 << 20) + 1));
        let (sender, receiver) = mpsc::channel();
        let taker = Arc::clone(&queued);
        thread::spawn(move || take(&socket, 0, Clock::start(), &sender, &taker));
        UdpSocket::bind("127.0.0.1:0").expect("a port").send_to(b"text", address).expect("loopback");
        assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err());
        queued.store(64 << 20, Ordering::Relaxed);
        assert!(matches!(receiver.recv_timeout(Duration::from_secs(10)), Ok(Message::Datagrams(_))));
    }
}
