//! What comes after the boot log.

use crate::harness::{
    Boot, Gdb, Lie, Machine, Nic, Peer, Stub, TRANSMIT, instructions, side_by_side, status, symbol,
};
use std::thread;
use std::time::{Duration, Instant};

const TARGET: &str = "10.0.0.2:6666";

#[test]
fn the_machine_ends_as_told() {
    for (name, after, expected) in [
        ("after-exit", "exit", status::GOOD),
        ("after-poweroff", "poweroff", Some(0)),
        // With -no-reboot a reset ends QEMU.
        ("after-reboot", "reboot", Some(0)),
    ] {
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ after={after}"));
        let capture = boot.peer(Peer::at("10.0.0.2")).arguments(["-no-reboot"]).start().end();
        assert_eq!(capture.status, expected, "{after}");
        assert!(capture.text(TARGET).contains("network logging started"), "{after}");
    }
}

/// Those behind the other card hear why it ends so late, and there is no goodbye, as something is left to be shipped; nor
/// where somebody at a console asks for the end.
#[test]
fn behind_another_card_it_is_told_that_one_hangs() {
    let cases = [("after-one-hangs", "after=reboot", ""), ("after-one-hangs-console", "", "\rreboot\r")];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, after, typed)| {
            let parameters = format!(
                "debug netconsole=+@10.0.0.1/,@10.0.0.2/02:00:0a:00:00:02 netconsole=+@10.0.1.1/eth1,@10.0.1.2/ {after}"
            );
            let hangs = Nic::virtio().on_vhost_user().peer(Peer::at("10.0.0.2"));
            let nics = [hangs, Nic::virtio().peer(Peer::at("10.0.1.2"))];
            let boot = Boot::new(name, parameters).nics(nics).repeats().loses().paused();
            let mut machine = boot.timeout(Duration::from_secs(120)).start();
            machine.tell(Lie::Hangs, TRANSMIT);
            machine.monitor("cont");
            let other = "10.0.1.2:6666";
            if !typed.is_empty() {
                machine.wait_for_serial("Type 'help'");
                machine.type_in(typed);
            }
            machine.wait_for_text(other, "ended without a goodbye");
            let capture = machine.stop();
            let messages = capture.messages(other);
            let said = messages
                .iter()
                .position(|message| message.text.contains("netconsole: the log has not gone out"));
            let said = said.unwrap_or_else(|| panic!("{name}: {}", capture.text(other)));
            assert!(!messages[said].text.contains("boot=-1"), "{name}: before the reset");
            assert!(capture.text("10.0.0.2:6666").is_empty());
        },
    );
}

#[test]
fn it_can_power_off_a_q35_machine() {
    let boot = Boot::new("after-poweroff-q35", "netconsole=@10.0.0.1/,@10.0.0.2/ after=poweroff");
    let capture = boot.peer(Peer::at("10.0.0.2")).arguments(["-M", "q35"]).start().end();
    assert_eq!(capture.status, Some(0));
}

#[test]
fn serving_and_halting_leave_the_cpu_alone() {
    for (name, after) in [("after-serve", "serve"), ("after-halt", "halt")] {
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ after={after}"));
        let machine = boot.peer(Peer::at("10.0.0.2")).start();
        machine.wait_for_text(TARGET, "network logging started");
        machine.wait_until_idle();
        let before = machine.cpu_time();
        let measured = Duration::from_secs(2);
        thread::sleep(measured);
        let used = machine.cpu_time() - before;
        assert!(used < measured / 5, "{after}: {used:?} of CPU time in {measured:?}");
        machine.stop();
    }
}

/// A boot whose machine is stopped before its first instruction, and what runs it.
fn debugged(name: &'static str, boot: Boot) -> (Machine, Stub) {
    let gdb = Gdb::new(name);
    let machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).paused().start();
    let stub = gdb.accept();
    (machine, stub)
}

