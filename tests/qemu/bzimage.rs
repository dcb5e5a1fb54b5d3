//! The packed kernel: what it says where it can't unpack itself, and that it leaves alone what it must. That it starts
//! by every loader is in protocols.rs and efi.rs.

use crate::crash_reset;
use crate::harness::{Boot, Peer, target};
use crate::images::{UEFI, UEFI_TIME, fat_disk};
use crate::protocols::{PARAMETERS, bzimage, check};
use netconsole_bzimage::model::Model;
use netconsole_bzimage::stored::Packed;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn directory() -> PathBuf {
    let directory = target().join("tests/bzimage");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    directory
}

/// A copy whose last block of compressed data, far behind the program that unpacks it, has one bit flipped.
fn damaged(name: &str) -> String {
    let mut file = fs::read(bzimage()).expect("the kernel");
    let at = file.len() - 4096;
    file[at] ^= 1;
    let path = directory().join(name);
    fs::write(&path, file).expect("target/tests is writable");
    path.display().to_string()
}

/// A copy with its kernel stored, as netconsole-arm loads it, and one bit flipped in each of these parts.
fn stored(name: &str, parts: &[Part]) -> String {
    let packed = fs::read(bzimage()).expect("the kernel");
    let of_file = Packed::read(&packed).expect("the kernel is packed");
    let mut file = vec![0; of_file.stored_len().expect("it fits into memory")];
    of_file.store(&mut Box::new(Model::ZEROS), &mut file).expect("the packed kernel is whole");
    for part in parts {
        let len = match part {
            Part::Packed => packed.len(),
            Part::Stored => file.len(),
        };
        file[len - 4096] ^= 1;
    }
    let path = directory().join(name);
    fs::write(&path, file).expect("target/tests is writable");
    path.display().to_string()
}

enum Part {
    Packed,
    Stored,
}

/// What loaders go by (Documentation/arch/x86/boot.rst): the protocol's version; that the kernel runs at any page, above 4 GiB
/// too, and has a 64-bit entry that takes page tables of four levels or five; and how much memory it takes, all of which a
/// crash loader hashes. That it takes no more is shown in places.rs.
#[test]
fn the_header_says_what_loaders_go_by() {
    let file = fs::read(bzimage()).expect("the kernel");
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes"));
    let half = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().expect("2 bytes"));
    assert_eq!((&file[0x202..0x206], half(0x206)), (&b"HdrS"[..], 0x20f));
    let (kernel_alignment, relocatable_kernel, xloadflags) = (word(0x230), file[0x234], half(0x236));
    assert_eq!((kernel_alignment, relocatable_kernel, xloadflags), (0x1000, 1, 0x63));
    let init_size = word(0x260);
    assert!(init_size as usize > file.len() && init_size <= 2560 << 10, "{} KiB", init_size >> 10);
}

const DAMAGED: &str = "netconsole: the packed kernel is damaged";

/// Boots this file and expects these words on the serial port, before any of the kernel's own.
fn says(name: &'static str, arguments: &[&str], words: &str) {
    let boot = Boot::new(name, "").loader(arguments.iter().copied()).nics([]).timeout(UEFI_TIME);
    let machine = boot.start();
    machine.wait_for_serial(words);
    let serial = machine.stop().serial;
    assert!(!serial.contains("build id"), "{serial}");
}

#[test]
fn a_flipped_bit_is_said_on_the_serial_port() {
    says("bzimage-damaged", &["-kernel", &damaged("damaged.bzimage")], DAMAGED);
}

/// The firmware's shell starts the damaged kernel, and then, in the same memory, the good one.
#[test]
fn a_flipped_bit_is_said_to_the_firmware_and_its_memory_given_back() {
    let script = directory().join("startup.nsh");
    fs::write(&script, format!("fs0:\\damaged.efi\r\nfs0:\\good.efi {PARAMETERS}\r\n"))
        .expect("target/tests is writable");
    let (good, bad) = (bzimage(), damaged("damaged-efi.bzimage"));
    let files =
        [(script.as_path(), "startup.nsh"), (Path::new(&bad), "damaged.efi"), (Path::new(&good), "good.efi")];
    let disk = fat_disk(&directory().join("efi.img"), &files);
    let arguments = UEFI.into_iter().chain(["-drive", &disk, "-device", "virtio-blk-pci,drive=disk"]);
    // Without a network card, from which the firmware would try to boot first.
    let boot = Boot::new("bzimage-damaged-efi", "").loader(arguments).nics([]).timeout(UEFI_TIME);
    let machine = boot.start();
    machine.wait_for_serial("boot: by an unnamed loader, UEFI");
    let serial = machine.stop().serial;
    assert!(serial.contains(DAMAGED), "{serial}");
}

