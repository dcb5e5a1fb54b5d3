//! What the receiver takes in memory with very many senders, as the system counts it: the program's own pages, its
//! threads' and what it knows. How fast the host is plays no part: no more is sent than is written soon.

use std::fs::{self, File};
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};

use crate::beside::{PATIENCE, PORT, failed, listens, receiver};
use crate::load::{Datagrams, Load};
use crate::running::Running;

const SENDERS: u32 = 100_000;
const RECORDS: u32 = 3;
/// All are at addresses of this host, from here on.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// What a hundred thousand senders may take, in KiB.
const MOST: u64 = 100 << 10;
/// So many bytes may be on their way through the receiver.
const UNDER_WAY: usize = 64 << 10;
/// After so many records it is looked how many are written, and again after this time.
const BURST: u32 = 100;
const MOMENT: Duration = Duration::from_micros(200);
/// What is between the sender's name and the text of a line.
const TIME: &str = " [    5.000000] ";

/// Whether 100,000 senders of three records each take no more than they may, all records came out, and nothing else was said.
pub fn check() -> Result<bool, String> {
    let dir = tempfile::tempdir().map_err(failed)?;
    let output = dir.path().join("out");
    let mut command = Command::new(receiver()?);
    command.args(["listen", "--bind", "127.0.0.1", "--port", PORT, "--prefix", "always"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(File::create(&output).map_err(failed)?);
    let mut child = Running(command.spawn().map_err(failed)?);
    if !listens(&mut child)? {
        return Err("memory: the receiver does not listen".into());
    }
    send(&output)?;
    let taken = peak(child.0.id())?;
    drop(child);
    let written = fs::read(&output).map_err(failed)?;
    if written.iter().filter(|byte| **byte == b'\n').count() != (SENDERS * RECORDS) as usize {
        return Err("memory: the receiver said more than the records".into());
    }
    let mib = taken as f64 / 1024.0;
    println!(
        "receiver: memory with 100,000 senders, as the system counts it: {mib:.1} MiB, to be below {}",
        MOST >> 10
    );
    Ok(taken < MOST)
}

/// Sends all records, as fast as they are written.
fn send(output: &Path) -> Result<(), String> {
    let load = Load::of("senders100000").ok_or("no such load")?;
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(failed)?;
    let port = PORT.parse().map_err(|_| "no port")?;
    let to = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let mut datagrams = Datagrams::default();
    let mut bytes = 0;
    for number in 1..=SENDERS * RECORDS {
        let from = Ipv4Addr::from(u32::from(FIRST) + (number - 1) % SENDERS);
        load.make(number - 1, &mut datagrams);
        for datagram in datagrams.each() {
            let source = in_addr { s_addr: u32::from(from).to_be() };
            let about = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: in_addr { s_addr: 0 } };
            let about = [ControlMessage::Ipv4PacketInfo(&about)];
            sendmsg(socket.as_raw_fd(), &[IoSlice::new(datagram)], &about, MsgFlags::empty(), Some(&to))
                .map_err(|error| format!("memory: {error}"))?;
            let text = datagram.rsplit(|byte| *byte == b';').next().unwrap_or_default();
            bytes += from.to_string().len() + TIME.len() + text.len();
        }
        if number % BURST == 0 {
            let may_miss = if number == SENDERS * RECORDS { 0 } else { UNDER_WAY };
            await_bytes(output, bytes.saturating_sub(may_miss))?;
        }
    }
    Ok(())
}

/// Waits until so many bytes are written.
fn await_bytes(output: &Path, bytes: usize) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while (fs::metadata(output).map_err(failed)?.len() as usize) < bytes {
        if Instant::now() > deadline {
            return Err("memory: the receiver does not write all records".into());
        }
        thread::sleep(MOMENT);
    }
    Ok(())
}

/// The most that a process has taken so far, in KiB (proc(5), VmHWM).
fn peak(id: u32) -> Result<u64, String> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).map_err(failed)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let taken = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    taken.ok_or_else(|| "memory: /proc/*/status tells none".into())
}
