//! Cards that UEFI firmware drives for the kernel, by its Simple Network Protocol: those of iPXE's boot ROMs, which QEMU gives
//! to its cards, and OVMF's own of virtio.

use crate::harness::{Boot, Gdb, Machine, Nic, Peer, Qtest, Reach, Sent, Stub, side_by_side, status, symbol};
use crate::images::{UEFI, UEFI_TIME};
use crate::protocols::bzimage;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

pub const TARGET: &str = "10.0.0.2:6666";
pub const TARGETS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";
/// One that the kernel has no driver for.
pub const PCNET: &str = "pcnet";
const BY_FIRMWARE: &str = "eth0: card that the firmware drives at 00:0";
/// The firmware takes its time, beside other tests.
pub const TIME: Duration = UEFI_TIME.saturating_mul(2);
/// In configuration space (PCI 3.0, section 6.2.2): whether a device decodes ports and memory, and may reach memory; above that
/// the status, which may change by itself.
const COMMAND: u8 = 4;
/// For so long nothing leaves where nothing more is to.
const QUIET: Duration = Duration::from_secs(2);
const SIX_MINUTES: Duration = Duration::from_secs(360);

/// The firmware starts the kernel with these parameters.
pub fn boot(name: &'static str, parameters: &str, nics: impl IntoIterator<Item = Nic>) -> Boot {
    let bzimage = bzimage();
    let arguments = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", parameters]);
    Boot::new(name, parameters).loader(arguments).nics(nics).timeout(TIME)
}

pub fn nic(device: &'static str) -> Nic {
    Nic::device(device).with_rom().peer(Peer::at("10.0.0.2"))
}

/// The driver's memory here is overwritten: the panic path has its own.
#[test]
fn the_last_words_go_out_by_the_firmware() {
    let parameters = format!("{TARGETS} netconsole.panic_repeat=0 panic=0 crash=OVERWRITE_NIC");
    let machine = boot("snp-overwritten", &parameters, [nic(PCNET)]).repeats().start();
    let end = "---[ end Kernel panic - not syncing: panic ]---";
    machine.wait_for_text(TARGET, end);
    let messages = machine.stop().messages(TARGET);
    assert_eq!(messages[0].sequence, 0);
    assert_eq!(messages.last().map(|last| last.text.as_str()), Some(end));
}

/// After the last words the machine starts again by the firmware, and what it logged is found by the next boot.
#[test]
fn after_a_panic_the_firmware_resets_the_machine() {
    let parameters = format!("{TARGETS} panic=-1 crash=PANIC");
    let machine = boot("snp-reset", &parameters, [nic(PCNET)]).repeats().start();
    machine.wait_for_text(TARGET, "---[ end Kernel panic - not syncing: panic ]---");
    machine.wait_for_text(TARGET, "crash: provoking PANIC\n boot=-1");
    machine.wait_for_text(TARGET, "previous boot ended without a goodbye");
    machine.stop();
}

/// In bursts, and tagged for a VLAN, too; then the card that the firmware drives is pulled out.
#[test]
fn one_card_by_the_firmware_and_one_by_a_driver_at_once() {
    const RECORDS: usize = 1500;
    const OTHERS: [&str; 2] = ["10.0.1.2:6666", "10.0.2.2:6666"];
    let parameters = "debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/ netconsole=+@10.0.2.1/eth0.100,@10.0.2.2/ \
                      netconsole=+@10.0.1.1/eth1,@10.0.1.2/ console=null flood=1500";
    let own = Nic::device("virtio-net-pci,addr=9").with_rom().peer(Peer::at("10.0.1.2"));
    let firmwares = Nic::device("pcnet,addr=8").with_rom().peer(Peer::at("10.0.0.2"));
    let firmwares = firmwares.peer(Peer::at("10.0.2.2").in_vlan(100));
    let mut machine = boot("snp-and-virtio", parameters, [firmwares, own]).start();
    for target in [TARGET, OTHERS[0], OTHERS[1]] {
        machine.wait_for_text(target, &format!("flood message {:08} ", RECORDS - 1));
    }
    // As QEMU's ACPI code has it (docs/specs/acpi_pci_hotplug.rst): the bus, and the slots that are to be ejected.
    machine.monitor("o /w 0xae10 0");
    machine.monitor("o /w 0xae08 0x100");
    machine.wait_for_text(OTHERS[0], "eth0: link is down");
    let capture = machine.stop();
    let text = capture.text(TARGET);
    assert!(text.contains(BY_FIRMWARE) && text.contains("eth1: virtio network card at "), "{text}");
    assert!(capture.text(OTHERS[1]).contains("netconsole: remote ethernet address 02:00:0a:00:02:02"));
    for target in [TARGET, OTHERS[0], OTHERS[1]] {
        assert_eq!(capture.text(target).matches("flood message ").count(), RECORDS, "{target}");
    }
}

