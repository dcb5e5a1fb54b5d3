//! The receiver by the clock, beside the bare loop and what else is installed: CPU seconds per million records, each
//! program fed by the same sender over loopback, one after the other.
//!
//! netconsd (github.com/facebook/netconsd at 66d3e28, `make` with -O2, `modules/printer.so`, its own two workers) can't be
//! part of it, and was measured by hand on 2026-11-29 with 200,000 records of the same text, in bursts of 100 a
//! millisecond: 2.4 CPU seconds per million records, of which 97 % came out. In one flood 21 % came out. It asks for no
//! larger socket buffer than net.core.rmem_default, 208 KiB; all the others were dropped there, as /proc/net/udp6 counts.
//! Again on the evening of that day, in turn with the receiver, both the least of five rounds: netconsd 2.03 in bursts and 1.95 in a flood,
//! the receiver 1.92 and 1.02 (doc/receiver.md).

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Datagrams, Load};

/// Fewer than fit into the largest socket buffer that is asked for, so that all can come in one flood.
const RECORDS: u32 = 200_000;
/// The sender makes a pause after this many, so that every program keeps up on a busy machine.
const BURST: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);
/// Each figure is the least of N rounds through all programs: what else the machine does only ever adds, and by
/// rounds it adds to all alike.
const ROUNDS: usize = 5;
/// How long a program may take to listen, and how long nothing more has come where it is done.
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(1);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);

/// How fast is sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// As fast as it can be.
    Flood,
    /// In bursts of [`BURST`].
    Bursts,
}

/// A program, how it is started, and how many lines came out of it.
struct Program {
    name: &'static str,
    kind: &'static str,
    command: Command,
    output: PathBuf,
}

/// The least CPU seconds per million records, and the share that came out in that round, in percent.
#[derive(Clone, Copy, Debug)]
struct Best {
    seconds: f64,
    received: f64,
}

/// Measures and prints all; false where the receiver is over 1.25 times the bare loop.
pub fn compare() -> Result<bool, String> {
    let dir = tempfile::tempdir().map_err(failed)?;
    let paces = [Pace::Flood, Pace::Bursts];
    let names: Vec<_> = programs(dir.path())?.iter().map(|program| program.name).collect();
    let mut best = vec![[None::<Best>; 2]; names.len()];
    for _ in 0..ROUNDS {
        for (column, pace) in paces.into_iter().enumerate() {
            for (row, program) in programs(dir.path())?.into_iter().enumerate() {
                let Some(now) = run(program, pace)? else { continue };
                let best = &mut best[row][column];
                if best.is_none_or(|best| now.seconds < best.seconds) {
                    *best = Some(now);
                }
            }
        }
    }
    println!("CPU seconds per million records, the least of {ROUNDS} rounds; of the bare loop; received");
    println!("{:40}{:^30}{:^30}", "", "as fast as it can be sent", "in bursts of 100 a millisecond");
    let bare = best[0];
    let mut good = true;
    for (name, row) in names.iter().zip(&best) {
        print!("{name:40}");
        for (best, bare) in row.iter().zip(bare) {
            let (Some(best), Some(bare)) = (best, bare) else {
                print!("{:^30}", "not here");
                continue;
            };
            let times = best.seconds / bare.seconds;
            print!("{:>9.2}{times:>8.2}{:>9.1} %  ", best.seconds, best.received);
            good &= !matches!(*name, TEXT | JSON) || times <= 1.25;
        }
        println!();
    }
    Ok(good)
}

/// Rounds in which the receiver may show that it keeps within [`MOST`].
const TRIES: usize = 8;
/// Of the bare loop's CPU time. It takes some 1.7 times that; what a busy machine adds differs between the two.
const MOST: f64 = 2.5;

/// Whether the receiver takes text in less than [`MOST`] times the bare loop's CPU time: in one round of some, as what else
/// the machine does may fall on either.
pub fn check() -> Result<bool, String> {
    let dir = tempfile::tempdir().map_err(failed)?;
    let mut least = f64::INFINITY;
    for _ in 0..TRIES {
        let mut seconds = Vec::new();
        for program in
            programs(dir.path())?.into_iter().filter(|program| ["bare loop", TEXT].contains(&program.name))
        {
            seconds.extend(run(program, Pace::Flood)?.map(|best| best.seconds));
        }
        let [bare, receiver] = seconds[..] else {
            return Err("by the clock: a program does not start".into());
        };
        least = least.min(receiver / bare);
        if least <= MOST {
            break;
        }
    }
    println!("receiver: CPU time of the bare loop's, text: {least:.2}, to be below {MOST}");
    Ok(least <= MOST)
}

/// These are to be within 1.25 times the bare loop.
const TEXT: &str = "netconsole-receiver, text";
const JSON: &str = "netconsole-receiver, JSON";

