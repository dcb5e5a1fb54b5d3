//! The scripts as a person uses them: at a terminal, with mistakes, through a symbolic link; and what cargo runs.
//! They need the kernel (scripts/build) and boot it in QEMU, one after the other: they share target/run.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// For what needs a build, too.
const PATIENCE: Duration = Duration::from_secs(300);

/// Held by the test that runs scripts/run.
static RUN: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str) -> Command {
    Command::new(root().join("scripts").join(name))
}

/// A directory for a test's files, empty.
fn directory(name: &str) -> PathBuf {
    let directory = root().join("target/tests/scripts").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("target/tests is writable");
    directory
}

/// A UDP port of loopback that nobody uses.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("a bound socket").port()
}

/// A script that runs, in a process group of its own.
struct Running {
    child: Child,
    pieces: Receiver<Vec<u8>>,
    /// What it has shown.
    shown: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        // Colours would stand amid what is looked for.
        command.env("NO_COLOR", "1").process_group(0);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script starts");
        let (sender, pieces) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for mut stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if sender.send(buffer[..length].to_vec()).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, pieces, shown: String::new() }
    }

    /// At a terminal of its own, by util-linux's `script`. Its shell gives way to the script by `exec`: dash would stay
    /// otherwise, and Ctrl-C end it with 130.
    fn at_terminal(arguments: &str) -> Self {
        let mut command = Command::new("script");
        let run = root().join("scripts/run");
        command.args([
            "--quiet",
            "--return",
            "--command",
            &format!("exec '{}' {arguments}", run.display()),
            "/dev/null",
        ]);
        Self::start(command)
    }

    fn type_in(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        input.write_all(keys.as_bytes()).and_then(|()| input.flush()).expect("it reads its input");
    }

    /// Waits until it has shown this since `from`, a length of what it had shown then.
    fn wait_for(&mut self, text: &str, from: usize) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown[from..].contains(text) {
            match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Timeout) => panic!("no '{text}' in time: {}", self.shown),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without '{text}': {}", self.shown),
            }
        }
    }

    /// Waits for its end; its status.
    fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.shown),
            }
        }
        let status = self.child.wait().expect("its exit status");
        (status, std::mem::take(&mut self.shown))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group, with QEMU in it; it may have ended.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

#[test]
fn at_a_terminal_the_log_comes_once_and_keys_go_to_the_serial_console() {
    let _alone = alone();
    let mut run = Running::at_terminal("");
    run.wait_for("Type 'help' and Enter for a list of commands.", 0);
    run.wait_for("netconsole# ", 0);
    run.wait_for("netconsole: network logging started", 0);
    assert_eq!(run.shown.matches("network logging started").count(), 1, "{}", run.shown);
    let before = run.shown.len();
    run.type_in("uname -x\x7fa\r");
    run.wait_for("x86_64\r\n", before);
    let before = run.shown.len();
    run.type_in("dmesg | grep 'logging started' | tail -n 1\r");
    run.wait_for("netconsole: network logging started\r\n", before);
    let before = run.shown.len();
    run.type_in("echo '<3>typed here' > /dev/kmsg\r");
    run.wait_for("] typed here\r\n", before);
    let before = run.shown.len();
    run.type_in("echo done\r");
    run.wait_for("\ndone\r\n", before);
    assert_eq!(run.shown.matches("] typed here").count(), 1, "{}", run.shown);
    // Ctrl-C.
    run.type_in("\x03");
    let (status, shown) = run.end();
    assert_eq!(status.code(), Some(0), "{shown}");
}

#[test]
fn a_mistake_in_netconsole_shows_what_the_kernel_says_of_it() {
    let _alone = alone();
    let (source, port) = (free_port(), free_port());
    let append = format!("netconsole={source}@/,{port}@10.0.2.2/ netconsole=0@/,{port}@10.0.2.2/x");
    // The good one goes to a port where nobody listens: it is the mistake's that the receiver takes.
    let append = append.replacen(&format!("{port}@10.0.2.2"), "9@10.0.2.3", 1);
    let mut command = script("run");
    command.arg(format!("--append={append}"));
    let mut run = Running::start(command);
    run.wait_for("run: nothing has arrived for 2 s; what the serial console says of it", 0);
    run.wait_for("netconsole: couldn't parse config at", 0);
    run.type_in("uptime\npoweroff\n");
    run.wait_for("\nup 0:", 0);
    let (status, shown) = run.end();
    assert_eq!(status.code(), Some(0), "{shown}");
    assert!(!shown.contains("pci 00:"), "of the log only what is about the targets: {shown}");
}

