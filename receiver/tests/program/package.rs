//! The Debian package and the container, as a system has them: a Debian root of its own in which the program runs, from
//! where and as the unit says. systemd itself is not in there: its own program passes the socket, and what the package
//! asks of `systemctl` is noted and done as systemd would. The program is the one of these tests, with its libraries: a
//! release's is static, which alone would be another whole build.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::run::PROGRAM;

const NAME: &str = "netconsole-receiver";

/// Copies this host's essential packages, those that they need and those named behind the directory, with what the
/// package manager knows of them: a minimal Debian, made in seconds and without a network.
const DEBIAN: &str = r#"
to=$0
packages=$(dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n' | awk -F '\t' -v named="$*" '
    $1 !~ /^ii/ { next }
    { own[$2] = $2; needs[$2] = $5; if ($3 == "yes") named = named " " $2 }
    { count = split($4, provided, ", *"); for (i = 1; i <= count; i++) { sub(/[ :(].*/, "", provided[i]); if (!(provided[i] in own)) own[provided[i]] = $2 } }
    END {
        waiting = split(named, queue, " ")
        for (next_one = 1; next_one <= waiting; next_one++) {
            package = own[queue[next_one]]
            if (package == "" || package in taken) continue
            taken[package]; print package
            count = split(needs[package], parts, / *[,|] */)
            for (i = 1; i <= count; i++) { sub(/[ :(].*/, "", parts[i]); queue[++waiting] = parts[i] }
        }
    }')
for link in /bin /sbin /lib /lib64; do mkdir -p "$to$(readlink -f $link)" && [ ! -L $link ] || cp -P $link "$to$link"; done
{
    dpkg -L $packages | grep '^/.' | grep -v '^/usr/share/\(doc\|man\|locale\|info\)/'
    find /etc/alternatives
    find /usr/bin /usr/sbin -lname '/etc/alternatives/*'
    for package in $packages; do ls /var/lib/dpkg/info/$package.* /var/lib/dpkg/info/$package:*; done
    ls -d /var/lib/dpkg/info/format /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/ld.so.cache /etc/nsswitch.conf
} 2>/dev/null | sort -u | sed 's|^/||' | tar -C / --ignore-failed-read --no-recursion -c -T - 2>/dev/null | tar -C "$to" -x
mkdir -p "$to/var/lib/dpkg/updates" "$to/var/lib/dpkg/triggers" "$to/var/log" "$to/tmp" "$to/run"
dpkg-query -s $packages >"$to/var/lib/dpkg/status"
"#;

/// What each root has of this host's, as a container does.
const MOUNTED: [&str; 2] = ["proc", "dev"];

/// Notes what is asked for, and does it to the program whose process is in /run/receiver.pid.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >>/run/systemctl.log
case "$*" in
    *is-active*) test -e /run/receiver.pid ;;
    reload*) kill -HUP "$(cat /run/receiver.pid)" ;;
    "disable --now"*) kill -TERM "$(cat /run/receiver.pid)" ;;
