//! The receiver by the clock, beside the bare loop and what else is installed: CPU seconds per million records, each
//! program fed by the same sender over loopback, one after the other.
//!
//! netconsd is part of it where `NETCONSD` names the directory in which it was built (github.com/facebook/netconsd,
//! `make netconsd && make -C modules printer.so`). It asks for no larger socket buffer than net.core.rmem_default,
//! 208 KiB, so that in a flood most is dropped there. doc/performance.md has its figures, with version and date.

use std::fs::{self, File};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{self, Datagrams, Load};
use crate::running::{Running, cpu_time};

/// Fewer than fit into the largest socket buffer that is asked for, so that all can come in one flood.
const RECORDS: u32 = 200_000;
/// The sender makes a pause after this many, so that every program keeps up on a busy machine.
const BURST: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);
/// Each figure is the least of N rounds through all programs: what else the machine does only ever adds, and by
/// rounds it adds to all alike.
const ROUNDS: usize = 5;
/// How long a program may take to listen, and how long nothing more has come where it is done.
pub const PATIENCE: Duration = Duration::from_secs(20);
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

/// A program, how it is started, and where its lines come out: its standard output, and what it writes itself.
struct Program {
    name: &'static str,
    kind: &'static str,
    command: Command,
    shown: PathBuf,
    written: PathBuf,
}

/// The least CPU seconds per million records, and the share that came out in that round, in percent.
#[derive(Clone, Copy, Debug)]
struct Best {
    seconds: f64,
    received: f64,
}

/// Measures and prints all; false where the receiver takes more than one that it is to be quicker than.
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
    println!("CPU seconds per million records, the least of {ROUNDS} rounds; received");
    println!("{:46}{:^24}{:^24}", "", "as fast as it can be sent", "100 a millisecond");
    for (name, row) in names.iter().zip(&best) {
        print!("{name:46}");
        for best in row {
            match best {
                Some(best) => print!("{:>11.2}{:>9.1} %  ", best.seconds, best.received),
                None => print!("{:^24}", "not here"),
            }
        }
        println!();
    }
    let seconds = |wanted: &str| {
        let row = names.iter().position(|name| *name == wanted).and_then(|row| best.get(row));
        row.into_iter().flatten().map(|best| best.filter(|best| best.received >= RECEIVED))
    };
    let mut good = true;
    for (name, times, other) in AIMS {
        for (column, (best, other_best)) in seconds(name).zip(seconds(other)).enumerate() {
            let (Some(best), Some(other_best)) = (best, other_best) else { continue };
            let is_reached = best.seconds <= times * other_best.seconds;
            let ratio = best.seconds / other_best.seconds;
            let [is, pace] = [if is_reached { "is" } else { "is NOT" }, ["in a flood", "in bursts"][column]];
            println!("{name}: {ratio:.2} of {other} {pace}, {is} within {times}");
            good &= is_reached;
        }
    }
    Ok(good)
}

/// Which is to take at most so many times what another one takes.
const AIMS: [(&str, f64, &str); 8] = [
    (TEXT, 1.25, BARE),
    (JSON, 1.25, BARE),
    (TEXT, 1.0, NETCONSD),
    (JSON, 1.0, NETCONSD),
    (SENDERS, 1.2, TEXT),
    (SENDERS, 1.0, NETCONSD_SENDERS),
    (FRAGMENTS, 1.0, NETCONSD_FRAGMENTS),
    (FILES, 1.0, RSYSLOG_FILES),
];
/// Of which less came out, in percent, it says nothing how long that took.
const RECEIVED: f64 = 90.0;

/// Rounds in which the receiver may show that it keeps within [`MOST`].
const TRIES: usize = 8;
/// Of the bare loop's CPU time. It takes less than that on an idle machine; what a busy one adds differs between the two.
const MOST: f64 = 2.5;

