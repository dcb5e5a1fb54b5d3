//! Where the cards are, and what lies between them and memory: PCI by memory, further root buses, and what somebody left
//! running: other devices, IOMMUs. Outside of the machine is qtest, which does what a firmware or a kernel did before.

use crate::crash::distinct;
use crate::harness::{Boot, Capture, Nic, Peer, Qtest, Reach, kernel, side_by_side, status, target};
use crate::loaders::grub_image;
use crate::protocols::kernel_for_pvh;
use std::fs;

const TARGET: &str = "10.0.0.2:6666";
const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";

fn nic(device: &'static str) -> Nic {
    Nic::device(device).peer(Peer::at("10.0.0.2"))
}

/// A microvm has no ports for PCI: its configuration space is where ACPI says. Nor has its firmware given the card an
/// address.
#[test]
fn pci_is_found_in_memory() {
    let kernel = kernel_for_pvh("microvm-pcie.elf");
    for (name, crash, end) in
        [("microvm-pcie", "", status::GOOD), ("microvm-pcie-crash", " crash=OVERWRITE_NIC", status::PANIC)]
    {
        let parameters = format!("{PARAMETERS} after=exit{crash}");
        let boot = Boot::new(name, "").nics([nic("virtio-net-pci")]).repeats();
        let boot = boot.loader(["-kernel", &kernel, "-append", &parameters, "-M", "microvm,pcie=on"]);
        let capture = boot.start().end();
        assert_eq!(capture.status, end, "serial:\n{}", capture.serial);
        let text = capture.text(TARGET);
        assert!(
            text.contains("pci: configuration space is in memory at 0xe0000000, buses 00 to ff"),
            "{text}"
        );
        assert!(
            text.contains("pci 00:01.0: the firmware gave its registers no address, they have one now"),
            "{text}"
        );
        assert!(text.contains("eth0: virtio network card at 00:01.0"), "{text}");
        let messages = capture.messages(TARGET);
        assert_eq!(messages[0].sequence, 0);
        assert!(messages.len() - distinct(&messages).len() <= 1);
    }
}

/// Where there is no PCI at all, nothing is asked for it, and the log says so.
#[test]
fn a_machine_without_pci_says_so() {
    let kernel = kernel_for_pvh("microvm-no-pci.elf");
    let parameters = format!("{PARAMETERS} after=exit");
    let boot = Boot::new("microvm-no-pci", "").nics([nic("virtio-net-device")]);
    let boot = boot.loader(["-kernel", &kernel, "-append", &parameters, "-M", "microvm"]);
    let capture = boot.start().end();
    assert_eq!(capture.status, status::GOOD);
    assert!(capture.text(TARGET).contains("pci: none here: neither ports 0xcf8 and 0xcfc nor ACPI's MCFG"));
}

#[test]
fn a_card_on_a_root_bus_of_its_own_is_found() {
    for (name, bridges, device, roots) in [
        (
            "root-pxb",
            &["-M", "pc", "-device", "pxb,id=p,bus_nr=128"][..],
            "virtio-net-pci,bus=p,addr=3",
            "00, 80",
        ),
        (
            "root-pxb-pcie",
            &[
                "-M",
                "q35",
                "-device",
                "pxb-pcie,id=p,bus_nr=64",
                "-device",
                "pcie-root-port,id=r,bus=p,chassis=1",
            ],
            "e1000e,bus=r",
            "00, 40",
        ),
    ] {
        for (suffix, crash) in
            [("", ""), ("-crash", " crash=OVERWRITE_NIC panic=0 netconsole.panic_repeat=0")]
        {
            let name = format!("{name}{suffix}").leak();
            let boot = Boot::new(name, format!("{PARAMETERS}{crash}")).repeats();
            let machine = boot.first_arguments(bridges.iter().copied()).nics([nic(device)]).start();
            machine.wait_for_text(TARGET, &format!("pci: root buses {roots}"));
            if !crash.is_empty() {
                machine.wait_for_text(TARGET, "---[ end Kernel panic");
            }
            machine.stop();
        }
    }
}