fn programs(dir: &Path) -> Result<Vec<Program>, String> {
    let own = std::env::current_exe().map_err(failed)?;
    let output = |name: &str| dir.join(name);
    let mut programs = Vec::new();
    let mut add = |name: &'static str, kind: &'static str, program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        programs.push(Program { name, kind, command, output: output(&name.replace(' ', "-")) });
    };
    add("bare loop", "text", &own, &["--bare", PORT]);
    // The same program, which is there already.
    let receiver = own.with_file_name("feed");
    let listen = ["listen", "--bind", "127.0.0.1", "--port", PORT];
    add(TEXT, "text", &receiver, &listen);
    add(JSON, "text", &receiver, &[&listen[..], &["--json"]].concat());
    add("netconsole-receiver, 1,000 senders", "senders1000", &receiver, &listen);
    add("nc", "text", Path::new("nc"), &["-u", "-l", "-k", "127.0.0.1", PORT]);
    let rules = dir.join("rsyslog.conf");
    let lines = output("rsyslog");
    let text = format!(
        "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{PORT}\" rcvbufSize=\"64m\")\n\
         template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"raw\")\n",
        lines.display()
    );
    fs::write(&rules, text).map_err(failed)?;
    let id = dir.join("rsyslog.pid");
    add(
        "rsyslog",
        "text",
        Path::new("rsyslogd"),
        &["-n", "-f", &rules.to_string_lossy(), "-i", &id.to_string_lossy()],
    );
    Ok(programs)
}

/// Where all listen, one after the other.
const PORT: &str = "16680";

/// What a program takes and writes. `None`: it is not installed.
fn run(program: Program, pace: Pace) -> Result<Option<Best>, String> {
    let Program { kind, mut command, output, .. } = program;
    // rsyslog writes its file itself.
    let shown = output.with_extension("out");
    let file = File::create(&shown).map_err(failed)?;
    let spawned = command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null()).spawn();
    let Ok(child) = spawned else { return Ok(None) };
    let mut child = Running(child);
    let deadline = Instant::now() + PATIENCE;
    while !is_listened_on() {
        if child.0.try_wait().map_err(failed)?.is_some() || Instant::now() > deadline {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
    let before = cpu_time(child.0.id())?;
    send(kind, pace)?;
    let length =
        || [&output, &shown].map(|path| fs::metadata(path).map_or(0, |file| file.len())).iter().sum::<u64>();
    let (mut before_that, mut since) = (length(), Instant::now());
    while since.elapsed() < SILENCE {
        thread::sleep(LOOK);
        let now = length();
        if now != before_that {
            (before_that, since) = (now, Instant::now());
        }
    }
    let seconds = cpu_time(child.0.id())?.saturating_sub(before).as_secs_f64();
    drop(child);
    let received = [&output, &shown].map(|path| fs::read(path).unwrap_or_default()).concat();
    let lines = received
        .split(|&byte| byte == b'\n')
        .filter(|line| line.ends_with(b"port 2") || line.ends_with(b"}"));
    let lines = lines.count() as f64;
    let received = 100.0 * lines / f64::from(RECORDS);
    // rsyslog's file is there from the round before.
    let _ = fs::remove_file(&output);
    Ok(Some(Best { seconds: seconds * 1e6 / lines.max(1.0), received }))
}

/// Sends all records, each sender's from a port of its own.
fn send(kind: &str, pace: Pace) -> Result<(), String> {
    let load = Load::of(kind).ok_or("no such load")?;
    let mut sockets = Vec::new();
    for _ in 0..load.senders() {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
        socket.connect(format!("127.0.0.1:{PORT}")).map_err(failed)?;
        sockets.push(socket);
    }
    let mut datagrams = Datagrams::default();
    for number in 0..RECORDS {
        let socket = &sockets[number as usize % sockets.len()];
        load.make(number, &mut datagrams);
        for datagram in datagrams.each() {
            // What is lost is counted where it should have come out.
            let _ = socket.send(datagram);
        }
        if matches!(pace, Pace::Bursts) && number % BURST == BURST - 1 {
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Whether a socket is bound to the port, as Linux tells.
fn is_listened_on() -> bool {
    let port = PORT.parse::<u16>().unwrap_or_default();
    let wanted = format!(":{port:04X} ");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().any(|line| {
            line.split_once(": ")
                .is_some_and(|(_, rest)| rest.get(..40).is_some_and(|local| local.contains(&wanted)))
        })
    })
}

/// The time that a process's threads have had, its own and the system's for it (sched-stats.rst, "schedstat"), in
/// nanoseconds where /proc/*/stat counts hundredths of a second.
fn cpu_time(id: u32) -> Result<Duration, String> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).map_err(failed)?;
    let mut all = Duration::ZERO;
    for thread in threads {
        let text = fs::read_to_string(thread.map_err(failed)?.path().join("schedstat")).map_err(failed)?;
        let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        all += Duration::from_nanos(nanos.ok_or("by the clock: /proc/*/schedstat tells no time")?);
    }
    Ok(all)
}

fn failed(error: std::io::Error) -> String {
    format!("by the clock: {error}")
}

/// A program, ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
