//! The console on serial, driven as a person does.

use crate::harness::{Boot, Machine, Peer};

const TARGET: &str = "10.0.0.2:6666";
const TREE: &str = "/sys/kernel/config/netconsole";

fn boot(name: &'static str) -> Machine {
    // The link goes in some of these tests.
    let boot = Boot::new(name, "netconsole=+@10.0.0.1/,@10.0.0.2/").repeats();
    let mut machine = boot.peer(Peer::at("10.0.0.2")).peer(Peer::at("10.0.0.17")).start();
    machine.wait_for_serial("network logging started");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    machine
}

#[test]
fn the_session_of_the_seed_page_works_as_it_stands() {
    let mut machine = boot("seed-session");
    for line in [
        "dmesg -n 8",
        "modprobe configfs",
        "modprobe netconsole",
        "mount none -t configfs /sys/kernel/config",
        "mkdir /sys/kernel/config/netconsole/target1",
        "cd /sys/kernel/config/netconsole/target1",
        "echo 10.0.0.1 > local_ip",
        "echo 10.0.0.17 > remote_ip",
        "arping `cat remote_ip` -f |grep -o ..:..:..:..:..:.. > remote_mac",
    ] {
        assert_eq!(machine.command(line), "", "{line}");
    }
    assert_eq!(machine.command("cat remote_mac"), "02:00:0a:00:00:11\n");
    assert_eq!(machine.command("echo > remote_mac"), "");
    assert_eq!(machine.command("arping 10.0.0.17 > remote_mac"), "");
    assert_eq!(machine.command("cat remote_mac"), "02:00:0a:00:00:11\n");
    machine.command("echo 1 > enabled");
    machine.wait_for_text("10.0.0.17:6666", "netconsole: network logging started");
    assert!(machine.command("dmesg | tail").ends_with("netconsole: network logging started\n"));
    assert!(machine.command("dmesg -h").starts_with("Usage: dmesg"));
    let added = machine.command("netconsole=6666@10.0.0.1/eth0,6666@10.0.0.19/00:13:32:20:a9:a5");
    assert!(added.contains("cmdline1: 6666@10.0.0.1/eth0,6666@10.0.0.19/00:13:32:20:a9:a5\n"), "{added}");
    machine.wait_for_text("10.0.0.19:6666", "netconsole: network logging started");

    let capture = machine.stop();
    // The late targets have the log from its beginning.
    let first = capture.messages(TARGET)[0].text.clone();
    assert!(capture.text("10.0.0.17:6666").lines().next().is_some_and(|line| line.ends_with(&first)));
    assert!(capture.text("10.0.0.19:6666").lines().next().is_some_and(|line| line.ends_with(&first)));
}

#[test]
fn the_log_does_not_garble_the_line_being_typed() {
    let mut machine = boot("line-and-log");
    machine.type_in("echo hel");
    machine.wait_for_serial("netconsole# echo hel");
    machine.monitor("set_link n0 off");
    machine.wait_for_serial("eth0: link is down\r\nnetconsole# echo hel");
    machine.monitor("set_link n0 on");
    machine.wait_for_serial("eth0: link is up\r\nnetconsole# echo hel");
    machine.type_in("lo\r");
    machine.wait_for_serial("lo\r\nhello\r\n");
    machine.stop();
}

#[test]
fn lines_can_be_edited() {
    let mut machine = boot("line-editing");
    machine.type_in("nonsense\x15echo abd\x7fc\r");
    machine.wait_for_serial("\r\nabc\r\n");
    machine.type_in("\x1b[A\x1b[D\x1b[Dx\r");
    machine.wait_for_serial("\r\naxbc\r\n");
    machine.type_in("echo never\x03echo after\r");
    machine.wait_for_serial("^C\r\n");
    machine.wait_for_serial("\r\nafter\r\n");
    assert!(!machine.serial().contains("\r\nnever\r\n"));
    machine.stop();
}

#[test]
fn ctrl_c_ends_a_command() {
    let mut machine = boot("ctrl-c");
    machine.type_in("ping -c 1000 10.0.0.9\r");
    machine.wait_for_serial("PING 10.0.0.9");
    machine.type_in("\x03");
    machine.wait_for_serial("^C\r\nnetconsole# ");
    assert_eq!(machine.command("echo next"), "next\n");
    machine.stop();
}

#[test]
fn a_wrong_line_gets_one_that_says_what_was_expected() {
    let mut machine = boot("wrong-lines");
    for (line, answer) in [
        ("rm", "rm: command not found; 'help' lists all\n"),
        (
            "dmesg -n 9",
            "expected dmesg [-T] [-w], dmesg -n LEVEL with a LEVEL from 0 to 8 or its name, or dmesg -h\n",
        ),
        ("rmdir x", "rmdir: x: No such file or directory\n"),
        (
            "echo 1 > cmdline0/extended",
            "netconsole: target (cmdline0) is enabled, disable to update parameters\n",
        ),
    ] {
        assert_eq!(machine.command(line), answer, "{line}");
    }
    machine.stop();
}

#[test]
fn a_long_answer_does_not_hold_up_the_log() {
    let boot = Boot::new("long-answer", "flood=3000 netconsole=+@10.0.0.1/,@10.0.0.2/");
    let mut machine = boot.repeats().peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_serial("flood message 00002999");
    machine.type_in("\rdmesg\rdmesg | tail -n 2000 | grep -v flood | tail -n 1\r");
    machine.wait_for_serial("# dmesg\r\n");
    machine.monitor("set_link n0 off");
    machine.monitor("set_link n0 on");
    machine.wait_for_text(TARGET, "eth0: link");
    machine.stop();
}