/// The firmware's boot services end then, as where every card has a driver.
#[test]
fn without_the_firmware_such_a_card_is_left_alone() {
    let parameters = format!("{TARGETS} netconsole.snp=0 after=exit");
    let capture = boot("snp-off", &parameters, [nic(PCNET)]).start().end();
    assert_eq!(capture.status, status::NO_TARGET);
    assert!(capture.serial.contains("there is no driver for this network card"), "{}", capture.serial);
    assert!(!capture.serial.contains("its boot services go on"), "{}", capture.serial);
}

/// Its first call fails: the driver here has the card from then on, in a panic too.
#[test]
fn a_card_that_the_firmware_does_not_start_has_its_driver_here() {
    let parameters = format!("{TARGETS} netconsole.snp=1 crash=HUNG_DEVICE@firmware");
    let nic = Nic::virtio().peer(Peer::at("10.0.0.2"));
    let machine = boot("snp-refused", &parameters, [nic]).repeats().start();
    machine.wait_for_text(TARGET, "---[ end Kernel panic - not syncing: panic ]---");
    let text = machine.stop().text(TARGET);
    for said in [
        "can't be brought up: the firmware's Start failed with status 0x8000000000000007",
        "eth0: virtio network card at 00:0",
    ] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
}

/// Then the firmware is called no more: what is left is the driver here, though the firmware's was first choice, and the reset
/// that the kernel knows. So it is of a fault in the firmware's own code, which that would answer by stopping the CPU for good.
#[test]
fn a_panic_within_a_call_of_the_firmware_makes_no_other() {
    let cases = [
        ("snp-within", "PANIC", "panic", "panic=-1"),
        ("snp-fault", "GENERAL_PROTECTION", "general protection fault", "panic=0"),
        ("snp-nmi", "NMI", "non-maskable interrupt", "panic=0"),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, kind, end, then)| {
            let parameters = format!("{TARGETS} netconsole.snp=1 {then} crash={kind}@firmware");
            let nic = Nic::virtio().peer(Peer::at("10.0.0.2"));
            let machine = boot(name, &parameters, [nic]).repeats().start();
            machine.wait_for_text(TARGET, &format!("---[ end Kernel panic - not syncing: {end} ]---"));
            if then == "panic=-1" {
                machine.wait_for_text(TARGET, "firmware: the boot before ended inside of its ");
            }
            let text = machine.stop().text(TARGET);
            for said in [BY_FIRMWARE, "firmware: inside of its ", ": it is called no more"] {
                assert!(text.contains(said), "{name}: '{said}' is not in {text}");
            }
        },
    );
}

/// A boot that is stopped before its first instruction, and what runs it.
pub fn debugged(name: &'static str, boot: Boot) -> (Machine, Stub) {
    let gdb = Gdb::new(name);
    let machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).paused().start();
    (machine, gdb.accept())
}

/// A jump to itself, and what is left of the call that it is written over.
const FOR_EVER: &[u8] = &[0xeb, 0xfe, 0x90];

