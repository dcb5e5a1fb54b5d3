//! The kernel as a UEFI program: loaded by the firmware itself, by systemd-boot, and inside a unified kernel image.

use crate::harness::{Boot, Gdb, Peer, symbol, target};
use crate::images::{UEFI, UEFI_TIME, fat_disk, run};
use crate::protocols::{PARAMETERS, bzimage, check};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const STARTED: &str = "boot: by an unnamed loader, UEFI";
/// Where Debian's package systemd-boot-efi has its files.
const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const SYSTEMD_STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

fn directory() -> PathBuf {
    let directory = target().join("tests/efi");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    directory
}

/// Boots from a disk with these files.
fn boots_from(name: &'static str, files: &[(&Path, &str)]) {
    let disk = fat_disk(&directory().join(format!("{name}.img")), files);
    let arguments =
        UEFI.into_iter().chain(["-drive", &disk, "-device", "virtio-blk-pci,drive=disk,bootindex=0"]);
    let boot = Boot::new(name, PARAMETERS).loader(arguments).timeout(UEFI_TIME);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), name, STARTED);
}

#[test]
fn the_firmware_itself_loads_the_kernel() {
    let bzimage = bzimage();
    let arguments = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", PARAMETERS]);
    let boot = Boot::new("efi-firmware", PARAMETERS).loader(arguments).timeout(UEFI_TIME);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "efi-firmware", STARTED);
}

#[test]
fn systemd_boot_loads_the_kernel() {
    let (loader, entry) = (directory().join("loader.conf"), directory().join("netconsole.conf"));
    fs::write(&loader, "default netconsole.conf\ntimeout 0\n").expect("target/tests is writable");
    let text = format!("title netconsole\nlinux /netconsole.bzimage\noptions {PARAMETERS}\n");
    fs::write(&entry, text).expect("target/tests is writable");
    let bzimage = bzimage();
    let files = [
        (Path::new(SYSTEMD_BOOT), "EFI/BOOT/BOOTX64.EFI"),
        (&loader, "loader/loader.conf"),
        (&entry, "loader/entries/netconsole.conf"),
        (Path::new(&bzimage), "netconsole.bzimage"),
    ];
    boots_from("efi-systemd-boot", &files);
}

/// systemd's stub with the kernel and its command line as sections: one file that the firmware starts.
#[test]
fn a_unified_kernel_image_starts() {
    let (image, line) = (directory().join("netconsole.efi"), directory().join("command-line"));
    fs::write(&line, PARAMETERS).expect("target/tests is writable");
    let mut objcopy = Command::new("objcopy");
    for (section, file, address) in
        [(".cmdline", line.display().to_string(), 0x3_0000), (".linux", bzimage(), 0x200_0000)]
    {
        objcopy.args(["--add-section", &format!("{section}={file}")]);
        objcopy.args(["--change-section-vma", &format!("{section}={address:#x}")]);
    }
    run(objcopy.arg(SYSTEMD_STUB).arg(&image));
    boots_from("efi-unified", &[(&image, "EFI/BOOT/BOOTX64.EFI")]);
}

/// The kernel with the bytes `place` of bzimage/boot/efi.s changed from `at` on.
fn patched(name: &str, place: &[u8], at: usize, change: u32) -> String {
    let mut file = fs::read(bzimage()).expect("the kernel");
    let found = file.windows(place.len()).position(|bytes| bytes == place).expect("bzimage/boot/efi.s");
    file[found + at..found + at + 4].copy_from_slice(&change.to_le_bytes());
    let path = directory().join(name);
    fs::write(&path, file).expect("target/tests is writable");
    path.display().to_string()
}

/// The place that the kernel asks for is patched to where this machine has no memory.
#[test]
fn where_1_mib_is_taken_the_kernel_runs_elsewhere() {
    // mov qword ptr [rsp + 0x20], 0x100000
    let kernel =
        patched("elsewhere.bzimage", &[0x48, 0xc7, 0x44, 0x24, 0x20, 0x00, 0x00, 0x10, 0x00], 5, 0x7f00_0000);
    let arguments = UEFI.into_iter().chain(["-kernel", &kernel, "-append", PARAMETERS]);
    let boot = Boot::new("efi-elsewhere", PARAMETERS).loader(arguments).timeout(UEFI_TIME);
    let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
    check(&capture, "efi-elsewhere", STARTED);
    assert!(capture.serial.contains("boot: the kernel lies at 0x"), "{}", capture.serial);
}

