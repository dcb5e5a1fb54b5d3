//! Targets made, changed, stopped and removed while the kernel runs.

use crate::harness::{Boot, Machine, Peer};
use std::net::SocketAddr;
use std::time::Duration;

const FIRST: &str = "10.0.0.2:6666";
const SECOND: &str = "10.0.0.3:7777";

fn boot(name: &'static str) -> Machine {
    start(Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/"))
}

fn start(boot: Boot) -> Machine {
    let mut machine = boot.peer(Peer::at("10.0.0.2")).peer(Peer::at("10.0.0.3")).start();
    machine.wait_for_text(FIRST, "network logging started");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    machine
}

fn commands(machine: &mut Machine, lines: &[&str]) {
    for line in lines {
        machine.command(line);
    }
}

#[test]
fn a_target_made_late_gets_the_log_from_its_beginning() {
    let mut machine = boot("made-late");
    commands(
        &mut machine,
        &[
            "mkdir late",
            "cd late",
            "echo 1 > extended",
            "echo 10.0.0.3 > remote_ip",
            "echo 7777 > remote_port",
            "echo 1 > enabled",
        ],
    );
    machine.wait_for_text(SECOND, "network logging started");
    assert_eq!(
        machine.command("cat remote_mac local_mac local_ip"),
        "02:00:0a:00:00:03\n52:54:00:12:34:56\n10.0.0.1\n"
    );
    let capture = machine.stop();
    let (first, second) = (capture.messages(FIRST), capture.messages(SECOND));
    assert_eq!(second[0].sequence, 0);
    assert_eq!(first, second);
}

#[test]
fn a_stopped_target_goes_on_where_it_stopped() {
    let mut machine = boot("stopped");
    commands(&mut machine, &["cd cmdline0", "echo 0 > enabled"]);
    machine.wait_for_serial("network logging stopped");
    commands(&mut machine, &["netconsole=+@10.0.0.1/,7777@10.0.0.3/"]);
    machine.wait_for_text(SECOND, "network logging started");
    commands(&mut machine, &["echo 1 > enabled"]);
    machine.wait_for_text(SECOND, "remote IPv4 address 10.0.0.2");
    machine.wait_for_text(FIRST, "network logging stopped");
    let messages = machine.stop().messages(FIRST);
    assert!(
        messages.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1),
        "no gap, nothing twice"
    );
}

#[test]
fn another_receiver_gets_the_log_from_its_beginning() {
    let mut machine = boot("another-receiver");
    commands(
        &mut machine,
        &[
            "cd cmdline0",
            "echo 0 > enabled",
            "echo 10.0.0.3 > remote_ip",
            "echo 7777 > remote_port",
            "echo 1 > enabled",
        ],
    );
    machine.wait_for_text(SECOND, "network logging started");
    assert_eq!(machine.stop().messages(SECOND)[0].sequence, 0);
}

#[test]
fn a_removed_target_gets_nothing_more() {
    let mut machine = boot("removed");
    commands(&mut machine, &["netconsole=+@10.0.0.1/,7777@10.0.0.3/"]);
    machine.wait_for_text(SECOND, "network logging started");
    commands(&mut machine, &["rmdir cmdline1"]);
    machine.wait_for_text(FIRST, "network logging stopped");
    let count = machine.count(SECOND);
    commands(&mut machine, &["netconsole=@/eth7,@10.0.0.4/"]);
    machine.wait_for_text(FIRST, "eth7 doesn't exist, aborting");
    assert_eq!(machine.count(SECOND), count);
    assert_eq!(machine.command("ls"), "cmdline0/\ncmdline1/\n");
    machine.stop();
}

#[test]
fn a_target_has_a_level_of_its_own() {
    let mut machine = boot("own-level");
    commands(&mut machine, &["netconsole=+@10.0.0.1/,7777@10.0.0.3/"]);
    machine.wait_for_text(SECOND, "network logging started");
    commands(&mut machine, &["echo 4 > cmdline1/loglevel", "netconsole=@/eth7,@10.0.0.4/", "rmdir cmdline2"]);
    machine.wait_for_text(SECOND, "eth7 doesn't exist, aborting");
    commands(&mut machine, &["rmdir cmdline1"]);
    machine.wait_for_text(FIRST, "network logging stopped");
    let capture = machine.stop();
    let last = capture.messages(SECOND).pop().expect("messages");
    assert_eq!((last.level, last.text.as_str()), (3, "netconsole: eth7 doesn't exist, aborting"));
}

#[test]
fn oops_only_keeps_the_log_for_the_last_words() {
    let parameters = "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.oops_only=1";
    let machine = Boot::new("oops-only", parameters).peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_text(FIRST, "network logging started");
    machine.nothing_new(machine.count(FIRST), Duration::from_millis(500));
    let messages = machine.stop().messages(FIRST);
    let [started] = &messages[..] else { panic!("more than that it has started: {messages:?}") };
    assert!(started.held == started.sequence && started.text == "netconsole: network logging started");
}

