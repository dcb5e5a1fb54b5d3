//! Machines of other sizes and kinds.

use crate::harness::{Boot, Gdb, Nic, Peer, kernel, side_by_side, status, symbol};
use crate::loaders::grub_image;

#[test]
fn every_machine_ships_its_log() {
    for (name, arguments) in [
        ("memory-6G", &["-m", "6G"][..]),
        ("q35", &["-M", "q35"]),
        ("q35-6G", &["-M", "q35", "-m", "6G"]),
        ("newest-cpu", &["-cpu", "max"]),
    ] {
        let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
        let capture = boot.peer(Peer::at("10.0.0.2")).arguments(arguments.iter().copied()).start().end();
        assert_eq!(capture.status, status::GOOD, "{name}; serial:\n{}", capture.serial);
        assert!(capture.text("10.0.0.2:6666").contains("network logging started"), "{name}");
    }
}

/// Of 3 MiB QEMU's BIOS leaves 1,920 KiB above the first one, where the kernel lies with all but the cards' memory, and 639 below
/// it: not all cards have theirs there, and those that have none are named.
#[test]
fn three_mib_of_memory_are_enough() {
    let cases = [
        ("memory-3M-pc", "pc", "after=exit", status::GOOD),
        ("memory-3M-q35", "q35", "after=exit", status::GOOD),
        ("memory-3M-pc-panic", "pc", "after=exit crash=EXCEPTION", status::PANIC),
        ("memory-3M-q35-panic", "q35", "after=exit crash=EXCEPTION", status::PANIC),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, machine, parameters, end)| {
            let parameters = format!("debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/ {parameters}");
            let cards = (0..4).map(|_| Nic::device("virtio-net-pci").peer(Peer::at("10.0.0.2")));
            let boot = Boot::new(name, &parameters).first_arguments(["-M", machine, "-m", "3"]);
            let capture = boot.nics(cards).repeats().start().end();
            assert_eq!(capture.status, end, "{name}; serial:\n{}", capture.serial);
            let text = capture.text("10.0.0.2:6666");
            let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
            let has_room = count(": virtio network card at ");
            let has_none = count("there is no memory for one more network card, not used");
            assert!(has_room > 0 && has_room + has_none == 4 && has_none > 0, "{name}: {text}");
            assert_eq!(
                count(&format!("for each network card, of which there is room for {has_room}")),
                1,
                "{text}"
            );
            let is_panic = text.contains("---[ end Kernel panic");
            assert_eq!(is_panic, end == status::PANIC, "{name}: {text}");
        },
    );
}

#[test]
fn a_nic_behind_bridges_is_found() {
    let bridges =
        ["-device", "pci-bridge,id=b1,chassis_nr=1", "-device", "pci-bridge,id=b2,chassis_nr=2,bus=b1"];
    let nic = Nic::device("virtio-net-pci,bus=b2,addr=3").peer(Peer::at("10.0.0.2"));
    let boot = Boot::new("bridges", "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
    let capture = boot.nics([nic]).first_arguments(bridges).start().end();
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
}

/// QEMU's CPUs have 40 bits: GRUB places a card's registers just beyond them.
#[test]
fn registers_beyond_the_cpu_s_addresses_are_named() {
    let parameters = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
    let commands = format!("setpci -s 00:04.0 24.L=100\nmultiboot /boot/netconsole {parameters}");
    let image = grub_image("far-registers-image", &kernel(), &commands);
    let nic = Nic::device("virtio-net-pci,addr=4").peer(Peer::at("10.0.0.2"));
    let capture = Boot::new("far-registers", parameters).nics([nic]).image(image).start().end();
    let said =
        "can't map its registers at 0x100febf8000: it lies beyond the 40 bits of address that this CPU has";
    assert!(capture.serial.contains(said), "{}", capture.serial);
    assert!(!capture.serial.contains("page fault"), "{}", capture.serial);
    assert_eq!(capture.status, status::NO_TARGET);
}

/// An Intel CPU is asked whether its firmware has turned no-execute off; one that has none says so all the same.
#[test]
fn a_cpu_without_no_execute_is_told_on_serial() {
    for cpu in ["Nehalem,-nx", "qemu64,-nx"] {
        let machine = Boot::new("no-execute", "").arguments(["-cpu", cpu]).start();
        machine.wait_for_serial("this CPU has no 64-bit mode with no-execute pages, which the kernel needs");
        machine.stop();
    }
}

/// GRUB sets the bit with which Intel's firmware turns no-execute off (IA32_MISC_ENABLE, bit 34): on Intel's CPUs it is
/// cleared, and another maker's register of that number is left alone. QEMU's CPUs have no-execute or not, whatever it says.
#[test]
fn intel_s_switch_of_no_execute_is_turned_back() {
    /// `mov ecx, 0x1a0`, `rdmsr`, and a jump to itself.
    const READ: &[u8] = &[0xb9, 0xa0, 0x01, 0, 0, 0x0f, 0x32, 0xeb, 0xfe];
    const RDX: usize = 3;
    let commands = "wrmsr 0x1a0 0x400000001\nmultiboot /boot/netconsole";
    let image = grub_image("no-execute-image", &kernel(), commands);
    for (name, cpu, stays) in
        [("no-execute-intel", "Nehalem,-nx", false), ("no-execute-amd", "qemu64,-nx", true)]
    {
        let gdb = Gdb::new(name);
        let boot = Boot::new(name, "").image(image.clone()).arguments(["-cpu", cpu]).paused();
        let machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).start();
        let mut stub = gdb.accept();
        let refused = symbol("no_long_mode");
        stub.run_to(refused);
        stub.write(refused, READ);
        stub.run_to(refused + 7);
        assert_eq!(stub.register(RDX) & 1 << (34 - 32) != 0, stays, "{cpu}");
        machine.stop();
    }
}