/// The CPU sleeps while it is the firmware's, which has nothing under way then: the report goes out by it at once.
#[test]
fn an_nmi_that_wakes_the_machine_is_reported_by_the_firmware() {
    let boot = boot("snp-asleep", &format!("{TARGETS} netconsole.panic_repeat=0"), [nic(PCNET)]).repeats();
    let (mut machine, mut stub) = debugged("snp-asleep", boot);
    stub.go_on();
    machine.wait_for_text(TARGET, "timer: the firmware's own ticks");
    stub.pause();
    stub.run_to(symbol("firmware_gate_wakes"));
    machine.monitor("nmi");
    stub.go_on();
    let end = "---[ end Kernel panic - not syncing: non-maskable interrupt ]---";
    machine.wait_for_text(TARGET, end);
    let text = machine.stop().text(TARGET);
    assert!(text.contains("BUG: non-maskable interrupt (vector 2"), "{text}");
    assert!(!text.contains("boot=-1") && !text.contains("it is called no more"), "{text}");
}

/// What the firmware has set up is its own while it goes on: each device's configuration, a bridge's too, is as it was before the
/// first of this kernel's own code that might change it, and of memory only what the firmware gave is known, as its map is not
/// final.
#[test]
fn what_the_firmware_has_set_up_stays() {
    const BRIDGE: &str = "pci-bridge,id=bridge,chassis_nr=1,addr=16";
    /// In configuration space (PCI 3.0, section 6.1; PCI-to-PCI bridge architecture 1.2, section 3.2): a bridge's bus numbers,
    /// and the header's end.
    const BUSES: u8 = 0x18;
    const END: u8 = 0x40;
    let qtest = Qtest::new("snp-stays");
    let boot = boot("snp-stays", &format!("{TARGETS} netconsole.snp=1"), [nic(PCNET)]);
    let boot = boot.arguments(["-device", BRIDGE, "-device", "usb-ehci,bus=bridge,addr=1"]);
    let boot = boot.arguments(qtest.arguments().iter().map(String::as_str));
    let (machine, mut stub) = debugged("snp-stays", boot);
    let mut reach = qtest.accept();
    let mut configuration = || -> Vec<[u32; 2]> {
        let registers = (0..32).flat_map(|slot| (0..END).step_by(4).map(move |register| (slot, register)));
        let read = registers.map(|(slot, register)| {
            let mask = if register == COMMAND { 0xffff } else { u32::MAX };
            let place = u32::from(slot) << 8 | u32::from(register);
            [place, reach.read_configuration(slot, register) & mask]
        });
        read.collect()
    };
    stub.run_to(symbol("netconsole::kernel_main"));
    let before = configuration();
    let of_bridge = |register: u8| before.iter().find(|[place, _]| *place == 16 << 8 | u32::from(register));
    let [command, buses] = [COMMAND, BUSES].map(|register| of_bridge(register).expect("it was read")[1]);
    assert!(
        command & 7 != 0 && buses & 0xff00 != 0,
        "the firmware has set the bridge up: {command:#x}, {buses:#x}"
    );
    stub.go_on();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    // The way to it has two steps, amid which the kernel is not to take its own.
    stub.pause();
    let changed = configuration().into_iter().zip(before).filter(|(now, before)| now != before);
    assert_eq!(changed.collect::<Vec<_>>(), []);
    let text = machine.stop().text(TARGET);
    assert!(text.contains("it drives 1 network card"), "{text}");
    let usable =
        text.split("boot: ").find_map(|rest| rest.split_once(" KiB of usable memory")?.0.parse().ok());
    assert!(usable.is_some_and(|kib: u32| kib < 8 << 10), "{usable:?} KiB are usable: {text}");
}