/// Whether the receiver takes text in less than [`MOST`] times the bare loop's CPU time: in one round of some, as what else
/// the machine does may fall on either.
pub fn check() -> Result<bool, String> {
    let dir = tempfile::tempdir().map_err(failed)?;
    let mut least = f64::INFINITY;
    for _ in 0..TRIES {
        let mut seconds = Vec::new();
        for program in
            programs(dir.path())?.into_iter().filter(|program| [BARE, TEXT].contains(&program.name))
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

const BARE: &str = "bare loop, text";
const TEXT: &str = "netconsole-receiver, text";
const JSON: &str = "netconsole-receiver, JSON";
const SENDERS: &str = "netconsole-receiver, 1,000 senders";
const FILES: &str = "netconsole-receiver, a file for each of 1,000";
const FRAGMENTS: &str = "netconsole-receiver, fragments";
const NETCONSD: &str = "netconsd, text";
const NETCONSD_SENDERS: &str = "netconsd, 1,000 senders";
const NETCONSD_FRAGMENTS: &str = "netconsd, fragments";
const RSYSLOG_FILES: &str = "rsyslog, a file for each of 1,000";

fn programs(dir: &Path) -> Result<Vec<Program>, String> {
    let own = std::env::current_exe().map_err(failed)?;
    let receiver = receiver()?;
    let path = |name: &str| dir.join(name.replace(' ', "-"));
    let mut programs = Vec::new();
    let mut add = |name: &'static str, kind: &'static str, program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        let written = path(name);
        programs.push(Program { name, kind, command, shown: written.with_extension("out"), written });
    };
    let written = |name: &str| path(name).display().to_string();
    let listen = ["listen", "--bind", "127.0.0.1", "--port", PORT];
    add(BARE, "text", &own, &["--bare", PORT]);
    add(TEXT, "text", &receiver, &listen);
    add(JSON, "text", &receiver, &[&listen[..], &["--json"]].concat());
    add(SENDERS, "senders1000", &receiver, &listen);
    let dir_of_files = ["--quiet", "--dir", &written(FILES)];
    add(FILES, "senders1000", &receiver, &[&listen[..], &dir_of_files].concat());
    add("bare loop, fragments", "fragments", &own, &["--bare", PORT]);
    add(FRAGMENTS, "fragments", &receiver, &listen);
    add("nc, text", "text", Path::new("nc"), &["-u", "-l", "-k", "127.0.0.1", PORT]);
    let rules = |name: &str, template: &str, file: &str| {
        let text = format!(
            "global(net.enableDNS=\"off\")\nmodule(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{PORT}\" rcvbufSize=\"64m\")\n\
             template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n{template}\n\
             action(type=\"omfile\" {file} template=\"raw\")\n"
        );
        let rules = dir.join(name);
        fs::write(&rules, text).map_err(failed)?;
        Ok::<_, String>(rules.display().to_string())
    };
    let id = dir.join("rsyslog.pid").display().to_string();
    let one = rules("one.conf", "", &format!("file=\"{}\"", written("rsyslog, text")))?;
    add("rsyslog, text", "text", Path::new("rsyslogd"), &["-n", "-f", &one, "-i", &id]);
    let each = format!(
        "template(name=\"each\" type=\"string\" string=\"{}/%fromhost-ip%\")",
        written(RSYSLOG_FILES)
    );
    let each = rules("each.conf", &each, "dynaFile=\"each\" dynaFileCacheSize=\"1000\"")?;
    add(RSYSLOG_FILES, "senders1000", Path::new("rsyslogd"), &["-n", "-f", &each, "-i", &id]);
    let netconsd = PathBuf::from(std::env::var_os("NETCONSD").unwrap_or_default());
    let printer = netconsd.join("modules/printer.so").display().to_string();
    for (name, kind) in
        [(NETCONSD, "text"), (NETCONSD_SENDERS, "senders1000"), (NETCONSD_FRAGMENTS, "fragments")]
    {
        add(name, kind, &netconsd.join("netconsd"), &["-u", PORT, &printer]);
    }
    Ok(programs)
}

/// The same receiver, in a program that is there already.
pub fn receiver() -> Result<PathBuf, String> {
    Ok(std::env::current_exe().map_err(failed)?.with_file_name("feed"))
}

/// Where all listen, one after the other.
pub const PORT: &str = "16680";

/// What a program takes and writes. `None`: it is not installed.
fn run(program: Program, pace: Pace) -> Result<Option<Best>, String> {
    let Program { kind, mut command, shown, written, .. } = program;
    let file = File::create(&shown).map_err(failed)?;
    let spawned = command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null()).spawn();
    let Ok(child) = spawned else { return Ok(None) };
    let mut child = Running(child);
    if !listens(&mut child)? {
        return Ok(None);
    }
    let cpu_time =
        |child: &Running| cpu_time(child.0.id()).ok_or("by the clock: /proc/*/schedstat tells no time");
    let before = cpu_time(&child)?;
    let load = Load::of(kind).ok_or("no such load")?;
    send(load, pace)?;
    let paths = || files(&written).chain([shown.clone()]);
    let length = || paths().map(|path| fs::metadata(path).map_or(0, |file| file.len())).sum::<u64>();
    let (mut before_that, mut since) = (length(), Instant::now());
    while since.elapsed() < SILENCE {
        thread::sleep(LOOK);
        let now = length();
        if now != before_that {
            (before_that, since) = (now, Instant::now());
        }
    }
    let seconds = cpu_time(&child)?.saturating_sub(before).as_secs_f64();
    drop(child);
    let marks =
        |text: &[u8]| text.windows(load::MARK.len()).filter(|bytes| *bytes == load::MARK).count() as u32;
    let received: u32 = paths().map(|path| marks(&fs::read(path).unwrap_or_default())).sum();
    let received = f64::from(received) / f64::from(load.marks());
    // What was written is there no longer in the next round.
    let _ = fs::remove_file(&written);
    let _ = fs::remove_dir_all(&written);
    let share = 100.0 * received / f64::from(RECORDS);
    Ok(Some(Best { seconds: seconds * 1e6 / received.max(1.0), received: share }))
}

/// A file, or the files in a directory.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten();
    let below: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_dir = path.is_dir();
    below.into_iter().chain((!is_dir).then(|| path.to_owned()))
}

/// Sends all records, each sender's from an address of its own.
fn send(load: Load, pace: Pace) -> Result<(), String> {
    let mut sockets = Vec::new();
    for number in 0..load.senders() {
        let from = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + number);
        let socket = UdpSocket::bind((from, 0)).map_err(failed)?;
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

/// Waits until the program listens; false where it has ended, or does not for long.
pub fn listens(program: &mut Running) -> Result<bool, String> {
    let deadline = Instant::now() + PATIENCE;
    while !is_listened_on() {
        if program.0.try_wait().map_err(failed)?.is_some() || Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
    Ok(true)
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

pub fn failed(error: std::io::Error) -> String {
    format!("by the clock: {error}")
}