/// Boots with what `leave` does while the CPU has not begun, and ships the whole boot log.
fn boots_after(
    name: &'static str,
    arguments: &[&str],
    device: &'static str,
    leave: impl Fn(&mut Reach),
) -> Capture {
    let qtest = Qtest::new(name);
    let boot = Boot::new(name, PARAMETERS).nics([nic(device)]);
    let boot = boot.first_arguments(arguments.iter().copied()).paused();
    let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
    leave(&mut qtest.accept());
    machine.monitor("cont");
    machine.wait_for_text(TARGET, "network logging started");
    machine.wait_for_text(TARGET, "firmware: ");
    machine.stop()
}

/// An empty table of what is translated: nothing reaches memory.
const NOTHING: u64 = 0x0400_0000;

#[test]
fn an_iommu_that_was_left_on_is_turned_off() {
    type Leave = fn(&mut Reach);
    let cases: [(&str, &[&str], Leave, &str); 4] = [
        (
            "iommu-intel",
            &["-M", "q35", "-device", "intel-iommu"],
            |machine| {
                machine.write_long(0xfed9_0020, NOTHING);
                machine.write_word(0xfed9_0018, 1 << 30);
                machine.write_word(0xfed9_0018, 1 << 31);
                assert_eq!(machine.read_word(0xfed9_001c) >> 31, 1);
            },
            "iommu: VT-d at 0xfed90000 was left on, and is off now",
        ),
        (
            "iommu-intel-interrupts",
            &["-M", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on"],
            |machine| {
                machine.write_long(0xfed9_0020, NOTHING);
                machine.write_long(0xfed9_00b8, NOTHING);
                for command in [1 << 24, 1 << 25, 1 << 25 | 1 << 30, 1 << 25 | 1 << 31] {
                    machine.write_word(0xfed9_0018, command);
                }
                assert_eq!(machine.read_word(0xfed9_001c) >> 25 & 0x41, 0x41);
            },
            "iommu: VT-d at 0xfed90000 was left on, and is off now",
        ),
        (
            "iommu-amd",
            &["-M", "q35", "-device", "amd-iommu"],
            |machine| {
                // Each device's entry is valid, translates, and allows neither reading nor writing.
                for device in 0..0x100 {
                    machine.write_long(NOTHING + 32 * device, 0b11);
                }
                machine.write_long(0xfed8_0000, NOTHING | 0x1ff);
                machine.write_long(0xfed8_0018, 1);
            },
            "iommu: AMD-Vi at 0xfed80000 was left on, and is off now",
        ),
        (
            "iommu-virtio",
            &["-M", "q35", "-device", "virtio-iommu-pci,boot-bypass=off"],
            |_| {},
            "iommu: virtio-iommu at 00:0",
        ),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, arguments, leave, said)| {
            let trace = target().join(format!("tests/{name}.trace")).display().to_string();
            let traced = ["-trace", "pci_cfg_write", "-trace", "vtd_dmar_enable", "-D", &trace];
            let capture = boots_after(name, &[arguments, &traced].concat(), "e1000e", leave);
            assert!(capture.text(TARGET).contains(said));
            assert!(capture.text(TARGET).contains(" was left on, and is off now"));
            if name == "iommu-intel" {
                // The disks' controller, which SeaBIOS has left running, is stopped before.
                let trace = fs::read_to_string(&trace).expect("QEMU's trace");
                let off = trace.find("vtd_dmar_enable enable 0").expect("it was turned off");
                let commands =
                    trace[..off].lines().filter_map(|line| line.split_once("ich9-ahci 00:1f.2 @0x4 <- 0x"));
                let commands =
                    commands.map(|(_, command)| u16::from_str_radix(command, 16).expect("a number"));
                let rights: Vec<bool> = commands.map(|command| command & 1 << 2 != 0).collect();
                assert!(rights.ends_with(&[true, false]), "{rights:?}");
            }
        },
    );
}

