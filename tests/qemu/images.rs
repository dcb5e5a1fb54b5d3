//! What scripts/image makes, as a test board boots it: stick and CD, BIOS and UEFI, and over the network.

use crate::harness::{Boot, Capture, Nic, Peer, status, target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// UEFI needs more memory than a BIOS, and under emulation more time. Every boot device below has a
/// `bootindex`, so that it leaves alone all others, the card whose cable the test looks at among them.
pub const UEFI: [&str; 4] = ["-bios", "/usr/share/ovmf/OVMF.fd", "-m", "512"];
pub const UEFI_TIME: Duration = Duration::from_secs(180);

/// What the tests write into netconsole.cfg, as an editor on Windows ends its lines.
const EDITED: &str = "# edited\r\nset parameters='debug netconsole=+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,7777@10.0.0.2/ \
                      after=exit'\r\n";

/// Runs a program that is to succeed.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A disk of 32 MiB with one FAT file system and these files in it, for QEMU's `-drive`, by the id `disk`.
pub fn fat_disk(image: &Path, files: &[(&Path, &str)]) -> String {
    let _ = fs::remove_file(image);
    run(Command::new("mformat")
        .args(["-C", "-T", "65536", "-h", "16", "-s", "32", "-i"])
        .arg(image)
        .arg("::"));
    for (from, to) in files {
        let folders = Path::new(to).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        for folder in folders.collect::<Vec<_>>().into_iter().rev() {
            // It may be there already.
            let _ = Command::new("mmd").arg("-i").arg(image).arg(format!("::{}", folder.display())).output();
        }
        run(Command::new("mcopy").args(["-o", "-i"]).arg(image).arg(from).arg(format!("::{to}")));
    }
    format!("if=none,id=disk,format=raw,snapshot=on,file={}", image.display())
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/image"))
}

pub fn directory() -> PathBuf {
    let directory = target().join("tests/images");
    fs::create_dir_all(&directory).expect("target/tests is writable");
    directory
}

/// The image as scripts/image makes it.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let image = directory().join("stick.img").display().to_string();
        run(script().args(["--output", &image]));
        image
    })
}

/// The image after a person has edited netconsole.cfg on its FAT partition.
pub fn edited_image(name: &str, text: &str) -> String {
    let directory = directory();
    let (image, edited) = (directory.join(format!("{name}.img")), directory.join(format!("{name}.cfg")));
    fs::copy(self::image(), &image).expect("a copy of the image");
    fs::write(&edited, text).expect("an edited file");
    let partition = format!("{}@@{}", image.display(), fat_partition(&image));
    run(Command::new("mcopy").args(["-o", "-i", &partition]).arg(&edited).arg("::netconsole.cfg"));
    image.display().to_string()
}

/// Where the partition begins, in bytes: the one that the GPT (UEFI specification 2.10, section 5.3) calls
/// basic data.
fn fat_partition(image: &Path) -> u64 {
    const BASIC_DATA: [u8; 16] = 0xa2a0_d0eb_e5b9_3344_87c0_68b6_b726_99c7_u128.to_be_bytes();
    let disk = fs::read(image).expect("the image");
    let number = |at: usize| u64::from_le_bytes(disk[at..at + 8].try_into().expect("8 bytes"));
    let entries = usize::try_from(number(512 + 72)).expect("a sector's number") * 512;
    // The gaps between the image's parts are of that type, too.
    let starts = disk[entries..].chunks(128).take(16).filter(|entry| entry.starts_with(&BASIC_DATA));
    let mut starts = starts.map(|entry| u64::from_le_bytes(entry[32..40].try_into().expect("8 bytes")) * 512);
    let is_fat = |start: &u64| disk[*start as usize + 54..].starts_with(b"FAT");
    starts.find(is_fat).expect("a FAT partition")
}