/// CPUs of fifteen years, as many as the firmware counts without help, and more memory than 36 bits of address have.
#[test]
fn every_cpu_ships_its_log() {
    const MANY: [&str; 6] = ["-M", "q35", "-smp", "255", "-accel", "tcg,thread=single"];
    const LARGE: [&str; 6] = [
        "-m",
        "64G",
        "-object",
        "memory-backend-ram,id=m,size=64G,reserve=off",
        "-M",
        "q35,memory-backend=m",
    ];
    // One that no hypervisor runs, as far as it knows, writes the log back to memory, each of these in its own way.
    let cases: [(&str, &[&str]); 13] = [
        ("cpu-clflush", &["-cpu", "Nehalem,-hypervisor"]),
        ("cpu-clflushopt", &["-cpu", "Skylake-Client,-hypervisor"]),
        ("cpu-clwb", &["-cpu", "Icelake-Server,-hypervisor"]),
        ("cpu-nehalem", &["-cpu", "Nehalem"]),
        ("cpu-sandy-bridge", &["-cpu", "SandyBridge"]),
        ("cpu-haswell", &["-cpu", "Haswell"]),
        ("cpu-skylake", &["-cpu", "Skylake-Server"]),
        ("cpu-opteron", &["-cpu", "Opteron_G5"]),
        ("cpu-epyc", &["-cpu", "EPYC"]),
        ("cpu-epyc-v4", &["-cpu", "EPYC-v4"]),
        ("cpu-max-qemu10", &["-cpu", "max"]),
        ("cpus-255", &MANY),
        ("memory-64G", &LARGE),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, arguments)| {
            let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
            // EPYC-v4 is newer than QEMU 7.2.
            let boot = if matches!(name, "cpu-epyc-v4" | "cpu-max-qemu10") { boot.in_qemu10() } else { boot };
            let capture = boot.peer(Peer::at("10.0.0.2")).arguments(arguments.iter().copied()).start().end();
            assert_eq!(capture.status, status::GOOD, "{name}; serial:\n{}", capture.serial);
            let text = capture.text("10.0.0.2:6666");
            assert!(text.contains("network logging started"), "{name}");
            assert_eq!(text.contains("cpu: 255 processors, says ACPI"), name == "cpus-255", "{text}");
        },
    );
}

/// QEMU tells a kernel that it loads by multiboot nothing of a microvm's cards unless ACPI does.
#[test]
fn a_microvm_that_tells_nothing_is_told_of() {
    let boot = Boot::new("microvm-silent", "").nics([crate::harness::Nic::device("virtio-net-device")]);
    let parameters = "netconsole=@/,@10.0.0.2/ after=exit";
    let elf = kernel().display().to_string();
    let boot = boot.loader(["-kernel", &elf, "-append", parameters, "-M", "microvm,acpi=off"]);
    let capture = boot.start().end();
    assert_eq!(capture.status, status::NO_TARGET, "serial:\n{}", capture.serial);
    let cure = "boot netconsole.bzimage in place of netconsole.elf";
    assert!(capture.serial.contains(cure), "serial:\n{}", capture.serial);
}
