//! The program itself: exit statuses, files, captures, signals, a burst, recovery over real sockets. Loopback only.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::CommandFactory;
use model::Random;
use netconsole_receiver::limits;
use netconsole_receiver::manual::{self, Section};
use netconsole_receiver::options::Options;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_netconsole-receiver");
/// Nothing here takes longer, however slow the machine.
const PATIENCE: &str = "60";

fn capture(name: &str) -> String {
    format!("{}/../tests/captures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program runs")
}

fn status(arguments: &[&str]) -> Option<i32> {
    run(arguments).status.code()
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("text")
}

/// A receiver that listens on a free port of the loopback interface.
struct Listening {
    child: Child,
    port: u16,
}

impl Listening {
    fn start(arguments: &[&str]) -> Self {
        // Local address as /proc shows it: the bytes of 127.0.0.1 turned around.
        Self::start_at("127.0.0.1", "/proc/net/udp", "0100007F", arguments)
    }

    fn start_at(address: &str, table: &str, shown: &str, arguments: &[&str]) -> Self {
        let port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let child = Command::new(PROGRAM)
            .args(["--bind", address, "--port", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let listening = Listening { child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        let line = format!("{shown}:{port:04X}");
        while !fs::read_to_string(table).expect("Linux").contains(&line) {
            assert!(Instant::now() < deadline, "the program does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        listening
    }

    fn socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", self.port)).expect("loopback");
        socket
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("a running child");
    }

    fn memory_peak_kib(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn end(self) -> Output {
        self.child.wait_with_output().expect("the program ends")
    }
}

/// Each datagram of the basic capture is a line that Linux logged; what we print is these, and our own remarks.
#[test]
fn linux_basic_capture() {
    let output = run(&["--read", &capture("linux-6.12-basic.pcap")]);
    let expected = fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text");
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn linux_extended_capture() {
    let output = run(&["--read", &capture("linux-6.12-extended.pcap"), "--complete"]);
    let expected = fs::read_to_string(capture("linux-6.12-extended.txt")).expect("the golden text");
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_has_the_documented_fields() {
    let output = run(&["--read", &capture("linux-6.12-extended.pcap"), "--json", "--name", "10.0.2.15=vm"]);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let records: Vec<_> = lines.iter().filter(|line| line["event"] == "record").collect();
    assert_eq!(records.len(), 393);
    assert!(records.iter().zip(0..).all(|(record, sequence)| record["sequence"] == sequence));
    let panic = records.iter().find(|record| record["sequence"] == 357).expect("the panic");
    assert_eq!(panic["text"], "Kernel panic - not syncing: sysrq triggered crash");
    assert_eq!((&panic["level"], &panic["facility"], &panic["crash"]), (&0.into(), &0.into(), &true.into()));
    assert_eq!(
        (&panic["sender"], &panic["address"], &panic["port"]),
        (&"vm".into(), &"10.0.2.15".into(), &6665.into())
    );
    assert_eq!((&panic["format"], &panic["timestamp_us"]), (&"extended".into(), &3_729_959.into()));
    assert_eq!(panic["release"], "6.12.117+deb12-cloud-amd64");
    assert_eq!(panic["received"].as_str().map(str::len), Some("2026-11-24T13:34:27.981344Z".len()));
    let user = records.iter().find(|record| record["sequence"] == 353).expect("user space's record");
    assert_eq!((&user["level"], &user["facility"]), (&1.into(), &1.into()));
    let device =
        records.iter().find(|record| record["fields"]["SUBSYSTEM"] == "acpi").expect("a device's record");
    assert_eq!(device["fields"]["DEVICE"], "+acpi:PNP0A03:00");
    assert!(lines.iter().any(|line| line["event"] == "crash"));
}

/// The terms of a part of the manual.
fn documented(title: &str) -> BTreeSet<String> {
    let is_it = |section: &&Section| section.title == title;
    let section = manual::SECTIONS.iter().find(is_it).expect("the manual has it");
    section.terms.iter().map(|(term, _)| term.to_string()).collect()
}

/// Datagrams that make every kind of event with every field: what comes out is what the manual says, no more
/// and no less.
#[test]
fn every_json_field_is_documented_and_every_documented_one_exists() {
    let arguments = ["--json", "--elf", PROGRAM, "--no-ncrx", "--until", "the last", "--crash-ok"];
    let receiver = Listening::start(&[&arguments[..], &["--timeout", PATIENCE]].concat());
    let (socket, other, syslog) = (receiver.socket(), receiver.socket(), receiver.socket());
    let send = |datagram: &str| socket.send(datagram.as_bytes()).expect("loopback");
    send("1.2.3,6,0,1,-;first\n KEY=value\n");
    // Longer than a gap may wait.
    send("6,2,3,-;after a gap\n");
    send("6,3,4,-,ncfrag=0/11;hello ");
    thread::sleep(limits::REORDER_WAIT * 3);
    send("6,1,2,-;late\n");
    syslog.send(b"<4>1 2026-11-24T21:22:23Z board7 kernel - - - text").expect("loopback");
    other.send(b"6,7000,1,-;joined\n").expect("loopback");
    // A report, with the address of any code of the file.
    let (code, _) = function_and_build_id();
    send("0,4,5,-;Kernel panic - not syncing: test\n");
    send(&format!("0,5,6,-; [<{:016x}>]\n", code + 1));
    // Two records from the beginning: a new boot.
    thread::sleep(Duration::from_secs(1));
    send("6,0,1,-;again\n");
    send("6,1,2,-;the last\n");
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let mut fields: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in stdout(&output).lines() {
        let object: Value = serde_json::from_str(line).expect("an object a line");
        let keys = object.as_object().expect("an object").keys().cloned();
        fields.entry(object["event"].as_str().expect("an event").to_owned()).or_default().extend(keys);
    }
    let of_all = documented(manual::JSON);
    let [of_record, of_missing, of_joined] = manual::JSON_OF_EVENTS.map(documented);
    let nothing = BTreeSet::new();
    for (event, own) in [
        ("record", &of_record),
        ("missing", &of_missing),
        ("joined", &of_joined),
        ("rebooted", &nothing),
        ("crash", &nothing),
    ] {
        assert_eq!(fields.remove(event), Some(&of_all | own), "{event}");
    }
    assert!(fields.is_empty(), "undocumented events: {fields:?}");
}

#[test]
fn exit_statuses_are_as_documented() {
    let extended = capture("linux-6.12-extended.pcap");
    assert_eq!(status(&["--read", &extended, "--until", "network logging started"]), Some(0));
    assert_eq!(status(&["--no-such-option"]), Some(1));
    assert_eq!(status(&["--read", "/no/such/file"]), Some(1));
    assert_eq!(status(&["--read", &extended, "--until", "("]), Some(1));
    assert_eq!(status(&["--read", &extended, "--elf", "/etc/passwd"]), Some(1));
    assert_eq!(status(&["--port", "0", "--join", "127.0.0.1"]), Some(1), "no multicast group");
    assert_eq!(status(&["--read", &extended, "--fail-on", "Trigger a crash"]), Some(2));
    // The crash comes before the end, which does not match.
    assert_eq!(status(&["--read", &extended, "--until", "never logged"]), Some(2));
    assert_eq!(status(&["--read", &extended, "--until", "never logged", "--crash-ok"]), Some(3));
    assert_eq!(status(&["--port", "0", "--timeout", "0.1", "--until", "never"]), Some(3));
    assert_eq!(status(&["--port", "0", "--timeout", "0.1"]), Some(0));
}

#[test]
fn a_line_without_an_answer_is_told_of() {
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = nobody.local_addr().expect("a bound socket").to_string();
    let mut child = Command::new(PROGRAM)
        .args(["--bind", "127.0.0.1", "--port", "0", "--console", &to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let too_long = "x".repeat(1001);
    write!(input, "{too_long}\nuptime\n").expect("the program reads");
    drop(input);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(5));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("longer than 1000 bytes") && errors.contains(&format!("no answer from {to}")));
    let mut line = [0; 2000];
    let length = nobody.recv(&mut line).expect("what was sent");
    assert_eq!(line[..length], *b"uptime");
}

#[test]
fn complete_is_about_missing_records() {
    for (numbers, expected) in [([0u64, 1, 2], 0), ([0, 2, 3], 4), ([7000, 7001, 7002], 4)] {
        let receiver =
            Listening::start(&["--complete", "--no-ncrx", "--timeout", PATIENCE, "--until", "last"]);
        let socket = receiver.socket();
        for sequence in numbers {
            socket.send(&model::datagram(sequence, "text")).expect("loopback");
        }
        socket.send(&model::datagram(numbers[2] + 1, "last")).expect("loopback");
        assert_eq!(receiver.end().status.code(), Some(expected), "{numbers:?}");
    }
}

#[test]
fn a_report_is_taken_to_its_end_before_the_program_fails() {
    let receiver = Listening::start(&["--timeout", PATIENCE]);
    let socket = receiver.socket();
    for (sequence, text) in
        [(0, "Kernel panic - not syncing: test"), (1, "further"), (2, "the end of the report")]
    {
        socket.send(format!("0,{sequence},1,-;{text}\n").as_bytes()).expect("loopback");
        thread::sleep(Duration::from_millis(50));
    }
    let output = receiver.end();
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("… crash report from 127.0.0.1\n"));
    assert!(stdout(&output).ends_with("the end of the report\n"));
}

#[test]
fn a_signal_ends_with_everything_written_and_another_shows_the_counts() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_str().expect("a plain path");
        let mut receiver = Listening::start(&["--dir", path, "--name", "127.0.0.1=board7", "--quiet"]);
        let socket = receiver.socket();
        // Record 1 is missing: the last is held back when the signal comes.
        for sequence in [0, 2] {
            socket.send(&model::datagram(sequence, "text")).expect("loopback");
        }
        receiver.signal(Signal::SIGUSR1);
        let mut stats = String::new();
        let errors = receiver.child.stderr.as_mut().expect("a pipe");
        BufReader::new(errors).read_line(&mut stats).expect("counts");
        assert!(stats.contains(" records, ") || stats == "nothing received\n", "{stats}");
        receiver.signal(signal);
        assert_eq!(receiver.end().status.code(), Some(0));
        let log = fs::read_to_string(dir.path().join("board7.log")).expect("the sender's file");
        assert_eq!(log, "[    0.000000] text\n… 1 record missing (1)\n[    0.000020] text\n");
    }
}

#[test]
fn files_are_rotated_by_size_and_hold_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments = ["--dir", path, "--rotate", "8K", "--keep", "20", "--quiet"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.path()).collect();
    // The oldest has the highest number; the current one has none.
    files.sort_by_key(|path| {
        let number = path.extension().and_then(|number| number.to_str()?.parse::<u32>().ok()).unwrap_or(0);
        std::cmp::Reverse(number)
    });
    assert!(files.len() > 3);
    let mut all = String::new();
    for file in &files {
        let part = fs::read_to_string(file).expect("a file");
        assert!(part.len() <= 8 << 10);
        all.push_str(&part);
    }
    assert_eq!(all, fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text"));
}

#[test]
fn the_oldest_files_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let arguments = ["--dir", path, "--rotate", "2K", "--keep", "2", "--quiet"];
    run(&[&["--read", &capture("linux-6.12-basic.pcap")], &arguments[..]].concat());
    let names: BTreeSet<_> =
        fs::read_dir(dir.path()).expect("a directory").flatten().map(|file| file.file_name()).collect();
    assert_eq!(names, ["10.0.2.15.log", "10.0.2.15.log.1", "10.0.2.15.log.2"].map(Into::into).into());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    let all = fs::read_to_string(capture("linux-6.12-basic.txt")).expect("the golden text");
    assert!(all.ends_with(&["10.0.2.15.log.2", "10.0.2.15.log.1", "10.0.2.15.log"].map(read).concat()));
}

#[test]
fn a_senders_name_does_not_leave_the_directory() {
    assert_eq!(
        status(&["--read", &capture("linux-6.12-basic.pcap"), "--name", "10.0.2.15=../../x"]),
        Some(1)
    );
}

#[test]
fn colour_is_for_terminals_and_by_wish() {
    let extended = capture("linux-6.12-extended.pcap");
    let always = run(&["--read", &extended, "--color", "always"]);
    assert!(stdout(&always).contains("\x1b["));
    assert!(!stdout(&run(&["--read", &extended])).contains('\x1b'));

    let on_a_terminal = |no_color: &str| {
        let terminal = openpty(None, None).expect("a terminal");
        let mut program = Command::new(PROGRAM);
        program.args(["--read", &extended]).env("NO_COLOR", no_color).stdout(terminal.slave);
        let mut child = program.spawn().expect("the program starts");
        // The last of this side's handles: the other then reads an error at the end, as terminals do.
        drop(program);
        let mut shown = Vec::new();
        let _ = File::from(terminal.master).read_to_end(&mut shown);
        assert!(child.wait().expect("the program ends").success());
        String::from_utf8(shown).expect("text")
    };
    // https://no-color.org: an empty value does not count.
    let coloured = on_a_terminal("");
    assert!(coloured.contains("\x1b[") && coloured.contains("Kernel panic"));
    let plain = on_a_terminal("1");
    assert!(!plain.contains('\x1b') && plain.contains("Kernel panic"));
}

#[test]
fn what_is_written_as_a_capture_reads_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("copy.pcap");
    let copy = copy.to_str().expect("a plain path");
    let first = run(&["--read", &capture("linux-6.12-extended.pcap"), "--json", "--pcap", copy]);
    let second = run(&["--read", copy, "--json"]);
    assert!(!first.stdout.is_empty());
    assert_eq!(stdout(&first), stdout(&second));
}

/// The newer file format of Wireshark and its like, written by tshark.
#[test]
fn pcapng_reads_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let (old, new) = (capture("linux-6.12-extended.pcap"), dir.path().join("new.pcapng"));
    let new = new.to_str().expect("a plain path");
    let tshark = Command::new("tshark").args(["-r", &old, "-F", "pcapng", "-w", new]).output();
    assert!(tshark.expect("tshark is installed: apt-get install tshark").status.success());
    assert_eq!(fs::read(new).expect("a file")[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let expected = run(&["--read", &old, "--json"]);
    assert!(!expected.stdout.is_empty());
    assert_eq!(stdout(&run(&["--read", new, "--json"])), stdout(&expected));
}

#[test]
fn one_socket_hears_both_versions_of_ip() {
    let arguments = ["--json", "--timeout", PATIENCE, "--until", "last"];
    let receiver = Listening::start_at("::", "/proc/net/udp6", &"0".repeat(32), &arguments);
    for (local, text) in [("127.0.0.1", "first"), ("::1", "last")] {
        let socket = UdpSocket::bind((local, 0)).expect("loopback of both versions");
        socket.send_to(text.as_bytes(), (local, receiver.port)).expect("loopback");
        socket.send_to(b"\n", (local, receiver.port)).expect("loopback");
    }
    let output = receiver.end();
    let heard: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let heard: Vec<_> = heard.iter().map(|record| (&record["address"], &record["text"])).collect();
    assert_eq!(heard, [(&"127.0.0.1".into(), &"first".into()), (&"::1".into(), &"last".into())]);
}

#[test]
fn records_of_the_boot_before_and_cut_ones_are_marked() {
    let receiver = Listening::start(&["--timeout", PATIENCE, "--until", "last"]);
    let socket = receiver.socket();
    socket.send(b"6,0,1000000,-;old\n boot=-1\n").expect("loopback");
    socket.send(b"6,1,1000001,-;lon\n cut=1\n").expect("loopback");
    socket.send(b"6,2,1000002,-;last\n").expect("loopback");
    let output = receiver.end();
    assert_eq!(stdout(&output), "[    1.000000] (boot -1) old\n[    1.000001] lon…\n[    1.000002] last\n");
}

#[test]
fn control_sequences_do_not_reach_the_terminal() {
    let receiver = Listening::start(&["--timeout", PATIENCE, "--until", "last", "--fields"]);
    let socket = receiver.socket();
    socket.send(b"basic \x1b[2J\x07\x9b\xc2\x9b31m\r\n").expect("loopback");
    socket.send(b"6,0,1,-;text \\x1b]0;title\\x07\n KEY=\\x1b[31m\n").expect("loopback");
    socket.send(b"<6>1 - \x1b[1mhost - - - - \x1b[0mlast").expect("loopback");
    let output = receiver.end();
    assert!(stdout(&output).chars().all(|character| character == '\n' || !character.is_control()));
    assert!(stdout(&output).contains("text \\x1b]0;title\\x07"));
}

/// 200,000 datagrams as fast as they can be sent, while the program writes each of them out.
#[test]
fn a_burst_of_200_000_datagrams_is_received_whole() {
    const COUNT: u64 = 200_000;
    let receiver =
        Listening::start(&["--stats", "--no-ncrx", "--timeout", PATIENCE, "--until", "message 00199999 "]);
    let socket = receiver.socket();
    let reader = thread::spawn(move || receiver.end());
    for sequence in 0..COUNT {
        socket.send(&model::datagram(sequence, &model::text(sequence))).expect("loopback");
    }
    let output = reader.join().expect("the reader ends");
    let stats = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stats}");
    assert!(stats.contains("200000 records, 0 missing"), "{stats}");
    assert_eq!(stdout(&output).lines().count(), 200_000);
}

/// Fragments that are never completed, numbers without sense, noise: memory stays below what the limits say.
#[test]
fn hostile_datagrams_cost_no_memory() {
    let receiver = Listening::start(&["--quiet", "--timeout", PATIENCE, "--until", "the last"]);
    let sockets: Vec<_> = (0..20).map(|_| receiver.socket()).collect();
    let mut random = Random(99);
    let filler = "x".repeat(800);
    for _ in 0..100_000 {
        let number = random.next();
        let datagram = match number % 3 {
            0 => format!("6,{},1,-,ncfrag={}/131072;{filler}", number >> (number % 50), number % 130_000),
            1 => format!("6,{},1,-;{filler}", number >> 3),
            _ => (0..100).map(|_| char::from((random.next() % 128) as u8)).collect(),
        };
        let socket = &sockets[usize::try_from(number % 20).expect("small")];
        socket.send(datagram.as_bytes()).expect("loopback");
    }
    thread::sleep(Duration::from_millis(500));
    let peak = receiver.memory_peak_kib();
    for _ in 0..3 {
        sockets[0].send(b"\nthe last\n").expect("loopback");
    }
    assert_eq!(receiver.end().status.code(), Some(0));
    // The queue's and the windows' limits, and as much again for what allocators add.
    assert!(peak < 2 * (64 + 64) * 1024, "{peak} KiB");
}

/// The sender model over real sockets, a fifth lost in both directions.
#[test]
fn lost_records_are_fetched_over_real_sockets() {
    const COUNT: u64 = 2000;
    let receiver =
        Listening::start(&["--stats", "--complete", "--timeout", PATIENCE, "--until", "message 00001999 "]);
    let socket = receiver.socket();
    socket.set_nonblocking(true).expect("a socket");
    let mut child = receiver;
    let output = child.child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || std::io::read_to_string(output).expect("text"));
    let mut sender = model::Sender::new(COUNT, u64::MAX / 2);
    let mut random = Random(3);
    let start = Instant::now();
    while child.child.try_wait().expect("a child").is_none() {
        let now = u64::try_from(start.elapsed().as_millis()).expect("small");
        for datagram in sender.send(now) {
            if !random.percent(20) {
                // The receiver may have ended just now.
                let _ = socket.send(&datagram);
            }
        }
        let mut answer = [0; 2000];
        while let Ok(length) = socket.recv(&mut answer) {
            if !random.percent(20) {
                sender.answer(str::from_utf8(&answer[..length]).expect("an answer is text"), now);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    let lines = reader.join().expect("the reader ends");
    let status = child.end();
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
    let expected: Vec<_> = (0..COUNT).map(model::text).collect();
    let texts: Vec<_> =
        lines.lines().filter_map(|line| line.split_once("] ")).map(|(_, text)| text).collect();
    assert_eq!(texts, expected);
}

/// Where the program's function `receive::run` lies, and its build id: its own ELF file serves as a kernel's.
fn function_and_build_id() -> (u64, String) {
    use object::{Object, ObjectSymbol};
    let bytes = fs::read(PROGRAM).expect("the program");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    // As mangled: crate::receive::run.
    let is_run = |symbol: &object::Symbol| symbol.name().is_ok_and(|name| name.contains("7receive3run"));
    let function = file.symbols().find(is_run).expect("the program has this function").address();
    let build_id = file.build_id().ok().flatten().unwrap_or_default();
    (function, build_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn addresses_become_functions_if_the_build_id_fits() {
    let (function, build_id) = function_and_build_id();
    let send = |id: &str| {
        let receiver = Listening::start(&["--elf", PROGRAM, "--timeout", PATIENCE]);
        let socket = receiver.socket();
        for text in [&format!("6,0,1,-;build id {id}\n"), "0,1,2,-;Kernel panic - not syncing: test\n"] {
            socket.send(text.as_bytes()).expect("loopback");
        }
        socket.send(format!("0,2,3,-; [<{:016x}>]\n", function + 1).as_bytes()).expect("loopback");
        receiver.end()
    };
    assert_eq!(build_id.len(), 40, "the test needs an ELF file with a build id");
    let fits = send(&build_id);
    let place = format!("…   {:#x} netconsole_receiver::receive::run", function + 1);
    assert!(
        stdout(&fits).lines().any(|line| line.starts_with(&place) && line.contains("receive.rs:")),
        "{fits:?}"
    );
    let foreign = send(&"0".repeat(40));
    assert!(!stdout(&foreign).contains(".rs:"));
    assert!(stdout(&foreign).contains("addresses are not translated"), "{}", stdout(&foreign));
}

#[test]
fn the_manual_and_the_help_tell_everything() {
    let (manual, help) = (run(&["--man"]), run(&["--help"]));
    let (manual, help) = (stdout(&manual).replace("\\-", "-"), stdout(&help));
    assert!(manual.contains(".TH netconsole"));
    let command = Options::command();
    for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
        let name = format!("--{}", option.get_long().expect("every option has a long name"));
        assert!(manual.contains(&name) && help.contains(&name), "{name}");
        assert!(option.get_help().is_some(), "{name}");
    }
    for Section { title, terms, .. } in &manual::SECTIONS {
        assert!(manual.contains(&title.to_uppercase()) && help.contains(title), "{title}");
        for (term, _) in *terms {
            assert!(manual.contains(term) && help.contains(term), "{term}");
        }
    }
}
