//! As a service: a configuration file, sockets that are passed, another run in the place of one, another user's rights.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{PATIENCE, PROGRAM, run};

/// A receiver with its own configuration.
struct Service {
    child: Child,
    errors: BufReader<ChildStderr>,
    dir: tempfile::TempDir,
}

impl Service {
    /// With this configuration, in which DIR is a directory of its own.
    fn start(config: &str) -> Self {
        Self::run(config, |path| {
            let mut command = Command::new(PROGRAM);
            command.arg("--config").arg(path);
            command
        })
    }

    fn run(config: &str, command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
        let path = dir.path().join("config.toml");
        fs::write(&path, config.replace("DIR", dir.path().to_str().expect("text"))).expect("a file");
        let mut command = command(&path);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        Service { child, errors, dir }
    }

    fn configure(&self, config: &str) {
        let text = config.replace("DIR", self.dir.path().to_str().expect("text"));
        fs::write(self.dir.path().join("config.toml"), text).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The next line of standard error with this in it.
    fn says(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.errors.read_line(&mut line).expect("text") > 0, "it ended before it said: {part}");
        }
        line
    }

    /// The port that it says it listens on.
    fn port(&mut self) -> u16 {
        let line = self.says("listening on ");
        line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("it runs");
    }

    fn end(mut self) -> (ExitStatus, String, tempfile::TempDir) {
        self.signal(Signal::SIGTERM);
        let mut rest = String::new();
        self.errors.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it ends"), rest, self.dir)
    }
}

fn texts(path: &Path) -> Vec<String> {
    let log = fs::read_to_string(path).unwrap_or_default();
    log.lines().map(|line| line.rsplit("] ").next().unwrap_or(line).to_owned()).collect()
}

/// A machine that sends numbered records without a pause, until it is told to end.
fn machine(port: u16) -> (Arc<AtomicBool>, thread::JoinHandle<u64>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let sender = thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut sequence = 0;
        while !ends.load(Ordering::Relaxed) {
            let record = format!("6,{sequence},{},-;record {sequence}\n", sequence * 1000);
            socket.send_to(record.as_bytes(), ("127.0.0.1", port)).expect("loopback");
            sequence += 1;
            thread::sleep(Duration::from_millis(1));
        }
        sequence
    });
    (is_over, sender)
}

