//! The commands of README.md and doc/: each is run here, or by a test that is named, or it is said why it can't be. A
//! command that nobody has thought of fails. They need the kernel (scripts/build).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What becomes of a command.
enum Tried {
    /// It is run as it is, ends with this status, and shows this.
    Here(i32, &'static str),
    /// By that test or step.
    By(&'static str),
    /// Not at all, and why.
    Not(&'static str),
}
use Tried::{By, Here, Not};

/// The commands, without the remarks behind them.
const COMMANDS: &[(&str, Tried)] = &[
    (
        "scripts/run",
        By("tests/scripts.rs: at_a_terminal_the_log_comes_once_and_keys_go_to_the_serial_console"),
    ),
    ("scripts/test", By("CI, .ci/run")),
    ("scripts/smoke", By("scripts/test smoke")),
    ("scripts/build", By("scripts/test, before the first step that boots")),
    ("scripts/image", By("tests/qemu/images.rs")),
    ("scripts/image --pxe DIR", By("tests/qemu/images.rs")),
    ("scripts/flash /dev/sdb", By("tests/flash.rs, to a loop device")),
    ("nc -u -l 6666", By("tests/qemu/main_job.rs and tests/scripts.rs, on a free port")),
    (
        r#"qemu-system-x86_64 -kernel target/netconsole.elf -append "netconsole=@/,@10.0.2.2/" -nic user,model=virtio-net-pci"#,
        By("tests/qemu/main_job.rs"),
    ),
    (
        "cargo run -p netconsole-receiver -- --until 'network logging started' --timeout 30 --complete --dir logs",
        By("tests/qemu/levels.rs"),
    ),
    ("cargo run -p netconsole-receiver -- --name 10.0.0.5=board7 --stats", Not("it runs until it is ended")),
    (
        "cargo run -p netconsole-receiver -- --read tests/captures/linux-6.12-extended.pcap",
        Here(0, "] Linux version 6.12"),
    ),
    (
        "cargo run -p netconsole-receiver -- --console 10.0.0.5",
        By("receiver/tests, to an address of loopback"),
    ),
    (
        "cargo run -p netconsole-receiver -- --help; cargo run -p netconsole-receiver -- --man | man -l -",
        By("receiver/tests, and the next one"),
    ),
    ("cargo run -p netconsole-receiver -- --help", Here(0, "Usage: ")),
    (
        "tshark -X lua_script:receiver/netconsole.lua -r target/smoke/network.pcap",
        By("receiver/tests/program/dissector.rs"),
    ),
    (
        r#"kexec -s -p netconsole.bzimage --command-line="netconsole=@/,@10.0.0.2/""#,
        By("tests/qemu/linux_crash.rs, as_the_readme_says: as it is printed"),
    ),
    ("echo c > /proc/sysrq-trigger", By("tests/qemu/linux_crash.rs, as_the_readme_says")),
    ("cargo run -p netconsole-linuxlog --example vmcore_dmesg -- FILE", By("linuxlog/tests/example.rs")),
    ("cargo run -p netconsole-example-kernel --features kernel", By("tests/scripts.rs")),
    (
        r#"cargo run -p netconsole-example-kernel --features kernel -- "netconsole=+@/,@10.0.2.2/ crash=second""#,
        By("tests/qemu/example.rs"),
    ),
    ("cargo run -p netconsole --example datagrams", By("netconsole/tests/datagrams.rs")),
    (
        r"dnsmasq -d --port=0 --interface=eth0 --dhcp-range=192.168.7.10,192.168.7.50 --enable-tftp --tftp-root=DIR \",
        Not("the page says that it was not tried"),
    ),
    (
        r"--dhcp-match=set:uefi,option:client-arch,7 --dhcp-boot=tag:!uefi,boot/grub/i386-pc/core.0 --dhcp-boot=tag:uefi,boot/grub/x86_64-efi/core.efi",
        Not("as the line before"),
    ),
    (
        r"$ printf 'uptime\ncat cmdline0/remote_ip\ndmesg -n 8\nmkdir x\nls\n' | netconsole-receiver --console 127.0.0.1",
        By("tests/qemu/receiver.rs"),
    ),
];

/// The words that a command begins with.
const PROGRAMS: [&str; 10] =
    ["scripts/", "nc ", "qemu-", "cargo ", "tshark ", "dnsmasq ", "kexec ", "echo ", "$ ", "--dhcp-match"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages that users read, each with its text.
fn pages() -> Vec<(String, String)> {
    let mut pages =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "netconsole/README.md"].map(String::from).to_vec();
    for entry in fs::read_dir(root().join("doc")).expect("doc/ is there") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        if name.ends_with(".md") {
            pages.push(format!("doc/{name}"));
        }
    }
    pages
        .into_iter()
        .map(|page| (page.clone(), fs::read_to_string(root().join(&page)).expect("a page")))
        .collect()
}

/// The commands in a page's code blocks.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("\n```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1));
    let bare = |line: &str| {
        // A remark begins two blanks or more behind the command.
        let line = line.split("  #").next().unwrap_or_default().trim();
        PROGRAMS.iter().any(|program| line.starts_with(program)).then(|| line.to_owned())
    };
    lines.filter_map(bare).collect()
}

#[test]
fn each_command_of_the_documents_is_tried_or_says_why_not() {
    let mut shown = Vec::new();
    for (page, text) in pages() {
        for command in commands(&text) {
            let is_known = COMMANDS.iter().any(|(known, _)| *known == command);
            assert!(is_known, "{page}: nobody has tried '{command}': add it to COMMANDS");
            shown.push(command);
        }
    }
    assert!(
        shown.iter().any(|command| command.starts_with("scripts/run")),
        "the README shows the first command"
    );
    for (command, tried) in COMMANDS {
        match tried {
            Here(status, text) => {
                let (found, output) = run(command);
                assert!(found == Some(*status) && output.contains(text), "{command}: {found:?}\n{output}");
            }
            By(place) => {
                let file = place.split([':', ',', ' ']).next().unwrap_or_default();
                assert!(!file.contains('/') || root().join(file).exists(), "{command}: there is no {file}");
            }
            Not(why) => assert!(!why.is_empty(), "{command}: why not?"),
        }
    }
}

fn run(command: &str) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.current_dir(root()).args(["-c", command]).stdin(Stdio::null());
    let output = shell.output().expect("a shell");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn each_page_says_its_purpose_in_one_line() {
    for (page, text) in pages().into_iter().filter(|(page, _)| page.starts_with("doc/")) {
        let mut lines = text.lines();
        let (title, gap, purpose, end) = (lines.next(), lines.next(), lines.next(), lines.next());
        assert!(title.is_some_and(|title| title.starts_with("# ")), "{page}: no title: {title:?}");
        let is_one = purpose.is_some_and(|line| line.ends_with('.') && line.len() < 130);
        assert!(gap == Some("") && is_one && end == Some(""), "{page}: no purpose in one line: {purpose:?}");
    }
}

/// Every link within the repository leads somewhere.
#[test]
fn no_link_is_dead() {
    for (page, text) in pages() {
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || link.contains("://") || path.contains(' ') {
                continue;
            }
            assert!(folder.join(path).exists(), "{page}: nothing is at {link}");
        }
    }
}

