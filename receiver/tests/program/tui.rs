//! The wall in a terminal: a pseudo-terminal of which another program's model (vt100) has the screen.

use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

use crate::run::PROGRAM;

const ROWS: NonZero<u16> = NonZero::new(24).expect("not 0");
const COLUMNS: NonZero<u16> = NonZero::new(100).expect("not 0");

/// A terminal in which the receiver runs.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
    /// All that was written to it.
    bytes: Arc<Mutex<Vec<u8>>>,
    socket: UdpSocket,
    port: u16,
}

impl Terminal {
    fn start(further: &[&str]) -> Self {
        let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a pseudo-terminal");
        let (master, slave): (File, OwnedFd) = (pair.master.into(), pair.slave);
        let end = || slave.try_clone().expect("a descriptor");
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let child = Command::new(PROGRAM)
            .args(["--tui", "--bind", "127.0.0.1", "--no-ncrx", "--port", &port.to_string()])
            .args(further)
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("it starts");
        drop(slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let (mut output, shown) = (master.try_clone().expect("a descriptor"), Arc::clone(&screen));
        let written = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                written.lock().expect("no panic").extend_from_slice(&buffer[..length]);
                shown.lock().expect("no panic").process(&buffer[..length]);
            }
        });
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let terminal = Terminal { child, keys: master, screen, bytes, socket, port };
        terminal.wait_for("0 machines");
        terminal
    }

    fn send(&self, from: &UdpSocket, record: &str) {
        from.send_to(record.as_bytes(), ("127.0.0.1", self.port)).expect("loopback");
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Where something was written first, of all that was.
    fn place(&self, part: &str) -> Option<usize> {
        let bytes = self.bytes.lock().expect("no panic");
        bytes.windows(part.len()).position(|window| window == part.as_bytes())
    }

    fn text(&self) -> String {
        self.screen.lock().expect("no panic").screen().contents()
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(&self.text()) {
            assert!(Instant::now() < deadline, "never {what}:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for(&self, part: &str) {
        self.wait_until(part, |text| text.contains(part));
    }
}

/// A crash appears with its machine, keys choose, find, limit, scroll and jump, and the terminal is given back.
#[test]
fn the_wall_in_a_terminal() {
    let mut terminal = Terminal::start(&[]);
    let other = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for sequence in 0..100 {
        let record = format!("6,{sequence},{},-;line {sequence}\n", 61_000_000 + sequence * 1000);
        terminal.send(&terminal.socket, &record);
    }
    terminal.wait_for("line 99");
    terminal.wait_for("1 machines");
    terminal.send(&terminal.socket, "6,100,62000000,-;not \u{1b}[2J cleared\\x1b\n");
    terminal.wait_for("not  [2J cleared");
    assert!(terminal.text().contains("line 99"), "what a machine sends moves nothing");

    // Another machine's crash, at the top of the list.
    for (sequence, text) in ["Kernel panic - not syncing: test", "the end of it"].iter().enumerate() {
        terminal.send(&other, &format!("0,{},63000000,-;{text}\n", 500 + sequence));
    }
    terminal.wait_for("CRASHED");
    terminal.wait_for("2 machines");
    terminal.wait_until("it is the first", |text| {
        text.lines().nth(1).is_some_and(|line| line.contains("CRASHED"))
    });
    terminal.press("k");
    // In more than one write a frame comes.
    terminal.wait_until("its log", |text| text.contains("the end of it") && !text.contains("line 99"));
    terminal.press("j");
    terminal.wait_for("line 99");

    // Up by a page, and what comes meanwhile does not move it.
    terminal.press("\u{1b}[5~");
    terminal.wait_for("stopped");
    terminal.wait_until("the last is gone", |text| !text.contains("line 99"));
    terminal.send(&terminal.socket, "6,101,63000000,-;a later line\n");
    // Behind that line in the same queue, so that it has come when this one is there.
    let third = UdpSocket::bind("127.0.0.2:0").expect("a socket");
    terminal.send(&third, "6,500,63000000,-;a third machine\n");
    terminal.wait_for("3 machines");
    assert!(!terminal.text().contains("a later line") && terminal.text().contains("stopped"));
    terminal.press("\u{1b}[F");
    terminal.wait_for("a later line");

    terminal.press("/line 4\r");
    terminal.wait_for("with “line 4”");
    terminal.wait_until("only these", |text| text.contains("line 42") && !text.contains("line 99"));
    terminal.press("/\u{8}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\r");
    terminal.wait_for("line 99");
    terminal.press("ll");
    terminal.wait_for("≤ level 4");
    terminal.wait_until("nothing of level 6", |text| !text.contains("line 99"));

    terminal.press("q");
    let status = terminal.child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    // The terminal is as it was, and what was held back is said there.
    let is_back = || {
        let screen = terminal.screen.lock().expect("no panic");
        !screen.screen().alternate_screen() && !screen.screen().hide_cursor()
    };
    terminal.wait_until("given back", |text| is_back() && text.contains("listening on 127.0.0.1"));
}

/// On the terminal as the wall is drawn there, a word of somebody else would stay.
#[test]
fn nobody_else_writes_into_the_wall() {
    let command = "echo the command says; echo so >&2";
    let mut terminal = Terminal::start(&["--on-crash", command]);
    const ALTERNATE_SCREEN: &str = "\u{1b}[?1049h";
    assert!(terminal.place("listening on").expect("said") < terminal.place(ALTERNATE_SCREEN).expect("taken"));
    assert!(!terminal.text().contains("listening on"));
    let below = |text: &str| text.lines().last().unwrap_or_default().trim_end().to_owned();
    terminal.wait_until("the keys", |text| below(text).contains("q end"));
    for (sequence, text) in ["Kernel panic - not syncing: test", "the end of it"].iter().enumerate() {
        terminal.send(&terminal.socket, &format!("0,{},63000000,-;{text}\n", 500 + sequence));
    }
    terminal.wait_until("its last line below", |text| below(text) == "so");
    let lines = terminal.text().lines().filter(|line| line.contains("says") || line.trim() == "so").count();
    assert_eq!(lines, 1, "{}", terminal.text());
    terminal.press("q");
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(0));
    terminal.wait_until("what was said", |text| text.contains("the command says\nso"));
}

#[test]
fn without_a_terminal_it_says_so() {
    let output = Command::new(PROGRAM).args(["--tui", "--port", "0"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("it needs a terminal to show itself on"),
        "{output:?}"
    );
}
