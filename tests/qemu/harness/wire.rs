//! What carries frames between QEMU's netdev and a cable: Unix sockets, so there is no port to collide on. An end
//! that is full makes the other wait, so no frame is lost.

use super::vhost_user::{CardKind, VhostUser};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// How frames are carried.
#[derive(Clone, Copy, Debug)]
pub enum Carrier {
    /// Each as a datagram. QEMU takes one whenever it looks.
    Datagrams,
    /// One behind the other in a stream. QEMU takes all that have come whenever it looks.
    Stream,
    /// In the guest's memory, by a card of our own that lies when it is told to.
    VhostUser(CardKind),
}

pub enum Wire {
    Datagrams { socket: UnixDatagram, own: PathBuf, qemu: PathBuf },
    Stream { listener: UnixListener, path: PathBuf, stream: OnceLock<UnixStream>, sending: Mutex<()> },
    VhostUser(VhostUser),
}

impl Wire {
    /// Binds the sockets of the NIC number `nic` in `directory`.
    pub fn bind(carrier: Carrier, nic: usize, directory: &Path) -> io::Result<Self> {
        let own = directory.join(format!("test{nic}"));
        Ok(match carrier {
            Carrier::Datagrams => Self::Datagrams {
                socket: UnixDatagram::bind(&own)?,
                own,
                qemu: directory.join(format!("qemu{nic}")),
            },
            Carrier::Stream => Self::Stream {
                listener: UnixListener::bind(&own)?,
                path: own,
                stream: OnceLock::new(),
                sending: Mutex::new(()),
            },
            Carrier::VhostUser(kind) => Self::VhostUser(VhostUser::bind(own, kind)?),
        })
    }

    /// QEMU's arguments for the netdev `id` at the other end.
    pub fn netdev(&self, id: &str) -> Vec<String> {
        let netdev = match self {
            Self::Datagrams { own, qemu, .. } => format!(
                "dgram,id={id},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                qemu.display(),
                own.display()
            ),
            Self::Stream { path, .. } => {
                format!("stream,id={id},server=off,addr.type=unix,addr.path={}", path.display())
            }
            Self::VhostUser(card) => {
                // As much memory as QEMU gives by itself.
                return netconsole_vhost_user::arguments(id, 128, card.path()).to_vec();
            }
        };
        vec!["-netdev".into(), netdev]
    }

    /// Waits for a frame from QEMU, and puts it into `buffer`; its length is 0 where [`end`](Self::end) was called
    /// or QEMU has ended.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Datagrams { socket, .. } => socket.recv(buffer),
            Self::Stream { listener, stream, .. } => {
                if stream.get().is_none() {
                    let _ = stream.set(listener.accept()?.0);
                }
                let mut stream = stream.get().expect("it has been accepted");
                // Each frame's length comes first, in network byte order.
                let mut length = [0; 4];
                if stream.read_exact(&mut length).is_err() {
                    return Ok(0);
                }
                let length = u32::from_be_bytes(length) as usize;
                stream.read_exact(&mut buffer[..length]).map(|()| length)
            }
            Self::VhostUser(card) => {
                let frame = card.receive().unwrap_or_default();
                buffer[..frame.len()].copy_from_slice(&frame);
                Ok(frame.len())
            }
        }
    }

    /// Sends a frame to QEMU.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagrams { socket, qemu, .. } => socket.send_to(frame, qemu).map(|_| ()),
            Self::Stream { stream, sending, .. } => {
                let _alone = sending.lock().expect("a sender that panicked");
                let mut stream = stream.get().ok_or(io::ErrorKind::NotConnected)?;
                let length = u32::try_from(frame.len()).expect("a frame's length");
                stream.write_all(&[&length.to_be_bytes(), frame].concat())
            }
            Self::VhostUser(card) => {
                card.send(frame);
                Ok(())
            }
        }
    }

    /// Ends [`receive`](Self::receive) behind what QEMU, which has ended, sent last.
    pub fn end(&self) -> io::Result<()> {
        match self {
            Self::Datagrams { own, .. } => UnixDatagram::unbound()?.send_to(&[], own).map(|_| ()),
            // It matters only where QEMU never connected.
            Self::Stream { path, .. } => UnixStream::connect(path).map(|_| ()),
            Self::VhostUser(card) => card.end(),
        }
    }
}
