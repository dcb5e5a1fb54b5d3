//! What the wall tells a browser: server-sent events, logs, consoles. Asked without one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model;
use crate::serving::Serving;

/// No event is waited for longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Events as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(serving: &Serving, query: &str) -> Self {
        let mut stream = serving.connect();
        // It beats in between, so that this one is that of a program that hangs.
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let head = format!("GET /events?{query} HTTP/1.1\r\nHost: {}\r\n\r\n", serving.place);
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut events = Events(BufReader::new(stream));
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            events.0.read_line(&mut line).expect("text");
            assert!(
                !line.to_ascii_lowercase().starts_with("content-type: ")
                    || line.contains("text/event-stream")
            );
        }
        events
    }

    /// The next one's name and data, which are to come before this time.
    fn next(&mut self, deadline: Instant) -> (String, Value) {
        let mut lines = Vec::new();
        loop {
            assert!(Instant::now() < deadline, "it did not come in time");
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).expect("text"), 0, "it ended");
            match line.trim_end() {
                "" if lines.len() == 2 => break,
                "" | ":" => lines.clear(),
                _ => lines.push(line),
            }
        }
        let name = lines[0].strip_prefix("event: ").expect("a name").trim().to_owned();
        let data = lines[1].strip_prefix("data: ").expect("data");
        (name, serde_json::from_str(data).expect("JSON of one line"))
    }

    /// Looks at events until one is so.
    fn until(&mut self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (found, data) = self.next(deadline);
            if found == name && is_so(&data) {
                return data;
            }
        }
    }
}

/// Whether a tile of the machine is so.
fn tile<'t>(tiles: &'t Value, name: &str) -> Option<&'t Value> {
    tiles.as_array()?.iter().find(|tile| tile["name"] == name)
}

#[test]
fn a_machine_goes_through_its_states() {
    // No state passes by itself here.
    let serving = Serving::start(&["--name", "127.0.0.1=board7", "--silent-after", "1h", "--http-console"]);
    let mut events = Events::open(&serving, "machine=board7");
    let hello = events.until("hello", |_| true);
    assert_eq!((hello["console"].as_bool(), hello["silent_after"].as_u64()), (Some(true), Some(3600)));
    let socket = serving.receiver.socket();
    let mut goes = |record: &[u8], state: &str| {
        socket.send(record).expect("loopback");
        events.until("tiles", |tiles| tile(tiles, "board7").is_some_and(|tile| tile["state"] == state))
    };
    goes(b"6,0,1,-;Linux version 6.12\n", "booting");
    let up = goes(b"6,1,2000000,-;Run /sbin/init as init process\n", "up");
    let up = tile(&up, "board7").expect("it is there");
    assert_eq!(up["last"]["text"], "Run /sbin/init as init process");
    goes(b"6,2,2000001,-;x\n", "up");
    goes(b"6,3,2000002,-;x\n", "up");
    goes(b"0,6,2000003,-;Kernel panic - not syncing: test\n", "crashed");
    socket.send(b"6,0,1,-;Linux version 6.12\n").expect("loopback");
    let rebooted = goes(b"6,1,2,-;x\n", "rebooted");
    let rebooted = tile(&rebooted, "board7").expect("it is there");
    assert_eq!((rebooted["crashes"].as_u64(), rebooted["reboots"].as_u64()), (Some(1), Some(1)));
    assert_eq!(rebooted["skipped"].as_u64(), Some(2));
    goes(b"6,2,90000000,-;x\n", "up");
}

/// What it comes back to is `a_machine_is_silent_until_it_speaks`'s, with a clock of its own.
#[test]
fn a_machine_of_which_nothing_comes_is_silent() {
    let serving = Serving::start(&["--silent-after", "1s"]);
    serving.receiver.socket().send(b"6,1,2000000,-;x\n").expect("loopback");
    Events::open(&serving, "")
        .until("tiles", |tiles| tile(tiles, "127.0.0.1").is_some_and(|tile| tile["state"] == "silent"));
}