/// Where a call does not come back in a panic, the chipset's watchdog or the firmware's own resets the machine after 30 s, and
/// the next boot ships the log and names the call. So it is of the fixed frame of a panic in panic, of a call after the last
/// words, while `panic=` waits, and of the firmware's reset.
#[test]
fn a_call_that_does_not_come_back_is_named_by_the_next_boot() {
    const CHIPSET: &[&str] = &["-device", "i6300esb"];
    const WAIT: &str = "netconsole::panic::ending::last_words";
    const FIXED: &str = "netconsole::panic::ending::fixed_text";
    const END: &str = "netconsole::panic::ending::end";
    // Where the panic path is when calls come back no more; at once where it is to be in its first call.
    let cases: [(&str, &[&str], &str, &str, &str); 6] = [
        ("snp-hang-chipset", CHIPSET, "crash=LOOP@firmware", "", "Start"),
        ("snp-hang-firmware", &[], "crash=LOOP@firmware", "", "Start"),
        ("snp-hang-fixed", CHIPSET, "crash=PANIC@panic3", FIXED, "Start"),
        ("snp-hang-wait", CHIPSET, "crash=PANIC panic=3000", WAIT, ""),
        ("snp-hang-reset", CHIPSET, "crash=PANIC panic=-1", END, "no call"),
        ("snp-hang-reset-alone", &[], "crash=PANIC panic=-1", END, "no call"),
    ];
    side_by_side(
        &cases,
        |(name, ..)| (*name).into(),
        |&(name, arguments, crash, place, call)| {
            let parameters = format!("{TARGETS} netconsole.panic_repeat=0 {crash}");
            let boot = boot(name, &parameters, [nic(PCNET)]).arguments(arguments.iter().copied()).repeats();
            let boot = boot.timeout(TIME * 2);
            let end = "---[ end Kernel panic - not syncing: panic ]---";
            let machine = if place.is_empty() {
                boot.start()
            } else {
                let (machine, mut stub) = debugged(name, boot);
                if place != WAIT {
                    stub.run_to(symbol(place));
                } else {
                    stub.go_on();
                    machine.wait_for_text(TARGET, end);
                    // The guard of the last words is fed until they are over.
                    machine.wait_until_quiet(Duration::from_secs(5));
                    stub.pause();
                }
                stub.write(symbol("firmware_gate_calls"), FOR_EVER);
                stub.go_on();
                machine
            };
            machine.wait_for_text(TARGET, &format!("{end}\n boot=-1"));
            let said = "firmware: the boot before ended inside of its ";
            if call == "no call" {
                machine.wait_for_text(TARGET, "acpi: FACP ");
                assert!(!machine.stop().text(TARGET).contains(said), "a reset is meant not to come back");
            } else {
                machine.wait_for_text(TARGET, &format!("{said}{call}"));
                machine.stop();
            }
        },
    );
}

/// OVMF connects what it needs to come to what it boots, here to QEMU's kernel, and no more: the card has no driver of its own
/// before the kernel asks. One that the firmware has booted from is in images.rs.
#[test]
fn a_card_that_a_fast_boot_has_left_unconnected_is_connected() {
    let machine = boot("snp-unconnected", TARGETS, [nic(PCNET)]).start();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    let capture = machine.stop();
    assert_eq!(capture.messages(TARGET)[0].sequence, 0);
    let text = capture.text(TARGET);
    let said = "it drives 1 network card of this machine, 1 of which it had left unconnected";
    assert!(text.contains(said) && text.contains(BY_FIRMWARE), "'{said}' is not in {text}");
}