#[test]
fn what_goes_out_is_switched_for_all_targets() {
    let mut machine = start(Boot::new("module-parameters", "netconsole=+@10.0.0.1/,@10.0.0.2/"));
    commands(&mut machine, &["dmesg -n 4"]);
    // Information, a target that starts, and an error, a device that does not exist.
    let information = "netconsole=@10.0.0.1/,7777@10.0.0.3/";
    let said = "netconsole: remote port 7777";
    let error = "netconsole=@/eth7,@10.0.0.4/";
    let start_and_stop = [information, "rmdir cmdline1"];
    let fail = [error, "rmdir cmdline1"];
    commands(&mut machine, &start_and_stop);
    commands(&mut machine, &fail);
    machine.wait_for_text(FIRST, "eth7 doesn't exist, aborting");
    commands(&mut machine, &["echo 1 > /sys/module/printk/parameters/ignore_loglevel"]);
    commands(&mut machine, &start_and_stop);
    machine.wait_for_text(FIRST, said);
    commands(&mut machine, &["echo 1 > /sys/module/netconsole/parameters/oops_only"]);
    commands(&mut machine, &fail);
    // The kernel has passed the error over when the next turn comes.
    machine.wait_until_idle();
    commands(&mut machine, &["echo 0 > /sys/module/netconsole/parameters/oops_only"]);
    commands(&mut machine, &["echo 0 > /sys/module/printk/parameters/ignore_loglevel"]);
    commands(&mut machine, &start_and_stop);
    commands(&mut machine, &fail);
    let first: SocketAddr = FIRST.parse().expect("an address");
    machine.wait_for("the last error", |events| {
        let to_first = events.sent.iter().filter_map(|sent| sent.datagram()).filter(|(to, _)| *to == first);
        let texts = to_first.map(|(_, payload)| String::from_utf8_lossy(payload));
        (texts.filter(|text| text.contains("eth7 doesn't exist")).count() == 2).then_some(())
    });
    let text = machine.stop().text(FIRST);
    assert_eq!(text.matches("eth7 doesn't exist, aborting").count(), 2, "{text}");
    assert_eq!(text.matches(said).count(), 1, "{text}");
    // A target that starts or stops is told to the others under any level.
    assert_eq!(text.matches("network logging stopped").count(), 3, "{text}");
}

/// Once a minute where something changed, and not where nothing did.
#[test]
fn the_counters_are_logged() {
    let boot = Boot::new("counters", "debug netconsole=+@10.0.0.1/,@10.0.0.2/");
    // The minutes in which the kernel sleeps pass at once.
    let mut machine = start(boot.arguments(["-icount", "shift=4,sleep=off"]));
    let wait_for_report = |machine: &Machine, number: usize| {
        machine.wait_for(&format!("report {number}"), |events| {
            let datagrams = events.sent.iter().filter_map(|sent| sent.datagram());
            let texts = datagrams.map(|(_, payload)| String::from_utf8_lossy(payload).into_owned());
            (texts.filter(|text| text.contains("cmdline0: records ")).count() == number).then_some(())
        });
    };
    wait_for_report(&machine, 1);
    // Minutes of nothing.
    while machine.command("uptime").as_str() < "up 0:04:00" {
        std::thread::sleep(Duration::from_millis(200));
    }
    commands(&mut machine, &["netconsole=@/eth7,@10.0.0.4/"]);
    wait_for_report(&machine, 2);
    let stats = machine.command("cat cmdline0/stats");
    let messages = machine.stop().messages(FIRST);
    let reports: Vec<_> =
        messages.iter().filter(|message| message.text.contains("cmdline0: records ")).collect();
    let [first, second] = reports[..] else { panic!("not two reports: {reports:?}") };
    assert!(first.micros >= 60_000_000 && second.micros - first.micros >= 180_000_000, "{reports:?}");
    for report in [first, second] {
        let counted = format!("netconsole: cmdline0: records {0}, datagrams {0}, ", report.sequence);
        assert!(report.text.starts_with(&counted) && report.level == 7, "{report:?}");
        assert!(report.text.contains("dropped: overwritten 0, by level 0; sent again 0, transmit errors 0"));
    }
    let counted = format!("records {0}, datagrams {0}, ", messages.len());
    assert!(stats.starts_with("state: ") && stats.contains(&counted), "{stats}");
}

#[test]
fn the_last_words_follow_what_was_changed() {
    let boot = Boot::new("changed-then-crashed", "netconsole=+@10.0.0.1/,@10.0.0.2/ panic=-1").repeats();
    let mut machine = start(boot.arguments(["-no-reboot"]));
    commands(&mut machine, &["netconsole=+@10.0.0.1/,7777@10.0.0.3/"]);
    machine.wait_for_text(SECOND, "network logging started");
    commands(&mut machine, &["echo 1 > cmdline1/userdata/release_enabled", "echo 0 > cmdline0/enabled"]);
    machine.type_in("crash panic\r");
    machine.wait_for_text(SECOND, "end Kernel panic");
    let capture = machine.end();
    assert!(!capture.text(FIRST).contains("Kernel panic"), "a target that was stopped stays so");
    let messages = capture.messages(SECOND);
    let last =
        messages.iter().find(|message| message.text.contains("end Kernel panic")).expect("the last words");
    assert!(last.text.ends_with(concat!(" release=", env!("CARGO_PKG_VERSION"))), "{}", last.text);
}

#[test]
fn with_oops_only_the_last_words_go_out_alone() {
    let parameters = "netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.oops_only=1 crash=PANIC panic=-1";
    let boot = Boot::new("oops-only-crash", parameters).repeats().arguments(["-no-reboot"]);
    let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
    let messages = capture.messages(FIRST);
    assert!(messages.iter().any(|message| message.text.contains("provoked by crash=PANIC")));
    let others: Vec<_> = messages.iter().filter(|message| message.level > 1).collect();
    let [started] = others[..] else { panic!("more than the report and that it has started: {others:?}") };
    assert!(started.text.contains("network logging started"));
    // What was held back between the two and before is told.
    assert!(
        started.held == started.sequence && messages[1].held == messages[1].sequence - started.sequence - 1
    );
}