/// The image on a USB stick.
fn stick(image: &str) -> [String; 6] {
    let drive = format!("if=none,id=stick,format=raw,snapshot=on,file={image}");
    ["-drive", &drive, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0"]
        .map(String::from)
}

/// How GRUB starts the kernel.
const BY_BIOS: &str = "multiboot2";
const BY_UEFI: &str = "boot: by an unnamed loader, UEFI";

/// Boots by these arguments and expects what [`EDITED`] asks for.
fn boots_as_edited(name: &'static str, arguments: &[&str], way: &str) -> Capture {
    let boot = Boot::new(name, "debug").loader(arguments.iter().copied()).timeout(UEFI_TIME);
    let capture = boot.peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD, "{name}; serial:\n{}", capture.serial);
    let messages = capture.messages("10.0.0.2:6666");
    let said = |text: &str| messages.iter().any(|message| message.text.contains(text));
    assert!(said("network logging started") && said(way), "{name}");
    assert!(capture.text("10.0.0.2:7777").contains("network logging started"), "{name}");
    capture
}

#[test]
fn without_any_edit_the_log_is_broadcast() {
    let stick = stick(image());
    let boot = Boot::new("image-default", "").loader(stick.iter().map(String::as_str));
    let machine = boot.nics([Nic::virtio().user_network()]).start();
    machine.wait_for_text("255.255.255.255:6666", "network logging started");
    machine.wait_for_text("255.255.255.255:6666", "machine: QEMU");
    machine.wait_for_text("255.255.255.255:6666", "eth0: IPv4 address 10.0.2.15/24 by DHCP");
    machine.stop();
}

#[test]
fn it_is_small() {
    let size = fs::metadata(image()).expect("the image").len();
    assert!(size < 8 << 20, "{size} bytes");
}

#[test]
fn a_stick_boots_by_bios() {
    let stick = stick(&edited_image("bios", EDITED));
    let arguments: Vec<&str> = stick.iter().map(String::as_str).collect();
    boots_as_edited("image-stick-bios", &arguments, BY_BIOS);
}

/// On a board with a card that there is a driver for here, and one that the firmware drives.
#[test]
fn a_stick_boots_by_uefi() {
    let stick = stick(&edited_image("uefi", EDITED));
    // The last -m counts.
    let other = ["-m", "8G", "-netdev", "user,id=other", "-device", "pcnet,netdev=other,addr=0x10"];
    let arguments: Vec<&str> =
        UEFI.into_iter().chain(other).chain(stick.iter().map(String::as_str)).collect();
    let capture = boots_as_edited("image-stick-uefi", &arguments, BY_UEFI);
    let text = capture.text("10.0.0.2:7777");
    assert!(text.contains("firmware: UEFI 2."), "{text}");
    assert!(text.contains("eth1: card that the firmware drives at 00:10.0"), "{text}");
    assert!(text.contains("1 of which it had left unconnected"), "it booted from the stick: {text}");
    // OVMF puts the card's 64-bit BAR above 4 GiB.
    let card = text.lines().find(|line| line.contains("ethernet controller")).expect("the card");
    let address = card.split("BAR4 0x").nth(1).and_then(|rest| rest.split('+').next()).expect("a BAR");
    assert!(u64::from_str_radix(address, 16).expect("an address") >= 1 << 32, "{card}");
}

/// Chosen on the serial port, as on a board without a screen.
#[test]
fn the_menu_on_the_serial_port_has_a_verbose_entry() {
    let text = "set parameters='netconsole=@10.0.0.1/,@10.0.0.2/ after=exit'\nset timeout=100\n";
    let stick = stick(&edited_image("verbose", text));
    let boot = Boot::new("image-verbose", "").loader(stick.iter().map(String::as_str));
    let mut machine = boot.peer(Peer::at("10.0.0.2")).timeout(UEFI_TIME).start();
    machine.wait_for_serial("netconsole, verbose: everything that is logged");
    // GRUB's key for the next entry, and return.
    machine.type_in("\x0e\r");
    let capture = machine.end();
    assert_eq!(capture.status, status::GOOD);
    let text = capture.text("10.0.0.2:6666");
    assert!(text.contains("boot: usable memory 0x"), "no debug messages:\n{text}");
}

#[test]
fn safe_mode_ships_through_every_card_without_dhcp() {
    let stick = stick(&edited_image("safe", "this is no parameter\nset default=2\nset timeout=0\n"));
    let boot = Boot::new("image-safe-mode", "debug").loader(stick.iter().map(String::as_str));
    let machine = boot.nics([Nic::virtio(), Nic::virtio()]).start();
    // Each card is an Ethernet of its own; which one a datagram left by shows in the capture.
    machine.wait_for_text("255.255.255.255:6666", "interface name 'eth1'");
    machine.wait_for("a datagram from eth1", |events| {
        events.sent.iter().any(|sent| sent.nic == 1 && sent.datagram().is_some()).then_some(())
    });
    machine.stop();
}

