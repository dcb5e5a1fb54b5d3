//! Where the cards are, and what lies between them and memory: PCI by memory, further root buses, and what somebody left
//! running: other devices, IOMMUs. Outside of the machine is qtest, which does what a firmware or a kernel did before.

use crate::crash::distinct;
use crate::harness::{Boot, Capture, Nic, Peer, Qtest, Reach, side_by_side, status};
use crate::protocols::kernel_for_pvh;

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
            let capture = boots_after(name, arguments, "e1000e", leave);
            assert!(capture.text(TARGET).contains(said));
            assert!(capture.text(TARGET).contains(" was left on, and is off now"));
        },
    );
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
            let machine = boot.arguments(qtest.arguments().iter().map(String::as_str)).start();
            let mut reach = qtest.accept();
            // SeaBIOS has looked for disks, and leaves their controller as it was then.
            machine.wait_for_text(TARGET, " could reach memory, and can't any more");
            machine.wait_for_text(TARGET, "firmware: ");
            assert_eq!(reach.read_configuration(DEVICE, 4) & 4, 0, "the disks' controller has no right to");
            assert_eq!(reach.read_configuration(5, 4) & 4, 4, "the network card has");
            machine.stop();
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
