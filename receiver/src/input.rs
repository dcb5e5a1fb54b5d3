//! What wakes a run: datagrams, signals, lines of standard input. Threads wait for each, and one bounded queue
//! leads to the rest. An address may have several sockets, each with a thread: what one machine sends comes through one
//! of them, in order.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{self, BufRead};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::clock::Clock;
use crate::limits;
use crate::passed::{self, Passed};
use crate::question::{Asker, Question};
use crate::share::Share;
use crate::shares;
use crate::socket::{self, Batch, Taker};

/// How long a thread rests while the queue is full; the datagrams wait in the socket's buffer.
const FULL_REST: Duration = Duration::from_millis(1);

/// Why nothing can be received.
#[derive(Debug)]
pub enum Error {
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// The address can't be listened on beside this one, at which this run listens.
    Beside(SocketAddr, SocketAddr),
    /// What was passed to the program is no socket of ours.
    Passed(io::Error),
    /// The multicast group can't be joined.
    Join(IpAddr, io::Error),
    /// A socket failed.
    Receive(io::Error),
    /// Signals can't be awaited.
    Signals(io::Error),
    /// No thread could be had.
    Thread(io::Error),
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
            Error::Beside(address, own) => write!(
                f,
                "can't listen on {address} while this run listens on {own}: another --bind at the same port takes a restart"
            ),
            Error::Passed(error) => write!(f, "the sockets that were passed (LISTEN_FDS): {error}"),
            Error::Join(group, error) => write!(f, "can't join the multicast group {group}: {error}"),
            Error::Receive(error) => write!(f, "can't receive: {error}"),
            Error::Signals(error) => write!(f, "can't await signals: {error}"),
            Error::Thread(error) => write!(f, "no thread to receive with: {error}"),
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
    /// SIGUSR2: another run is to go on in this one's place.
    Again,
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
    Signal(Signal),
    Wake,
    Line(Option<Vec<u8>>),
    Question(Question),
}

/// A socket, and the address that it listens at.
#[derive(Debug)]
struct Listener {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    share: Share,
    /// Which of the sockets it was that were passed to this run.
    number: usize,
    /// Datagrams that it had dropped before, as far as it was said; `None`: nobody has taken from it yet.
    dropped: Option<u32>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The addresses, and the interface that alone is listened on.
    pub addresses: Vec<(SocketAddr, Option<String>)>,
    /// How many sockets each address has.
    pub sockets: u32,
    /// Multicast groups to join.
    pub groups: Vec<IpAddr>,
}

/// The sockets that are listened on; nobody takes from them yet.
#[derive(Debug)]
pub struct Listeners {
    /// Those of one address follow each other.
    all: Vec<Listener>,
    is_by_systemd: bool,
}

impl Listeners {
    /// Listens on all addresses, by the sockets that were passed where they are at these; where systemd passed some, on
    /// these alone. Joins the multicast groups.
    pub fn open(places: &Places, mut passed: Passed) -> Result<Self, Error> {
        let is_by_systemd = passed.is_by_systemd();
        let mut opened = Listeners { all: Vec::new(), is_by_systemd };
        if is_by_systemd {
            while let Some((local, sockets)) = passed.take_next() {
                opened.go_on(local, sockets, places)?;
            }
        } else {
            for (address, interface) in &places.addresses {
                match passed.at(*address, interface.as_deref()) {
                    sockets if sockets.is_empty() => opened.add(*address, interface.as_deref(), places)?,
                    sockets => opened.go_on(*address, sockets, places)?,
                }
            }
        }
        Ok(opened)
    }

    fn add(&mut self, address: SocketAddr, interface: Option<&str>, places: &Places) -> Result<(), Error> {
        let failed = |error| Error::Listen(address, error);
        for (share, socket) in shares::open(address, interface, places.sockets).map_err(failed)? {
            join(&socket, &places.groups)?;
            let local = socket.local_addr().map_err(failed)?;
            let socket = Arc::new(socket);
            self.all.push(Listener { socket, local, share, number: 0, dropped: None });
        }
        Ok(())
    }

