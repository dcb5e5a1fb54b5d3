//! The least that a receiver can do: `recvmmsg`, and a `write` of what came. Nothing is looked at.

use std::io::{IoSliceMut, Write};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt};

const BATCH: usize = 128;
const BYTES: usize = 2048;
const BUFFER: usize = 256 << 20;

/// Goes on until the process is ended.
pub fn receive(port: &str) -> Result<bool, String> {
    let failed = |error: &dyn std::fmt::Display| format!("bare: {error}");
    let socket = UdpSocket::bind(format!("127.0.0.1:{port}")).map_err(|error| failed(&error))?;
    // Only root may have one so large.
    let _ = setsockopt(&socket, RcvBufForce, &BUFFER);
    let mut buffer = vec![0; BATCH * BYTES];
    let mut written = Vec::with_capacity(BATCH * BYTES);
    let mut out = std::io::stdout().lock();
    loop {
        let mut lengths = [0; BATCH];
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let mut slices: Vec<_> =
            buffer.chunks_exact_mut(BYTES).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let taken =
            recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None)
                .map_err(|error| failed(&error))?;
        for (length, message) in lengths.iter_mut().zip(taken) {
            *length = message.bytes;
        }
        written.clear();
        for (chunk, length) in buffer.chunks_exact(BYTES).zip(lengths) {
            written.extend_from_slice(chunk.get(..length).unwrap_or_default());
        }
        out.write_all(&written).and_then(|()| out.flush()).map_err(|error| failed(&error))?;
    }
}