#[test]
fn the_prompt_shows_itself_after_the_boot_log_and_says_help() {
    let boot = Boot::new("prompt", "netconsole=+@10.0.0.1/,@10.0.0.2/");
    let mut machine = boot.peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_serial("\r\nType 'help' and Enter for a list of commands.\r\nnetconsole# ");
    let serial = machine.serial();
    let (log, _) = serial.split_once("Type 'help'").expect("as just seen");
    assert!(log.contains("network logging started"), "{log}");
    assert!(log.lines().all(|line| line.starts_with('[') || line.is_empty()), "the log is alone: {log}");
    assert!(machine.command("help").contains("arping"));
    machine.stop();
}

#[test]
fn what_is_known_from_linux_works() {
    let mut machine = boot("linux-words");
    let help = machine.command("dmesg -h");
    assert!(help.contains("\n crit    2 ") && help.contains("\n debug   7 "), "{help}");
    for (line, answer) in [
        ("# nothing", ""),
        ("dmesg -n debug", ""),
        ("cat /proc/sys/kernel/printk", "8\t4\t1\t7\n"),
        ("echo 6 > /proc/sys/kernel/printk", ""),
        ("cat /proc/sys/kernel/printk # what is left", "6\t4\t1\t7\n"),
        ("dmesg -n info", ""),
        ("cat */remote_ip", "10.0.0.2\n"),
    ] {
        assert_eq!(machine.command(line), answer, "{line}");
    }
    assert!(machine.command("cat /proc/cmdline").trim_end().ends_with("netconsole=+@10.0.0.1/,@10.0.0.2/"));
    let names = machine.command("uname -a");
    assert!(names.starts_with("netconsole (none) 0.") && names.ends_with(" x86_64\n"), "{names}");
    machine.type_in("echo '<3>typed on serial' > /dev/kmsg\r");
    machine.wait_for_text(TARGET, "typed on serial");
    machine.type_in("modprobe -r netconsole\r");
    machine.wait_for_serial("netconsole: network logging stopped");
    assert_eq!(machine.command("ls"), "");
    machine.type_in("modprobe netconsole netconsole=@10.0.0.1/,@10.0.0.17/\r");
    machine.wait_for_text("10.0.0.17:6666", "typed on serial");

    let capture = machine.stop();
    let record = capture.messages(TARGET).into_iter().find(|message| message.text == "typed on serial");
    assert_eq!(record.map(|message| message.level), Some(3));
}

#[test]
fn the_command_line_is_shown_without_its_key() {
    let key = "0123456789abcdef".repeat(4);
    let append = format!("netconsole.key={key} netconsole=@10.0.0.1/,@10.0.0.2/ after=serve");
    let mut machine = Boot::new("no-key-in-cmdline", append).peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_serial("netconsole# ");
    let shown = machine.command("cat /proc/cmdline");
    let wiped = format!("netconsole.key={} netconsole=@10.0.0.1/,@10.0.0.2/ after=serve\n", "*".repeat(64));
    assert!(shown.ends_with(&wiped), "{shown}");
    assert!(!machine.serial().contains(&key));
    machine.stop();
}

#[test]
fn the_log_is_followed_until_a_line_is_typed() {
    let mut machine = boot("follow");
    machine.type_in("dmesg -w\r");
    // Once as it came, and once again.
    machine.wait_for("the log", |events| {
        let serial = String::from_utf8_lossy(&events.serial);
        (serial.matches("network logging started").count() == 2).then_some(())
    });
    machine.monitor("set_link n0 off");
    machine.wait_for_serial("eth0: link is down\r\n");
    machine.monitor("set_link n0 on");
    machine.wait_for_serial("eth0: link is up\r\n");
    machine.type_in("echo next\r");
    machine.wait_for_serial("netconsole# echo next\r\nnext\r\n");
    machine.type_in("dmesg -w | grep nothing\r");
    machine.wait_for_serial("netconsole# dmesg -w | grep nothing\r\n");
    machine.type_in("\x03");
    machine.wait_for_serial("^C\r\nnetconsole# ");
    machine.monitor("set_link n0 off");
    machine.wait_for("the second time", |events| {
        let serial = String::from_utf8_lossy(&events.serial);
        let count = serial.matches("eth0: link is down\r\n").count();
        assert!(count <= 2, "each record once: {serial}");
        (count == 2).then_some(())
    });
    assert_eq!(machine.serial().matches("eth0: link is up\r\n").count(), 1, "shown once, by the command");
    machine.stop();
}

#[test]
fn dates_are_shown_by_the_real_time_clock() {
    let boot = Boot::new("dmesg-dates", "netconsole=@10.0.0.1/,@10.0.0.2/").peer(Peer::at("10.0.0.2"));
    let mut machine = boot.arguments(["-rtc", "base=2024-02-29T12:00:00"]).start();
    machine.wait_for_serial("netconsole# ");
    let shown = machine.command("dmesg -T | grep 'logging started'");
    assert!(
        shown.starts_with("[Thu Feb 29 12:00:")
            && shown.ends_with(" 2024] netconsole: network logging started\n"),
        "{shown}"
    );
    machine.stop();
}

#[test]
fn reboot_and_poweroff_end_the_machine() {
    let mut machine = boot("poweroff");
    machine.type_in(&format!("cd {TREE}\rpoweroff\r"));
    let capture = machine.end();
    assert_eq!(capture.status, Some(0));
    assert!(capture.text(TARGET).contains("console: powering off"));
}
