//! The console on serial, driven as a person does.

use crate::harness::{Boot, Machine, Peer};
use std::time::Duration;

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
        ("dmesg -n 9", "expected dmesg, dmesg -n LEVEL with a LEVEL from 0 to 8, or dmesg -h\n"),
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
fn the_prompt_waits_for_the_first_key() {
    let boot = Boot::new("no-prompt", "netconsole=+@10.0.0.1/,@10.0.0.2/");
    let machine = boot.peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_serial("network logging started");
    machine.nothing_comes_to("10.0.0.9:6666", Duration::from_millis(500));
    assert!(!machine.serial().contains("# "));
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
