//! The comparison with kdump by the clock on the wall: the same Linux crashes in the same QEMU, and its log is sent by this
//! kernel, loaded by `kexec -s` or by netconsole-arm, or by that Linux as its own crash kernel with the smallest initramfs
//! that does it (scripts/kexec-linux).
//!
//! Both send by QEMU's user network to this machine's loopback, whose Ethernet address they are given.

use crate::running::{Running, cpu_time};
use crate::trace::root;
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
/// How much kdump gets, in MiB: of these the first with which its Linux does not die before it has sent all of the log.
const THEIRS: [u32; 11] = [64, 72, 80, 88, 96, 104, 112, 120, 128, 160, 192];
/// How many times as much time and memory kdump is to take.
const TO_REACH: f64 = 20.0;
/// No crash takes longer, however busy this machine is.
const PATIENCE: Duration = Duration::from_secs(300);
/// Nor does it take more of QEMU's CPU time: with the boot before it is a quarter of that.
const WORK: Duration = Duration::from_secs(60);
/// How long nothing more comes, when the whole log has come.
const SILENCE: Duration = Duration::from_secs(2);

const LINUX: &str = "console=ttyS0,115200 ignore_loglevel printk.devkmsg=on no_timer_check modules=virtio_net panic=-1 \
     crashkernel=";
/// What is timed begins with this line.
const PANIC: &str = "Kernel panic - not syncing: sysrq triggered crash";
/// This kernel's own records begin with this one.
const OWN: &str = "netconsole 0.";
/// What netconsole-arm's guest says when `--status` says that it is armed (scripts/kexec-linux).
const ARMED: &str = "arm --status: 0";
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
        Self { at: Instant::now(), used: cpu_time(qemu).unwrap_or_default() }
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
    last: Option<Instant>,
    /// QEMU's CPU time then.
    used: Duration,
}

/// What Linux's console has shown.
struct Shown {
    /// Whether netconsole-arm said that it is armed.
    is_armed: bool,
    panic: Moment,
    /// The texts of its records from the panic on.
    after: Vec<String>,
}

/// The way from a crash to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// This kernel as it is, loaded by `kexec -s`: Linux hashes its memory and it unpacks itself, after the crash.
    Kexec,
    /// The same, loaded by netconsole-arm: unpacked before, and by kexec_load, without a hash.
    Arm,
    Kdump,
}

impl Way {
    const ALL: [Self; 3] = [Self::Kexec, Self::Arm, Self::Kdump];

    /// What scripts/kexec-linux calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Kexec => "crash",
            Self::Arm => "arm",
            Self::Kdump => "kdump",
        }
    }

    /// The parameters of Linux and of its init, and behind `--` those of its crash kernel, which is to send to this port.
    fn parameters(self, port: u16) -> String {
        match self {
            Self::Kexec => format!("-- netconsole=@10.0.2.15/,{port}@10.0.2.2/{HOST_MAC}"),
            // -c, which netconsole-arm tries first anyway: where it is refused the measurement fails.
            Self::Arm => {
                format!("crash=now loader=-c own=10.0.2.15 target=10.0.2.2:{port} mac={HOST_MAC} --")
            }
            // On a busy host Linux would find its timer too slow.
            Self::Kdump => format!(
                "-- console=ttyS0 quiet panic=-1 no_timer_check nr_cpus=1 reset_devices address=10.0.2.2 port={port}"
            ),
        }
    }

    fn wire(self) -> io::Result<Wire> {
        match self {
            Self::Kexec | Self::Arm => Wire::udp(),
            Self::Kdump => Wire::tcp(),
        }
    }
}

/// Crashes all, and prints a column for each; false where a ratio is not reached.
pub fn compare() -> Result<bool, String> {
    let size = smallest_kdump()?;
    let mut best = [Took::LONG; 3];
    // In turn, as the machine is not always as fast.
    for _ in 0..CRASHES {
        for (best, way) in best.iter_mut().zip(Way::ALL) {
            let mib = if way == Way::Kdump { size } else { OURS };
            let took = crash(way, mib)?;
            *best = best
                .min(took.ok_or(format!("kdump has sent nothing with crashkernel={mib}M, and did before"))?);
        }
    }
    println!(
        "{:42}{:>12}{:>16}{:>12}{:>8}{:>10}",
        "by the clock, TCG", "kexec -s", "netconsole-arm", "kdump", "ratio", "to reach"
    );
    let whats = ["Linux's panic to its log's last record", "the same, of QEMU's CPU time"];
    let mut ratios = Vec::new();
    for (place, what) in whats.into_iter().enumerate() {
        let [kexec, arm, kdump] = best.map(|took| took.0[place].as_secs_f64() * 1e3);
        let ratio = kdump / arm;
        println!("{what:42}{kexec:>9.0} ms{arm:>13.0} ms{kdump:>9.0} ms{ratio:>8.1}{TO_REACH:>10}");
        ratios.push(ratio);
    }
    let memory = f64::from(size) / f64::from(OURS);
    let what = "memory set aside, crashkernel=";
    println!("{what:42}{OURS:>8} MiB{OURS:>12} MiB{size:>8} MiB{memory:>8.1}{TO_REACH:>10}");
    println!("ratio: kdump's by netconsole-arm's; each time is the least of {CRASHES}");
    Ok(ratios[0] >= TO_REACH && memory >= TO_REACH)
}

