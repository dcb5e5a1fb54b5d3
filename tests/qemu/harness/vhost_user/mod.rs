//! A network card of our own in the guest, that lies if it is told to.

mod lie;

use lie::Liar;
pub use lie::Lie;
use netconsole_vhost_user::{Connection, HEADER};
pub use netconsole_vhost_user::{RECEIVE, TRANSMIT};
use std::collections::VecDeque;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The header before a received frame, of which the last field says that it takes one buffer.
const RECEIVED_HEADER: [u8; HEADER] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

/// How a card differs from what most do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKind {
    Usual,
    /// It hands a frame over only where at least this many bytes of receive buffers are posted (Firecracker: 65,562).
    WantsRoom(usize),
    /// Its queues have so many entries even where the driver chooses fewer (kvmtool: 256).
    IgnoresSizes(u16),
}

/// The card, as the test sees it.
pub struct VhostUser {
    path: PathBuf,
    /// Frames from the guest.
    sent: Mutex<Receiver<Vec<u8>>>,
    shared: Arc<Mutex<Shared>>,
}

/// What the test and the card's own thread share.
#[derive(Default)]
struct Shared {
    /// Frames for the guest that wait for a buffer.
    waiting: VecDeque<Vec<u8>>,
    liar: Liar,
}

impl VhostUser {
    /// Waits at `path` for QEMU.
    pub fn bind(path: PathBuf, kind: CardKind) -> io::Result<Self> {
        let listener = UnixListener::bind(&path)?;
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::<Mutex<Shared>>::default();
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            if let Ok((stream, _)) = listener.accept() {
                serve(stream, kind, &sender, &for_thread);
            }
        });
        Ok(Self { path, sent: Mutex::new(receiver), shared })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a frame; `None` once QEMU has ended.
    pub fn receive(&self) -> Option<Vec<u8>> {
        lock(&self.sent).recv().ok()
    }

    pub fn send(&self, frame: &[u8]) {
        lock(&self.shared).waiting.push_back(frame.to_vec());
    }

    /// Tells a lie, about the queue `queue`.
    pub fn tell(&self, lie: Lie, queue: usize) {
        lock(&self.shared).liar.tell(lie, queue);
    }

    /// Ends the wait for QEMU, if it never connected.
    pub fn end(&self) -> io::Result<()> {
        UnixStream::connect(&self.path).map(|_| ())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the queues until QEMU ends.
fn serve(stream: UnixStream, kind: CardKind, sender: &Sender<Vec<u8>>, shared: &Mutex<Shared>) {
    const PAUSE: Duration = Duration::from_micros(200);
    let mut connection = Connection::new(stream);
    if let CardKind::IgnoresSizes(size) = kind {
        connection.ignore_sizes(size);
    }
    let mut posted =
        Posted { wanted: if let CardKind::WantsRoom(room) = kind { room } else { 1 }, ..Posted::default() };
    while let Ok(was_asked) = connection.poll() {
        let mut shared = lock(shared);
        let Shared { waiting, liar } = &mut *shared;
        let has_sent = transmit(&mut connection, liar, sender);
        receive(&mut connection, liar, &mut posted, waiting);
        drop(shared);
        if !was_asked && !has_sent {
            thread::sleep(PAUSE);
        }
    }
}

/// Takes a frame of the guest's; whether there was one.
fn transmit(connection: &mut Connection, liar: &mut Liar, sender: &Sender<Vec<u8>>) -> bool {
    let Connection { memory, queues: [_, queue], .. } = connection;
    let Some(queue) = queue else {
        liar.was_reset(TRANSMIT);
        return false;
    };
    if liar.lies(TRANSMIT, queue, memory) {
        return false;
    }
    let Some(frame) = queue.take_frame(memory) else { return false };
    // The test may have ended.
    let _ = sender.send(frame);
    true
}

/// The receive buffers that the card has taken and not used yet.
#[derive(Default)]
struct Posted {
    /// How many bytes they must have before a frame is handed over.
    wanted: usize,
    buffers: VecDeque<(u16, Vec<(u64, u32)>)>,
}

impl Posted {
    fn room(&self) -> usize {
        self.buffers.iter().flat_map(|(_, pieces)| pieces).map(|&(_, length)| length as usize).sum()
    }
}

/// Hands a frame to the guest, if one waits and there are buffers.
fn receive(
    connection: &mut Connection,
    liar: &mut Liar,
    posted: &mut Posted,
    waiting: &mut VecDeque<Vec<u8>>,
) {
    let Connection { memory, queues: [queue, _], .. } = connection;
    let Some(queue) = queue else {
        posted.buffers.clear();
        return liar.was_reset(RECEIVE);
    };
    if liar.lies(RECEIVE, queue, memory) || waiting.is_empty() {
        return;
    }
    while posted.room() < posted.wanted {
        let Some(buffer) = queue.take(memory) else { return };
        posted.buffers.push_back(buffer);
    }
    let (Some((id, pieces)), Some(frame)) = (posted.buffers.pop_front(), waiting.pop_front()) else { return };
    let bytes = [&RECEIVED_HEADER[..], &frame].concat();
    let mut rest = &bytes[..];
    for (address, length) in pieces {
        let (now, later) = rest.split_at(rest.len().min(length as usize));
        memory.write(address, now);
        rest = later;
    }
    assert!(rest.is_empty(), "a frame for the driver's buffers");
    queue.give_back(memory, id.into(), bytes.len() as u32);
}
