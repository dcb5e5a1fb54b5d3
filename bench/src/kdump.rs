//! The comparison with kdump by the clock on the wall: the same Linux crashes in the same QEMU, and its log is sent by this
//! kernel, or by that Linux as its own crash kernel with the smallest initramfs that does it (scripts/kexec-linux).
//!
//! Both send by QEMU's user network to this machine's loopback, whose Ethernet address they are given.

use crate::running::Running;
use crate::trace::root;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Each is the best of this many crashes: what else the machine does only ever adds.
const CRASHES: usize = 3;
/// How much memory is set aside for this kernel, in MiB.
const OURS: u32 = 4;
/// How much kdump gets, in MiB: of these the first with which its Linux does not die before it has sent anything.
const THEIRS: [u32; 11] = [48, 56, 64, 72, 80, 88, 96, 112, 128, 160, 192];
/// How many times as much time and memory kdump is to take.
const TO_REACH: f64 = 20.0;
/// No crash takes longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long nothing more comes, when the whole log has come.
const SILENCE: Duration = Duration::from_secs(2);

const LINUX: &str = "console=ttyS0,115200 ignore_loglevel printk.devkmsg=on no_timer_check modules=virtio_net panic=-1 \
     crashkernel=";
/// What is timed begins with this line.
const PANIC: &str = "Kernel panic - not syncing: sysrq triggered crash";
/// This kernel's own records begin with this one.
const OWN: &str = "] netconsole 0.";
/// QEMU's user network is this station.
const HOST_MAC: &str = "52:55:0a:00:02:02";

/// When something was seen: by the clock, and how much CPU time QEMU had used by then.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    used: Duration,
}

impl Moment {
    /// This one, of the process with this number.
    fn now(qemu: u32) -> Self {
        let threads = fs::read_dir(format!("/proc/{qemu}/task")).into_iter().flatten().flatten();
        // Documentation/scheduler/sched-stats.rst: the first number is the time spent on a CPU, in ns.
        let used = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Self { at: Instant::now(), used: Duration::from_nanos(used.sum()) }
    }
}

/// How long something took: by the clock, and of QEMU's CPU time, which does not tell what else the machine did.
#[derive(Clone, Copy, Debug)]
struct Took([Duration; 2]);

impl Took {
    const LONG: Self = Self([Duration::MAX; 2]);

    fn between(start: Moment, end: Moment) -> Self {
        Self([end.at.saturating_duration_since(start.at), end.used.saturating_sub(start.used)])
    }

    fn min(self, other: Self) -> Self {
        Self([self.0[0].min(other.0[0]), self.0[1].min(other.0[1])])
    }
}

/// The log that has come.
#[derive(Default)]
struct Log {
    text: String,
    /// When its last piece came.
    last: Option<Moment>,
}

/// What Linux's console has shown from the panic on, and when that was.
type Shown = (Moment, String);

/// The way from a crash to the log.
#[derive(Clone, Copy, Debug)]
enum Way {
    Netconsole,
    Kdump,
}

/// Crashes both, and prints both columns; false where a ratio is not reached.
pub fn compare() -> Result<bool, String> {
    let (mut ours, mut theirs) = (Took::LONG, Took::LONG);
    let mut sizes = THEIRS.into_iter();
    let mut size = sizes.next().unwrap_or_default();
    // In turn, as the machine is not always as fast.
    for _ in 0..CRASHES {
        ours = ours.min(crash(Way::Netconsole, OURS)?.ok_or("netconsole has sent nothing")?);
        loop {
            if let Some(took) = crash(Way::Kdump, size)? {
                theirs = theirs.min(took);
                break;
            }
            eprintln!("bench: with crashkernel={size}M kdump sends nothing");
            size = sizes.next().ok_or("kdump sends nothing, however much memory it has")?;
        }
    }
    println!(
        "{:48}{:>14}{:>14}{:>10}{:>10}",
        "by the clock, TCG", "netconsole", "kdump", "ratio", "to reach"
    );
    let whats = ["Linux's panic to its log's last record", "the same, of QEMU's CPU time"];
    for (what, (ours, theirs)) in whats.into_iter().zip(ours.0.into_iter().zip(theirs.0)) {
        let [ours, theirs] = [ours, theirs].map(|took| took.as_secs_f64() * 1e3);
        println!("{what:48}{ours:>11.0} ms{theirs:>11.0} ms{:>10.1}{TO_REACH:>10}", theirs / ours);
    }
    let memory = f64::from(size) / f64::from(OURS);
    let what = "memory set aside, crashkernel=";
    println!("{what:48}{OURS:>10} MiB{size:>10} MiB{memory:>10.1}{TO_REACH:>10}");
    let times = theirs.0[0].as_secs_f64() / ours.0[0].as_secs_f64();
    Ok(times >= TO_REACH && memory >= TO_REACH)
}

