//! What wakes a run: datagrams, signals, lines of standard input. Threads wait for each, and one bounded queue
//! leads to the rest. An address may have several sockets, each with a thread: what one machine sends comes through one
//! of them, in order.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::clock::Clock;
use crate::limits;
use crate::question::{Asker, Question};
use crate::shares;
use crate::socket::{self, Batch, Taker};

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
    /// SIGHUP: files are to be opened again, or the terminal has gone.
    Hangup,
    /// SIGINT or SIGTERM.
    End,
    /// The line of standard input that was asked for, without its end; `None` at the end of all.
    Line(Option<Vec<u8>>),
    /// Another thread asks something.
    Question(Question),
    /// Nothing came in time.
    Nothing,
}

enum Message {
    Datagrams(Batch),
    Failed(io::Error),
    Signal(i32),
    Wake,
    Line(Option<Vec<u8>>),
    Question(Question),
}

/// A socket, and the address that it listens at.
#[derive(Debug)]
struct Listener {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
}

/// Where a run's inputs come together: a thread for each socket, one for signals, one for standard input.
#[derive(Debug)]
pub struct Inputs {
    listeners: Vec<Listener>,
    messages: Receiver<Message>,
    queued: Arc<AtomicUsize>,
    /// Each has the thread that reads standard input read a line.
    line_wanted: Sender<()>,
    waker: Sender<Message>,
}

impl Inputs {
    /// Listens on all addresses, with `sockets` sockets at each, joins the multicast groups, and starts to take datagrams
    /// and signals.
    pub fn listen(
        addresses: &[(SocketAddr, Option<&str>)],
        sockets: u32,
        groups: &[IpAddr],
        clock: Clock,
    ) -> Result<Self, Error> {
        // First: who sees the sockets may send signals.
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1]).map_err(Error::Signals)?;
        let (sender, messages) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let mut listeners: Vec<Listener> = Vec::new();
        for &(address, interface) in addresses {
            let failed = |error| Error::Listen(address, error);
            let mut takers = Vec::new();
            for (share, socket) in shares::open(address, interface, sockets).map_err(failed)? {
                for &group in groups {
                    socket::join(&socket, group).map_err(|error| Error::Join(group, error))?;
                }
                let (local, socket) = (socket.local_addr().map_err(failed)?, Arc::new(socket));
                takers.push(Taker::new(&socket, listeners.len(), share, clock));
                listeners.push(Listener { socket, local });
            }
            if takers.len() > 1 {
                // Before any thread: what came while there were fewer sockets goes before what came later.
                let mut earlier = HashSet::new();
                for taker in &mut takers {
                    for batch in taker.take_first(&mut earlier).map_err(Error::Receive)? {
                        put(batch, &sender, &queued);
                    }
                }
            }
            for taker in takers {
                let (sender, queued) = (sender.clone(), Arc::clone(&queued));
                thread::spawn(move || take(taker, &sender, &queued));
            }
        }
        let (line_wanted, wanted) = mpsc::channel();
        let lines = sender.clone();
        let waker = sender.clone();
        thread::spawn(move || wanted.iter().try_for_each(|()| lines.send(Message::Line(read_line()))));
        thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(Message::Signal(signal))));
        Ok(Inputs { listeners, messages, queued, line_wanted, waker })
    }

    /// The addresses listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let mut locals: Vec<_> = self.listeners.iter().map(|listener| listener.local).collect();
        // Those of one address follow each other.
        locals.dedup();
        locals.into_iter()
    }

    /// Waits for something to happen.
    pub fn wait(&self, most: Duration) -> Result<Input, Error> {
        match self.messages.recv_timeout(most) {
            Ok(Message::Datagrams(batch)) => {
                self.queued.fetch_sub(batch.size(), Ordering::Relaxed);
                Ok(Input::Datagrams(batch))
            }
            Ok(Message::Signal(SIGUSR1)) => Ok(Input::Stats),
            Ok(Message::Signal(SIGHUP)) => Ok(Input::Hangup),
            Ok(Message::Signal(_)) => Ok(Input::End),
            Ok(Message::Wake) => Ok(Input::Nothing),
            Ok(Message::Line(line)) => Ok(Input::Line(line)),
            Ok(Message::Question(question)) => Ok(Input::Question(question)),
            Ok(Message::Failed(error)) => Err(Error::Receive(error)),
            Err(RecvTimeoutError::Timeout) => Ok(Input::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Input::End),
        }
    }

    /// What ends a wait, for another thread to call.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let waker = self.waker.clone();
        move || {
            // Without a receiver nobody waits.
            let _ = waker.send(Message::Wake);
        }
    }

    /// By which other threads ask something, which [`Inputs::wait`] gives.
    pub fn asker(&self) -> Asker {
        let asker = self.waker.clone();
        Asker::new(move |question| {
            // Who asks waits in vain then, for as long as it likes to.
            let _ = asker.send(Message::Question(question));
        })
    }

    /// Has a line of standard input read, which [`Inputs::wait`] gives when it has come.
    pub fn read_line(&self) {
        // The thread ends only with the program.
        let _ = self.line_wanted.send(());
    }

    /// Sends a datagram; one that can't be sent is as one lost on the way.
    pub fn send(&self, via: usize, to: SocketAddr, datagram: &[u8]) {
        if let Some(listener) = self.listeners.get(via) {
            let _ = socket::send(&listener.socket, to, datagram);
        }
    }

    /// As if a socket had failed.
    #[cfg(test)]
    pub fn fail(&self) {
        let _ = self.waker.send(Message::Failed(io::ErrorKind::NetworkDown.into()));
    }

    /// Whether more has come already.
    pub fn has_more(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    /// Datagrams that this host dropped so far, by socket, those included of which no later datagram tells.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, u32)> {
        let dropped = |(via, listener): (usize, &Listener)| Some((via, socket::dropped(&listener.socket)?));
        self.listeners.iter().enumerate().filter_map(dropped)
    }

    /// Bytes of the smallest of the sockets' buffers.
    pub fn buffer_bytes(&self) -> usize {
        self.listeners.iter().map(|listener| socket::buffer_bytes(&listener.socket)).min().unwrap_or_default()
    }

    /// The address of a socket, for the record.
    pub fn local(&self, via: usize) -> Option<SocketAddr> {
        self.listeners.get(via).map(|listener| listener.local)
    }
}