/// ACPI's DMAR (VT-d specification 4.0, section 8.3) names a unit where none is: that is said, and the cards are used all the same.
#[test]
fn an_iommu_that_does_not_answer_is_named() {
    const PLACE: u64 = 0xfed9_0000;
    let directory = target().join("tests/dmar");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    let table = directory.join("absent");
    // 40 bits of address and no flags; then one unit, of all devices.
    let begin = [&[39, 0][..], &[0; 10], &[0, 0, 16, 0, 1, 0, 0, 0]].concat();
    fs::write(&table, [begin, PLACE.to_le_bytes().to_vec()].concat()).expect("target/tests is writable");
    let table = format!("sig=DMAR,rev=1,data={}", table.display());
    let boot = Boot::new("iommu-absent", format!("{PARAMETERS} after=exit")).peer(Peer::at("10.0.0.2"));
    let capture = boot.arguments(["-M", "pc", "-acpitable", &table]).start().end();
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
    let said = "iommu: VT-d at 0xfed90000: nothing answers at its registers: the cards may not reach memory";
    assert!(capture.text(TARGET).contains(said), "{}", capture.text(TARGET));
}

/// One that lets everything through is left alone.
#[test]
fn an_iommu_that_is_off_is_told_and_no_more() {
    let capture = boots_after("iommu-off", &["-M", "q35", "-device", "intel-iommu"], "e1000e", |_| {});
    assert!(capture.text(TARGET).contains("iommu: VT-d at 0xfed90000 lets all devices through"));
    assert!(!capture.text(TARGET).contains("could reach memory"));
}

/// What was left running can't write to the memory that a large log takes, nor to that which a dead kernel's log is read
/// from.
#[test]
fn every_device_stops_before_others_memory_is_used() {
    const DEVICE: u8 = 3;
    let cases = [
        ("bus-masters", "log_buf_len=4M"),
        ("bus-masters-crash-kernel", "elfcorehdr=0x7000000 after=serve"),
        ("bus-masters-scan", "linux=scan"),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, parameters)| {
            let qtest = Qtest::new(name);
            let boot = Boot::new(name, format!("{PARAMETERS} {parameters}"))
                .nics([nic("virtio-net-pci,bus=pci.0,addr=5")]);
            let others = ["-device", "ich9-ahci,bus=pci.0,addr=3"];
            let boot = boot.first_arguments(others);
            let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
            let mut reach = qtest.accept();
            // SeaBIOS has looked for disks, and leaves their controller as it was then.
            machine.wait_for_text(TARGET, " could reach memory, and can't any more");
            machine.wait_for_text(TARGET, "firmware: ");
            let [disks, network] =
                machine.while_stopped(|| [DEVICE, 5].map(|device| reach.read_configuration(device, 4)));
            assert_eq!(disks & 4, 0, "the disks' controller has no right to");
            assert_eq!(network & 4, 4, "the network card has");
            machine.stop();
        },
    );
}

/// ACPI says nothing of it, so that nobody turns it off: the card takes frames and finishes none. What was to go out has not,
/// the kernel ends all the same, and the card was not restarted every second.
#[test]
fn a_card_that_stays_blocked_does_not_keep_the_kernel_from_ending() {
    let cases = [("card-blocked", "10.0.0.1"), ("card-blocked-dhcp", "")];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, address)| {
            let qtest = Qtest::new(name);
            let boot =
                Boot::new(name, format!("debug netconsole=+@{address}/,@10.0.0.2/ after=exit")).loses();
            let boot = boot.nics([nic("e1000e")]).paused();
            let boot = boot.first_arguments(["-M", "q35,acpi=off", "-device", "intel-iommu"]);
            let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
            let mut reach = qtest.accept();
            reach.write_long(0xfed9_0020, NOTHING);
            reach.write_word(0xfed9_0018, 1 << 30);
            reach.write_word(0xfed9_0018, 1 << 31);
            machine.monitor("cont");
            let capture = machine.end();
            assert_eq!(capture.status, status::NO_TARGET, "{name}: {}", capture.serial);
            assert_eq!(capture.text(TARGET), "", "{name}");
            let restarts = capture.serial.matches("the card does not answer, restarting it").count();
            // At 1, 2, 4 and 8 s.
            assert!((1..=5).contains(&restarts), "{name}: {restarts} restarts: {}", capture.serial);
        },
    );
}

