//! Real sockets: both versions of IP, bursts, hostile senders, recovery.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::model::{self, Random};
use crate::run::{Listening, PATIENCE, PROGRAM, run, stdout};

#[test]
fn one_socket_hears_both_versions_of_ip() {
    let arguments = ["--json", "--sockets", "1", "--timeout", PATIENCE, "--until", "last"];
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

/// What a machine without any configuration sends goes to everybody.
#[test]
fn broadcasts_are_heard() {
    let arguments = ["--timeout", PATIENCE, "--until", "to all"];
    let receiver = Listening::start_at("::", "/proc/net/udp6", &"0".repeat(32), &arguments);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_broadcast(true).expect("a socket");
    socket.send_to(b"to all\n", ("127.255.255.255", receiver.port)).expect("loopback");
    assert_eq!(receiver.end().status.code(), Some(0));
}

/// Waits until it says that it listens: until all of its sockets are there, and share the senders.
fn await_sockets(receiver: &mut Listening, count: usize) {
    let said = receiver.child.stderr.as_mut().expect("a pipe");
    let mut line = Vec::new();
    // Not a byte more than the line: the rest is for whoever looks at the end.
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        said.read_exact(&mut byte).expect("it says that it listens");
        line.extend(byte);
    }
    assert!(line.starts_with(b"listening on "), "{}", String::from_utf8_lossy(&line));
    let port = format!(":{:04X} ", receiver.port);
    assert_eq!(fs::read_to_string("/proc/net/udp").expect("Linux").matches(&port).count(), count);
}

/// What is shown, up to the line that is the last as `is_last` says.
fn shown_until(receiver: &mut Listening, mut is_last: impl FnMut(&Value) -> bool) -> Vec<Value> {
    let output = BufReader::new(receiver.child.stdout.take().expect("a pipe"));
    let mut shown = Vec::new();
    for line in output.lines() {
        let event = serde_json::from_str(&line.expect("text")).expect("JSON");
        let is_over = is_last(&event);
        shown.push(event);
        if is_over {
            break;
        }
    }
    receiver.signal(Signal::SIGTERM);
    shown
}

/// A message, from a new port of this address.
fn send_from(last: u8, port: u16, text: &str) {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, last], 0))).expect("loopback");
    socket.send_to(text.as_bytes(), ("127.0.0.1", port)).expect("loopback");
}

/// As `logger` sends, each message from a port of its own: what comes from one machine comes through one socket.
#[test]
fn several_sockets_keep_each_machine_s_order() {
    const MACHINES: u8 = 8;
    const MESSAGES: usize = 100;
    let mut receiver = Listening::start(&["--json", "--sockets", "4", "--timeout", PATIENCE]);
    await_sockets(&mut receiver, 4);
    for number in 0..MESSAGES {
        for machine in 1..=MACHINES {
            send_from(machine, receiver.port, &format!("<13>Nov 24 21:22:23 web{machine} tool: {number}"));
        }
    }
    let mut rest = usize::from(MACHINES) * MESSAGES;
    let shown = shown_until(&mut receiver, |_| {
        rest -= 1;
        rest == 0
    });
    let expected: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    for machine in 1..=MACHINES {
        let host = format!("web{machine}");
        let own = shown.iter().filter(|event| event["host"] == *host);
        let texts: Vec<_> = own.map(|event| event["text"].as_str().expect("a record")).collect();
        assert_eq!(texts, expected, "{host}");
    }
    receiver.end();
}

