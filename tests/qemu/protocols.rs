//! The ways to start the kernel besides multiboot 1, which QEMU's `-kernel` takes (all other tests) and GRUB
//! (loaders.rs), and multiboot 2 (images.rs): PVH, Linux's protocol; and virtio over MMIO, which comes with
//! PVH on microVMs.

use crate::harness::{Boot, Capture, Nic, Peer, kernel, status, target};
use crate::images::{fat_disk, run};
use crate::loaders::grub_image;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

pub const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
const TARGET: &str = "10.0.0.2:6666";

fn directory() -> PathBuf {
    let directory = target().join("tests/protocols");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    directory
}

/// The kernel without its multiboot header, which QEMU looks for first.
pub fn kernel_for_pvh(name: &str) -> String {
    let mut elf = fs::read(kernel()).expect("the kernel");
    let magic = 0x1bad_b002_u32.to_le_bytes();
    let at = elf.windows(4).position(|word| word == magic).expect("a multiboot header");
    elf[at..at + 4].fill(0);
    let path = directory().join(name);
    fs::write(&path, elf).expect("target/tests is writable");
    path.display().to_string()
}

/// The file for Linux's loaders and UEFI firmware.
pub fn bzimage() -> String {
    let path = target().join("netconsole.bzimage");
    assert!(path.is_file(), "{} is missing: run scripts/build", path.display());
    path.display().to_string()
}

/// Expects the whole log, and that it says how the kernel was started.
pub fn check(capture: &Capture, name: &str, started: &str) {
    assert_eq!(capture.status, status::GOOD, "{name}; serial:\n{}", capture.serial);
    let messages = capture.messages(TARGET);
    let said = |text: &str| messages.iter().any(|message| message.text.contains(text));
    assert!(said(started) && said("network logging started"), "{name}: {}", capture.text(TARGET));
    assert!(said(PARAMETERS), "{name}: the command line is logged");
    assert!(!said("MiB are assumed") && !said("damaged"), "{name}: the memory map was read");
}

#[test]
fn pvh_on_a_pc() {
    let kernel = kernel_for_pvh("pc.elf");
    let boot = Boot::new("pvh-pc", PARAMETERS).loader(["-kernel", &kernel, "-append", PARAMETERS]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "pc", "boot: by an unnamed loader, PVH");
}

#[test]
fn pvh_on_a_microvm_with_virtio_over_mmio() {
    let kernel = kernel_for_pvh("microvm.elf");
    for (name, arguments) in [
        ("microvm-acpi-legacy", &["-M", "microvm"][..]),
        ("microvm-acpi-modern", &["-M", "microvm", "-global", "virtio-mmio.force-legacy=false"]),
        ("microvm-command-line", &["-M", "microvm,acpi=off"]),
        // Without any serial port.
        ("microvm-no-serial", &["-M", "microvm,isa-serial=off"]),
    ] {
        let boot = Boot::new(name, PARAMETERS).loader(["-kernel", &kernel, "-append", PARAMETERS]);
        let nic = Nic::device("virtio-net-device").peer(Peer::at("10.0.0.2"));
        let capture = boot.nics([nic]).first_arguments(arguments.iter().copied()).start().end();
        check(&capture, name, "boot: by an unnamed loader, PVH");
        assert!(capture.text(TARGET).contains("eth0: virtio network card at virtio-mmio 0xfeb"), "{name}");
        assert_eq!(capture.serial.is_empty(), name == "microvm-no-serial");
        let by_parameter = capture.text(TARGET).contains("virtio_mmio.device=512@0xfeb");
        assert_eq!(by_parameter, name == "microvm-command-line");
    }
}

/// Machines whose cards are found by ACPI, legacy and modern ones, and by the command line.
const MICROVMS: [(&str, &[&str]); 3] = [
    ("legacy", &["-M", "microvm"]),
    ("modern", &["-M", "microvm", "-global", "virtio-mmio.force-legacy=false"]),
    ("command-line", &["-M", "microvm,acpi=off"]),
];

/// Crashes a microVM and expects the whole report at `target`, and nothing missing.
fn crash_on_a_microvm(crash: &str, machine: (&str, &[&str]), target: &str, end: &str) {
    let (machine, arguments) = machine;
    let name = format!("microvm-{crash}-{machine}").leak();
    let parameters = format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ crash={crash} after=exit");
    let kernel = kernel_for_pvh(&format!("{name}.elf"));
    let boot = Boot::new(name, parameters.as_str()).loader(["-kernel", &kernel, "-append", &parameters]);
    let nic = Nic::device("virtio-net-device").peer(Peer::at("10.0.0.2"));
    let capture = boot.repeats().nics([nic]).first_arguments(arguments.iter().copied()).start().end();
    assert_eq!(capture.status, status::PANIC, "{name}; serial:\n{}", capture.serial);
    let text = capture.text(target);
    let end = format!("---[ end Kernel panic - not syncing: {end} ]---");
    for part in ["Command line:", "crash: provoking", &end] {
        assert!(text.contains(part), "{name}: '{part}' is missing:\n{text}");
    }
}

#[test]
fn a_crash_on_a_microvm_is_reported() {
    for machine in MICROVMS {
        for (crash, end) in
            [("EXCEPTION", "page fault"), ("HUNG_DEVICE", "panic"), ("OVERWRITE_NIC", "panic")]
        {
            crash_on_a_microvm(crash, machine, TARGET, end);
        }
    }
}