/// The first card hangs, then it is lost: its registers read all ones, then the firmware's functions fail; and comes back but
/// for the last time. It is named each time, what it did not send comes when it is back, and the other card ships meanwhile,
/// the report of a panic, too. In that the driver here is the last try for the card that the firmware has lost.
#[test]
fn a_card_that_hangs_or_is_lost_is_named_and_what_it_had_comes_when_it_is_back() {
    const SLOT: u8 = 8;
    const OTHER: &str = "10.0.1.2:6666";
    /// In the command: whether it may reach memory.
    const MASTER: u32 = 1 << 2;
    let parameters = "debug netconsole.snp=1 netconsole=+@10.0.0.1/eth0,@10.0.0.2/ netconsole=+@10.0.1.1/eth1,@10.0.1.2/ \
                      netconsole.input=1 netconsole.panic_repeat=0 panic=-1";
    // OVMF's own driver gives a buffer back only when the card has read it.
    let card = Nic::device("virtio-net-pci,addr=8,romfile=").with_rom().peer(Peer::at("10.0.0.2"));
    let other = Peer::at("10.0.1.2");
    let nics = [card, Nic::device("rtl8139,addr=9").with_rom().peer(other.clone())];
    let qtest = Qtest::new("snp-lost");
    let boot = boot("snp-lost", parameters, nics).repeats().arguments(["-no-reboot"]);
    let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
    let mut reach = qtest.accept();
    for target in [TARGET, OTHER] {
        machine.wait_for_text(target, "acpi: FACP ");
    }
    let kernel: SocketAddr = "10.0.1.1:6665".parse().expect("an address");
    let order = |machine: &Machine, line: &str| {
        machine.send(1, &other.datagram(40000, Nic::mac(1), kernel, line.as_bytes()))
    };
    let named = |serial: &[u8]| {
        String::from_utf8_lossy(serial).matches("eth0: the card does not answer, restarting it").count()
    };
    let command = machine.while_stopped(|| reach.read_configuration(SLOT, COMMAND)) & 0xffff;
    assert_eq!(command & MASTER, MASTER, "the firmware drives it");
    for (what, left) in [("it hangs", command & !MASTER), ("it has no registers", 0)] {
        machine.wait_until_quiet(QUIET);
        let before = named(machine.serial().as_bytes());
        machine.while_stopped(|| reach.write_configuration(SLOT, COMMAND, left));
        order(&machine, &format!("echo {what} > /dev/kmsg\n"));
        machine.wait_for_text(OTHER, what);
        machine.wait_for("the card to be named", |events| (named(&events.serial) > before).then_some(()));
        let has_come = |sent: &Sent| {
            sent.nic == 0
                && sent.datagram().is_some_and(|(_, text)| String::from_utf8_lossy(text).contains(what))
        };
        assert!(!machine.sent().iter().any(has_come), "{what}");
        machine.while_stopped(|| reach.write_configuration(SLOT, COMMAND, command));
        machine.wait_for_text(TARGET, what);
    }

    machine.wait_until_quiet(QUIET);
    let fails = symbol("netconsole::machine::firmware::network::fail");
    let protocol = protocol_of(&mut reach, SLOT);
    for function in [GET_STATUS, TRANSMIT] {
        reach.write_long(protocol + function, fails);
    }
    machine.wait_for_text(OTHER, "eth0: link is down");
    order(&machine, "echo it fails > /dev/kmsg\n");
    machine.wait_for_text(OTHER, "it fails");
    order(&machine, "crash PANIC\n");
    for target in [OTHER, TARGET] {
        machine.wait_for_text(target, "---[ end Kernel panic - not syncing: panic ]---");
    }
    // The reset, which QEMU ends with.
    assert_eq!(machine.end().status, Some(0));
}

/// Offsets in `EFI_SIMPLE_NETWORK_PROTOCOL` (UEFI specification 2.10, section 24.1).
const GET_STATUS: u64 = 0x58;
const TRANSMIT: u64 = 0x60;

/// Where the firmware has the protocol of the card in this slot of the first bus: the kernel's notes begin with a card's place,
/// two handles, and that.
fn protocol_of(reach: &mut Reach, slot: u8) -> u64 {
    let cards = symbol("netconsole::machine::firmware::network::CARDS");
    let notes = (0..4).map(|number| cards + number * 6 * 8);
    let mut of_slot = notes.filter(|&at| reach.read_long(at) == u64::from(slot) << 3);
    let card = of_slot.next().expect("the firmware drives it");
    drop(of_slot);
    reach.read_long(card + 3 * 8)
}