/// Linux gives it to each of the sockets.
#[test]
fn several_sockets_show_a_broadcast_once() {
    let arguments = ["--json", "--sockets", "4", "--timeout", PATIENCE];
    let mut receiver = Listening::start_at("0.0.0.0", "/proc/net/udp", "00000000", &arguments);
    await_sockets(&mut receiver, 4);
    let port = receiver.port;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_broadcast(true).expect("a socket");
    socket.send_to(b"to all\n", ("127.255.255.255", port)).expect("loopback");
    // Behind it in each of the sockets one that is no broadcast.
    (1..=4).for_each(|machine| send_from(machine, port, "behind\n"));
    let mut rest = 4;
    let shown = shown_until(&mut receiver, |event| {
        rest -= usize::from(event["text"] == "behind");
        rest == 0
    });
    assert_eq!(shown.iter().filter(|event| event["text"] == "to all").count(), 1, "{shown:?}");
    receiver.end();
}

/// One that floods fills the buffer of one socket.
#[test]
fn with_several_sockets_one_machine_s_flood_drops_nothing_of_another() {
    let arguments = ["--json", "--sockets", "2", "--timeout", PATIENCE];
    let mut receiver = Listening::start_unprivileged(&arguments);
    await_sockets(&mut receiver, 2);
    let _flood = overflow(&receiver);
    // The other half of the addresses.
    for number in 0..10 {
        send_from(2, receiver.port, &format!("6,{number},{number},-;record {number}\n"));
    }
    receiver.signal(Signal::SIGCONT);
    let shown = shown_until(&mut receiver, |event| event["text"] == "record 9");
    let other = shown.iter().filter(|event| event["address"] == "127.0.0.2" && event["event"] == "record");
    assert_eq!(other.count(), 10);
    receiver.end();
}

/// Of one interface alone, and of an address that is one link's.
#[test]
fn an_interface_or_an_address_of_a_link_is_listened_on() {
    let arguments = ["--timeout", PATIENCE, "--until", "last"];
    let receiver = Listening::start_at("lo", "/proc/net/udp6", &"0".repeat(32), &arguments);
    receiver.socket().send(b"last\n").expect("loopback");
    assert_eq!(receiver.end().status.code(), Some(0));

    // In a network of its own, where the loopback interface has such an address.
    let script = format!(
        "ip link set lo up && ip address add fe80::1/64 dev lo nodad &&
        {{ {PROGRAM} --bind fe80::1%lo --timeout {PATIENCE} --until last & }} &&
        while [ -d /proc/$! ]; do echo last > /dev/udp/fe80::1%lo/6666; sleep 0.1; done 2> /dev/null; wait $!"
    );
    let output = Command::new("unshare").args(["-rn", "bash", "-c", &script]).output().expect("util-linux");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).starts_with("last"), "{output:?}");
}

/// Fills the socket's buffer of a receiver that is stopped, and more.
fn overflow(receiver: &Listening) -> UdpSocket {
    let most = fs::read_to_string("/proc/sys/net/core/rmem_max").expect("Linux");
    let most: usize = most.trim().parse().expect("a number");
    receiver.signal(Signal::SIGSTOP);
    let socket = receiver.socket();
    // The system counts more than the bytes of each.
    for _ in 0..most.min(256 << 20) * 2 / 1000 + 10 {
        socket.send(&[b'x'; 1000]).expect("loopback");
    }
    socket
}

#[test]
fn what_the_host_drops_is_told() {
    let receiver = Listening::start_unprivileged(&["--json", "--timeout", PATIENCE, "--until", "last"]);
    let socket = overflow(&receiver);
    receiver.signal(Signal::SIGCONT);
    let mut receiver = receiver;
    let output = receiver.child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || std::io::read_to_string(output).expect("text"));
    while receiver.child.try_wait().expect("a child").is_none() {
        // The receiver may have ended just now.
        let _ = socket.send(b"\nlast\n");
        thread::sleep(Duration::from_millis(20));
    }
    let lines = reader.join().expect("the reader ends");
    let dropped = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let dropped: Vec<_> = dropped.filter(|event| event["event"] == "dropped").collect();
    assert!(dropped.iter().any(|event| event["count"].as_u64() > Some(0)), "{dropped:?}");
    assert_eq!((&dropped[0]["sender"], &dropped[0]["address"]), (&"receiver".into(), &"127.0.0.1".into()));
    let errors = String::from_utf8_lossy(&receiver.end().stderr).into_owned();
    let most = fs::read_to_string("/proc/sys/net/core/rmem_max").expect("Linux");
    let is_small = most.trim().parse::<usize>().expect("a number") < 8 << 20;
    assert_eq!(errors.matches("sysctl -w net.core.rmem_max=").count(), usize::from(is_small), "{errors}");
}

