//! The program, on systems that are directories with the files that Linux has, and an `ip` that answers from files.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A system with one virtio card, `ens3`, at 10.0.0.1/24, whose gateway is 10.0.0.254, and a target at 10.0.0.2.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let new = Self { directory: tempfile::tempdir().expect("a directory") };
        new.card("ens3", "52:54:00:12:34:56", "0000:00:03.0", ("0x1af4", "0x1000"), true);
        new.write("proc/cmdline", "root=/dev/vda1 ro quiet");
        new.write("proc/sys/kernel/hostname", "web7");
        new.write("proc/sys/kernel/kexec_load_disabled", "0");
        new.write("sys/kernel/kexec_crash_size", "4194304");
        new.write("sys/kernel/kexec_crash_loaded", "0");
        new.write("sys/module/printk/parameters/time", "Y");
        new.route("ens3", "");
        let ip = new.path("bin/ip");
        new.write(
            "bin/ip",
            "#!/bin/sh\n[ \"$1\" != monitor ] || exec cat \"${0%/*}/../answers/monitor\"\nshift\ncase \"$1 $2\" in\n'route get') file=route${5:+-by-$5} ;;\n'addr show') file=addr-$4 ;;\n\
             'neigh show') file=neigh-$4; by=neigh-$4-$6; [ ! -e \"${0%/*}/../answers/$by\" ] || file=$by ;;\nesac\ncat \"$(dirname \"$0\")/../answers/$file\" 2>/dev/null || echo '[]'\n",
        );
        fs::set_permissions(ip, Permissions::from_mode(0o755)).expect("a program");
        new
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn link(&self, name: &str, to: &Path) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("a directory");
        symlink(to, path).expect("a link");
    }

    /// A card of these ids; a virtio device lies below its PCI function.
    fn card(&self, name: &str, mac: &str, place: &str, (vendor, device): (&str, &str), is_virtio: bool) {
        let bus = if place.starts_with("0000:00:") { "" } else { "0000:00:1c.0/" };
        let function = format!("sys/devices/pci0000:00/{bus}{place}");
        self.link(&format!("sys/bus/pci/devices/{place}"), &self.path(&function));
        self.write(&format!("{function}/vendor"), vendor);
        self.write(&format!("{function}/device"), device);
        let below = if is_virtio { format!("{function}/virtio{}", &place[9..10]) } else { function };
        fs::create_dir_all(self.path(&below)).expect("a directory");
        self.write(&format!("sys/class/net/{name}/address"), mac);
        self.link(&format!("sys/class/net/{name}/device"), &self.path(&below));
    }

    /// A device on top of others.
    fn upper(&self, name: &str, lower: &[&str]) {
        self.write(&format!("sys/class/net/{name}/address"), "52:54:00:00:00:99");
        for lower in lower {
            self.link(
                &format!("sys/class/net/{name}/lower_{lower}"),
                &self.path(&format!("sys/class/net/{lower}")),
            );
        }
        self.route(name, "");
    }

    /// The way to every target is by this device.
    fn route(&self, device: &str, more: &str) {
        self.write(
            "answers/route",
            &format!(r#"[{{"dst":"10.0.0.2",{more}"dev":"{device}","prefsrc":"10.0.0.1"}}]"#),
        );
        // Linux answers the same where it is asked for the way by that device.
        let answer = self.path("answers/route");
        fs::copy(answer, self.path(&format!("answers/route-by-{device}"))).expect("a file");
        let addresses = r#"[{"addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24},{"family":"inet6","local":"fd00::1","prefixlen":64}]}]"#;
        self.write(&format!("answers/addr-{device}"), addresses);
        self.write(
            "answers/neigh-10.0.0.2",
            r#"[{"dst":"10.0.0.2","lladdr":"02:00:00:00:00:02","state":["STALE"]}]"#,
        );
        self.write("answers/neigh-10.0.0.254", r#"[{"dst":"10.0.0.254","lladdr":"02:00:00:00:00:fe"}]"#);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// The program, for which the kernel takes every image and loads none.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_where(arguments, 0)
    }

    /// The program, where kexec_file_load(2) has this answer and does nothing, and there is no kexec_load(2).
    fn command_where(&self, arguments: &[&str], answer: i32) -> Command {
        self.command_with(arguments, answer, libc::ENOSYS)
    }

    /// The program, where both have their answers and do nothing.
    fn command_with(&self, arguments: &[&str], of_file_load: i32, of_load: i32) -> Command {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").expect("a PATH"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_netconsole-arm"));
        command.arg("--root").arg(self.directory.path()).args(arguments).env("PATH", path);
        // SAFETY: between fork and exec it makes system calls alone.
        unsafe { command.pre_exec(move || answer_to_loading(of_file_load, of_load)) };
        command
    }

    /// It stays, and its lines come as it writes them.
    fn watch(&self, arguments: &[&str]) -> Watch {
        let made = Command::new("mkfifo").arg(self.path("answers/monitor")).status();
        assert!(made.is_ok_and(|status| status.success()));
        let mut command = self.command(&[&["--watch"], arguments].concat());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let (tell, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("a pipe")), Box::new(child.stderr.take().expect("a pipe"))];
        for output in outputs {
            let tell = tell.clone();
            thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
            });
        }
        let monitor =
            File::options().read(true).write(true).open(self.path("answers/monitor")).expect("a pipe");
        Watch { child, lines, monitor }
    }

    /// The command line that it would load.
    fn shown(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["--show"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_string()
    }

    /// The one line that it refuses with.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.strip_prefix("netconsole-arm: ").expect("it says who speaks").to_string()
    }
}