/// A picture's lines, without what differs from run to run: times, addresses, ports, build ids.
fn lines(picture: &str) -> Vec<String> {
    let texts = picture.split("<text ").skip(1).filter_map(|rest| rest.split("</text>").next());
    let bare = |text: &str| {
        let mut bare = String::new();
        let parts = text.split_once('>').map_or("", |(_, text)| text).split('<');
        for (number, part) in parts.enumerate() {
            bare.push_str(if number == 0 { part } else { part.split_once('>').map_or("", |(_, text)| text) });
        }
        bare.chars().map(|char| if char.is_ascii_hexdigit() { '0' } else { char }).collect::<String>()
    };
    let squeeze = |line: String| {
        let mut line = line;
        while line.contains("00") {
            line = line.replace("00", "0");
        }
        line
    };
    texts.map(bare).map(squeeze).collect()
}

/// Each line of the README's picture is one of a run of today.
#[test]
fn the_picture_shows_what_a_run_shows() {
    let made = root().join("target/tests/run.svg");
    fs::create_dir_all(root().join("target/tests")).expect("target/ is writable");
    let status = Command::new(root().join("scripts/record")).arg(&made).status().expect("it starts");
    assert!(status.success());
    let today = lines(&fs::read_to_string(&made).expect("it was made"));
    let shown = lines(&fs::read_to_string(root().join("doc/run.svg")).expect("the picture"));
    assert!(shown.len() > 20, "{shown:#?}");
    // Times decide which lines of the boot log's middle are left out.
    let missing: Vec<_> = shown.iter().filter(|line| !today.contains(line)).collect();
    assert!(
        missing.len() <= shown.len() / 10,
        "scripts/record, please: a run of today has none of {missing:#?}"
    );
    let crash = shown.iter().position(|line| line.contains("0r0sh r0port")).expect("a crash report");
    assert!(shown[crash..].iter().all(|line| today.contains(line)), "the report is another: {missing:#?}");
}