/// What the boot before sealed is not broadcast in the clear.
#[test]
fn safe_mode_withholds_what_was_sealed() {
    let key = "0f".repeat(32);
    let text = format!(
        "set parameters='debug netconsole=@10.0.0.1/,@10.0.0.2/ netconsole.key={key} crash=TRIPLE_FAULT'\n\
         set timeout=100\n"
    );
    let stick = stick(&edited_image("safe-sealed", &text));
    let boot = Boot::new("image-safe-sealed", "debug").loader(stick.iter().map(String::as_str)).repeats();
    let mut machine = boot.peer(Peer::at("10.0.0.2")).start();
    let end = "Memory of the last crash";
    machine.wait_for_serial(end);
    machine.type_in("\r");
    machine.wait_for("the menu again", |events| {
        let serial = String::from_utf8_lossy(&events.serial);
        serial.split_once("Command line: ")?.1.contains(end).then_some(())
    });
    // GRUB's key for the next entry, twice, and return.
    machine.type_in("\x0e\x0e\r");
    machine
        .wait_for_text("255.255.255.255:6666", "withheld: they leave only sealed with the key of their boot");
    machine.wait_for_text("255.255.255.255:6666", "network logging started");
    machine.wait_until_quiet(Duration::from_millis(500));
    let text = machine.stop().text("255.255.255.255:6666");
    assert!(!text.contains("[boot -") && !text.contains("provoking"), "{text}");
}

#[test]
fn the_log_of_a_crash_outlives_the_way_through_the_menu() {
    let text = "set parameters='netconsole=@10.0.0.1/,@10.0.0.2/ crash=EXCEPTION panic=-1'\n\
                set default=3\nset timeout=0\n";
    let stick = stick(&edited_image("crash", text));
    let boot = Boot::new("image-crash", "").loader(stick.iter().map(String::as_str)).repeats();
    let machine = boot.peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_text("10.0.0.2:6666", "previous boot ended without a goodbye");
    let capture = machine.stop();
    let text = capture.text("10.0.0.2:6666");
    assert!(text.lines().any(|line| line.starts_with("[boot -1] ") && line.contains("page fault")), "{text}");
}

/// The log of a Linux goes to whom netconsole.cfg names, and to everybody only by the second choice.
#[test]
fn the_menu_searches_for_the_log_of_a_linux() {
    for (name, choice, target, said) in [
        ("image-linux-given", "4>0", "10.0.0.2:6666", "after=exit debug linux=scan linux.broadcast=0\n"),
        ("image-linux-everybody", "4>1", "255.255.255.255:6666", "netconsole=@/,@/ debug linux=again\n"),
    ] {
        let text = format!(
            "set parameters='netconsole=@10.0.0.1/,@10.0.0.2/ after=exit'\nset default='{choice}'\nset timeout=0\n"
        );
        let stick = stick(&edited_image(name, &text));
        let boot = Boot::new(name, "").loader(stick.iter().map(String::as_str));
        let machine = boot.peer(Peer::at("10.0.0.2")).start();
        machine.wait_for_text(target, "linux: no log of a Linux was found in memory");
        machine.wait_for_text(target, said);
    }
}

/// The image on a CD. That can't be edited: the parameters come from `--append`.
fn cd() -> [String; 4] {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let image = IMAGE.get_or_init(|| {
        let image = directory().join("cd.img").display().to_string();
        run(script().args(["--output", &image, "--append", PARAMETERS]));
        image
    });
    let drive = format!("if=none,id=cd,media=cdrom,format=raw,file={image}");
    ["-drive", &drive, "-device", "ide-cd,drive=cd,bootindex=0"].map(String::from)
}

/// What [`EDITED`] has.
const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,7777@10.0.0.2/ after=exit";

#[test]
fn a_cd_boots_by_bios() {
    let cd = cd();
    let arguments: Vec<&str> = cd.iter().map(String::as_str).collect();
    boots_as_edited("image-cd-bios", &arguments, BY_BIOS);
}