    fn go_on(
        &mut self,
        address: SocketAddr,
        passed: Vec<passed::Socket>,
        places: &Places,
    ) -> Result<(), Error> {
        let failed = |error| Error::Listen(address, error);
        let (sockets, about): (Vec<_>, Vec<_>) =
            passed.into_iter().map(|socket| (socket.socket, (socket.number, socket.dropped))).unzip();
        for ((share, socket), (number, dropped)) in
            shares::go_on(sockets).map_err(failed)?.into_iter().zip(about)
        {
            join(&socket, &places.groups)?;
            let local = socket.local_addr().map_err(failed)?;
            self.all.push(Listener { socket: Arc::new(socket), local, share, number, dropped });
        }
        Ok(())
    }

    /// The same sockets for another run ([`crate::again`]), and what it is told about them: which datagrams that each
    /// dropped this run has `told` of, by the socket's number. What it drops from then on the next run tells.
    pub fn pass(self, told: &BTreeMap<usize, u32>) -> (Vec<UdpSocket>, (&'static str, String)) {
        let dropped = |listener: &Listener| {
            listener.dropped.map(|before| told.get(&listener.number).copied().unwrap_or(before))
        };
        let about = passed::about(self.is_by_systemd, self.all.iter().map(dropped));
        (self.all.into_iter().filter_map(|listener| Arc::into_inner(listener.socket)).collect(), about)
    }
}

/// Joins the groups, but for those that a socket is in already.
fn join(socket: &UdpSocket, groups: &[IpAddr]) -> Result<(), Error> {
    for &group in groups {
        match socket::join(socket, group) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(Error::Join(group, error)),
            _ => {}
        }
    }
    Ok(())
}

/// What a run is told by signals.
const SIGNALS: [Signal; 5] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];
/// How long their thread waits for one, in ms, so that it can be asked to end.
const SIGNAL_MOST: u8 = 50;

/// The signals, which wait from here on until they are taken, also for a run that goes on in the place of this one. To be
/// called before there is any other thread, which would not hold them back.
pub fn signals() -> Result<SignalFd, Error> {
    let set: SigSet = SIGNALS.into_iter().collect();
    let failed = |error: nix::Error| Error::Signals(error.into());
    set.thread_block().map_err(failed)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)
}

/// A thread's work: from the signals to the queue, until it is to stop. What comes then waits for who takes them next.
fn take_signals(signals: &SignalFd, sender: &Sender<Message>, is_stopping: &AtomicBool) {
    while !is_stopping.load(Ordering::Relaxed) {
        let mut waiting = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut waiting, PollTimeout::from(SIGNAL_MOST));
        while let Ok(Some(info)) = signals.read_signal() {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            if signal.is_some_and(|signal| sender.send(Message::Signal(signal)).is_err()) {
                return;
            }
        }
    }
}

/// A thread that ends with the program.
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new().spawn(work).map_err(Error::Thread)
}

/// Where a run's inputs come together: a thread for each socket, one for signals, one for standard input.
#[derive(Debug)]
pub struct Inputs {
    listeners: Listeners,
    messages: Receiver<Message>,
    queued: Arc<AtomicUsize>,
    /// Each has the thread that reads standard input read a line.
    line_wanted: Sender<()>,
    waker: Sender<Message>,
    /// The threads are to take no more.
    is_stopping: Arc<AtomicBool>,
    /// The threads that still take.
    taking: Arc<AtomicUsize>,
    /// The thread that takes the signals, and whether it is to stop.
    signals: Mutex<Option<JoinHandle<()>>>,
    are_stopping: Arc<AtomicBool>,
}