/// A thread's work: from the socket to the queue, until nobody listens.
fn take(mut taker: Taker, sender: &Sender<Message>, queued: &AtomicUsize) {
    loop {
        while queued.load(Ordering::Relaxed) > limits::QUEUE_BYTES {
            thread::sleep(FULL_REST);
        }
        let is_heard = match taker.take() {
            Ok(batch) => put(batch, sender, queued),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) => {
                let _ = sender.send(Message::Failed(error));
                false
            }
        };
        if !is_heard {
            return;
        }
    }
}

/// Puts datagrams into the queue; false where nobody listens.
fn put(batch: Batch, sender: &Sender<Message>, queued: &AtomicUsize) -> bool {
    queued.fetch_add(batch.size(), Ordering::Relaxed);
    sender.send(Message::Datagrams(batch)).is_ok()
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
    use crate::share::Share;

    /// What waits in the queue is bounded: above that, datagrams stay in the socket.
    #[test]
    fn a_queue_of_more_than_64_mib_takes_nothing() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let address = socket.local_addr().expect("its address");
        let queued = Arc::new(AtomicUsize::new((64 << 20) + 1));
        let (sender, receiver) = mpsc::channel();
        let taker = Arc::clone(&queued);
        let from = Taker::new(&socket, 0, Share::ALL, Clock::start());
        thread::spawn(move || take(from, &sender, &taker));
        UdpSocket::bind("127.0.0.1:0").expect("a port").send_to(b"text", address).expect("loopback");
        assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err());
        queued.store(64 << 20, Ordering::Relaxed);
        assert!(matches!(receiver.recv_timeout(Duration::from_secs(10)), Ok(Message::Datagrams(_))));
    }
}