#[test]
fn a_cd_boots_by_uefi() {
    let cd = cd();
    let arguments: Vec<&str> = UEFI.into_iter().chain(cd.iter().map(String::as_str)).collect();
    boots_as_edited("image-cd-uefi", &arguments, BY_UEFI);
}

/// QEMU's TFTP server, and a card of this model that boots from it besides the one whose cable the test looks at.
fn network_boot(name: &str, file: &str, model: &str, parameters: &str) -> [String; 4] {
    let directory = directory().join(name).display().to_string();
    run(script().args(["--pxe", &directory, "--append", parameters]));
    let network = format!("user,id=boot,tftp={directory},bootfile={file}");
    let card = format!("{model},netdev=boot,mac=52:54:00:12:34:99,addr=0x10,bootindex=0");
    ["-netdev", &network, "-device", &card].map(String::from)
}

#[test]
fn the_network_boots_a_bios() {
    let network = network_boot("pxe-bios", "boot/grub/i386-pc/core.0", "virtio-net-pci", PARAMETERS);
    let arguments: Vec<&str> = network.iter().map(String::as_str).collect();
    boots_as_edited("image-pxe-bios", &arguments, BY_BIOS);
}

/// From a card that there is no driver for here, which the firmware drives after GRUB has had it for itself; and one of
/// ours beside it.
#[test]
fn the_network_boots_uefi() {
    let parameters = "debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/";
    let network = network_boot("pxe-uefi", "boot/grub/x86_64-efi/core.efi", "pcnet", parameters);
    let arguments = UEFI.into_iter().chain(network.iter().map(String::as_str));
    let boot = Boot::new("image-pxe-uefi", "debug").loader(arguments).timeout(UEFI_TIME);
    let machine = boot.peer(Peer::at("10.0.0.2")).start();
    for said in [BY_UEFI, "eth0: virtio network card at ", "eth1: IPv4 address 10.0.2.15/24 by DHCP"] {
        machine.wait_for_text("10.0.0.2:6666", said);
    }
    let text = machine.stop().text("10.0.0.2:6666");
    assert!(text.contains("eth1: card that the firmware drives at 00:10.0"), "{text}");
    assert!(!text.contains("left unconnected"), "it booted from the card: {text}");
}

/// What is written to the command register of a card without a driver, that the firmware's driver has booted from
/// and left running: whether the card may reach memory (bus master).
fn rights_of_an_unknown_card(name: &'static str, file: &str, firmware: &[&str], way: &str) -> Vec<bool> {
    let parameters = format!("{PARAMETERS} netconsole.snp=0");
    let network = network_boot(name, file, "pcnet", &parameters);
    let trace = directory().join(format!("{name}.trace")).display().to_string();
    let tracing = ["-trace", "pci_cfg_write", "-D", &trace];
    let network = network.iter().map(String::as_str);
    let arguments: Vec<&str> = firmware.iter().copied().chain(network).chain(tracing).collect();
    let capture = boots_as_edited(name, &arguments, way);
    let text = capture.text("10.0.0.2:7777");
    assert!(text.contains("pci 00:10.0: there is no driver for this network card"), "{text}");
    let trace = fs::read_to_string(&trace).expect("QEMU's trace");
    let commands = trace.lines().filter_map(|line| Some(line.split_once("pcnet 00:10.0 @0x4 <- 0x")?.1));
    commands.map(|command| u16::from_str_radix(command, 16).expect("a number") & 1 << 2 != 0).collect()
}

#[test]
fn a_card_without_a_driver_loses_the_right_to_reach_memory() {
    let rights = rights_of_an_unknown_card("image-unknown-card", "boot/grub/i386-pc/core.0", &[], BY_BIOS);
    assert!(rights.ends_with(&[true, false]), "{rights:?}");
}

/// The memory of UEFI's drivers is free once their services have ended: the kernel's cards may have it.
#[test]
fn by_uefi_cards_lose_the_right_to_reach_memory_before_it_is_taken() {
    let file = "boot/grub/x86_64-efi/core.efi";
    let rights = rights_of_an_unknown_card("image-card-of-uefi", file, &UEFI, BY_UEFI);
    // The firmware's; then none, before its BARs are looked at and after.
    assert!(rights.ends_with(&[true, false, false]), "{rights:?}");
}