/// It starts though what is packed could not be unpacked.
#[test]
fn a_stored_kernel_is_not_unpacked() {
    let kernel = stored("stored.bzimage", &[Part::Packed]);
    let boot = Boot::new("bzimage-stored", PARAMETERS);
    let boot = boot.loader(["-m", "4", "-kernel", &kernel, "-append", PARAMETERS]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "bzimage-stored", "boot: by QEMU, Linux");
}

#[test]
fn in_place_of_a_damaged_stored_kernel_the_packed_one_starts() {
    let kernel = stored("stored-damaged.bzimage", &[Part::Stored]);
    let boot = Boot::new("bzimage-stored-damaged", PARAMETERS);
    let boot = boot.loader(["-m", "4", "-kernel", &kernel, "-append", PARAMETERS]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "bzimage-stored-damaged", "boot: by QEMU, Linux");
}

#[test]
fn where_both_are_damaged_it_is_said() {
    let kernel = stored("both-damaged.bzimage", &[Part::Packed, Part::Stored]);
    says("bzimage-both-damaged", &["-kernel", &kernel], DAMAGED);
}

#[test]
fn a_cpu_without_64_bit_mode_is_named() {
    says(
        "bzimage-32-bit",
        &["-kernel", &bzimage(), "-cpu", "pentium3"],
        "netconsole: this CPU has no 64-bit mode, which the kernel needs",
    );
}

/// QEMU's firmware leaves 2,944 KiB above the first MiB; with 3 MiB it leaves 1,920, and unpacking takes 2,024.
#[test]
fn four_mib_of_memory_are_enough() {
    let bzimage = bzimage();
    let boot = Boot::new("bzimage-small", PARAMETERS);
    let boot = boot.loader(["-m", "4", "-kernel", &bzimage, "-append", PARAMETERS]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "bzimage-small", "boot: by QEMU, Linux");
}

/// Neither loading nor unpacking touches the log that lies in memory since the boot before.
#[test]
fn the_log_of_the_boot_before_outlives_unpacking() {
    let crash = "flood=2000 crash=TRIPLE_FAULT";
    let (bzimage, parameters) = (bzimage(), format!("{} {crash}", crash_reset::PARAMETERS));
    let boot = crash_reset::boot("bzimage-reset", crash);
    let boot = boot.loader(["-kernel", &bzimage, "-append", &parameters]);
    crash_reset::check(&boot.start().end(), "crash: provoking TRIPLE_FAULT");
}

/// Signed as doc/linux.md says: the signature is right, is not any more once a bit is flipped, and the kernel starts.
#[test]
fn a_signed_kernel_verifies_and_starts() {
    let directory = directory().join("signed");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    fs::copy(bzimage(), directory.join("netconsole.bzimage")).expect("target/tests is writable");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/linux.md");
    let document = fs::read_to_string(document).expect("doc/linux.md");
    let (_, section) = document.split_once("## Secure Boot").expect("its section");
    let mut tools = Vec::new();
    let shell = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).current_dir(&directory).output();
        output.unwrap_or_else(|error| panic!("{command}: {error}"))
    };
    for command in section.lines().map(str::trim_start) {
        let Some(tool) = ["openssl", "sbsign", "sbverify"].into_iter().find(|tool| command.starts_with(tool))
        else {
            continue;
        };
        let output = shell(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}; is it missing? run scripts/setup sbsign");
        tools.push(tool);
    }
    assert_eq!(tools, ["openssl", "openssl", "sbsign", "sbverify"]);

    let signed = directory.join("signed.bzimage");
    let boot = Boot::new("bzimage-signed", PARAMETERS);
    let boot = boot.loader(["-kernel", &signed.display().to_string(), "-append", PARAMETERS]);
    check(&boot.peer(Peer::at("10.0.0.2")).start().end(), "bzimage-signed", "boot: by QEMU, Linux");

    let mut file = fs::read(&signed).expect("the signed kernel");
    let middle = file.len() / 2;
    file[middle] ^= 1;
    fs::write(directory.join("changed.bzimage"), file).expect("target/tests is writable");
    let output = shell("sbverify --cert MOK.crt changed.bzimage");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("fails hash check"), "{said}");
}