/// No datagram came later that would tell it.
#[test]
fn what_the_host_dropped_last_is_told_at_the_end() {
    let receiver = Listening::start_unprivileged(&["--timeout", PATIENCE]);
    overflow(&receiver);
    receiver.signal(Signal::SIGTERM);
    receiver.signal(Signal::SIGCONT);
    let output = receiver.end();
    let text = stdout(&output);
    assert!(text.lines().any(|line| line.ends_with("dropped by this host: its socket's buffer was full")));
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

/// Longer than a jumbo frame: its end is marked, and the next datagram is a record of its own.
#[test]
fn a_datagram_of_12000_bytes_is_marked_as_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let capture = dir.path().join("cut.pcap");
    let capture = capture.to_str().expect("a plain path");
    let arguments = ["--json", "--timeout", PATIENCE, "--until", "last", "--pcap", capture];
    let receiver = Listening::start(&arguments);
    let port = receiver.port.to_string();
    let socket = receiver.socket();
    socket.send(b"first\n").expect("loopback");
    socket.send(format!("[    1.000000] {}\n", "x".repeat(12_000)).as_bytes()).expect("loopback");
    socket.send(format!("6,0,2,-;{}\n", "y".repeat(12_000)).as_bytes()).expect("loopback");
    socket.send(b"the last\n").expect("loopback");
    let output = receiver.end();
    let heard: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let cut: Vec<_> = heard.iter().filter(|record| record["incomplete"] == true).collect();
    let texts: Vec<_> = cut.iter().map(|record| record["text"].as_str().expect("a text")).collect();
    let cut = |letter: &str, header: &str| format!("{}…", letter.repeat(9216 - header.len()));
    assert_eq!(texts, [cut("x", "[    1.000000] "), cut("y", "6,0,2,-;")]);
    assert_eq!(heard.last().map(|record| &record["text"]), Some(&"the last".into()));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.matches("cut off on the way").count(), 1, "{stderr}");
    let again = run(&["--read", capture, "--port", &port, "--json"]);
    assert_eq!(stdout(&again), stdout(&output), "the capture shows it, too");
}

/// util-linux's own `logger`, in both forms that it has, and what it puts in between.
#[test]
fn what_logger_sends_is_understood() {
    let receiver = Listening::start(&["--json", "--timeout", PATIENCE, "--until", "the last"]);
    let port = receiver.port.to_string();
    for (form, text) in [("--rfc3164", "first"), ("--rfc5424", "second"), ("--rfc3164", "the last")] {
        let status = Command::new("logger")
            .args([
                "-n",
                "127.0.0.1",
                "-P",
                &port,
                "-d",
                "-p",
                "daemon.warning",
                "-t",
                "tool",
                "--id=77",
                form,
                text,
            ])
            .status();
        assert!(status.expect("logger is installed: apt-get install bsdutils").success());
    }
    let output = receiver.end();
    let heard: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let records: Vec<_> = heard.iter().filter(|event| event["event"] == "record").collect();
    let texts: Vec<_> = records.iter().map(|record| record["text"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["first", "second", "the last"]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux");
    let host = host.trim_end();
    for record in records {
        assert_eq!((&record["level"], &record["facility"]), (&4.into(), &3.into()), "{record}");
        assert_eq!((&record["application"], &record["process"]), (&"tool".into(), &"77".into()), "{record}");
        let shown = record["host"].as_str().expect("a host");
        assert!(host.starts_with(shown), "{record}: {host}");
        assert!(record["time"].is_string(), "{record}");
    }
}
