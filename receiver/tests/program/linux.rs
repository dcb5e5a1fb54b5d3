//! A live Linux, Debian's newest cloud kernel in QEMU, at its normal log level: what its netconsole sends, basic and
//! extended with user data, up to a panic, is received by the program.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::run::PROGRAM;

/// What runs in it: netconsole as `kind=` says, records of several levels, a line longer than a datagram, a panic.
const INIT: &str = r#"#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for word in $(cat /proc/cmdline); do
    case $word in kind=* | port=*) eval "$word" ;; esac
done
for module in /*.ko; do case $module in *-netconsole.ko) ;; *) insmod $module ;; esac; done
case $kind in
    basic) insmod /*-netconsole.ko netconsole=6665@10.0.2.15/eth0,$port@10.0.2.2/52:55:0a:00:02:02 ;;
    extended)
        insmod /*-netconsole.ko
        mount -t configfs configfs /sys/kernel/config
        mkdir /sys/kernel/config/netconsole/lab
        cd /sys/kernel/config/netconsole/lab
        echo 1 >extended
        echo 1 >release
        echo eth0 >dev_name
        echo 10.0.2.15 >local_ip
        echo 10.0.2.2 >remote_ip
        echo $port >remote_port
        echo 52:55:0a:00:02:02 >remote_mac
        mkdir userdata/board userdata/place
        echo lab7 >userdata/board/value
        echo "rack 3" >userdata/place/value
        echo 1 >enabled
        ;;
esac
# What does not fit in the card's queue, as the log so far, Linux sends by a worker, and a panic stops that.
sleep 4
say() { echo "$1" >/dev/kmsg; }
for number in 1 2 3 4 5; do
    say "<4>tool: warning $number"
    say "<7>tool: debug $number"
    say "<6>tool: <6>no priority, {no object}, $number"
done
say "<5>tool: long $(printf '%0960d' 7) end"
say "<6>tool: last"
sleep 2
echo c >/proc/sysrq-trigger
"#;

/// A kernel and its initramfs.
fn linux() -> &'static (PathBuf, PathBuf) {
    static LINUX: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    LINUX.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let directory = root.join("target/linux");
        succeed(Command::new(root.join("scripts/debian-linux")).arg(&directory));
        let boot = fs::read_dir(directory.join("boot")).expect("boot/");
        let kernel = boot.map(|entry| entry.expect("a file").path());
        let mut kernel = kernel.filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        });
        let kernel = kernel.next().expect("boot/vmlinuz-*");
        let files = directory.join("root");
        let _ = fs::remove_dir_all(&files);
        for folder in ["bin", "dev", "proc", "sys"] {
            fs::create_dir_all(files.join(folder)).expect("a folder");
        }
        fs::copy(directory.join("bin/busybox"), files.join("bin/busybox")).expect("busybox");
        for module in fs::read_dir(directory.join("netconsole")).expect("scripts/debian-linux makes it") {
            let module = module.expect("a module");
            fs::copy(module.path(), files.join(module.file_name())).expect("a module");
        }
        fs::write(files.join("init"), INIT).expect("a file");
        succeed(Command::new("chmod").arg("+x").arg(files.join("init")));
        let initrd = directory.join("initrd");
        let pack = "find . | cpio --quiet -o -H newc";
        let archive = succeed(Command::new("sh").args(["-c", pack]).current_dir(&files)).stdout;
        fs::write(&initrd, archive).expect("a file");
        (kernel, initrd)
    })
}

fn succeed(command: &mut Command) -> Output {
    let output =
        command.stderr(Stdio::inherit()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}");
    output
}

/// A machine that is switched off in the end.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program shows of a Linux from its first record to its last.
fn receive(kind: &str, arguments: &[&str]) -> Output {
    let (kernel, initrd) = linux();
    let port =
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    // The console's output is read only where the test fails.
    let log = tempfile::NamedTempFile::new().expect("a file");
    let receiver = Command::new(PROGRAM)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--until", "end Kernel panic", "--crash-ok", "--timeout", "240"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let machine = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg", "-m", "256M", "-display", "none", "-no-reboot", "-serial"])
        .arg(format!("file:{}", log.path().display()))
        .args(["-nic", "user,model=virtio-net-pci", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", &format!("console=ttyS0 printk.devkmsg=on net.ifnames=0 kind={kind} port={port}")])
        .spawn()
        .expect("qemu-system-x86_64 is installed: scripts/setup qemu");
    let machine = Machine(machine);
    let output = receiver.wait_with_output().expect("the program ends");
    drop(machine);
    if output.status.code() != Some(0) {
        let log = fs::read(log.path()).unwrap_or_default();
        panic!("{output:?}\n{}", String::from_utf8_lossy(&log));
    }
    output
}

/// Where each of these is, one after the other.
#[track_caller]
fn in_order(lines: &[String], expected: &[String]) {
    let mut rest = lines.iter();
    for line in expected {
        assert!(rest.any(|shown| shown == line), "{line} is missing, or not in its place: {lines:#?}");
    }
}

/// What user space logged, at Linux's normal level.
fn of_user_space() -> Vec<String> {
    let lines = (1..=5).flat_map(|number| {
        [format!("tool: warning {number}"), format!("tool: <6>no priority, {{no object}}, {number}")]
    });
    lines.chain([format!("tool: long {:0960} end", 7), "tool: last".to_owned()]).collect()
}

#[test]
fn linux_in_the_basic_format() {
    let output = receive("basic", &[]);
    let shown = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = shown.lines().collect();
    let texts: Vec<String> =
        lines.iter().map(|line| line.split_once("] ").map_or(*line, |(_, text)| text).to_owned()).collect();
    assert!(texts[0].starts_with("Linux version "), "{}", texts[0]);
    in_order(&texts, &of_user_space());
    in_order(
        &texts,
        &[
            "tool: last".to_owned(),
            "… crash report from 127.0.0.1".to_owned(),
            "Kernel panic - not syncing: sysrq triggered crash".to_owned(),
            "---[ end Kernel panic - not syncing: sysrq triggered crash ]---".to_owned(),
        ],
    );
    assert!(!shown.contains("tool: debug"), "debug records are not sent at the normal level");
    // Nothing is cut or glued: a time begins each line, and is nowhere else.
    for line in lines.iter().filter(|line| !line.starts_with('…')) {
        let (time, text) = line.split_once("] ").unwrap_or_else(|| panic!("{line}"));
        assert!(
            time.starts_with('[') && time.len() == "[    1.000000".len() && !text.ends_with('…'),
            "{line}"
        );
    }
}

#[test]
fn linux_in_the_extended_format_with_user_data() {
    let output = receive("extended", &["--json"]);
    let shown = String::from_utf8(output.stdout).expect("text");
    let events: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let records: Vec<_> = events.iter().filter(|event| event["event"] == "record").collect();
    let texts: Vec<_> =
        records.iter().map(|record| record["text"].as_str().expect("a text").to_owned()).collect();
    in_order(&texts, &of_user_space());
    in_order(&texts, &["Kernel panic - not syncing: sysrq triggered crash".to_owned()]);
    for record in &records {
        assert_eq!(
            (&record["fields"]["board"], &record["fields"]["place"]),
            (&"lab7".into(), &"rack 3".into()),
            "{record}"
        );
        assert!(
            record["release"].as_str().is_some_and(|release| release.contains("cloud-amd64")),
            "{record}"
        );
        assert_ne!(record["incomplete"], true, "{record}");
    }
    let warning = records.iter().find(|record| record["text"] == "tool: warning 1").expect("a warning");
    assert_eq!((&warning["level"], &warning["facility"]), (&4.into(), &1.into()));
    assert!(events.iter().any(|event| event["event"] == "crash"));
    assert!(events.iter().all(|event| event["event"] != "missing"), "{events:#?}");
}
