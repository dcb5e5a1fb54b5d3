//! How fast the time stamp counter runs is found out on every machine, by whatever counter it has: judged by QEMU's own
//! clock, by which an instruction takes one nanosecond, and a tick too.

use crate::harness::{Boot, Machine, Nic, Peer, side_by_side};
use crate::protocols::kernel_for_pvh;

const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";
const TARGET: &str = "10.0.0.2:6666";
const ONE_GHZ: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// Starts a machine of this kind on QEMU's own clock.
fn start(name: &'static str, kind: &str) -> Machine {
    let boot = Boot::new(name, PARAMETERS).first_arguments(["-M", kind]).arguments(ONE_GHZ);
    let boot = if kind.starts_with("microvm") {
        let kernel = kernel_for_pvh(&format!("{name}.elf"));
        let nic = Nic::device("virtio-net-device").peer(Peer::at("10.0.0.2"));
        boot.loader(["-kernel", &kernel, "-append", PARAMETERS]).nics([nic])
    } else {
        boot.peer(Peer::at("10.0.0.2"))
    };
    boot.start()
}

#[test]
fn every_counter_gives_the_same_frequency() {
    let cases = [
        ("clock-pc-pit", "pc", "the i8254"),
        ("clock-q35-pit", "q35,hpet=off", "the i8254"),
        ("clock-microvm-pit", "microvm", "the i8254"),
        ("clock-pc-hpet", "pc,pit=off", "the HPET"),
        ("clock-q35-hpet", "q35,pit=off", "the HPET"),
        ("clock-pc-acpi", "pc,pit=off,hpet=off", "ACPI's timer"),
        ("clock-q35-acpi", "q35,pit=off,hpet=off", "ACPI's timer"),
    ];
    side_by_side(
        &cases,
        |(name, ..)| (*name).to_owned(),
        |(name, kind, counter)| {
            let machine = start(name, kind);
            machine.wait_for_text(TARGET, "MHz, measured by ");
            let text = machine.stop().text(TARGET);
            let said = text.split("clock: ").find_map(|rest| rest.split_once(" MHz, measured by "));
            let (mhz, by) = said.expect("it was waited for");
            assert!(by.starts_with(counter), "{by}");
            let mhz: u32 = mhz.parse().expect("a number");
            assert!((999..=1001).contains(&mhz), "{mhz} MHz");
        },
    );
}

#[test]
fn a_guess_is_told() {
    let machine = start("clock-nothing", "microvm,pit=off");
    machine.wait_for_text(TARGET, "clock: nothing tells how fast the time stamp counter runs");
    machine.wait_for_text(TARGET, "ticks");
    let text = machine.stop().text(TARGET);
    assert!(!text.contains("MHz, measured"), "{text}");
}

/// 4 January 2130, in a century that only the register knows which ACPI names.
#[test]
fn the_century_is_where_acpi_says() {
    let boot = Boot::new("clock-century", PARAMETERS).peer(Peer::at("10.0.0.2"));
    let machine = boot.arguments(["-rtc", "base=2130-01-04T00:00:00,clock=vm"]).start();
    let said = " seconds since 1970, with the century";
    machine.wait_for_text(TARGET, said);
    let text = machine.stop().text(TARGET);
    let seconds = text.split("clock: ").find_map(|rest| rest.split_once(said));
    let seconds: u64 = seconds.unwrap_or_else(|| panic!("no time:\n{text}")).0.parse().expect("a number");
    let expected = 5_049_388_800;
    assert!((expected..expected + 3600).contains(&seconds), "{seconds}");
}

/// Each look at a device that is not there is one too many: under KVM it is an exit.
#[test]
fn a_clock_that_is_absent_costs_no_time() {
    let machine = start("clock-no-rtc", "microvm,rtc=off");
    machine.wait_for_text(TARGET, "ticks");
    let capture = machine.stop();
    let messages = capture.messages(TARGET);
    let at = |text: &str| {
        let found = messages.iter().find(|message| message.text.contains(text));
        found.unwrap_or_else(|| panic!("'{text}' is not in the log")).micros
    };
    let waited = at("virtio network card") - at("memory: ");
    assert!(waited < 100, "{waited} µs");
    assert!(messages.iter().all(|message| !message.text.contains("seconds since 1970")));
}