#[test]
fn a_microvm_s_card_is_found_where_the_targets_are_damaged() {
    for machine in MICROVMS {
        crash_on_a_microvm("OVERWRITE_TARGETS", machine, "255.255.255.255:6666", "panic");
    }
}

#[test]
fn a_microvm_s_card_that_the_command_line_names_is_found_before_it_is_up() {
    crash_on_a_microvm("EXCEPTION@early", MICROVMS[2], TARGET, "page fault");
}

#[test]
fn linux_s_protocol_by_qemu() {
    let bzimage = bzimage();
    let boot = Boot::new("linux-qemu", PARAMETERS).loader(["-kernel", &bzimage, "-append", PARAMETERS]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "linux-qemu", "boot: by QEMU, Linux");
}

#[test]
fn linux_s_protocol_by_grub() {
    let commands = format!("linux /boot/netconsole {PARAMETERS}");
    let image = grub_image("linux-grub-image", Path::new(&bzimage()), &commands);
    let boot = Boot::new("linux-grub", PARAMETERS).image(image).peer(Peer::at("10.0.0.2"));
    check(&boot.start().end(), "linux-grub", "boot: by GRUB, Linux");
}

#[test]
fn linux_s_protocol_by_syslinux() {
    let (image, menu) = (directory().join("syslinux.img"), directory().join("syslinux.cfg"));
    let text =
        format!("default netconsole\nlabel netconsole\nlinux netconsole.bzimage\nappend {PARAMETERS}\n");
    fs::write(&menu, text).expect("target/tests is writable");
    let disk = fat_disk(&image, &[(&menu, "syslinux.cfg"), (Path::new(&bzimage()), "netconsole.bzimage")]);
    run(Command::new("syslinux").arg("--install").arg(&image));
    let boot = Boot::new("linux-syslinux", PARAMETERS);
    let boot = boot.loader(["-drive", &disk, "-device", "ide-hd,drive=disk,bootindex=0"]);
    let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
    check(&capture, "linux-syslinux", "boot: by Syslinux, Linux");
}

/// The boot ROM of QEMU's cards.
#[test]
fn ipxe() {
    let directory = directory().join("ipxe");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    fs::copy(bzimage(), directory.join("netconsole.bzimage")).expect("a copy of the kernel");
    let script = format!("#!ipxe\nkernel netconsole.bzimage {PARAMETERS}\nboot\n");
    fs::write(directory.join("boot.ipxe"), script).expect("a script");
    let network = format!("user,id=boot,tftp={},bootfile=boot.ipxe", directory.display());
    let card = "virtio-net-pci,netdev=boot,mac=52:54:00:12:34:99,addr=0x10,bootindex=0";
    let boot = Boot::new("ipxe", PARAMETERS).loader(["-netdev", &network, "-device", card]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "ipxe", "boot: by Etherboot/gPXE, Linux");
}

/// A Debian Linux that starts the kernel in one of the ways of scripts/kexec-linux, in a machine of this much memory, with
/// its own parameters.
fn kexec(name: &'static str, way: &str, memory: &str, linux: &str) -> Capture {
    // Made once, also where several tests want it at the same time.
    static MADE: Mutex<()> = Mutex::new(());
    let directory = target().join("kexec-linux");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kexec-linux");
    let guard = MADE.lock().expect("the other test has made it");
    let made = Command::new(script).arg(&directory).args([PARAMETERS, way]).output();
    drop(guard);
    let made = made.expect("scripts/kexec-linux runs");
    assert!(made.status.success(), "kexec-linux: {}", String::from_utf8_lossy(&made.stderr));
    let (kernel, initrd) = (directory.join("vmlinuz"), directory.join(format!("initrd-{way}")));
    let [kernel, initrd] = [kernel, initrd].map(|file| file.display().to_string());
    // On a busy host Linux would find its timer too slow.
    let append = format!("quiet console=ttyS0 no_timer_check {linux}");
    let loader = ["-kernel", &kernel, "-initrd", &initrd, "-append", &append, "-m", memory];
    let boot = Boot::new(name, PARAMETERS).loader(loader).timeout(Duration::from_secs(180));
    let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
    check(&capture, name, "boot: by kexec-tools, Linux");
    capture
}

/// Where the log says that the kernel lies.
fn place(capture: &Capture) -> u64 {
    let text = capture.text(TARGET);
    let place = text.lines().find_map(|line| line.split_once("boot: the kernel lies at 0x"));
    let (_, place) = place.unwrap_or_else(|| panic!("it lies at 1 MiB: {text}"));
    u64::from_str_radix(place.trim(), 16).expect("an address")
}

#[test]
fn linux_s_protocol_by_kexec_from_a_debian_linux() {
    kexec("kexec", "load", "512", "");
}

/// Linux puts it where it finds room.
#[test]
fn linux_s_protocol_by_kexec_file_load() {
    place(&kexec("kexec-file", "file", "512", ""));
}

/// The crash kernel of a Linux that has set 4 MiB aside for it.
#[test]
fn linux_s_crash_kernel_in_4_mib() {
    let capture = kexec("kexec-crash", "crash", "512", "crashkernel=4M");
    // As /proc/iomem has it.
    let region = capture.serial.lines().find_map(|line| line.trim().strip_suffix(" : Crash kernel"));
    let (first, last) = region.and_then(|region| region.split_once('-')).expect("the region");
    let [first, last] = [first, last].map(|address| u64::from_str_radix(address, 16).expect("an address"));
    assert_eq!(last - first + 1, 4 << 20);
    assert!((first..last - (2 << 20)).contains(&place(&capture)));
}