/// Ten times other options while a machine sends: each record is there once, in order, and nothing is said to be
/// missing, a reboot or a machine that is new. The same process goes on, and a capture goes on, too.
#[test]
fn other_options_lose_no_datagram() {
    let config = "bind = \"127.0.0.1\"\nport = 0\nquiet = true\nno-ncrx = true\ndir = \"DIR\"\npcap = \"DIR/all.pcap\"\n";
    let mut service = Service::start(config);
    let port = service.port();
    let (is_over, machine) = machine(port);
    for turn in 0..10 {
        let name = if turn % 2 == 0 { "\"127.0.0.1\" = \"board\"" } else { "" };
        let sockets = 1 + turn % 3;
        service.configure(&format!("{config}name = {{ {name} }}\nsockets = {sockets}\n"));
        service.signal(Signal::SIGHUP);
        if turn > 0 {
            service.says("another --sockets takes a restart");
        }
        assert_eq!(service.port(), port);
    }
    is_over.store(true, Ordering::Relaxed);
    let sent = machine.join().expect("it ends");
    let capture = service.path("all.pcap");
    let (status, _, dir) = service.end();
    assert_eq!(status.code(), Some(0));
    let mut texts: Vec<String> =
        ["board.log", "127.0.0.1.log"].into_iter().flat_map(|name| texts(&dir.path().join(name))).collect();
    let number = |text: &String| text.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
    texts.sort_by_key(number);
    assert!(sent > 50, "{sent}");
    assert_eq!(texts, (0..sent).map(|sequence| format!("record {sequence}")).collect::<Vec<_>>());
    let shown =
        run(&["--read", capture.to_str().expect("text"), "--port", &port.to_string(), "--prefix", "never"]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert_eq!(shown.lines().count() as u64, sent, "{shown}");
}

/// What is wrong is said, with the place, and the run goes on as it was.
#[test]
fn wrong_options_change_nothing() {
    let config = "bind = \"127.0.0.1\"\nport = 0\nquiet = true\nno-ncrx = true\ndir = \"DIR\"\n";
    let mut service = Service::start(config);
    let port = service.port();
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let other = taken.local_addr().expect("an address").port();
    for (wrong, expected) in [
        ("keep = \"many\"".to_owned(), "config.toml:6: keep: invalid value 'many'"),
        ("key-file = \"/no/such/key\"".to_owned(), "/no/such/key: No such file"),
        (format!("keep = 1\nport = [0, {other}]"), "config.toml:7: "),
    ] {
        service.configure(&format!("{config}{wrong}\n"));
        service.signal(Signal::SIGHUP);
        let line = service.says("everything stays as it is: ");
        assert!(line.contains(expected), "{line}");
    }
    for (wrong, expected) in [
        ("dir = \"/etc/passwd/logs\"", "/etc/passwd/logs: "),
        ("pcap = \"/no/such/directory/all.pcap\"", "/no/such/directory/all.pcap: "),
        ("pcap = \"DIR\"", ": Is a directory"),
        ("tui = true", "it needs a terminal"),
        ("user = \"no-such-user\"", "no user no-such-user"),
        ("syslog = \"carrier-pigeon://x\"", "syslog"),
    ] {
        // One is given in place of the one that there was, or cannot be given beside it.
        let (key, _) = wrong.split_once(' ').expect("a setting");
        if key == "tui" && !cfg!(feature = "tui") {
            continue;
        }
        let goes = |line: &str| line.starts_with(key) || key == "tui" && line.starts_with("quiet");
        let other = config.lines().filter(|line| !goes(line));
        service.configure(&format!("{}\n{wrong}\n", other.collect::<Vec<_>>().join("\n")));
        service.signal(Signal::SIGHUP);
        let line = service.says("everything stays as it is: ");
        assert!(line.contains(expected), "{line}");
    }
    service.configure(&config.replace("port = 0", &format!("port = [0, {other}]")));
    service.signal(Signal::SIGHUP);
    let line = service.says("everything stays as it is: ");
    assert!(line.contains(&format!("can't listen on 127.0.0.1:{other}")), "{line}");
    service.configure(
        &config.replace("port = 0", &format!("port = {port}")).replace("\"127.0.0.1\"", "\"0.0.0.0\""),
    );
    service.signal(Signal::SIGHUP);
    let line = service.says("everything stays as it is: ");
    let expected = format!(
        "can't listen on 0.0.0.0:{port} while this run listens on 127.0.0.1:{port}: another --bind at the same port \
         takes a restart"
    );
    assert!(line.contains(&expected), "{line}");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(b"6,1,1,-;still here\n", ("127.0.0.1", port)).expect("loopback");
    let log = service.path("127.0.0.1.log");
    while !texts(&log).contains(&"still here".to_owned()) {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(service.end().0.code(), Some(0));
}

/// A signal to end counts more than one to begin again, whenever it comes.
#[test]
fn an_end_is_an_end_also_behind_a_reload() {
    for pause in 0..6 {
        let config = "bind = \"127.0.0.1\"\nport = 0\nquiet = true\nno-ncrx = true\ndir = \"DIR\"\n";
        let mut service = Service::start(config);
        service.port();
        service.signal(Signal::SIGHUP);
        thread::sleep(Duration::from_millis(pause * 40));
        // It ends, by itself or by the default of a program that has not begun to take signals.
        let (status, ..) = service.end();
        assert!(status.code() == Some(0) || status.signal() == Some(Signal::SIGTERM as i32), "{status:?}");
    }
}

/// Another version of the program takes over: here the same one, from another file in the place of the first.
#[test]
fn another_program_takes_over() {
    let config = "bind = \"127.0.0.1\"\nport = 0\nquiet = true\nno-ncrx = true\ndir = \"DIR\"\n";
    let programs = tempfile::tempdir().expect("a directory");
    let program = programs.path().join("receiver");
    fs::copy(PROGRAM, &program).expect("a copy");
    let mut service = Service::run(config, |path| {
        let mut command = Command::new(&program);
        command.arg("--config").arg(path);
        command
    });
    let port = service.port();
    let (is_over, machine) = machine(port);
    let new = programs.path().join("new");
    fs::copy(PROGRAM, &new).expect("a copy");
    fs::rename(&new, &program).expect("as a package does it");
    let inode = |path: &str| fs::metadata(path).expect("a file").ino();
    let running = format!("/proc/{}/exe", service.child.id());
    assert_ne!(inode(&running), inode(program.to_str().expect("text")));
    service.signal(Signal::SIGUSR2);
    assert_eq!(service.port(), port);
    assert_eq!(inode(&running), inode(program.to_str().expect("text")));
    is_over.store(true, Ordering::Relaxed);
    let sent = machine.join().expect("it ends");
    let (status, _, dir) = service.end();
    assert_eq!(status.code(), Some(0));
    let expected = (0..sent).map(|sequence| format!("record {sequence}")).collect::<Vec<_>>();
    assert_eq!(texts(&dir.path().join("127.0.0.1.log")), expected);
}

/// systemd's own program passes the sockets, and a service manager hears of each step.
#[test]
fn a_service_manager_is_told() {
    let told = tempfile::tempdir().expect("a directory");
    let manager = UnixDatagram::bind(told.path().join("notify")).expect("a socket");
    let free =
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let config = "quiet = true\nno-ncrx = true\ndir = \"DIR\"\nport = 1\n";
    let mut service = Service::run(config, |path| {
        let mut command = Command::new("systemd-socket-activate");
        command.args(["--datagram", "--listen", &format!("127.0.0.1:{free}")]);
        let notify = told.path().join("notify");
        for variable in [format!("NOTIFY_SOCKET={}", notify.display()), "WATCHDOG_USEC=900000".to_owned()] {
            command.arg(format!("--setenv={variable}"));
        }
        command.arg(PROGRAM).arg("--config").arg(path);
        command
    });
    // It starts the program at the first datagram, and leaves that in the socket.
    service.says("Listening on");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(b"6,0,1,-;the first\n", ("127.0.0.1", free)).expect("loopback");
    let mut buffer = [0; 1000];
    let mut heard = |expected: &str| {
        loop {
            let length = manager.recv(&mut buffer).expect("a message");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == expected) {
                return text;
            }
        }
    };
    let ready = heard("READY=1");
    assert!(ready.contains(&format!("STATUS=listening on 127.0.0.1:{free}")), "{ready}");
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    // Port 1 of the file is not asked for: systemd says where to listen. This also after other options.
    service.configure(&config.replace("port = 1", "keep = 2"));
    service.signal(Signal::SIGHUP);
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    socket.send_to(b"6,1,2,-;the second\n", ("127.0.0.1", free)).expect("loopback");
    let log = service.path("127.0.0.1.log");
    while texts(&log) != ["the first", "the second"] {
        thread::sleep(Duration::from_millis(5));
    }
    service.signal(Signal::SIGTERM);
    heard("STOPPING=1");
    assert_eq!(service.end().0.code(), Some(0));
}

/// A port for root alone, and files of somebody else.
#[test]
fn root_s_rights_end_with_the_ports() {
    if !nix::unistd::geteuid().is_root() {
        let output = run(&["--user", "root", "--timeout", "0.1", "--port", "0"]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("it is for root"), "{output:?}");
        return;
    }
    // A network of its own: port 514 is free there.
    let config = "bind = \"127.0.0.1\"\nport = 514\nquiet = true\nno-ncrx = true\ndir = \"DIR/logs\"\nuser = \"nobody\"\n";
    let mut service = Service::run(config, |path| {
        let script = "ip link set lo up && exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", script, PROGRAM, "--config"]).arg(path).process_group(0);
        command
    });
    assert_eq!(service.port(), 514);
    let status = fs::read_to_string(format!("/proc/{}/status", service.child.id())).expect("it runs");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let nobody = nix::unistd::User::from_name("nobody").expect("users").expect("each host has it");
    let uid = nobody.uid.as_raw();
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}")), "{status}");
    // Other options: the port stays open, though it could not be opened any more.
    service.signal(Signal::SIGHUP);
    assert_eq!(service.port(), 514);
    // Nor could it become another user.
    service.configure(&config.replace("nobody", "daemon"));
    service.signal(Signal::SIGHUP);
    let line = service.says("everything stays as it is: ");
    assert!(line.contains("--user: can't become daemon: ") && line.contains("it is for root"), "{line}");
    let (status, rest, dir) = service.end();
    // That nothing came is no news to a run that goes on from another one.
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
    assert_eq!(
        File::open(dir.path().join("logs")).and_then(|dir| dir.metadata()).expect("it was made").uid(),
        uid
    );
    let output = run(&["--user", "no-such-user", "--port", "0"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no user no-such-user"), "{output:?}");
}

/// Options on the command line count more than the file's, and `--check` says what is wrong, or nothing.
#[test]
fn a_file_is_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.toml");
    let path = path.to_str().expect("text");
    fs::write(path, "keep = 3\ndir = \"/tmp\"\ntimeout = 0.1\nport = 0\n").expect("a file");
    let output = run(&["--config", path, "--check"]);
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(0), &b"netconsole-receiver: nothing is wrong\n"[..])
    );
    fs::write(path, "port = 0\nelf = \"/etc/passwd\"\n").expect("a file");
    let output = run(&["--config", path, "--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/etc/passwd: "), "{output:?}");
    let output = run(&["--config", "/no/such/file", "--timeout", PATIENCE]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file: No such file"), "{output:?}");
    // What one option needs may be in the file.
    fs::write(path, "dir = \"/tmp\"\n").expect("a file");
    assert_eq!(run(&["--config", path, "--keep", "3", "--check"]).status.code(), Some(0));
    assert_eq!(run(&["--keep", "3", "--check"]).status.code(), Some(1));
}