/// The log from its beginning, as the receiver's JSON has it, then each line as it comes; the report as a whole.
#[test]
fn a_log_is_followed_from_its_beginning() {
    let serving = Serving::start(&["--name", "127.0.0.1=board7"]);
    let socket = serving.receiver.socket();
    let evil = "<script>alert(1)</script> \\x1b[31mred\\x0adata: x\\x0a\\x0aevent: tiles";
    socket.send(&model::datagram(0, evil)).expect("loopback");
    serving.until("/metrics", |text| text.contains("netconsole_records_total 1\n"));
    let mut events = Events::open(&serving, "machine=board7");
    let first = events.until("lines", |_| true);
    assert_eq!(first["lost"], 0);
    assert_eq!(first["lines"][0]["text"], "<script>alert(1)</script> \u{1b}[31mred\ndata: x\n\nevent: tiles");
    socket.send(&model::datagram(1, "Kernel panic - not syncing: test")).expect("loopback");
    let next = events.until("lines", |lines| lines["lines"].to_string().contains("Kernel panic"));
    assert!(next["lines"].as_array().expect("a list").iter().all(|line| line["sender"] == "board7"));
    let reports = events.until("reports", |_| true);
    assert_eq!(reports[0]["report"]["title"], "Kernel panic - not syncing: test");
    // What is kept can be taken away.
    let json = serving.get("/log?as=json&machine=board7").body;
    let events: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<_> = events.iter().map(|line| line["event"].as_str().expect("text")).collect();
    assert_eq!(names, ["record", "crash", "record", "report"]);
    for (path, status) in [
        ("/log?as=json&machine=other", 404),
        ("/log?as=text&machine=board7", 400),
        ("/log?machine=board7", 400),
    ] {
        assert_eq!(serving.get(path).status, status, "{path}");
    }
}

/// A capture of the machine's datagrams, which the receiver reads as it read them.
#[test]
fn the_datagrams_of_a_machine_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let serving = Serving::start(&[]);
    let socket = serving.receiver.socket();
    (0..3).for_each(|sequence| drop(socket.send(&model::datagram(sequence, "text"))));
    serving
        .until("/metrics", |text| text.contains("netconsole_output_records_total{output=\"the wall\"} 3\n"));
    let mut stream = serving.connect();
    let head = format!("GET /log?as=pcap&machine=127.0.0.1 HTTP/1.1\r\nHost: {}\r\n\r\n", serving.place);
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let start = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    let file = dir.path().join("board.pcap");
    std::fs::write(&file, &answer[start..]).expect("a file");
    let port = serving.receiver.port.to_string();
    let file = file.to_str().expect("a plain path");
    let output = crate::run::run(&["--read", file, "--port", &port, "--time", "none"]);
    assert_eq!(crate::run::stdout(&output).lines().count(), 3, "{output:?}");
}

