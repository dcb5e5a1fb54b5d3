//! What `--http` serves, asked as a browser, Prometheus or an attacker asks. Loopback only.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::model;
use crate::run::{run, status};
use crate::serving::Serving;

#[test]
fn prometheus_gets_the_counts() {
    let serving = Serving::start(&["--name", "127.0.0.1=board7", "--silent-after", "50ms"]);
    let socket = serving.receiver.socket();
    for (sequence, text) in [
        (0, "a"),
        (1, "b"),
        (4, "c"),
        (5, "Kernel panic - not syncing: Fatal exception"),
        (5, "Kernel panic - not syncing: Fatal exception"),
    ] {
        socket.send(&model::datagram(sequence, text)).expect("loopback");
    }
    let has = |line: &'static str| move |text: &str| text.lines().any(|found| found == line);
    let text = serving.until("/metrics", has("netconsole_skipped_numbers_total 2"));
    for line in [
        "netconsole_datagrams_total 5",
        "netconsole_records_total 4",
        "netconsole_gaps_total 0",
        "netconsole_recovered_records_total 0",
        "netconsole_duplicate_datagrams_total 1",
        "netconsole_kernel_dropped_datagrams_total 0",
        "netconsole_crash_reports_total{kind=\"panic\"} 1",
        "netconsole_crash_reports_total{kind=\"oops\"} 0",
        "netconsole_senders 1",
        "netconsole_sender_records_total{sender=\"board7\"} 4",
        "netconsole_sender_missing_records_total{sender=\"board7\"} 0",
    ] {
        assert!(has(line)(&text), "{line} in\n{text}");
    }
    // Time alone makes it silent.
    serving.until("/metrics", has("netconsole_silent_senders 1"));
    let answer = serving.get("/healthz");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    let answer = serving.ask("HEAD", "/metrics", &[&format!("Host: {}", serving.place)], "");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
}

/// Each output's queue and losses.
#[test]
fn prometheus_sees_which_output_is_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("127.0.0.1.log");
    // In its way.
    fs::create_dir(&log).expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let serving = Serving::start(&["--dir", path]);
    serving.receiver.socket().send(&model::datagram(0, "text")).expect("loopback");
    let waiting = format!("netconsole_output_records_total{{output=\"{path}\"}} 0");
    let text = serving.until("/metrics", |text| text.contains("netconsole_records_total 1\n"));
    assert!(text.contains(&waiting), "{text}");
    fs::remove_dir(&log).expect("it is empty");
    let written = format!("netconsole_output_records_total{{output=\"{path}\"}} 1");
    let text = serving.until("/metrics", |text| text.contains(&written));
    for name in ["output_lost_records_total", "output_queue_records", "output_queue_bytes"] {
        let line = format!("netconsole_{name}{{output=\"{path}\"}} 0\n");
        assert!(text.contains(&line), "{line} in\n{text}");
    }
}

