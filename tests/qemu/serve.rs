//! The kernel goes on after the boot log on machines whose interrupts come in other ways, or not at all, and whatever
//! interrupts nobody asked for.

use crate::harness::{
    self, Boot, Content, Events, Gdb, Lease, Machine, Nic, Peer, Qtest, Sent, Service, side_by_side, symbol,
};
use crate::loaders::grub_image;
use crate::protocols::kernel_for_pvh;
use smoltcp::wire::{ArpOperation, ArpRepr};
use std::net::{Ipv4Addr, SocketAddr};

const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.input=1";
/// The address comes by DHCP.
const LEASED: &str = "debug netconsole=+@/,@10.0.0.2/ netconsole.input=1";
const TARGET: &str = "10.0.0.2:6666";

fn kernel() -> SocketAddr {
    "10.0.0.1:6665".parse().expect("an address")
}

fn target() -> SocketAddr {
    TARGET.parse().expect("an address")
}

/// Asks twice, so that something must have woken the kernel, and expects an answer each time.
fn assert_serves(machine: &Machine, station: &Peer, name: &str) {
    let asker: SocketAddr = "10.0.0.2:4000".parse().expect("an address");
    for number in 0..2 {
        let before = machine.count("10.0.0.2:4000");
        machine.send(0, &station.datagram(4000, Nic::mac(0), kernel(), b"uptime\n"));
        machine.wait_for(&format!("{name}: answer {number}"), |events| {
            let answers = events.sent.iter().filter_map(|sent| sent.datagram());
            (answers.filter(|(to, _)| *to == asker).count() > before).then_some(())
        });
    }
}

/// Answers who asks for its address, sends again what a receiver misses, and renews its lease.
fn assert_works(machine: &Machine, station: &Peer, name: &str) {
    let own = Ipv4Addr::new(10, 0, 0, 1);
    machine.send(0, &station.arp_question(own));
    machine.wait_for(&format!("{name}: its address"), |events| {
        let is_answer = |content: &Content| {
            matches!(content, Content::Arp(ArpRepr::EthernetIpv4 { operation: ArpOperation::Reply,
                source_protocol_addr, .. }) if *source_protocol_addr == own)
        };
        contents(events).any(is_answer).then_some(())
    });

    let is_first = |content: &Content| matches!(content, Content::Udp { to, payload, .. } if *to == target() && payload.get(1..).is_some_and(|rest| rest.starts_with(b",0,")));
    let before = machine.sent();
    let before = before.iter().filter_map(Sent::good).filter(|frame| is_first(&frame.content)).count();
    machine.send(0, &station.datagram(6666, Nic::mac(0), kernel(), b"ncrx18446744073709551615 0"));
    machine.wait_for(&format!("{name}: record 0 again"), |events| {
        (contents(events).filter(|content| is_first(content)).count() > before).then_some(())
    });

    let renewals = |events: &Events| {
        let is_one = |content: &&Content| matches!(content, Content::Udp { from, to, .. } if from.ip() == own && to.port() == 67);
        contents(events).filter(is_one).count()
    };
    let before = machine.wait_for("the renewals so far", |events| Some(renewals(events)));
    machine.wait_for(&format!("{name}: a renewal"), |events| (renewals(events) > before).then_some(()));
}

fn contents(events: &Events) -> impl Iterator<Item = &Content> {
    events.sent.iter().filter_map(Sent::good).map(|frame| &frame.content)
}