#[test]
fn a_second_boot_arrives_at_the_same_nc_and_a_link_to_the_script_does_as_well() {
    let _alone = alone();
    let mut nc = Command::new("nc")
        .args(["-u", "-l", "-v", "127.0.0.1", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nc is missing: run scripts/setup nc");
    // "Bound on localhost 41234"
    let mut line = String::new();
    BufReader::new(nc.stderr.as_mut().expect("it is piped")).read_line(&mut line).expect("nc says where");
    let port = line.trim().rsplit(' ').next().expect("a port").to_owned();
    let link = directory("link").join("boot-it");
    symlink(root().join("scripts/run"), &link).expect("a link");
    let source = free_port();
    for _ in 0..2 {
        let mut command = Command::new(&link);
        command.current_dir("/").arg(format!("--append=netconsole={source}@/,{port}@10.0.2.2/ after=exit"));
        let (status, shown) = Running::start(command).end();
        assert_eq!(status.code(), Some(0), "{shown}");
        assert!(shown.contains(&format!("another program listens on UDP port {port}")), "{shown}");
        assert!(shown.contains("netconsole: network logging started"), "serial is shown: {shown}");
    }
    let _ = nc.kill();
    let output = nc.wait_with_output().expect("nc ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("netconsole: network logging started").count(), 2, "{text}");
}

/// What a command shows, and its status.
fn output(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let shown = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn help_says_how() {
    let mut command = script("run");
    command.arg("--help");
    let (status, shown) = output(command);
    assert!(status == Some(0) && shown.starts_with("usage: scripts/run [--append"), "{shown}");
}

#[test]
fn cargo_run_boots_and_everything_else_runs_as_it_is() {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args(["run", "--quiet"]).args(arguments);
        output(command)
    };
    let (status, shown) = cargo(&["--", "--help"]);
    assert!(status == Some(0) && shown.starts_with("usage: scripts/run"), "{shown}");
    let (status, shown) = cargo(&["-p", "netconsole-receiver", "--", "--version"]);
    assert!(status == Some(0) && shown.starts_with("netconsole-receiver "), "{shown}");
    // `cargo run --features kernel --bin netconsole`, without building that.
    let runner = |arguments: &[&str]| {
        let mut command = script("cargo-run");
        command.args(arguments);
        output(command)
    };
    let (status, shown) = runner(&["target/debug/netconsole", "--help"]);
    assert!(status == Some(0) && shown.starts_with("usage: scripts/run"), "{shown}");
    assert_eq!(runner(&["/bin/sh", "-c", "echo \"$0 $1\"; exit 7", "a b", "c"]), (Some(7), "a b c\n".into()));
    let config = fs::read_to_string(root().join(".cargo/config.toml")).expect("cargo's configuration");
    assert_eq!(config.matches("\nrunner = \"scripts/cargo-run\"\n").count(), 2);
}

/// `cargo run -p netconsole-example-kernel --features kernel`, without building that: scripts/example has made it.
#[test]
fn cargo_run_boots_the_librarys_example() {
    let program = directory("example").join("example-kernel");
    fs::copy(root().join("target/example-kernel.elf"), &program).expect("scripts/example has made it");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let port = socket.local_addr().expect("a bound socket").port();
    let mut command = script("cargo-run");
    command.arg(program).arg(format!("netconsole=@/,{port}@10.0.2.2/"));
    let mut running = Running::start(command);
    running.wait_for("example: it runs and polls", 0);
    let mut buffer = [0; 1000];
    let length = socket.recv(&mut buffer).expect("the log comes");
    let first = String::from_utf8_lossy(&buffer[..length]);
    assert!(first.contains("example kernel "), "{first}");
}

/// A PATH with these programs and nothing else.
fn path(name: &str, programs: &[&str], own: &[(&str, &str)]) -> PathBuf {
    let directory = directory(name);
    for program in programs {
        let found = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(program));
        let found = found.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {program}"));
        symlink(found, directory.join(program)).expect("a link");
    }
    for (program, text) in own {
        let path = directory.join(program);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("an executable");
    }
    directory
}

#[test]
fn what_is_missing_is_named_with_the_command_that_mends_it() {
    const TOOLS: [&str; 9] = ["bash", "dirname", "readlink", "sed", "cut", "sort", "head", "id", "env"];
    let setup = |path: &Path| {
        let mut command = script("setup");
        command.arg("cc").env("PATH", path);
        output(command)
    };
    let (status, shown) = setup(&path("no-rust", &TOOLS, &[]));
    assert!(
        status == Some(1) && shown.contains("Rust (cargo and rustc) is missing; install it with"),
        "{shown}"
    );
    assert!(shown.contains("https://sh.rustup.rs | sh"), "{shown}");
    let old = [("cargo", ""), ("rustup", ""), ("rustc", "echo 'rustc 1.80.1 (3f5fd8dd4 2024-08-06)'")];
    let (status, shown) = setup(&path("old-rust", &TOOLS, &old));
    assert!(
        status == Some(1) && shown.contains("Rust 1.80.1 is too old, 1.95 or newer is needed"),
        "{shown}"
    );
    assert!(shown.contains("    rustup update stable"), "{shown}");
    let new = [("cargo", ""), ("rustc", "echo 'rustc 1.100.0-nightly (abc 2027-01-01)'")];
    let (status, shown) = setup(&path("no-cc", &TOOLS, &new));
    assert!(status == Some(1) && shown.contains("    apt-get install gcc libc6-dev binutils\n"), "{shown}");
}

#[test]
fn a_build_that_fails_says_that_the_cause_is_above() {
    let cargo = "case $1 in build) echo 'error: no space left' >&2; exit 101 ;; esac";
    let fake = path("no-build", &[], &[("cargo", cargo)]);
    let mut command = script("build");
    let others = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{others}", fake.display()));
    let (status, shown) = output(command);
    assert_eq!(status, Some(1));
    assert!(
        shown.ends_with("error: no space left\nbuild: cargo could not build the kernel; above is why\n"),
        "{shown}"
    );
}

#[test]
fn tests_run_by_name_and_say_how_long_they_take() {
    let test = |arguments: &[&str]| {
        let mut command = script("test");
        command.args(arguments);
        output(command)
    };
    let (status, shown) = test(&["--list"]);
    assert!(
        status == Some(0) && shown.contains("\nqemu ") && shown.contains(" s  QEMU, on the wire\n"),
        "{shown}"
    );
    let (status, shown) = test(&["format", "levels"]);
    assert!(status == Some(2) && shown.contains("no 'levels'; there are tools build "), "{shown}");
    let (status, shown) = test(&["screen:records_are_known_by_their_time"]);
    assert!(shown.starts_with("test: 1 to run, about 1 min\n== the screen of scripts/run\n"), "{shown}");
    assert!(shown.ends_with(" s\n1 passed, 0 failed\n") && status == Some(0), "{shown}");
}