/// Has kexec_file_load(2) and kexec_load(2) answer these errors, or 0, and do nothing in this process: the tests load no
/// kernel, whoever runs them.
fn answer_to_loading(of_file_load: i32, of_load: i32) -> io::Result<()> {
    let number = |number: libc::c_long| u32::try_from(number).map_err(io::Error::other);
    let step = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let call = |number, jf| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number, 0, jf);
    let answer = |action| step(libc::BPF_RET | libc::BPF_K, action, 0, 0);
    let mut steps = [
        // The system call's number is the first word of what the filter sees (seccomp(2)).
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        call(number(libc::SYS_kexec_file_load)?, 1),
        answer(libc::SECCOMP_RET_ERRNO | number(of_file_load.into())?),
        call(number(libc::SYS_kexec_load)?, 1),
        answer(libc::SECCOMP_RET_ERRNO | number(of_load.into())?),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 6, filter: steps.as_mut_ptr() };
    // SAFETY: the program has 6 steps, and outlives the calls.
    let is_set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if is_set { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `--watch`, which ends with the test.
struct Watch {
    child: Child,
    lines: Receiver<String>,
    monitor: File,
}

impl Watch {
    /// The next line that it says.
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("it says something")
    }

    /// `ip monitor` tells of a change.
    fn change(&mut self) {
        self.monitor.write_all(b"a change\n").expect("ip reads it");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TO: [&str; 2] = ["--to", "10.0.0.2"];
const IP: &str = "ip=10.0.0.1:::255.255.255.0:web7::off";

#[test]
fn a_target_that_is_said_needs_no_dhcp_and_no_arp() {
    let machine = Machine::new();
    let expected =
        format!("netconsole=+r6665@10.0.0.1/52:54:00:12:34:56,6666@10.0.0.2/02:00:00:00:00:02 {IP}");
    assert_eq!(machine.shown(&TO), expected);
    machine.write("sys/module/printk/parameters/time", "N");
    machine.write("dev/kmsg", "6,0,0,-,caller=T1;Linux version\n");
    let expected = format!("{expected} printk.time=0 linux.caller=1 linux.patience=9");
    assert_eq!(machine.shown(&["--to", "10.0.0.2:6666", "--append", "linux.patience=9"]), expected);
}

/// With one part that it does not take the kernel ignores all of `ip=`, and would ask DHCP.
#[test]
fn a_host_name_that_the_kernel_does_not_take_is_left_out() {
    let machine = Machine::new();
    for (name, expected) in [
        ("web-7.example", "web-7.example"),
        ("a_b", ""),
        (&"a".repeat(63), &"a".repeat(63)),
        (&"a".repeat(64), ""),
        ("(none)", ""),
        ("", ""),
    ] {
        machine.write("proc/sys/kernel/hostname", name);
        let line = machine.shown(&TO);
        assert!(line.ends_with(&format!(" ip=10.0.0.1:::255.255.255.0:{expected}::off")), "{name}: {line}");
    }
}

#[test]
fn what_the_kernel_would_ignore_is_refused_before_it_is_loaded() {
    let machine = Machine::new();
    for (append, expected) in [
        ("ip=10.0.0.256::", "ip: client: expected"),
        ("netconsole.panic_repeat=99", "netconsole.panic_repeat=99: expected"),
        ("netconsole.inptu=1", "netconsole.input= was probably meant"),
    ] {
        let refusal = machine.refusal(&["--show", "--to", "10.0.0.2", "--append", append]);
        assert!(refusal.starts_with("the kernel would not take its command line: "), "{refusal}");
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn through_a_gateway_the_frames_go_to_it() {
    let machine = Machine::new();
    machine.route("ens3", r#""gateway":"10.0.0.254","#);
    let line = machine.shown(&["--to", "192.0.2.7:514"]);
    assert!(
        line.contains(",514@192.0.2.7/02:00:00:00:00:fe ip=10.0.0.1::10.0.0.254:255.255.255.0:web7::off"),
        "{line}"
    );
}

/// A receiver knows the stream by the sender's port, and reads the format that it got before.
#[test]
fn what_linux_s_netconsole_sends_goes_on() {
    let machine = Machine::new();
    assert!(machine.refusal(&["--show"]).starts_with("no target: "));
    machine.write("proc/cmdline", "ro netconsole=+4444@/eth0,9353@10.0.0.2/12:34:56:78:9a:bc quiet");
    let of_cmdline =
        format!("netconsole=+4444@10.0.0.1/52:54:00:12:34:56,9353@10.0.0.2/12:34:56:78:9a:bc {IP}");
    assert_eq!(machine.shown(&[]), of_cmdline);
    assert_eq!(machine.shown(&["--to", "10.0.0.2:9353"]), of_cmdline);
    assert!(machine.shown(&TO).starts_with("netconsole=+r6665@"), "another port is another receiver");

    machine.write("sys/module/netconsole/parameters/oops_only", "Y");
    machine.write("etc/modprobe.d/netconsole.conf", "options netconsole netconsole=@/,514@10.0.0.2/\n");
    assert_eq!(
        machine.shown(&[]),
        format!(
            "netconsole=6665@10.0.0.1/52:54:00:12:34:56,514@10.0.0.2/02:00:00:00:00:02 {IP} netconsole.oops_only=1"
        )
    );

    for (name, enabled, port) in [("off", "0", "1"), ("on", "1", "7777")] {
        for (attribute, value) in [
            ("enabled", enabled),
            ("extended", "1"),
            ("release", "1"),
            ("dev_name", "ens3"),
            ("local_port", "6000"),
            ("remote_port", port),
            ("remote_ip", "10.0.0.2"),
            ("remote_mac", "ff:ff:ff:ff:ff:ff"),
        ] {
            machine.write(&format!("sys/kernel/config/netconsole/{name}/{attribute}"), value);
        }
    }
    let both = "netconsole=+r6000@10.0.0.1/52:54:00:12:34:56,7777@10.0.0.2/02:00:00:00:00:02 \
                netconsole=6665@10.0.0.1/52:54:00:12:34:56,514@10.0.0.2/02:00:00:00:00:02 ip=";
    assert!(machine.shown(&[]).starts_with(both), "{}", machine.shown(&[]));
}

/// Linux's netconsole sends by its own device and from its own address, wherever the routes lead.
#[test]
fn the_way_is_all_by_the_device_of_linux_s_netconsole() {
    let machine = Machine::new();
    machine.card("ens4", "52:54:00:12:34:57", "0000:00:04.0", ("0x8086", "0x100e"), false);
    machine.write(
        "answers/route-by-ens4",
        r#"[{"dst":"10.0.0.2","gateway":"10.9.0.254","dev":"ens4","prefsrc":"10.9.0.1"}]"#,
    );
    let addresses =
        r#"[{"addr_info":[{"local":"10.9.0.1","prefixlen":16},{"local":"10.9.0.7","prefixlen":24}]}]"#;
    machine.write("answers/addr-ens4", addresses);
    machine.write("answers/neigh-10.9.0.254", r#"[{"lladdr":"02:00:00:00:00:03"}]"#);
    machine.write("answers/neigh-10.9.0.254-ens4", r#"[{"lladdr":"02:00:00:00:00:04"}]"#);
    let line = |own: &str, prefix: &str| {
        format!(
            "netconsole=6665@{own}/52:54:00:12:34:57,514@10.0.0.2/02:00:00:00:00:04 \
             ip={own}::10.9.0.254:{prefix}:web7::off"
        )
    };
    machine.write("proc/cmdline", "netconsole=@/ens4,514@10.0.0.2/");
    assert_eq!(machine.shown(&[]), line("10.9.0.1", "255.255.0.0"));
    machine.write("proc/cmdline", "netconsole=@10.9.0.7/ens4,514@10.0.0.2/");
    assert_eq!(machine.shown(&[]), line("10.9.0.7", "255.255.255.0"));
    machine.write("proc/cmdline", "netconsole=@192.0.2.9/ens4,514@10.0.0.2/");
    assert_eq!(machine.shown(&[]), line("192.0.2.9", "255.255.0.0"), "it need not be the device's");

    let attributes = [
        ("enabled", "1"),
        ("dev_name", "ens4"),
        ("local_ip", "10.9.0.7"),
        ("local_port", "6665"),
        ("remote_port", "514"),
        ("remote_ip", "10.0.0.2"),
    ];
    for (attribute, value) in attributes {
        machine.write(&format!("sys/kernel/config/netconsole/one/{attribute}"), value);
    }
    assert_eq!(machine.shown(&[]), line("10.9.0.7", "255.255.255.0"));
    machine.write("sys/kernel/config/netconsole/one/local_ip", "0.0.0.0");
    assert_eq!(machine.shown(&[]), line("10.9.0.1", "255.255.0.0"));
}

#[test]
fn bridges_bonds_and_vlans_are_followed_to_the_cards() {
    let machine = Machine::new();
    machine.card("ens4", "52:54:00:12:34:57", "0000:00:04.0", ("0x8086", "0x100e"), false);
    machine.upper("br0", &["ens3"]);
    assert!(machine.shown(&TO).contains("/52:54:00:12:34:56,6666@"));

    machine.upper("bond0", &["ens3", "ens4"]);
    machine.write("sys/class/net/bond0/bonding/mode", "802.3ad 4");
    machine.write(
        "proc/net/bonding/bond0",
        "Slave Interface: ens3\nPermanent HW addr: 52:54:00:aa:00:03\n\nSlave Interface: ens4\nPermanent HW addr: 52:54:00:aa:00:04\n",
    );
    // One that is not driven is left out.
    machine.card("ens5", "52:54:00:12:34:58", "0000:00:05.0", ("0x14e4", "0x165f"), false);
    machine.link("sys/class/net/bond0/lower_ens5", &machine.path("sys/class/net/ens5"));
    let line = machine.shown(&TO);
    assert!(line.contains("/52:54:00:aa:00:03,6666@") && line.contains("/52:54:00:aa:00:04,6666@"), "{line}");
    assert_eq!(line.matches("netconsole=").count(), 2, "{line}");
    assert!(line.starts_with("netconsole=+r6665@10.0.0.1/52:54:00:aa:00:03,"), "{line}");
    machine.write("sys/class/net/bond0/bonding/active_slave", "ens4\n");
    let line = machine.shown(&TO);
    assert!(
        line.starts_with("netconsole=+r6665@10.0.0.1/52:54:00:aa:00:04,"),
        "the active one first: {line}"
    );
    let said = String::from_utf8_lossy(&machine.run(&TO).stderr).into_owned();
    assert!(
        said.contains("bond0 uses LACP (802.3ad): a switch may shut a member that does not speak it"),
        "{said}"
    );
    assert!(said.contains("bond0: left out: ens5 is a card 14e4:165f"), "{said}");

    // A VLAN on a card, by the card's place.
    machine.upper("ens4.5", &["ens4"]);
    machine.write("proc/net/vlan/ens4.5", "ens4.5  VID: 5\t REORDER_HDR: 1  dev->priv_flags: 1001\n");
    assert!(machine.shown(&TO).contains("@10.0.0.1/eth1.5,6666@"), "{}", machine.shown(&TO));
}

/// The crash kernel numbers the cards of all buses; on real machines each is alone on the bus behind its root port.
#[test]
fn a_vlan_s_card_is_counted_over_all_buses() {
    let machine = Machine::new();
    machine.card("enp1s0", "52:54:00:12:34:61", "0000:01:00.0", ("0x8086", "0x10d3"), false);
    machine.card("enp2s0", "52:54:00:12:34:62", "0000:02:00.0", ("0x8086", "0x10d3"), false);
    machine.upper("vlan5", &["enp2s0"]);
    machine.write("proc/net/vlan/vlan5", "vlan5  VID: 5\t REORDER_HDR: 1  dev->priv_flags: 1001\n");
    let line = machine.shown(&TO);
    assert!(line.contains("@10.0.0.1/eth2.5,6666@"), "{line}");

    // What the kernel does not drive or does not see has no number.
    machine.card("enp1s0f1", "52:54:00:12:34:63", "0000:01:00.1", ("0x14e4", "0x165f"), false);
    machine.card("enp1s0v0", "52:54:00:12:34:64", "0000:01:10.0", ("0x8086", "0x1520"), false);
    machine.write("sys/bus/pci/devices/0000:01:10.0/physfn/x", "");
    assert_eq!(machine.shown(&TO), line);
}

#[test]
fn what_cannot_work_is_refused_before_it_is_armed() {
    let machine = Machine::new();
    machine.card("wlan0", "52:54:00:12:34:58", "0000:00:05.0", ("0x8086", "0x2723"), false);
    machine.write("sys/class/net/wlan0/wireless/x", "");
    machine.route("wlan0", "");
    assert!(machine.refusal(&TO).starts_with("wlan0 is wireless"));

    machine.card("ens6", "52:54:00:12:34:59", "0000:00:06.0", ("0x14e4", "0x165f"), false);
    machine.route("ens6", "");
    let refusal = machine.refusal(&TO);
    assert!(refusal.contains("14e4:165f") && refusal.contains("it drives virtio, Intel"), "{refusal}");

    machine.card("ens7", "52:54:00:12:34:5a", "0000:00:07.0", ("0x8086", "0x1520"), false);
    machine.write("sys/devices/pci0000:00/0000:00:07.0/physfn/x", "");
    machine.route("ens7", "");
    assert!(machine.refusal(&TO).contains("virtual function"));

    machine.write("answers/route", r#"[{"type":"local","dst":"10.0.0.2","dev":"lo"}]"#);
    assert!(machine.refusal(&TO).contains("is this machine itself"));
    machine.write("answers/route", "");
    assert!(machine.refusal(&TO).contains("no route to 10.0.0.2"));
}

#[test]
fn what_is_missing_is_said_with_its_cure() {
    let machine = Machine::new();
    machine.write("sys/kernel/kexec_crash_size", "0");
    for (release, cure) in [
        ("ID=debian\n", "GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then run update-grub"),
        (
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
            "grubby --update-kernel=ALL --args=crashkernel=4M",
        ),
        ("ID=arch\n", "crashkernel=4M"),
    ] {
        machine.write("etc/os-release", release);
        let refusal = machine.refusal(&TO);
        assert!(refusal.starts_with("no memory is set aside") && refusal.contains(cure), "{refusal}");
    }
    machine.write("sys/kernel/kexec_crash_size", "2097152");
    assert!(machine.refusal(&TO).contains("2048 KiB are set aside"));
    machine.write("proc/sys/kernel/kexec_load_disabled", "1");
    assert!(machine.refusal(&TO).contains("kernel.kexec_load_disabled=1"));
    fs::remove_file(machine.path("sys/kernel/kexec_crash_size")).expect("it was there");
    machine.write("proc/sys/kernel/kexec_load_disabled", "0");
    assert!(machine.refusal(&TO).contains("CONFIG_KEXEC_FILE"));
}

#[test]
fn a_key_that_others_may_read_is_refused_and_none_is_shown() {
    let machine = Machine::new();
    let key = machine.path("key");
    let name = key.display().to_string();
    machine.write("key", &"0123456789abcdef".repeat(4));
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("a file");
    assert!(machine.refusal(&["--show", "--to", "10.0.0.2", "--key-file", &name]).contains("chmod 600"));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("a file");
    assert!(!machine.shown(&["--to", "10.0.0.2", "--key-file", &name]).contains("0123456789abcdef"));
    machine.write("key", "0123");
    assert!(machine.refusal(&["--show", "--to", "10.0.0.2", "--key-file", &name]).contains("64 hexadecimal"));
}

/// What Linux was told to seal does not go out in the clear.
#[test]
fn with_a_key_on_linux_s_command_line_a_key_file_is_needed() {
    let machine = Machine::new();
    let key = "0123456789abcdef".repeat(4);
    machine.write("key", &key);
    fs::set_permissions(machine.path("key"), Permissions::from_mode(0o600)).expect("a file");
    let name = machine.path("key").display().to_string();
    let target = "netconsole=@/,9353@10.0.0.2/";
    for line in [
        format!("{target} netconsole.key={key}"),
        format!("netconsole.key={key} {target}"),
        format!("{target} netconsole_key={key}"),
        format!("{target} -- netconsole.key={key}"),
        format!("{target} netconsole.key=short"),
    ] {
        machine.write("proc/cmdline", &line);
        for arguments in [&["--show"][..], &["--show", "--to", "10.0.0.2"]] {
            let refusal = machine.refusal(arguments);
            assert!(refusal.contains("say --key-file") && !refusal.contains(&key), "{line}: {refusal}");
        }
    }
    machine.write("proc/cmdline", &format!("{target} netconsole.key={key}"));
    assert!(machine.shown(&["--key-file", &name]).starts_with("netconsole=6665@10.0.0.1/"));

    machine.write("proc/cmdline", &format!("{target} roothash={key}"));
    assert!(machine.shown(&[]).contains(",9353@10.0.0.2/"), "the digits of another parameter are no key");

    fs::create_dir_all(machine.path("sys/module/netconsole")).expect("a directory");
    machine.write("etc/modprobe.d/netconsole.conf", &format!("options netconsole key={key} {target}\n"));
    assert!(machine.refusal(&["--show"]).contains("say --key-file"));
}

#[test]
fn a_key_in_append_is_refused() {
    let machine = Machine::new();
    let key = "0123456789abcdef".repeat(4);
    for append in [format!("netconsole.key={key}"), "linux.patience=9 netconsole.key=".into(), key.clone()] {
        let refusal = machine.refusal(&["--to", "10.0.0.2", "--append", &append]);
        assert!(refusal.contains("say --key-file") && !refusal.contains(&key), "{refusal}");
    }
    assert!(!machine.path("run/netconsole-arm").exists());
}

#[test]
fn with_another_key_it_is_armed_again() {
    let machine = Machine::new();
    machine.write("run/x", "");
    machine.write("kernel", "");
    machine.write("sys/kernel/kexec_crash_loaded", "1");
    let write_key = |digits: &str| {
        machine.write("new", &digits.repeat(32));
        fs::set_permissions(machine.path("new"), Permissions::from_mode(0o600)).expect("a file");
        fs::rename(machine.path("new"), machine.path("key")).expect("a file");
    };
    write_key("01");
    let (key, kernel) = (machine.path("key"), machine.path("kernel"));
    let (key, kernel) = (key.display().to_string(), kernel.display().to_string());
    let mut watch = machine.watch(&["--to", "10.0.0.2", "--kernel", &kernel, "--key-file", &key]);
    let first = [watch.line(), watch.line()];
    let is_armed = |line: &String| line.starts_with("armed: netconsole=") && !line.contains("0101");
    assert!(first.iter().any(is_armed), "{first:?}");
    write_key("02");
    watch.change();
    let line = watch.line();
    assert!(is_armed(&line) && !line.contains("0202"), "{line}");
    let state = fs::read_to_string(machine.path("run/netconsole-arm")).expect("it is armed");
    assert!(!state.contains("0202"), "{state}");

    // An error is told, and told again where it was armed in between.
    for _ in 0..2 {
        machine.write("proc/sys/kernel/kexec_load_disabled", "1");
        machine.write("sys/class/net/ens3/address", "52:54:00:12:34:57");
        machine.write("sys/kernel/kexec_crash_loaded", "0");
        watch.change();
        assert!(watch.line().contains("kexec is turned off"));
        machine.write("sys/kernel/kexec_crash_loaded", "1");
        machine.write("sys/class/net/ens3/address", "52:54:00:12:34:56");
        fs::remove_file(machine.path("run/netconsole-arm")).expect("it is armed");
        machine.write("proc/sys/kernel/kexec_load_disabled", "0");
        watch.change();
        let lines = [watch.line(), watch.line()];
        assert!(lines.iter().any(is_armed), "{lines:?}");
    }
}

/// What was found at arming and is different now: by a word of `ip monitor`, or by itself where nobody tells.
#[test]
fn with_another_address_card_cpu_or_memory_it_is_armed_again() {
    let machine = Machine::new();
    for (name, text) in [
        ("run/x", ""),
        ("kernel", ""),
        ("sys/kernel/kexec_crash_loaded", "1"),
        ("sys/devices/system/cpu/online", "0-1"),
        ("proc/meminfo", "MemTotal:        2014000 kB\nMemFree:          100000 kB\n"),
    ] {
        machine.write(name, text);
    }
    machine.card("ens4", "52:54:00:12:34:57", "0000:00:04.0", ("0x8086", "0x100e"), false);
    let kernel = machine.path("kernel").display().to_string();
    let arguments = ["--to", "10.0.0.2", "--kernel", &kernel, "--look", "600"];
    let mut watch = machine.watch(&arguments);
    let armed = |watch: &Watch| loop {
        let line = watch.line();
        if let Some(line) = line.strip_prefix("armed: ") {
            return line.to_string();
        }
    };
    let first = armed(&watch);
    machine.write("answers/addr-ens3", r#"[{"addr_info":[{"local":"10.0.0.1","prefixlen":16}]}]"#);
    watch.change();
    assert!(armed(&watch).contains("ip=10.0.0.1:::255.255.0.0:"), "not the address of {first}");
    // The link of the first went: the way is by another.
    machine.route("ens4", "");
    watch.change();
    assert!(armed(&watch).contains("/52:54:00:12:34:57,6666@"));
    machine.write("sys/devices/system/cpu/online", "0-3");
    watch.change();
    let line = armed(&watch);
    machine.write("proc/meminfo", "MemTotal:        4028000 kB\nMemFree:          100000 kB\n");
    watch.change();
    assert_eq!(armed(&watch), line);
    // Free memory is nothing that the crash kernel is told of: the next line is that of what follows.
    machine.write("proc/meminfo", "MemTotal:        4028000 kB\nMemFree:          200000 kB\n");
    watch.change();
    machine.route("ens3", "");
    watch.change();
    assert_ne!(armed(&watch), line);
    drop(watch);

    fs::remove_file(machine.path("answers/monitor")).expect("it was there");
    let watch = machine.watch(&[&arguments[..5], &["1"]].concat());
    armed(&watch);
    machine.write("sys/devices/system/cpu/online", "0-7");
    armed(&watch);
}

/// The manual has every option, and the unit says none that there is not.
#[test]
fn the_manual_and_the_unit_know_the_options() {
    let help = Command::new(env!("CARGO_BIN_EXE_netconsole-arm")).arg("--help").output().expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        fs::read_to_string(path).expect("a file")
    };
    let manual = read("netconsole-arm.8").replace("\\f", " \\").replace("\\-", "-");
    let unit = read("netconsole-arm.service");
    let words = |text: &str| {
        let is_word = |character: char| character.is_ascii_lowercase() || character == '-';
        let words = text.split(|character| !is_word(character)).filter(|word| word.starts_with("--"));
        words.map(str::to_string).collect::<Vec<_>>()
    };
    let options = words(&help);
    assert!(options.len() > 10, "{help}");
    for option in options.iter().filter(|option| !["--help", "--version"].contains(&option.as_str())) {
        assert!(words(&manual).contains(option), "{option} is not in the manual");
    }
    let said: Vec<String> = unit.lines().filter(|line| line.starts_with("Exec")).flat_map(words).collect();
    assert_eq!(said, ["--watch", "--disarm"]);
    // systemd takes it, as far as it can be said where the program is not installed.
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("netconsole-arm.service");
    let verified = Command::new("systemd-analyze").arg("verify").arg(&unit).output();
    let verified = verified.expect("systemd-analyze is missing: run scripts/setup systemd");
    let problems = String::from_utf8_lossy(&verified.stderr).into_owned();
    let is_wrong = |line: &&str| !line.contains("is not executable") && !line.contains("Command 'man ");
    assert_eq!(problems.lines().find(is_wrong), None, "{problems}");
    assert!(said.iter().all(|option| options.contains(option)), "{said:?}");
}

#[test]
fn a_locked_down_linux_is_named() {
    let machine = Machine::new();
    machine.write("kernel", "");
    machine.write("sys/kernel/security/lockdown", "none [integrity] confidentiality");
    let kernel = machine.path("kernel").display().to_string();
    let output = machine.command_where(&["--to", "10.0.0.2", "--kernel", &kernel], libc::EPERM).output();
    let said = String::from_utf8_lossy(&output.expect("the program runs").stderr).into_owned();
    // SAFETY: it has no arguments and can't fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let expected = if is_root { "locked down (integrity): it takes signed images only" } else { "use sudo" };
    assert!(said.contains(expected), "{said}");
}

#[test]
fn the_status_says_what_is_armed_and_what_has_changed() {
    let machine = Machine::new();
    let status = |arguments: &[&str]| {
        let output = machine.run(&[&["--status"], arguments].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(status(&TO).starts_with("not armed: no crash kernel"));
    machine.write("sys/kernel/kexec_crash_loaded", "1");
    assert!(status(&TO).starts_with("not armed: a crash kernel is loaded that is not netconsole's"));
    let line = machine.shown(&TO);
    machine.write("run/netconsole-arm", &format!("{line}\n"));
    assert_eq!(status(&TO), format!("armed: {line}\n"));
    machine.write("sys/class/net/ens3/address", "52:54:00:12:34:ff");
    assert!(
        status(&TO).contains("changed since, arm it again: netconsole=+r6665@10.0.0.1/52:54:00:12:34:ff,")
    );
    // kdump's service was there before, then it starts again.
    machine.link("run/systemd/units/invocation:kdump-tools.service", Path::new("0123"));
    let armed_at = |time| {
        let state = File::options().write(true).open(machine.path("run/netconsole-arm")).expect("a file");
        state.set_modified(time).expect("a time");
    };
    armed_at(SystemTime::now() + Duration::from_secs(3600));
    assert!(status(&TO).starts_with("armed: "));
    armed_at(SystemTime::UNIX_EPOCH);
    assert!(status(&TO).starts_with("not armed: kdump-tools.service has started since"));
    machine.write("kernel", "");
    let output =
        machine.run(&["--to", "10.0.0.2", "--kernel", &machine.path("kernel").display().to_string()]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("is replaced: no dump"), "{text}");
}

/// As Linux ends the messages with it, and written so that nothing of it ends a word or passes for something else.
#[test]
fn userdata_of_linux_s_netconsole_goes_on() {
    let machine = Machine::new();
    machine.write("proc/cmdline", "netconsole=+@/,514@10.0.0.2/");
    for (attribute, value) in [
        ("enabled", "1"),
        ("extended", "1"),
        ("local_port", "6665"),
        ("remote_port", "6666"),
        ("remote_ip", "10.0.0.2"),
        ("userdata/empty/value", "\n"),
        ("userdata/rack/value", "b 7 \"new\"\n"),
        ("userdata/site/value", "a\\b=\u{e4}\n"),
    ] {
        machine.write(&format!("sys/kernel/config/netconsole/one/{attribute}"), value);
    }
    let one = "netconsole=+6665@10.0.0.1/52:54:00:12:34:56,6666@10.0.0.2/02:00:00:00:00:02 \
               netconsole.userdata=rack=b\\x207\\x20\\x22new\\x22 netconsole.userdata=site=a\\x5cb=\\xc3\\xa4";
    // That of the command line is another target, and goes on too, unless configfs has it.
    let line = "netconsole=+6665@10.0.0.1/52:54:00:12:34:56,514@10.0.0.2/02:00:00:00:00:02";
    assert_eq!(machine.shown(&[]), format!("{one} {line} {IP}"));
    machine.write("sys/kernel/config/netconsole/cmdline0/enabled", "0");
    assert_eq!(machine.shown(&[]), format!("{one} {IP}"));

    // What the kernel would not take, or could take for a key, does not keep it from being armed.
    let said = |machine: &Machine, key: &str| {
        let output = machine.run(&["--show"]);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && shown.starts_with(one) && !shown.contains(key), "{shown}");
        let text = String::from_utf8_lossy(&machine.run(&[]).stderr).into_owned();
        text.contains(&format!("10.0.0.2: the kernel does not take the userdata '{key}', which is left out"))
    };
    machine.write("sys/kernel/config/netconsole/one/userdata/tls/value", &"0123456789abcdef".repeat(4));
    assert!(said(&machine, "tls"));
    for number in 0..9 {
        let key = format!("sys/kernel/config/netconsole/one/userdata/v{number}/value");
        machine.write(&key, &"v".repeat(200));
    }
    assert!(said(&machine, "v8"));

    machine.write("sys/kernel/config/netconsole/one/extended", "0");
    assert!(!machine.shown(&[]).contains("userdata"), "as on Linux messages in the basic format have none");
}

/// Where Linux has no kexec_file_load(2), or one that takes signed images in another form alone, kexec_load(2) serves.
#[test]
fn without_kexec_file_load_it_is_loaded_by_kexec_load() {
    let machine = Machine::new();
    machine.write("run/x", "");
    machine.write("sys/kernel/kexec_crash_loaded", "1");
    machine.write("kernel", "");
    let kernel = machine.path("kernel").display().to_string();
    let arguments = ["--to", "10.0.0.2", "--kernel", &kernel];
    let run = |more: &[&str], answer| {
        let mut command = machine.command_where(&[&arguments[..], more].concat(), answer);
        let output = command.output().expect("the program runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    machine.write("proc/iomem", "00000000-00000000 : System RAM\n");
    assert!(run(&["-c"], 0).1.contains("only root"), "Linux shows no addresses to others");
    machine.write("proc/iomem", "00001000-0009fbff : System RAM\n");
    for answer in [libc::ENOSYS, libc::ENOEXEC] {
        let (_, said) = run(&[], answer);
        assert!(said.contains("/proc/iomem has no 'Crash kernel'"), "it goes on to kexec_load: {said}");
    }
    assert!(run(&["-s"], libc::ENOSYS).1.contains("CONFIG_KEXEC_FILE for -s"));
    assert!(run(&["-s"], 0).0);
    machine.write("proc/iomem", "00100000-1fffffff : System RAM\n  1f000000-1f3fffff : Crash kernel\n");
    assert!(run(&["-c"], 0).1.contains("expected netconsole.bzimage"));
}

/// By kexec_load a crash waits for no hash; Linux that is locked down takes a signed image alone, as it is.
#[test]
fn kexec_load_comes_first_unless_linux_is_locked_down() {
    let machine = Machine::new();
    for (name, text) in [
        ("run/x", ""),
        ("sys/kernel/kexec_crash_loaded", "1"),
        ("sys/kernel/vmcoreinfo", "0x0000000003a7d000 1024"),
        ("proc/iomem", "00100000-1fffffff : System RAM\n  1f000000-1f3fffff : Crash kernel\n"),
    ] {
        machine.write(name, text);
    }
    let mut image = vec![0; 512 * 2 + 4096];
    image[0x1f1..0x1f6].copy_from_slice(&[1, 0, 0, 0, 1]);
    image[0x201..0x206].copy_from_slice(b"\x6aHdrS");
    image[0x231] = 0x10;
    image[0x234] = 1;
    image[0x236] = 3;
    image[0x262] = 0x10;
    fs::write(machine.path("kernel"), image).expect("a file");
    let kernel = machine.path("kernel").display().to_string();
    let is_armed = |of_file_load, of_load| {
        let arguments = ["--to", "10.0.0.2", "--kernel", &kernel];
        let output = machine.command_with(&arguments, of_file_load, of_load).output();
        output.expect("the program runs").status.success()
    };
    let refused = libc::EKEYREJECTED;
    assert!(is_armed(refused, 0) && is_armed(0, refused) && !is_armed(refused, refused));
    machine.write("sys/kernel/security/lockdown", "none [integrity] confidentiality");
    assert!(!is_armed(refused, 0) && is_armed(0, refused));
    assert!(!machine.path("run/netconsole-arm.bzimage").exists());
}