/// Boots with these cards by the firmware, whose cables come when the log is over: each gets it whole.
fn late_cables<const N: usize>(name: &'static str, cards: [&'static str; N], link: &str) {
    let place = |number: usize, host: usize| format!("10.0.{number}.{host}");
    let mut parameters = String::from("debug netconsole.snp=1");
    for number in 0..N {
        let (own, target) = (place(number, 1), place(number, 2));
        parameters += &format!(" netconsole=+@{own}/eth{number},@{target}/");
    }
    let nics = cards.into_iter().enumerate();
    let nics = nics.map(|(at, card)| Nic::device(card).with_rom().peer(Peer::at(&place(at, 2))));
    // What is logged when the first of them is heard may go to the others before the log does.
    let mut machine = boot(name, &parameters, nics).repeats().loses().paused().start();
    let cables = |machine: &mut Machine, state: &str| {
        for number in 0..N {
            machine.monitor(&format!("set_link n{number} {state}"));
        }
    };
    cables(&mut machine, "off");
    machine.monitor("cont");
    machine.wait_for_serial("acpi: FACP ");
    machine.nothing_more_comes(QUIET);
    assert!(machine.sent().is_empty(), "nothing leaves a card without a cable");
    for number in 0..N {
        let said =
            format!("eth{number}: ethernet address 52:54:00:12:34:5{}, MTU 1500, link {link}", 6 + number);
        assert!(machine.serial().contains(&said), "'{said}' is not in {}", machine.serial());
    }
    cables(&mut machine, "on");
    let targets: [String; N] = std::array::from_fn(|number| format!("{}:6666", place(number, 2)));
    for target in &targets {
        machine.wait_for_text(target, "acpi: FACP ");
    }
    let capture = machine.stop();
    for (number, target) in targets.iter().enumerate() {
        let messages = capture.messages(target);
        let sequences: BTreeSet<u64> = messages.iter().map(|message| message.sequence).collect();
        let last = messages.iter().find(|message| message.text.contains("acpi: FACP ")).expect("waited for");
        assert!((0..=last.sequence).all(|sequence| sequences.contains(&sequence)), "{target}: {sequences:?}");
        let text = capture.text(target);
        assert!(text.contains(&format!("eth{number}: card that the firmware drives at 00:0")), "{text}");
    }
}

/// The log goes to nobody, and again when somebody is heard.
#[test]
fn a_late_cable_gets_the_whole_log_where_the_firmware_tells_nothing_of_it() {
    late_cables("snp-late-cables", [PCNET, "ne2k_pci", "i82559er,romfile=efi-eepro100.rom"], "up");
}

/// iPXE's driver of the RTL8139 tells of the cable when it starts.
#[test]
fn a_late_cable_gets_the_whole_log_where_the_firmware_tells_of_it() {
    late_cables("snp-late-rtl8139", ["rtl8139"], "down");
}

/// An IOMMU that is on lets only those cards through that the firmware drives: it drives them all. The first one needs no way
/// to memory, the second one QEMU's IOMMU does not look at.
#[test]
fn where_an_iommu_is_on_the_firmware_drives_all_cards() {
    let qtest = Qtest::new("snp-iommu");
    let parameters = "debug netconsole=+@10.0.0.1/eth1,@10.0.0.2/";
    let nics = [Nic::device("ne2k_pci").with_rom(), Nic::virtio().peer(Peer::at("10.0.0.2"))];
    let boot = boot("snp-iommu", parameters, nics).paused();
    let boot = boot.first_arguments(["-M", "q35", "-device", "intel-iommu"]);
    let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
    let mut reach = qtest.accept();
    // Its table of what is translated is empty memory.
    reach.write_long(0xfed9_0020, 0x0400_0000);
    reach.write_word(0xfed9_0018, 1 << 30);
    reach.write_word(0xfed9_0018, 1 << 31);
    machine.monitor("cont");
    machine.wait_for_text(TARGET, "acpi: FACP ");
    assert_eq!(reach.read_word(0xfed9_001c) >> 31, 1, "it is left on");
    let text = machine.stop().text(TARGET);
    for said in [
        "firmware: its boot services go on: it drives 2 network cards of this machine",
        "iommu: VT-d at 0xfed90000 is on, and stays so",
        "eth1: card that the firmware drives at 00:0",
    ] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
}