esac
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn done(command: &mut Command) -> Output {
    let output = command.output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// A root directory in which programs run.
struct Root {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Root {
    /// Without anything.
    fn empty() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "to run a program in a root of its own is for root");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("root");
        for mounted in MOUNTED {
            fs::create_dir_all(path.join(mounted)).expect("a directory");
            done(
                Command::new("mount").arg("--bind").arg(Path::new("/").join(mounted)).arg(path.join(mounted)),
            );
        }
        Root { path, _dir: dir }
    }

    /// With what each Debian has, and what the package needs.
    fn debian() -> Self {
        let root = Self::empty();
        done(Command::new("sh").args(["-c", DEBIAN]).arg(&root.path).args(["dpkg", "passwd"]));
        root
    }

    /// Puts the program there, and the libraries that it is linked with.
    fn put(&self, path: &str) {
        fs::copy(PROGRAM, self.file(path)).expect("a copy");
        for library in text(done(Command::new("ldd").arg(PROGRAM))).split_whitespace() {
            let to = self.file(library);
            if library.starts_with('/') && !to.exists() {
                fs::create_dir_all(to.parent().expect("it is in a directory")).expect("a directory");
                fs::copy(library, to).expect("a copy");
            }
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.path).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> String {
        text(done(&mut self.command(words)))
    }

    fn file(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.file(path)).unwrap_or_default()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Before the directory goes, or what is below would go with it.
        for mounted in MOUNTED {
            let _ = Command::new("umount").arg("--lazy").arg(self.path.join(mounted)).status();
        }
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Runs what begins so, with a socket as systemd passes it; it starts with the first datagram.
fn activated(root: &Root, port: u16, words: &[&str]) -> Child {
    let listen = format!("127.0.0.1:{port}");
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--datagram", "--listen", &listen, "chroot"]).arg(&root.path).args(words);
    // What it complains of is in the test's own output.
    let child = command.stdout(Stdio::null()).spawn().expect("systemd-socket-activate");
    let line = format!("0100007F:{port:04X}");
    while !fs::read_to_string("/proc/net/udp").expect("Linux").contains(&line) {
        thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Waits for something that a program does.
fn wait_for(child: &mut Child, what: impl Fn() -> bool) {
    while !what() {
        assert_eq!(child.try_wait().expect("a process"), None, "it has ended");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Installed, started, reloaded, upgraded while a machine sends, removed, purged.
#[test]
fn the_package_in_a_debian_of_its_own() {
    let root = Root::debian();
    let packages = root.file("/packages");
    for version in ["1.0.0", "1.0.1"] {
        let mut deb = Command::new(repository().join("scripts/deb"));
        done(deb.arg(&packages).arg(PROGRAM).env("VERSION", version).env("COMPRESS", "none"));
    }
    fs::create_dir_all(root.file("/run/systemd/system")).expect("a directory");
    fs::write(root.file("/usr/bin/systemctl"), SYSTEMCTL).expect("a file");
    done(Command::new("chmod").arg("+x").arg(root.file("/usr/bin/systemctl")));

    root.run(&["dpkg", "--install", "/packages/netconsole-receiver_1.0.0_amd64.deb"]);
    assert_eq!(root.run(&[NAME, "--version"]), format!("{NAME} {}", env!("CARGO_PKG_VERSION")));
    root.run(&["gzip", "--test", "/usr/share/man/man1/netconsole-receiver.1.gz"]);
    root.run(&["bash", "-n", "/usr/share/bash-completion/completions/netconsole-receiver"]);
    assert!(root.run(&["getent", "passwd", "netconsole"]).ends_with(":/nonexistent:/usr/sbin/nologin"));
    assert!(root.file("/usr/lib/x86_64-linux-gnu/wireshark/plugins/netconsole.lua").exists());

    // What the unit has systemd do.
    let unit = root.read("/usr/lib/systemd/system/netconsole-receiver.service");
    let setting =
        |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).expect("a setting").to_owned();
    let (start, reload) = (setting("ExecStart="), setting("ExecReload="));
    for dir in ["/var/log/netconsole", "/var/lib/netconsole-receiver"] {
        fs::create_dir_all(root.file(dir)).expect("a directory");
    }
    assert_eq!(reload, "kill -HUP $MAINPID");
    let port = free_port();
    let mut child = activated(&root, port, &start.split(' ').collect::<Vec<_>>());
    fs::write(root.file("/run/receiver.pid"), child.id().to_string()).expect("a file");
    let machine = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut sent = 0;
    let mut send = |count: u64| {
        for _ in 0..count {
            let record = format!("6,{sent},{},-;record {sent}\n", sent * 1000);
            machine.send_to(record.as_bytes(), ("127.0.0.1", port)).expect("loopback");
            sent += 1;
        }
        sent
    };
    let log = || root.read("/var/log/netconsole/127.0.0.1.log");
    let last = |log: String, sent: u64| log.ends_with(&format!("record {}\n", sent - 1));
    let sent = send(10);
    wait_for(&mut child, || last(log(), sent));

    // The kernel's word for which file runs: another one with another version.
    let pid = child.id();
    let running = || fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
    assert!(running().ends_with("usr/bin/netconsole-receiver"), "{:?}", running());
    root.run(&["dpkg", "--install", "/packages/netconsole-receiver_1.0.1_amd64.deb"]);
    let sent = send(10);
    assert!(root.read("/run/systemctl.log").contains("reload netconsole-receiver.service"));
    // Of a file that is no more the kernel says so behind its name.
    wait_for(&mut child, || running().ends_with("usr/bin/netconsole-receiver"));
    wait_for(&mut child, || last(log(), sent));
    let lines = log();
    let records: Vec<&str> =
        lines.lines().filter_map(|line| line.split_once("] ").map(|(_, text)| text)).collect();
    assert_eq!(records, (0..sent).map(|number| format!("record {number}")).collect::<Vec<_>>());

    root.run(&["dpkg", "--remove", NAME]);
    assert!(
        root.read("/run/systemctl.log")
            .contains("disable --now netconsole-receiver.socket netconsole-receiver.service")
    );
    assert!(child.wait().expect("it was told to end").success());
    assert!(!root.file("/usr/bin/netconsole-receiver").exists());
    assert!(root.file("/etc/netconsole-receiver.toml").exists(), "a configuration is the user's");
    root.run(&["dpkg", "--purge", NAME]);
    assert!(!root.file("/etc/netconsole-receiver.toml").exists());
    assert!(!root.file("/var/lib/netconsole-receiver").exists());
    assert!(last(log(), sent), "logs stay");
}

/// The container's steps: the program alone in a root, its entry point and its options.
#[test]
fn the_container_s_steps_in_a_root_of_its_own() {
    let file = fs::read_to_string(repository().join("receiver/package/Containerfile")).expect("a file");
    let step = |name: &str| file.lines().find_map(|line| line.strip_prefix(name)).expect("a step");
    assert_eq!((step("FROM "), step("COPY ")), ("scratch", "${PROGRAM} /netconsole-receiver"));
    let root = Root::empty();
    root.put("/netconsole-receiver");
    fs::create_dir(root.file(step("VOLUME "))).expect("a directory");
    let words: Vec<String> = ["ENTRYPOINT ", "CMD "]
        .into_iter()
        .flat_map(|name| serde_json::from_str::<Vec<String>>(step(name)).expect("a list"))
        .collect();
    let port = free_port();
    let mut child = activated(&root, port, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let machine = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    machine.send_to(b"6,1,1,-;in a container\n", ("127.0.0.1", port)).expect("loopback");
    wait_for(&mut child, || root.read("/logs/127.0.0.1.log").contains("in a container"));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    assert!(child.wait().expect("it ends").success());
}

/// What the unit gives up of the system, by systemd's own measure: 0 is everything, 10 nothing.
#[test]
fn the_unit_is_hardened() {
    let unit = repository().join("receiver/package/netconsole-receiver.service");
    done(Command::new("systemd-analyze").args(["security", "--offline=yes", "--threshold=15"]).arg(unit));
}