/// A run that is stopped does not get on, and says nothing: least of all that all is well. One that hangs says so
/// (`site::tests`).
#[test]
fn a_run_that_hangs_is_not_healthy() {
    let serving = Serving::start(&[]);
    assert_eq!(serving.get("/healthz").status, 200);
    serving.receiver.signal(Signal::SIGSTOP);
    let mut stream = serving.connect();
    stream
        .write_all(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", serving.place).as_bytes())
        .expect("a pipe");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time");
    assert!(stream.read(&mut [0; 99]).is_err());
    serving.receiver.signal(Signal::SIGCONT);
    stream.set_read_timeout(None).expect("none");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A page of another name may be behind a host that is not ours (DNS rebinding), and another page behind an origin.
#[test]
fn host_and_origin_are_checked_on_every_request() {
    let serving = Serving::start(&["--http-host", "wall.example"]);
    let port = serving.port();
    for path in ["/metrics", "/healthz", "/nothing"] {
        let status = |fields: &[&str]| serving.ask("GET", path, fields, "").status;
        let good = if path == "/nothing" { 404 } else { 200 };
        for host in [
            format!("127.0.0.1:{port}"),
            format!("localhost:{port}"),
            "LOCALHOST".to_owned(),
            format!("[::1]:{port}"),
            "[fe80::1]".to_owned(),
            "Wall.Example".to_owned(),
            "wall.example:80".to_owned(),
        ] {
            let host = format!("Host: {host}");
            let origin = host.replace("Host: ", "Origin: http://");
            assert_eq!((status(&[&host]), status(&[&host, &origin])), (good, good), "{host}");
            let secure = host.replace("Host: ", "Origin: https://");
            assert_eq!(status(&[&host, &secure]), good, "behind a proxy");
            for origin in
                ["Origin: null", "Origin: http://evil.example", "Origin: http://127.0.0.1:1", "Origin: "]
            {
                assert_eq!(status(&[&host, origin]), 403, "{host} {origin}");
            }
            assert_eq!(status(&[&host, &origin, &origin]), 403, "twice");
        }
        for host in [
            "evil.example",
            "evil.example:80",
            "wall.example.evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1:80:80",
            "127.0.0.1:http",
            "[::1",
            "[evil]",
            "user@127.0.0.1",
            "",
        ] {
            assert_eq!(status(&[&format!("Host: {host}")]), 421, "{host}");
        }
        assert_eq!(status(&[]), 421);
        assert_eq!(status(&["Host: 127.0.0.1", "Host: evil.example"]), 421);
    }
}

/// On another address than loopback what tells of machines needs the token, which the program says or a file has.
#[test]
fn a_token_is_needed_on_other_addresses() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    fs::write(&file, "0123456789abcdef\n").expect("a file");
    let path = file.to_str().expect("a plain path");
    let mut made = Serving::start_at("0.0.0.0:0", &[]);
    let said = made.says();
    let (_, token) = said.rsplit_once(' ').expect("a token");
    assert!(said.starts_with("the token of this run") && token.len() == 32, "{said}");
    for (serving, token) in
        [(&made, token), (&Serving::start_at("0.0.0.0:0", &["--http-token-file", path]), "0123456789abcdef")]
    {
        let status = |path: &str, fields: &[&str]| {
            serving.ask("GET", path, &[&["Host: 127.0.0.1"], fields].concat(), "").status
        };
        assert_eq!(status("/healthz", &[]), 200, "it tells nothing");
        assert_eq!(status("/metrics", &[&format!("Authorization: Bearer {token}")]), 200);
        let answer = serving.ask("GET", "/metrics", &["Host: 127.0.0.1"], "");
        assert!(answer.status == 401 && answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        let short = token.get(..15).expect("15 characters");
        for field in [
            "Authorization: Bearer 0123456789abcdeg".to_owned(),
            format!("Authorization: Bearer {short}"),
            format!("Authorization: Bearer {token}0"),
            format!("Authorization: Basic {token}"),
            "Authorization: Bearer ".to_owned(),
            format!("Authorization: {token}"),
            format!("Cookie: token={token}"),
        ] {
            assert_eq!(status("/metrics", &[&field]), 401, "{field}");
        }
        assert_eq!(status(&format!("/metrics?token={token}"), &[]), 401, "never in a URL");
    }
    // A weak one is refused.
    fs::write(&file, "short\n").expect("a file");
    let output = run(&["--http", "127.0.0.1:0", "--port", "0", "--http-token-file", path]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("expected a token of at least 16 visible ASCII characters"), "{said}");
}

#[test]
fn every_answer_tells_a_browser_to_trust_nothing_else() {
    let serving = Serving::start(&[]);
    for path in ["/", "/metrics", "/healthz", "/nothing"] {
        let head = serving.get(path).head;
        for field in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(field), "{field} in {head}");
        }
        assert!(!head.contains("access-control") && !head.contains("unsafe"), "{head}");
    }
}

/// What is too long, too much or no HTTP gets an answer where that can be, and no more.
#[test]
fn what_is_no_request_is_refused() {
    let serving = Serving::start(&[]);
    let long = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
    let body =
        format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n\r\n{}", "x".repeat(9000));
    for (request, status) in [
        ("\x16\x03\x01\x02\x00\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        (long.as_str(), 431),
        (many.as_str(), 431),
        (body.as_str(), 413),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 401),
        ("DELETE /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 401),
        ("GET /metrics/../x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
    ] {
        let answer = serving.exchange(request.as_bytes());
        let beginning: String = request.chars().take(60).collect();
        assert_eq!(answer.status, status, "{beginning:?}: {}", answer.body);
    }
    // Half a request, and its sender goes.
    let mut stream = serving.connect();
    stream.write_all(b"GET /metr").expect("it reads");
    stream.shutdown(Shutdown::Write).expect("open");
    assert_eq!(stream.read_to_end(&mut Vec::new()).expect("an end"), 0);
    assert_eq!(serving.get("/healthz").status, 200);
}

/// Who connects and says nothing takes nobody else's place for long, and never costs a record.
#[test]
fn silent_connections_are_bounded_and_end() {
    let serving = Serving::start(&["--until", "the last"]);
    let silent: Vec<TcpStream> = (0..64).map(|_| serving.connect()).collect();
    // One more is told so at once.
    let refused = serving.exchange(b"");
    assert_eq!(refused.status, 503);
    // After ten seconds all of them are told that they are too slow.
    for mut stream in silent {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    serving.until("/healthz", |body| body == "ok\n");
}

#[test]
fn an_address_that_is_taken_is_said() {
    let serving = Serving::start(&[]);
    let output = run(&["--http", &serving.place, "--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("--http: can't listen on {}", serving.place)), "{said}");
    // A capture has no one to wait for.
    assert_eq!(status(&["--http", "127.0.0.1:0", "--read", "x.pcap"]), Some(1));
}