#[test]
fn every_machine_serves() {
    let pvh = kernel_for_pvh("serve.elf");
    let cases = [
        ("serve-pc", &["-M", "pc"][..], "the local APIC ticks"),
        ("serve-q35", &["-M", "q35"], "the local APIC ticks"),
        ("serve-pc-no-pit", &["-M", "pc", "-machine", "pit=off"], "the local APIC ticks"),
        ("serve-pc-bare", &["-M", "pc", "-machine", "pit=off,hpet=off"], "the local APIC ticks"),
        ("serve-q35-no-pit", &["-M", "q35", "-machine", "pit=off"], "the local APIC ticks"),
        ("serve-q35-bare", &["-M", "q35", "-machine", "pit=off,hpet=off"], "the local APIC ticks"),
        ("serve-no-apic", &["-cpu", "qemu64,-apic"], "the i8254 ticks"),
        ("serve-x2apic", &["-cpu", "max,+x2apic"], "the local APIC ticks"),
        ("serve-microvm", &["-M", "microvm"], "the local APIC ticks"),
        ("serve-microvm-bare", &["-M", "microvm,pit=off,pic=off,rtc=off"], "the local APIC ticks"),
        ("serve-nothing", &["-M", "microvm,pit=off,pic=off", "-cpu", "qemu64,-apic"], "nothing ticks"),
    ];
    side_by_side(
        &cases,
        |(name, ..)| (*name).to_owned(),
        |(name, arguments, tick)| {
            let lease = Lease { address: [10, 0, 0, 1].into(), router: None, duration: 6 };
            let station = Peer::at("10.0.0.2");
            let stations = [station.clone(), Peer::at("10.0.0.3").serving(Service::new(lease))];
            let boot = Boot::new(name, LEASED).repeats();
            let is_small = arguments[1].starts_with("microvm");
            let nic = if is_small { Nic::device("virtio-net-device") } else { Nic::virtio() };
            let boot = boot.nics([stations.into_iter().fold(nic, Nic::peer)]);
            let boot = if is_small { boot.loader(["-kernel", &pvh, "-append", LEASED]) } else { boot };
            let machine = boot.first_arguments(arguments.iter().copied()).start();
            machine.wait_for_text(TARGET, tick);
            assert_serves(&machine, &station, name);
            assert_works(&machine, &station, name);
            machine.stop();
        },
    );
}

/// The local APIC's timer counts, and its interrupts come to nothing: they return at once. So it is given up for the i8254,
/// whose interrupts the local APIC lets through from then on.
#[test]
fn a_tick_that_does_not_come_is_given_up() {
    const RETURN: &[u8] = &[0x48, 0xcf];
    /// Where the timer's vector, 0xf0, enters: 16 bytes for each from 32 on.
    const ENTRY: u64 = (0xf0 - 32) * 16;
    let station = Peer::at("10.0.0.2");
    let gdb = Gdb::new("no-tick");
    let boot = Boot::new("no-tick", PARAMETERS).peer(station.clone()).paused();
    let machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).start();
    let mut stub = gdb.accept();
    stub.run_to(symbol("netconsole::start::introduce"));
    stub.write(symbol("interrupt_entries") + ENTRY, RETURN);
    stub.go_on();
    machine.wait_for_text(TARGET, "timer: the i8254 ticks");
    assert_serves(&machine, &station, "by the i8254");
    assert!(!machine.stop().text(TARGET).contains("the local APIC ticks"));
}

/// A line that was left open is held back; and where one is asserted all the same and nobody answers, so that the interrupt
/// comes again at once, for ever, the kernel goes on.
#[test]
fn a_line_that_interrupts_without_an_end_keeps_nothing_from_going_on() {
    const LINE: u8 = 20;
    let station = Peer::at("10.0.0.2");
    let qtest = Qtest::new("storm");
    // GRUB opens the line, level-triggered, for vector 0x45, and leaves it so.
    let commands = format!(
        "write_dword 0xfec00000 0x38\nwrite_dword 0xfec00010 0x8045\nmultiboot /boot/netconsole {PARAMETERS}"
    );
    let image = grub_image("storm-image", &harness::kernel(), &commands);
    let boot = Boot::new("storm", PARAMETERS).peer(station.clone()).image(image);
    let machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
    let mut ports = qtest.accept();
    machine.wait_for_text(TARGET, "the local APIC ticks");
    assert_serves(&machine, &station, "a line left open");
    assert!(ports.io_apic_entry(LINE) & 1 << 16 != 0, "it is held back");

    // From here on it is asserted.
    ports.open_io_apic_line(LINE, 0x8046);
    ports.raise("/machine/i440fx/ioapic", LINE);
    machine.wait_for_text(TARGET, "that nothing here asked for, the last one of vector 0x46");
    assert_serves(&machine, &station, "a line opened later");
    machine.stop();
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
    // The highest vector below the spurious one, the spurious one itself, and the i8259s', their spurious ones last.
    for vector in [0xfe, 0xff, 0x20, 0x21, 0x27, 0x2f] {
        ports.message_interrupt(vector);
        assert_serves(&machine, &station, &format!("after vector {vector:#x}"));
    }
    // One line a minute at most.
    let messages = machine.stop().messages(TARGET);
    let said = messages.iter().filter(|message| message.text.contains("that nothing here asked for"));
    let said: Vec<u64> = said.map(|message| message.micros).collect();
    assert!(said.windows(2).all(|pair| pair[1] - pair[0] >= 60_000_000), "{said:?}");
}