/// With how little memory, in MiB, kdump sends the log.
fn smallest_kdump() -> Result<u32, String> {
    for size in THEIRS {
        if crash(Way::Kdump, size)?.is_some() {
            return Ok(size);
        }
        eprintln!("bench: with crashkernel={size}M kdump does not send the log");
    }
    Err("kdump does not send the log, however much memory it has".into())
}

/// How long it takes from the panic's line to the log's last piece; `None` for a kdump without the memory for that.
fn crash(way: Way, mib: u32) -> Result<Option<Took>, String> {
    let files = root().join("target/linux-crash/own");
    let wire = way.wire().map_err(failed)?;
    let port = wire.port().map_err(failed)?;
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
    qemu.arg("-kernel").arg(files.join("vmlinuz"));
    qemu.arg("-initrd").arg(files.join(format!("initrd-{}", way.name())));
    qemu.args(["-append", &format!("{LINUX}{mib}M {}", way.parameters(port))]);
    qemu.args(["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="]);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut machine = Running(qemu.spawn().map_err(|error| format!("qemu-system-x86_64: {error}"))?);
    let serial = machine.0.stdout.take().ok_or("QEMU's serial port is piped")?;
    let pid = machine.0.id();
    let shown = watch(serial, pid);
    let log = wire.receive(pid, || {
        start.elapsed() > PATIENCE
            || cpu_time(pid).is_some_and(|used| used > WORK)
            || !matches!(machine.0.try_wait(), Ok(None))
    });
    let log = log.map_err(failed)?;
    let has_ended = matches!(machine.0.try_wait(), Ok(Some(_)));
    // The console's end.
    drop(machine);
    let Ok(shown) = shown.recv() else {
        // So little memory that it could not be loaded, which ends Linux's init and with that the machine.
        let is_too_little = way == Way::Kdump && has_ended;
        return if is_too_little {
            Ok(None)
        } else {
            Err(format!("{way:?}: Linux's console shows no panic"))
        };
    };
    if way == Way::Arm && !shown.is_armed {
        return Err(format!("netconsole-arm: the console lacks '{ARMED}'"));
    }
    let lacking = match shown.after.iter().find(|line| !log.text.contains(line.as_str())) {
        Some(line) => Some(line.as_str()),
        None if !log.text.contains("Linux version ") => Some("Linux version "),
        None => None,
    };
    match (log.last, lacking) {
        (Some(at), None) => Ok(Some(Took::between(shown.panic, Moment { at, used: log.used }))),
        _ if way == Way::Kdump => Ok(None),
        (None, _) => Err(format!("{way:?}: nothing was sent")),
        (_, Some(line)) => Err(format!("{way:?}: the log that came lacks '{line}'")),
    }
}

/// Looks for the panic on the serial console; what comes back when that ends is what Linux has shown.
fn watch(serial: impl Read + Send + 'static, qemu: u32) -> Receiver<Shown> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut is_armed = false;
        let mut shown: Option<Shown> = None;
        let lines = BufReader::new(serial).split(b'\n');
        for line in lines.map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            is_armed |= line.contains(ARMED);
            if shown.is_none() && line.contains(PANIC) {
                shown = Some(Shown { is_armed, panic: Moment::now(qemu), after: Vec::new() });
            }
            if line.contains(OWN) {
                break;
            }
            // The formats differ in how they write a record's time.
            let text = line.strip_prefix('[').and_then(|line| line.split_once("] "));
            if let (Some(shown), Some((_, text))) = (&mut shown, text) {
                shown.after.push(text.trim_end().to_owned());
            }
        }
        // Nobody waits for it where the measurement has failed.
        if let Some(shown) = shown {
            let _ = sender.send(shown);
        }
    });
    receiver
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
                                // To ask takes as long as many records.
                                log.note_used(qemu);
                                return Ok(log);
                            }
                            log.add(&text);
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
                        Ok(len) => {
                            log.add(&String::from_utf8_lossy(&buffer[..len]));
                            log.note_used(qemu);
                        }
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
    fn add(&mut self, text: &str) {
        self.text += text;
        self.last = Some(Instant::now());
    }

    /// Notes QEMU's CPU time, unless it has ended.
    fn note_used(&mut self, qemu: u32) {
        self.used = cpu_time(qemu).unwrap_or(self.used);
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn failed(error: io::Error) -> String {
    format!("the sockets of this machine: {error}")
}