/// Firmware resets a machine whose loader has not come back after five minutes. Commands come in by it all the time.
#[test]
fn the_firmware_lets_it_run_for_longer_than_five_minutes() {
    let parameters = format!("{TARGETS} netconsole.input=1");
    let boot = boot("snp-six-minutes", &parameters, [nic(PCNET)]);
    // The guest's time is the count of its instructions, and passes at once while it sleeps.
    let machine = boot.arguments(["-icount", "shift=4,sleep=off"]).timeout(SIX_MINUTES * 4).start();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
    let ask = |line: &str| {
        machine.send(0, &Peer::at("10.0.0.2").datagram(40000, Nic::mac(0), kernel, line.as_bytes()));
    };
    let deadline = Instant::now() + SIX_MINUTES * 3;
    // By the guest's own clock.
    while !machine.sent().iter().filter_map(Sent::datagram).any(|(to, answer)| {
        to.port() == 40000 && seconds_up(answer).is_some_and(|seconds| seconds > SIX_MINUTES.as_secs())
    }) {
        assert!(Instant::now() < deadline, "the machine answers, and its clock goes");
        ask("uptime\n");
        thread::sleep(Duration::from_millis(500));
    }
    assert!(machine.stop().text(TARGET).contains(BY_FIRMWARE));
}

/// The seconds of `up 0:06:01`.
fn seconds_up(answer: &[u8]) -> Option<u64> {
    let (_, time) = std::str::from_utf8(answer).ok()?.split_once("up ")?;
    let mut parts = time.lines().next()?.split(':').map(str::parse::<u64>);
    parts.try_fold(0, |seconds, part| Some(seconds * 60 + part.ok()?))
}

mod matrix {
    use super::{Nic, PCNET, Peer, boot};

    /// Four at once; each alone is in models.rs.
    #[test]
    fn the_whole_log_goes_out_by_each_card_that_the_firmware_drives() {
        const CARDS: [&str; 4] = [PCNET, "ne2k_pci", "rtl8139", "i82559er,romfile=efi-eepro100.rom"];
        let place = |number: usize, host: usize| format!("10.0.{number}.{host}");
        let mut parameters = String::from("debug netconsole.snp=1");
        for number in 0..CARDS.len() {
            let (own, target) = (place(number, 1), place(number, 2));
            parameters += &format!(" netconsole=+@{own}/eth{number},@{target}/");
        }
        let nics = CARDS.iter().enumerate();
        let nics = nics.map(|(at, card)| Nic::device(card).with_rom().peer(Peer::at(&place(at, 2))));
        let machine = boot("snp-cards", &parameters, nics).start();
        let targets = [0, 1, 2, 3].map(|number| format!("{}:6666", place(number, 2)));
        for target in &targets {
            machine.wait_for_text(target, "acpi: FACP ");
        }
        let capture = machine.stop();
        for (number, target) in targets.iter().enumerate() {
            // That none is missing or comes twice, `Boot` checks.
            assert_eq!(capture.messages(target)[0].sequence, 0, "{target}");
            let text = capture.text(target);
            for said in [
                "firmware: its boot services go on: it drives 4 network cards of this machine",
                &format!("eth{number}: card that the firmware drives at 00:0"),
                &format!("eth{number}: ethernet address 52:54:00:12:34:5{}, MTU 1500, link up", 6 + number),
                &format!("netconsole: remote ethernet address 02:00:0a:00:0{number}:02"),
            ] {
                assert!(text.contains(said), "'{said}' is not in {text}");
            }
        }
    }
}