/// As a card's bridge is after a reset: GRUB takes its bus numbers, its windows, and the card's addresses. On a q35 configuration
/// space is declared as if it were for devices, too.
#[test]
fn a_card_behind_a_bridge_as_after_a_reset_is_found() {
    let commands = [
        "setpci -s 01:01.0 4.W=0",
        "setpci -s 01:01.0 10.L=0",
        "setpci -s 01:01.0 14.L=0",
        "setpci -s 00:05.0 4.W=0",
        "setpci -s 00:05.0 1c.W=0",
        "setpci -s 00:05.0 20.L=0",
        "setpci -s 00:05.0 24.L=0",
        "setpci -s 00:05.0 18.L=0",
    ];
    let parameters = PARAMETERS;
    let commands = format!("{}\nmultiboot /boot/netconsole {parameters}", commands.join("\n"));
    let image = grub_image("bridge-reset-image", &kernel(), &commands);
    for (name, machine) in [("bridge-reset", "pc"), ("bridge-reset-q35", "q35")] {
        let boot = Boot::new(name, parameters).image(image.clone());
        let boot = boot.nics([nic("e1000,bus=b,addr=1")]);
        let bridge = ["-M", machine, "-device", "pci-bridge,id=b,chassis_nr=1,addr=5"];
        // QEMU's card confirms what its network has not yet taken: that all has come says the text alone.
        let machine = boot.first_arguments(bridge).start();
        for said in [
            "pci 00:05.0: the firmware gave the buses behind this bridge no numbers, they are 01 to 08 now",
            "pci 01:01.0: the firmware gave its registers no address, they have one now",
            "eth0: Intel 82540EM at 01:01.0",
        ] {
            machine.wait_for_text(TARGET, said);
        }
        machine.stop();
    }
}

/// The bridge above it has one bus, which is its own.
#[test]
fn a_bridge_for_which_no_number_is_free_is_named() {
    let commands = format!(
        "setpci -s 01:01.0 18.L=0\nsetpci -s 00:05.0 18.L=10100\nmultiboot /boot/netconsole {PARAMETERS} after=exit"
    );
    let image = grub_image("bridge-no-number-image", &kernel(), &commands);
    let bridges = [
        "-device",
        "pci-bridge,id=b1,chassis_nr=1,addr=5",
        "-device",
        "pci-bridge,id=b2,chassis_nr=2,bus=b1,addr=1",
    ];
    let boot = Boot::new("bridge-no-number", PARAMETERS).image(image).nics([nic("virtio-net-pci,bus=pci.0")]);
    let capture = boot.first_arguments(bridges).start().end();
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
    let said = "pci 01:01.0: the firmware gave the bus behind this bridge no number, and the range of the bus that it is on \
                has none left: no card is found there";
    assert!(capture.text(TARGET).contains(said), "{}", capture.text(TARGET));
}

/// An argument for QEMU that gives a machine an MCFG (PCI Firmware Specification 3.3, section 4.1.2) with such entries: the
/// address, the segment group, the first and the last bus.
fn mcfg(name: &str, entries: &[(u64, u16, u8, u8)]) -> String {
    let directory = target().join("tests/mcfg");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    let entry = |&(address, group, first, last): &(u64, u16, u8, u8)| {
        [&address.to_le_bytes()[..], &group.to_le_bytes(), &[first, last, 0, 0, 0, 0]].concat()
    };
    let entries: Vec<Vec<u8>> = entries.iter().map(entry).collect();
    let table = directory.join(name);
    fs::write(&table, [vec![0; 8], entries.concat()].concat()).expect("target/tests is writable");
    format!("sig=MCFG,rev=1,data={}", table.display())
}

/// A machine without an MCFG of its own is given one (PCI Firmware Specification 3.3, section 4.1.2).
#[test]
fn other_segment_groups_are_named() {
    let table = mcfg("segments", &[(0xe000_0000, 0, 0, 0xff), (0x10_0000_0000, 7, 0x10, 0x1f)]);
    let boot = Boot::new("segment-groups", format!("{PARAMETERS} after=exit")).peer(Peer::at("10.0.0.2"));
    let capture = boot.arguments(["-M", "pc", "-acpitable", &table]).start().end();
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
    let said = "pci: segment group 7, at 0x1000000000, buses 10 to 1f: cards are not looked for there";
    assert!(capture.text(TARGET).contains(said), "{}", capture.text(TARGET));
}

