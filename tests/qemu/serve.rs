//! The kernel goes on after the boot log on machines whose interrupts come in other ways, or not at all, and whatever
//! interrupts nobody asked for.

use crate::harness::{Boot, Machine, Nic, Peer, Qtest};
use crate::protocols::kernel_for_pvh;
use std::net::SocketAddr;

const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.input=1";
const TARGET: &str = "10.0.0.2:6666";

/// Asks twice, so that something must have woken the kernel, and expects an answer each time.
fn assert_serves(machine: &Machine, station: &Peer, name: &str) {
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
    let asker: SocketAddr = "10.0.0.2:4000".parse().expect("an address");
    for number in 0..2 {
        let before = machine.count("10.0.0.2:4000");
        machine.send(0, &station.datagram(4000, Nic::mac(0), kernel, b"uptime\n"));
        machine.wait_for(&format!("{name}: answer {number}"), |events| {
            let answers = events.sent.iter().filter_map(|sent| sent.datagram());
            (answers.filter(|(to, _)| *to == asker).count() > before).then_some(())
        });
    }
}

#[test]
fn every_machine_serves() {
    let pvh = kernel_for_pvh("serve.elf");
    for (name, arguments, tick) in [
        ("serve-pc", &["-M", "pc"][..], "the local APIC ticks"),
        ("serve-q35", &["-M", "q35"], "the local APIC ticks"),
        ("serve-no-pit", &["-M", "pc", "-machine", "pit=off"], "the local APIC ticks"),
        ("serve-no-apic", &["-cpu", "qemu64,-apic"], "the i8254 ticks"),
        ("serve-microvm", &["-M", "microvm"], "the local APIC ticks"),
        ("serve-microvm-bare", &["-M", "microvm,pit=off,pic=off,rtc=off"], "the local APIC ticks"),
        ("serve-nothing", &["-M", "microvm,pit=off,pic=off", "-cpu", "qemu64,-apic"], "nothing ticks"),
    ] {
        let station = Peer::at("10.0.0.2");
        let boot = Boot::new(name, PARAMETERS);
        let boot = if arguments[1].starts_with("microvm") {
            let nic = Nic::device("virtio-net-device").peer(station.clone());
            boot.loader(["-kernel", &pvh, "-append", PARAMETERS]).nics([nic])
        } else {
            boot.peer(station.clone())
        };
        let machine = boot.first_arguments(arguments.iter().copied()).start();
        machine.wait_for_text(TARGET, tick);
        assert_serves(&machine, &station, name);
        machine.stop();
    }
}

#[test]
fn interrupts_that_nobody_asked_for_are_counted_and_ended() {
    let station = Peer::at("10.0.0.2");
    let qtest = Qtest::new("strays");
    let boot = Boot::new("strays", PARAMETERS).peer(station.clone());
    let machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
    let mut ports = qtest.accept();
    machine.wait_for_text(TARGET, "the local APIC ticks");
    // Messages that a device sends to the CPU's local APIC: first what a Linux's timer would.
    ports.message_interrupt(0xec);
    machine.wait_for_text(TARGET, "interrupts: 1 that nothing here asked for, the last one of vector 0xec");
    // The highest vector below the spurious one, the spurious one itself, and the i8259s'.
    for vector in [0xfe, 0xff, 0x20, 0x21] {
        ports.message_interrupt(vector);
        assert_serves(&machine, &station, &format!("after vector {vector:#x}"));
    }
    machine.stop();
}