/// The first boot is patched to run elsewhere, and ends within a call of the firmware; the second one, which runs where it asks
/// for, finds its log and the call's name there all the same, though the firmware goes on and has all other memory.
#[test]
fn the_log_of_a_boot_elsewhere_is_found_beside_the_firmware() {
    const TARGET: &str = "10.0.0.2:6666";
    let name = "efi-elsewhere-log";
    let place = [0x48, 0xc7, 0x44, 0x24, 0x20, 0x00, 0x00, 0x10, 0x00];
    // Where the firmware has nothing, and puts nothing while it loads a kernel.
    const ELSEWHERE: u32 = 0x0a00_0000;
    let kernel = patched("elsewhere-log.bzimage", &place, 5, ELSEWHERE);
    let (loader, entry) = (directory().join("loader-log.conf"), directory().join("netconsole-log.conf"));
    fs::write(&loader, "default netconsole.conf\ntimeout 0\n").expect("target/tests is writable");
    let text = "title netconsole\nlinux /netconsole.bzimage\n\
                options debug netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.snp=1\n";
    fs::write(&entry, text).expect("target/tests is writable");
    let image = directory().join(format!("{name}.img"));
    let files = [
        (Path::new(SYSTEMD_BOOT), "EFI/BOOT/BOOTX64.EFI"),
        (&loader, "loader/loader.conf"),
        (&entry, "loader/entries/netconsole.conf"),
        (Path::new(&kernel), "netconsole.bzimage"),
    ];
    let disk = fat_disk(&image, &files);
    let gdb = Gdb::new(name);
    let arguments =
        UEFI.into_iter().chain(["-drive", &disk, "-device", "virtio-blk-pci,drive=disk,bootindex=0"]);
    let boot = Boot::new(name, "").loader(arguments).timeout(UEFI_TIME * 2).repeats().paused();
    let boot = boot.arguments(gdb.arguments().iter().map(String::as_str)).peer(Peer::at("10.0.0.2"));
    let mut machine = boot.start();
    let mut stub = gdb.accept();
    stub.go_on();
    machine.wait_for_text(TARGET, "timer: the firmware's own ticks");
    let mut content = fs::read(&image).expect("the disk");
    let changed = [&place[..5], &ELSEWHERE.to_le_bytes()].concat();
    let found = content.windows(place.len()).position(|bytes| bytes == changed).expect("the kernel");
    content[found..found + place.len()].copy_from_slice(&place);
    fs::OpenOptions::new()
        .write(true)
        .open(&image)
        .and_then(|file| file.write_all_at(&content[found..found + place.len()], found as u64))
        .expect("the disk");
    // A call that does not come back: a jump to itself in its place.
    let call = symbol("firmware_gate_calls") - 0x10_0000 + u64::from(ELSEWHERE);
    stub.pause();
    stub.write(call, &[0xeb, 0xfe, 0x90]);
    stub.run_to(call);
    machine.monitor("system_reset");
    stub.go_on();
    machine.wait_for_text(TARGET, "boot: the kernel lies at 0xa000000\n boot=-1");
    machine.wait_for_text(TARGET, "firmware: the boot before ended inside of its ");
    machine.wait_for_text(TARGET, "acpi: FACP ");
    let text = machine.stop().text(TARGET);
    let lines = text.lines().filter(|line| line.contains("boot: the kernel lies at"));
    assert_eq!(
        lines.count(),
        text.matches("lies at 0xa000000\n boot=-1").count() + 1,
        "the second boot lies where it asks: {text}"
    );
}

/// The kernel's size is patched to more than this machine has memory.
#[test]
fn memory_that_is_not_to_be_had_is_said() {
    let file = fs::read(bzimage()).expect("the kernel");
    let size = u32::from_le_bytes(file[0x260..0x264].try_into().expect("4 bytes"));
    // mov r8d, the number of pages
    let pages = [&[0x41, 0xb8][..], &(size / 4096).to_le_bytes()].concat();
    let kernel = patched("large.bzimage", &pages, 2, 0x00ff_ffff);
    let boot = Boot::new("efi-no-memory", "").loader(UEFI.into_iter().chain(["-kernel", &kernel]));
    let machine = boot.nics([]).timeout(UEFI_TIME).start();
    machine.wait_for_serial("netconsole: the firmware has no memory for the kernel");
    // What the firmware does when a program has come back.
    machine.wait_for_serial("Shell");
    machine.stop();
}