/// A virtual machine's configuration space is read in memory, where a read leaves the machine once. Where no hypervisor says
/// that it runs this, it is the ports, whatever the MCFG says.
#[test]
fn memory_is_preferred_in_a_virtual_machine_alone() {
    let said = "pci: configuration space is in memory at 0xb0000000, buses 00 to ff";
    let cases = [("mcfg-virtual", "qemu64", true), ("mcfg-real", "qemu64,-hypervisor", false)];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, cpu, is_virtual)| {
            let boot = Boot::new(name, format!("{PARAMETERS} after=exit")).nics([nic("virtio-net-pci")]);
            let capture = boot.first_arguments(["-M", "q35", "-cpu", cpu]).start().end();
            assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
            assert_eq!(capture.text(TARGET).contains(said), is_virtual, "{name}");
        },
    );
}

/// What an MCFG names that is not configuration space, or shows no card of it, takes no card away. (Where it shows one card and
/// hides another, the other is not found.) The machine has none of its own; this one's place is memory, which holds nothing, or the host bridge and nothing behind it.
#[test]
fn an_mcfg_that_is_wrong_takes_no_card_away() {
    const PLACE: u64 = 0x0c00_0000;
    const HOST_BRIDGE: (u32, u32) = (0x1237_8086, 0x0600_0002);
    let table = mcfg("wrong", &[(PLACE, 0, 0, 0)]);
    let warning =
        "pci: ports 0xcf8 and 0xcfc show what configuration space in memory does not: they are used";
    let cases = [
        ("mcfg-memory", false, ""),
        ("mcfg-part", true, ""),
        ("mcfg-part-crash", true, " crash=OVERWRITE_NIC"),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, shows_bridge, crash)| {
            let qtest = Qtest::new(name);
            let boot = Boot::new(name, format!("{PARAMETERS} after=exit{crash}")).repeats();
            let boot = boot.nics([nic("virtio-net-pci")]).paused();
            let boot = boot.first_arguments(["-M", "pc", "-m", "256M", "-acpitable", &table]);
            let mut machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
            let mut reach = qtest.accept();
            if shows_bridge {
                reach.write_word(PLACE, HOST_BRIDGE.0);
                reach.write_word(PLACE + 8, HOST_BRIDGE.1);
                // There is no device 31.
                reach.write_word(PLACE + (31 << 15), u32::MAX);
                reach.write_word(PLACE + (31 << 15) + 8, u32::MAX);
            }
            machine.monitor("cont");
            let capture = machine.end();
            let end = if crash.is_empty() { status::GOOD } else { status::PANIC };
            assert_eq!(capture.status, end, "{name}: serial:\n{}", capture.serial);
            let text = capture.text(TARGET);
            assert_eq!(text.contains(warning), shows_bridge, "{name}: {text}");
            assert_eq!(
                text.contains("pci: configuration space is in memory"),
                shows_bridge,
                "{name}: {text}"
            );
            assert!(text.contains("eth0: virtio network card at 00:0"), "{name}: {text}");
            assert_eq!(
                text.matches("pci 00:00.0: ").count(),
                1,
                "{name}: what both show is told once: {text}"
            );
        },
    );
}

/// The firmware does not boot from it, and leaves it asleep (PCI Power Management 1.2, section 3.2.4; QEMU's e1000e has
/// the capability at 0xc8).
#[test]
fn a_card_that_sleeps_is_woken() {
    let capture = boots_after("card-sleeps", &["-M", "q35"], "e1000e,addr=4", |machine| {
        machine.write_configuration(4, 0xcc, 3);
        assert_eq!(machine.read_configuration(4, 0xcc) & 3, 3);
    });
    assert!(capture.text(TARGET).contains("pci 00:04.0: it slept, and was woken"));
}
