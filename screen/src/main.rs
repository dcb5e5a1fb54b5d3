//! `netconsole-screen LOG RECEIVER KEPT PROGRAM ARGUMENTS…` runs a machine whose serial console is its standard input
//! and output, and shows that and the lines of the file LOG on one screen. RECEIVER is the process that writes
//! these: it is asked to end after the machine. KEPT is named as the file that keeps the serial console. The exit
//! status is the machine's. With `-` as LOG and RECEIVER there are none, and all of the serial console is shown.

#![forbid(unsafe_code)]

use netconsole_screen::{GRACE, PATIENCE, Screen};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

/// What has come.
enum Event {
    Serial(Vec<u8>),
    SerialEnd,
    Line(Vec<u8>),
    LogEnd,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let [Some(log), Some(receiver), Some(kept), Some(program)] = [(); 4].map(|()| arguments.next()) else {
        eprintln!("usage: netconsole-screen LOG RECEIVER KEPT PROGRAM ARGUMENTS…");
        return ExitCode::from(2);
    };
    let spawned = Command::new(&program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut machine = match spawned {
        Ok(machine) => machine,
        Err(error) => {
            eprintln!("run: {}: {error}", program.display());
            return ExitCode::from(1);
        }
    };
    let (sender, events) = mpsc::channel();
    if let Some(keys) = machine.stdin.take() {
        thread::spawn(move || pass_on(keys));
    }
    if let Some(serial) = machine.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || read_serial(serial, &sender));
    }
    let mut screen = Screen::new(io::stdout().is_terminal());
    let has_log = log != "-";
    if has_log {
        thread::spawn(move || match File::open(&log) {
            Ok(log) => read_log(log, &sender),
            Err(error) => {
                eprintln!("run: {}: {error}", log.display());
                let _ = sender.send(Event::LogEnd);
            }
        });
    }
    let begun = Instant::now();
    loop {
        let waits = has_log && !screen.is_settled();
        let event = if screen.is_doubtful() {
            events.recv_timeout(GRACE)
        } else if waits {
            events.recv_timeout(PATIENCE.saturating_sub(begun.elapsed()))
        } else {
            events.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let event = match event {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if screen.is_doubtful() => {
                screen.settle();
                None
            }
            Err(RecvTimeoutError::Timeout) => {
                screen.nothing_arrived(&kept.to_string_lossy());
                None
            }
        };
        match event {
            Some(Event::Serial(bytes)) if has_log => screen.serial(&bytes),
            Some(Event::Serial(bytes)) => write(&bytes),
            Some(Event::Line(line)) => screen.arrived(&line),
            Some(Event::SerialEnd) if !has_log => break,
            Some(Event::SerialEnd) => {
                // What it has received it still writes. It may have ended by itself.
                let _ = Command::new("kill").arg(&receiver).stderr(Stdio::null()).status();
            }
            Some(Event::LogEnd) => break,
            None => {}
        }
        write(&screen.take_output());
    }
    screen.end();
    write(&screen.take_output());
    let status = machine.wait().ok().and_then(|status| status.code());
    ExitCode::from(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Nobody may look any more: then the machine goes on unseen.
fn write(bytes: &[u8]) {
    let mut screen = io::stdout().lock();
    let _ = screen.write_all(bytes).and_then(|()| screen.flush());
}

/// Passes on what is typed. At its end the machine keeps its input, which would end with it otherwise.
fn pass_on(mut keys: impl Write) {
    let mut typed = io::stdin().lock();
    let mut buffer = [0; 256];
    loop {
        match typed.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                if keys.write_all(&buffer[..length]).and_then(|()| keys.flush()).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    loop {
        thread::park();
    }
}

fn read_serial(mut serial: impl Read, sender: &Sender<Event>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = serial.read(&mut buffer) {
        if sender.send(Event::Serial(buffer[..length].to_vec())).is_err() {
            return;
        }
    }
    let _ = sender.send(Event::SerialEnd);
}

fn read_log(log: impl Read, sender: &Sender<Event>) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    while let Ok(1..) = log.read_until(b'\n', &mut line) {
        if sender.send(Event::Line(std::mem::take(&mut line))).is_err() {
            return;
        }
    }
    let _ = sender.send(Event::LogEnd);
}
