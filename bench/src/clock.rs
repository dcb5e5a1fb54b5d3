//! The comparison with Linux by the clock on the wall: both in the same QEMU with the same card, which is outside QEMU.
//!
//! The card takes frames out of the guest's memory as they come, so neither kernel waits for QEMU's network.

use crate::append::targets;
use crate::flood::{Flood, Seen};
use crate::linux::Linux;
use crate::running::Running;
use crate::trace::{kernel, kernel_packed};
use netconsole_vhost_user::{Connection, TRANSMIT, arguments};
use std::fs;
use std::io;
use std::num::NonZero;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Each is the best of this many boots: what else the machine does only ever adds.
const BOOTS: usize = 5;
const LINUX_RECORDS: u32 = 5000;
const OUR_RECORDS: u32 = 400_000;
/// No boot takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the card rests when there is nothing to do. It is a fraction of what the guest takes to fill its ring; a
/// card that never rests takes the guest's cache lines, and the CPU where it has none for itself.
const PAUSE: Duration = Duration::from_micros(5);

/// How long after the last frame the card interrupts the guest for what it took. Linux wants an interrupt for each
/// frame, and would pay for how quick this card is.
const MODERATION: Duration = Duration::from_micros(200);

/// The best that the boots of a kernel showed.
struct Best {
    first_frame: Duration,
    records_per_second: f64,
}

impl Best {
    const NONE: Self = Self { first_frame: Duration::MAX, records_per_second: 0.0 };

    fn add(&mut self, (start, seen): (Instant, Seen)) {
        self.first_frame = self.first_frame.min(seen.first_frame - start);
        self.records_per_second = self.records_per_second.max(seen.records_per_second);
    }
}

/// Boots both and prints both columns; false where a ratio is not reached.
pub fn compare() -> Result<bool, String> {
    let linux = Linux::unpack(LINUX_RECORDS)?;
    let (mut ours, mut theirs) = (Best::NONE, Best::NONE);
    // In turn, as the machine is not always as fast.
    for _ in 0..BOOTS {
        let append = format!("console=null ip=off {} flood={OUR_RECORDS} after=halt", targets(1));
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.arg("-kernel").arg(kernel()).args(["-append", &append]);
        ours.add(boot(qemu, 16, OUR_RECORDS)?);

        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.arg("-kernel").arg(&linux.kernel).arg("-initrd").arg(&linux.initramfs);
        qemu.args(["-append", "printk.devkmsg=on loglevel=7 panic=-1"]);
        theirs.add(boot(qemu, 512, LINUX_RECORDS)?);
    }
    let first_ratio = theirs.first_frame.as_secs_f64() / ours.first_frame.as_secs_f64();
    let flood_ratio = ours.records_per_second / theirs.records_per_second;
    println!(
        "{:48}{:>14}{:>14}{:>10}{:>10}",
        "by the clock, TCG", "netconsole", "Linux", "ratio", "to reach"
    );
    println!(
        "{:48}{:>11.0} ms{:>11.0} ms{first_ratio:>10.0}{:>10}",
        "QEMU's start to the first frame",
        ours.first_frame.as_secs_f64() * 1e3,
        theirs.first_frame.as_secs_f64() * 1e3,
        10
    );
    println!(
        "{:48}{:>14.0}{:>14.0}{flood_ratio:>10.0}{:>10}",
        "records per second in a flood", ours.records_per_second, theirs.records_per_second, 50
    );
    let kib = |path: &Path| fs::metadata(path).map_or(0, |file| file.len() / 1024);
    println!("{:48}{:>10} KiB{:>10} KiB", "kernel image: bzImage", kib(&kernel_packed()), kib(&linux.kernel));
    println!("Linux is {}", linux.version);
    Ok(first_ratio >= 10.0 && flood_ratio >= 50.0)
}

/// Boots with `mib` MiB of memory, until the flood is over. Returns when QEMU was started, and what came.
fn boot(mut qemu: Command, mib: u32, records: u32) -> Result<(Instant, Seen), String> {
    let path = std::env::temp_dir().join(format!("netconsole-bench-{}", std::process::id()));
    let listener = UnixListener::bind(&path).map_err(failed)?;
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-accel", "tcg", "-m", &mib.to_string()]);
    // No MSI-X: QEMU 7.2 without KVM dies of it where the card is outside.
    qemu.args(arguments("n0", mib, &path)).args(["-device", "virtio-net-pci,netdev=n0,romfile=,vectors=0"]);
    qemu.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let mut machine = Running(qemu.spawn().map_err(|error| format!("qemu-system-x86_64: {error}"))?);
    let accepted = accept(&listener, &mut machine.0);
    fs::remove_file(&path).map_err(failed)?;
    let mut card = Connection::new(accepted.map_err(failed)?);
    let seen = watch(&mut card, records);
    // Before the card goes.
    drop(machine);
    Ok((start, seen?))
}

/// Takes what the guest sends until the flood is over.
fn watch(card: &mut Connection, records: u32) -> Result<Seen, String> {
    // The pause is to be no longer than asked for.
    rustix::thread::set_current_timer_slack(NonZero::new(1)).map_err(|error| failed(error.into()))?;
    let deadline = Instant::now() + PATIENCE;
    let mut flood = Flood::of(records);
    // When the last frame was taken of which the guest was not told.
    let mut taken: Option<Instant> = None;
    loop {
        if let Some(seen) = flood.seen() {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            return Err(format!("no flood came within {} s", PATIENCE.as_secs()));
        }
        let mut has_taken = false;
        if let Some(queue) = &mut card.queues[TRANSMIT] {
            for _ in 0..queue.size {
                let Some(frame) = queue.take_frame(&card.memory) else { break };
                flood.see(&frame)?;
                has_taken = true;
            }
        }
        if has_taken {
            taken = Some(Instant::now());
        } else if !card.poll().map_err(failed)? {
            if taken.take_if(|at| at.elapsed() > MODERATION).is_some() {
                card.interrupt(TRANSMIT).map_err(failed)?;
            }
            thread::sleep(PAUSE);
        }
    }
}

fn failed(error: io::Error) -> String {
    format!("the card outside QEMU: {error}")
}

/// Waits for QEMU to connect.
fn accept(listener: &UnixListener, qemu: &mut Child) -> io::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            accepted => return accepted.map(|(stream, _)| stream),
        }
        if let Some(status) = qemu.try_wait()? {
            return Err(io::Error::other(format!("QEMU ended with {status}")));
        }
    }
}