impl Inputs {
    /// Starts to take datagrams and signals.
    pub fn start(listeners: Listeners, signals: SignalFd, clock: Clock) -> Result<Self, Error> {
        let (sender, messages) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let taking = Arc::new(AtomicUsize::new(listeners.all.len()));
        let taker =
            |(via, listener): (usize, &Listener)| Taker::new(&listener.socket, via, listener.share, clock);
        let mut takers: Vec<Taker> = listeners.all.iter().enumerate().map(taker).collect();
        // Before any thread: what came while an address had fewer sockets goes before what came later.
        for several in listeners.all.chunk_by(|one, other| one.local == other.local) {
            let mut own = takers.split_off(several.len().min(takers.len()));
            std::mem::swap(&mut own, &mut takers);
            if several.len() > 1 && several.iter().all(|listener| listener.dropped.is_none()) {
                let mut earlier = HashSet::new();
                for taker in &mut own {
                    for batch in taker.take_first(&mut earlier).map_err(Error::Receive)? {
                        put(batch, &sender, &queued);
                    }
                }
            }
            for taker in own {
                let (sender, queued) = (sender.clone(), Arc::clone(&queued));
                let (is_stopping, taking) = (Arc::clone(&is_stopping), Arc::clone(&taking));
                spawn(move || {
                    take(taker, &sender, &queued, &is_stopping);
                    taking.fetch_sub(1, Ordering::Release);
                    let _ = sender.send(Message::Wake);
                })?;
            }
        }
        let (line_wanted, wanted) = mpsc::channel();
        let lines = sender.clone();
        let waker = sender.clone();
        spawn(move || wanted.iter().try_for_each(|()| lines.send(Message::Line(read_line()))))?;
        let are_stopping = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&are_stopping);
        let signals = Mutex::new(Some(spawn(move || take_signals(&signals, &sender, &stopping))?));
        Ok(Inputs {
            listeners,
            messages,
            queued,
            line_wanted,
            waker,
            is_stopping,
            taking,
            signals,
            are_stopping,
        })
    }

    /// Has the threads take no more: what comes waits in the sockets. What they have taken still comes by
    /// [`Inputs::wait`].
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether they have, and all that was taken has been waited for.
    pub fn is_stopped(&self) -> bool {
        self.taking.load(Ordering::Acquire) == 0 && !self.has_more()
    }

    /// What a run that goes on at these places listens on: the same sockets, and those that it needs beside.
    pub fn for_next(&self, places: &Places) -> Result<Listeners, Error> {
        // This run takes from all of them. What each has dropped is told when they are passed on.
        let cloned = |listener: &Listener| {
            listener.socket.try_clone().map(|socket| (socket, Some(listener.dropped.unwrap_or_default())))
        };
        let Listeners { all, is_by_systemd } = &self.listeners;
        let sockets = all.iter().map(cloned).collect::<io::Result<_>>().map_err(Error::Passed)?;
        let passed = Passed::new(sockets, *is_by_systemd).map_err(Error::Passed)?;
        Listeners::open(places, passed).map_err(|error| match error {
            Error::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                let own = self.addresses().find(|own| overlap(*own, address));
                own.map_or(Error::Listen(address, error), |own| Error::Beside(address, own))
            }
            error => error,
        })
    }

    /// The addresses listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let mut locals: Vec<_> = self.listeners.all.iter().map(|listener| listener.local).collect();
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
            Ok(Message::Signal(Signal::SIGUSR1)) => Ok(Input::Stats),
            Ok(Message::Signal(Signal::SIGHUP)) => Ok(Input::Hangup),
            Ok(Message::Signal(Signal::SIGUSR2)) => Ok(Input::Again),
            Ok(Message::Signal(_)) => Ok(Input::End),
            Ok(Message::Wake) => Ok(Input::Nothing),
            Ok(Message::Line(line)) => Ok(Input::Line(line)),
            Ok(Message::Question(question)) => Ok(Input::Question(question)),
            Ok(Message::Failed(error)) => Err(Error::Receive(error)),
            Err(RecvTimeoutError::Timeout) => Ok(Input::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Input::End),
        }
    }

    /// Leaves the signals to who takes them next. Whether one to end is among those that came since the last wait.
    pub fn leave_signals(&self) -> bool {
        self.are_stopping.store(true, Ordering::Relaxed);
        let thread = self.signals.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = thread.map(JoinHandle::join);
        loop {
            match self.wait(Duration::ZERO) {
                Ok(Input::End) => return true,
                Ok(Input::Nothing) | Err(_) => return false,
                Ok(_) => {}
            }
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
        if let Some(listener) = self.listeners.all.get(via) {
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
        self.listeners.all.iter().enumerate().filter_map(dropped)
    }

    /// Datagrams that were dropped before this run, as far as it was said, by socket.
    pub fn dropped_before(&self) -> impl Iterator<Item = (usize, u32)> {
        self.listeners.all.iter().map(|listener| listener.dropped.unwrap_or_default()).enumerate()
    }

    /// Bytes of the smallest of the sockets' buffers.
    pub fn buffer_bytes(&self) -> usize {
        let bytes = self.listeners.all.iter().map(|listener| socket::buffer_bytes(&listener.socket));
        bytes.min().unwrap_or_default()
    }

    /// The address of a socket, for the record.
    pub fn local(&self, via: usize) -> Option<SocketAddr> {
        self.listeners.all.get(via).map(|listener| listener.local)
    }
}

/// Whether a socket at one address keeps another one from the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_all = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (is_all || one.ip() == other.ip())
}