/// How long it takes from the panic's line to the log's last piece; `None` where the machine ended without a log.
fn crash(way: Way, mib: u32) -> Result<Option<Took>, String> {
    let files = root().join("target/linux-crash/own");
    let (name, wire) = match way {
        Way::Netconsole => ("crash", Wire::udp()),
        Way::Kdump => ("kdump", Wire::tcp()),
    };
    let wire = wire.map_err(failed)?;
    let port = wire.port().map_err(failed)?;
    let parameters = match way {
        Way::Netconsole => format!("netconsole=@10.0.2.15/,{port}@10.0.2.2/{HOST_MAC}"),
        Way::Kdump => {
            // On a busy host Linux would find its timer too slow.
            format!(
                "console=ttyS0 quiet panic=-1 no_timer_check nr_cpus=1 reset_devices address=10.0.2.2 port={port}"
            )
        }
    };
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-accel",
        "tcg",
        "-m",
        "512",
        "-serial",
        "stdio",
    ]);
    qemu.arg("-kernel").arg(files.join("vmlinuz")).arg("-initrd").arg(files.join(format!("initrd-{name}")));
    qemu.args(["-append", &format!("{LINUX}{mib}M -- {parameters}")]);
    qemu.args(["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="]);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut machine = Running(qemu.spawn().map_err(|error| format!("qemu-system-x86_64: {error}"))?);
    let serial = machine.0.stdout.take().ok_or("QEMU's serial port is piped")?;
    let pid = machine.0.id();
    let shown = watch(serial, pid);
    let deadline = Instant::now() + PATIENCE;
    let log = wire.receive(pid, || Instant::now() > deadline || !matches!(machine.0.try_wait(), Ok(None)));
    let log = log.map_err(failed)?;
    let has_ended = matches!(machine.0.try_wait(), Ok(Some(_)));
    // The console's end.
    drop(machine);
    let (panic, shown) = match (shown.recv(), way) {
        (Ok(shown), _) => shown,
        // So little memory that it could not be loaded, which ends Linux's init and with that the machine.
        (Err(_), Way::Kdump) if has_ended => return Ok(None),
        (Err(_), _) => return Err("Linux's console shows no panic".into()),
    };
    let Some(last) = log.last else {
        let late = format!("nothing came within {} s", PATIENCE.as_secs());
        return if has_ended { Ok(None) } else { Err(late) };
    };
    match shown.lines().find(|line| !log.text.contains(line.trim_end())) {
        Some(line) => Err(format!("{way:?}: the log that came lacks '{line}'")),
        None if !log.text.contains("Linux version ") => Err(format!("{way:?}: the log's begin is missing")),
        None => Ok(Some(Took::between(panic, last))),
    }
}

/// Looks for the panic on the serial console; what comes back when that ends is what Linux has shown from there on.
fn watch(serial: impl Read + Send + 'static, qemu: u32) -> Receiver<Shown> {
    let (sender, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut panic: Option<Shown> = None;
        let lines = BufReader::new(serial).split(b'\n');
        for line in lines.map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if panic.is_none() && line.contains(PANIC) {
                panic = Some((Moment::now(qemu), String::new()));
            }
            if line.contains(OWN) {
                break;
            }
            if let Some((_, shown)) = panic.as_mut().filter(|_| line.starts_with('[')) {
                *shown += &format!("{line}\n");
            }
        }
        // Nobody waits for it where the measurement has failed.
        if let Some(panic) = panic {
            let _ = sender.send(panic);
        }
    });
    shown
}

/// Where a log arrives.
enum Wire {
    /// A datagram for each record of this kernel's.
    Udp(UdpSocket),
    /// What busybox's nc can do.
    Tcp(TcpListener),
}

/// How long there is nothing to read before the machine is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl Wire {
    fn udp() -> io::Result<Self> {
        UdpSocket::bind("127.0.0.1:0").map(Self::Udp)
    }

    fn tcp() -> io::Result<Self> {
        TcpListener::bind("127.0.0.1:0").map(Self::Tcp)
    }

    fn port(&self) -> io::Result<u16> {
        let address = match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(listener) => listener.local_addr(),
        };
        address.as_ref().map(SocketAddr::port).map_err(|error| error.kind().into())
    }

    /// Linux's records, until all have come, or until `is_over`.
    fn receive(&self, qemu: u32, mut is_over: impl FnMut() -> bool) -> io::Result<Log> {
        let mut log = Log::default();
        let mut buffer = vec![0; 1 << 16];
        match self {
            Self::Udp(socket) => {
                socket.set_read_timeout(Some(LOOK))?;
                loop {
                    match socket.recv(&mut buffer) {
                        Ok(len) => {
                            let text = String::from_utf8_lossy(&buffer[..len]);
                            if text.contains(OWN) {
                                return Ok(log);
                            }
                            log.add(&text, qemu);
                        }
                        Err(error) if !is_timeout(&error) => return Err(error),
                        Err(_) if is_over() => return Ok(log),
                        Err(_) => {}
                    }
                }
            }
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let mut stream = loop {
                    match listener.accept() {
                        Ok((stream, _)) => break stream,
                        Err(error) if !is_timeout(&error) => return Err(error),
                        Err(_) if is_over() => return Ok(log),
                        Err(_) => thread::sleep(LOOK),
                    }
                };
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(SILENCE))?;
                loop {
                    match stream.read(&mut buffer) {
                        Ok(0) => return Ok(log),
                        Ok(len) => log.add(&String::from_utf8_lossy(&buffer[..len]), qemu),
                        Err(error) if !is_timeout(&error) => return Err(error),
                        // It connects before it has anything to send.
                        Err(_) if log.last.is_some() || is_over() => return Ok(log),
                        Err(_) => {}
                    }
                }
            }
        }
    }
}

impl Log {
    fn add(&mut self, text: &str, qemu: u32) {
        self.text += text;
        self.last = Some(Moment::now(qemu));
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn failed(error: io::Error) -> String {
    format!("the sockets of this machine: {error}")
}