/// Datagrams of which nothing is shown are kept within the same bound.
#[test]
fn datagrams_without_a_record_that_is_shown_are_bounded() {
    let serving = Serving::start(&["--host", "nobody"]);
    let socket = serving.receiver.socket();
    let before = serving.receiver.memory_peak_kib();
    let long = "x".repeat(8000);
    for sequence in 0..25_000 {
        socket.send(&model::datagram(sequence, &long)).expect("loopback");
        if sequence % 10 == 9 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    // Until nothing more of the 200 MiB is taken.
    let taken = || {
        let metrics = serving.get("/metrics").body;
        metrics.lines().filter(|line| line.starts_with("netconsole_records_total")).collect::<String>()
    };
    let mut before_that = String::new();
    while before_that.is_empty() || before_that != taken() {
        before_that = taken();
        thread::sleep(Duration::from_millis(500));
    }
    let grown = serving.receiver.memory_peak_kib().saturating_sub(before) >> 10;
    assert!(grown < 150, "{grown} MiB");
}

/// A browser that does not read costs no record, and memory that has a bound.
#[test]
fn a_browser_that_does_not_read_holds_up_nothing() {
    const RECORDS: u64 = 20_000;
    const TOGETHER: usize = 2_000;
    let serving = Serving::start(&["--name", "127.0.0.1=board7"]);
    let socket = serving.receiver.socket();
    let slow: Vec<_> = (0..8).map(|_| Events::open(&serving, "machine=board7")).collect();
    let before = serving.receiver.memory_peak_kib();
    let long = "x".repeat(900);
    // Never more than it may let wait, however slow it is.
    for first in (0..RECORDS).step_by(TOGETHER) {
        let upto = first + TOGETHER as u64;
        for sequence in first..upto {
            socket.send(&model::datagram(sequence, &long)).expect("loopback");
        }
        let wall = format!("netconsole_output_records_total{{output=\"the wall\"}} {upto}\n");
        serving.until("/metrics", |text| text.contains(&wall));
    }
    let text = serving.get("/metrics").body;
    assert!(text.contains("netconsole_output_lost_records_total{output=\"the wall\"} 0\n"), "{text}");
    // Of 20 MB of records 4 MiB of lines and 1 MiB of datagrams are kept.
    assert!(serving.receiver.memory_peak_kib() - before < 64 << 10);
    let mut late = Events::open(&serving, "machine=board7");
    let lines = late.until("lines", |_| true);
    assert_eq!(lines["lost"], 0, "a new one begins with what is kept");
    assert!(lines["lines"][0]["sequence"].as_u64().expect("a number") > RECORDS - 10_000);
    drop(slow);
}

/// Above 500 those are listed that changed or crashed, or that are searched for.
#[test]
fn of_very_many_machines_some_are_listed() {
    let serving = Serving::start(&[]);
    for number in 0..600u32 {
        let ip = std::net::Ipv4Addr::from(0x7f01_0000 + number);
        let socket = std::net::UdpSocket::bind((ip, 0)).expect("loopback");
        let text = if number == 7 { "Kernel panic - not syncing: test" } else { "text" };
        socket.send_to(&model::datagram(0, text), ("127.0.0.1", serving.receiver.port)).expect("loopback");
        if number % 50 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    serving.until("/metrics", |text| text.contains("netconsole_senders 600\n"));
    let summary = |query: &str| {
        let mut events = Events::open(&serving, query);
        let mut names = std::collections::BTreeSet::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match events.next(deadline) {
                (name, tiles) if name == "tiles" => {
                    let new = tiles.as_array().expect("a list").iter().map(|tile| tile["name"].to_string());
                    names.extend(new);
                }
                // The wall may have less yet than the run.
                (name, summary)
                    if name == "summary" && summary["crashed"] == 1 && summary["machines"] == 600 =>
                {
                    return (names, summary);
                }
                _ => {}
            }
        }
    };
    let (names, all) = summary("");
    assert_eq!((all["machines"].as_u64(), all["listed"].as_u64()), (Some(600), Some(500)));
    assert!(names.contains("\"127.1.0.7\""), "the one that crashed");
    let (names, found) = summary("find=127.1.0.19");
    assert_eq!((found["machines"].as_u64(), found["listed"].as_u64()), (Some(600), Some(11)));
    assert!(names.iter().all(|name| name.starts_with("\"127.1.0.19")), "{names:?}");
}

/// A change is a POST with the token, on loopback too, from the page itself; and consoles are closed unless asked for.
#[test]
fn a_console_takes_lines_only_with_the_token() {
    let mut open = Serving::start(&["--http-console", "--no-ncrx", "--name", "127.0.0.1=board7"]);
    let said = open.says();
    let token = said.rsplit_once(' ').expect("a token").1.to_owned();
    let closed = Serving::start(&[]);
    let socket = open.receiver.socket();
    socket.send(&model::datagram(0, "text")).expect("loopback");
    open.until("/metrics", |text| text.contains("netconsole_records_total 1\n"));
    let (host, bearer) = (format!("Host: {}", open.place), format!("Authorization: Bearer {token}"));
    let body = json!({"machine": "board7", "line": "uptime"}).to_string();
    let post = |fields: &[&str], body: &str| open.ask("POST", "/console", fields, body).status;
    assert_eq!(post(&[&host], &body), 401);
    assert_eq!(post(&[&host, "Authorization: Bearer wrong"], &body), 401);
    assert_eq!(post(&[&host, &bearer, "Origin: http://evil.example"], &body), 403);
    assert_eq!(post(&["Host: evil.example", &bearer], &body), 421);
    assert_eq!(open.ask("POST", &format!("/console?token={token}"), &[&host], &body).status, 401);
    assert_eq!(open.ask("GET", "/console", &[&host, &bearer], "").status, 405);
    assert_eq!(open.ask("POST", "/events", &[&host, &bearer], "").status, 405);
    assert_eq!(post(&[&host, &bearer], "{}"), 400);
    let other = json!({"machine": "other", "line": "uptime"}).to_string();
    assert_eq!(post(&[&host, &bearer], &other), 404);
    let two = json!({"machine": "board7", "line": "a\nb"}).to_string();
    assert_eq!(post(&[&host, &bearer], &two), 400);
    // Nothing of all that was sent; what is allowed is.
    assert_eq!(post(&[&host, &bearer, &format!("Origin: http://{}", open.place)], &body), 202);
    let mut line = [0; 100];
    let length = socket.recv(&mut line).expect("a line");
    assert_eq!(&line[..length], b"uptime");
    // Where it is not allowed nobody knows a token; and one in a file does not open it.
    let host = format!("Host: {}", closed.place);
    assert_eq!(closed.ask("POST", "/console", &[&host, &bearer], &body).status, 401);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, &token).expect("a file");
    let closed = Serving::start(&["--http-token-file", file.to_str().expect("a plain path")]);
    let host = format!("Host: {}", closed.place);
    assert_eq!(closed.ask("POST", "/console", &[&host, &bearer], &body).status, 403);
}

/// The page is made of three files without a script or a style in them, and names no other host.
#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let serving = Serving::start(&[]);
    for (path, kind) in [("/", "text/html"), ("/wall.css", "text/css"), ("/wall.js", "text/javascript")] {
        let answer = serving.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains(&format!("content-type: {kind}; charset=utf-8")), "{}", answer.head);
        for foreign in [
            "//cdn",
            "https://",
            "url(",
            "@import",
            "innerHTML",
            "insertAdjacentHTML",
            "eval(",
            "document.write",
        ] {
            assert!(!answer.body.contains(foreign), "{foreign} in {path}");
        }
    }
    let page = serving.get("/").body;
    assert!(!page.contains("style=") && !page.contains("onclick") && page.matches("<script").count() == 1);
}