/// A thread's work: from the socket to the queue, until nobody listens, or it is to stop.
fn take(mut taker: Taker, sender: &Sender<Message>, queued: &AtomicUsize, is_stopping: &AtomicBool) {
    while !is_stopping.load(Ordering::Relaxed) {
        while queued.load(Ordering::Relaxed) > limits::QUEUE_BYTES {
            thread::sleep(FULL_REST);
        }
        let is_heard = match taker.take() {
            Ok(batch) => put(batch, sender, queued),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                true
            }
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

    use nix::sys::socket::setsockopt;
    use nix::sys::socket::sockopt::ReusePort;

    /// What is dropped behind the last time that this run told of it, the next one tells.
    #[test]
    fn what_was_not_told_of_is_dropped_in_the_next_run() {
        let places =
            Places { addresses: vec![(([127, 0, 0, 1], 0).into(), None)], sockets: 1, groups: Vec::new() };
        let inputs = Inputs::start(
            Listeners::open(&places, Passed::default()).expect("a port"),
            signals().expect("signals"),
            Clock::start(),
        )
        .expect("threads");
        inputs.stop();
        while !inputs.is_stopped() {
            let _ = inputs.wait(Duration::from_secs(1));
        }
        let address = inputs.addresses().next().expect("one");
        let next = inputs.for_next(&places).expect("the same one");
        socket::set_buffer_bytes(&inputs.listeners.all[0].socket, 1).expect("a socket");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
        while socket::dropped(&inputs.listeners.all[0].socket).expect("Linux tells") < 7 {
            sender.send_to(&[b'x'; 1000], address).expect("loopback");
        }
        drop(inputs);
        assert_eq!(next.pass(&BTreeMap::from([(0, 3)])).1.1, "own,3");
    }

    /// Those that a service manager opened shared what came by address and port, until now.
    #[test]
    fn what_waits_in_several_sockets_is_taken_by_whichever_has_it() {
        const SENDERS: usize = 64;
        let first = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = first.local_addr().expect("an address");
        setsockopt(&first, ReusePort, &true).expect("Linux");
        let second = socket::open_beside(address, None).expect("the port is shared");
        let senders: Vec<_> = (0..SENDERS).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
        for sender in &senders {
            sender.send_to(b"text", address).expect("loopback");
        }
        let places = Places { addresses: Vec::new(), sockets: 1, groups: Vec::new() };
        let passed = Passed::new(vec![(first, None), (second, None)], true).expect("sockets");
        let listeners = Listeners::open(&places, passed).expect("both");
        let inputs = Inputs::start(listeners, signals().expect("signals"), Clock::start()).expect("threads");
        let mut taken = 0;
        while taken < SENDERS {
            match inputs.wait(Duration::from_secs(60)).expect("no failure") {
                Input::Datagrams(batch) => taken += batch.datagrams().count(),
                other => panic!("{taken} came, then {other:?}"),
            }
        }
    }

    /// What waits in the queue is bounded: above that, datagrams stay in the socket.
    #[test]
    fn a_queue_of_more_than_64_mib_takes_nothing() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let address = socket.local_addr().expect("its address");
        let queued = Arc::new(AtomicUsize::new((64 << 20) + 1));
        let (sender, receiver) = mpsc::channel();
        let taker = Arc::clone(&queued);
        let from = Taker::new(&socket, 0, Share::ALL, Clock::start());
        thread::spawn(move || take(from, &sender, &taker, &AtomicBool::new(false)));
        UdpSocket::bind("127.0.0.1:0").expect("a port").send_to(b"text", address).expect("loopback");
        assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err());
        queued.store(64 << 20, Ordering::Relaxed);
        assert!(matches!(receiver.recv_timeout(Duration::from_secs(10)), Ok(Message::Datagrams(_))));
    }
}