/// A reset does not come at once, so each way has 50 ms of the machine's time until the next one is tried. This machine has
/// neither ACPI's register nor port 0xcf9 nor a keyboard controller: a triple fault ends it.
#[test]
fn each_way_to_reset_is_given_its_time() {
    let boot = Boot::new("reset-ways", "after=reboot").nics([Nic::device("virtio-net-device")]);
    let boot = boot.first_arguments(["-M", "microvm,acpi=off"]).arguments(["-no-reboot"]);
    let (machine, mut stub) = debugged("reset-ways", boot);
    let [keyboard, triple_fault, pause] = ["reset_by_keyboard", "triple_fault", "pause"]
        .map(|function| symbol(&format!("netconsole::machine::power::{function}")));
    // The first wait is port 0xcf9's. The machine's time does not run while it is stopped.
    for next in [keyboard, triple_fault] {
        stub.run_to(pause);
        let begun = Instant::now();
        stub.run_to(next);
        assert!(begun.elapsed() >= Duration::from_millis(50), "{:?}", begun.elapsed());
    }
    stub.go_on();
    assert_eq!(machine.end().status, Some(0));
}

/// Without ACPI there is no way: the log says so while it can still go out. Where it runs under what ends a machine that
/// asks for a reset, as Firecracker does, it asks for one; that it does is put into its mouth.
#[test]
fn a_machine_that_cannot_power_off_is_reset_or_says_so() {
    const TRUE: &[u8] = &[0xb0, 1, 0xc3];
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=poweroff";
    let said = "power: ACPI says no way to turn this machine off: it halts";
    for (name, ends_by_reset) in [("poweroff-none", false), ("poweroff-by-reset", true)] {
        let boot = Boot::new(name, parameters).peer(Peer::at("10.0.0.2"));
        let boot = boot.first_arguments(["-M", "pc,acpi=off"]).arguments(["-no-reboot"]);
        let (machine, mut stub) = debugged(name, boot);
        let place = symbol("netconsole::machine::cpu::ends_by_reset");
        stub.run_to(symbol("netconsole::start::introduce"));
        if ends_by_reset {
            stub.write(place, TRUE);
        }
        stub.go_on();
        let capture = if ends_by_reset {
            let capture = machine.end();
            assert_eq!(capture.status, Some(0));
            capture
        } else {
            machine.wait_for_text(TARGET, said);
            machine.wait_for_text(TARGET, "boot: done, powering off");
            machine.stop()
        };
        assert_eq!(capture.text(TARGET).contains(said), !ends_by_reset, "{name}");
    }
}

/// RESET throws the CPU's caches away, and the log with them. They are written back when all has gone out, before the machine
/// ends.
#[test]
fn the_caches_are_written_back_before_the_machine_ends() {
    let places = instructions("wbinvd");
    for (name, after) in
        [("caches-reboot", "reboot"), ("caches-poweroff", "poweroff"), ("caches-halt", "halt")]
    {
        let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ after={after}"));
        let boot = boot.peer(Peer::at("10.0.0.2")).arguments(["-no-reboot"]);
        let (machine, mut stub) = debugged(name, boot);
        stub.run_to_any(&places);
        machine.wait_for_text(TARGET, "boot: done, ");
        stub.go_on();
        if after == "halt" {
            machine.stop();
        } else {
            assert_eq!(machine.end().status, Some(0), "{after}");
        }
    }
}

/// In a panic they are as soon as the report is in the log, before a card can get in the way, and again before the reset.
#[test]
fn the_caches_are_written_back_after_a_report_and_before_the_reset() {
    let end = "---[ end Kernel panic - not syncing: panic ]---";
    let places = instructions("wbinvd");
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ crash=PANIC panic=-1 netconsole.panic_repeat=0";
    let boot = Boot::new("caches-panic", parameters).peer(Peer::at("10.0.0.2")).arguments(["-no-reboot"]);
    let (machine, mut stub) = debugged("caches-panic", boot);
    stub.run_to(symbol("netconsole::panic::report::write"));
    stub.run_to_any(&places);
    assert!(!machine.serial().contains(end), "before anybody gets it");
    stub.run_to_any(&places);
    machine.wait_for_text(TARGET, end);
    stub.go_on();
    assert_eq!(machine.end().status, Some(0));
}
