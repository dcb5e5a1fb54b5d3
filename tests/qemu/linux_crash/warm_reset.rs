//! A real Linux that panics with no crash kernel loaded: the board resets, the stick boots, and finds the log in memory.

use super::guest::{Kernel, TIME};
use super::{BASIC, By, EXTENDED, Lines};
use crate::harness::{Boot, Peer};
use crate::images::{directory, edited_image, run};
use std::fs;
use std::process::Command;

/// What Linux is given: the board resets a second after the panic.
const LINUX: &str =
    "console=ttyS0,115200 ignore_loglevel printk.devkmsg=on no_timer_check crash=none panic=1";
/// The stick sends the log of a Linux to whom netconsole.cfg names, and boots again.
const STICK: &str = "set parameters='netconsole=+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,8888@10.0.0.2/ after=reboot'\n\
     set default='4>0'\nset timeout=0\n";

/// A CD that boots this Linux by GRUB, by BIOS and UEFI.
fn cd(name: &str, kernel: Kernel) -> String {
    let made = kernel.make("crash");
    let files = directory().join(format!("{name}-files"));
    fs::create_dir_all(files.join("boot/grub")).expect("target/tests is writable");
    for (from, to) in [("vmlinuz", "boot/vmlinuz"), ("initrd-crash", "boot/initrd")] {
        fs::copy(made.join(from), files.join(to)).expect("a copy of what scripts/kexec-linux made");
    }
    let menu = format!("linux /boot/vmlinuz {LINUX}\ninitrd /boot/initrd\nboot\n");
    fs::write(files.join("boot/grub/grub.cfg"), menu).expect("target/tests is writable");
    let image = directory().join(format!("{name}.iso")).display().to_string();
    let modules = "--install-modules=normal iso9660 part_gpt part_msdos linux";
    let mut make = Command::new("grub-mkrescue");
    run(make.args(["-o", &image, modules, "--fonts=", "--locales=", "--themes="]).arg(files));
    image
}

/// All that Linux's console has shown arrives once, by the first boot of the stick, marked as of a boot before; the second
/// boot has nothing to send.
pub fn arrives_once_after_a_reset(name: &'static str, kernel: Kernel, machine: &[&str]) {
    // Makes what the CD's image needs, too.
    let stick = edited_image(name, STICK);
    let drives = [
        format!("if=none,id=cd,media=cdrom,format=raw,file={}", cd(name, kernel)),
        format!("if=none,id=stick,format=raw,snapshot=on,file={stick}"),
    ];
    let boot = Boot::new(name, "").loader(machine.iter().copied()).timeout(TIME).repeats();
    let mut machine = boot
        .peer(Peer::at("10.0.0.2"))
        .arguments(["-drive", &drives[0], "-device", "ide-cd,drive=cd,bootindex=0"])
        .arguments(["-drive", &drives[1], "-device", "qemu-xhci"])
        .arguments(["-device", "usb-storage,drive=stick,bootindex=1"])
        .start();
    machine.wait_for_serial("] Linux version ");
    // The next boot finds no CD.
    machine.monitor("eject -f cd");
    machine
        .wait_for_text(BASIC, "the log of a Linux that is in memory was sent by a boot before: linux=again");
    let capture = machine.stop();
    let Lines { shown, arrived, text } = Lines::of(&capture, BASIC);
    assert!(arrived.iter().any(|line| line.contains(By::Sysrq.words())), "{arrived:?}");
    let shown: Vec<String> = shown.iter().map(|line| format!("[boot -1] {line}")).collect();
    assert_eq!(arrived, shown);
    assert_eq!(text.matches("] Linux version ").count(), 1, "{text}");
    for said in [
        " s, found in memory, after a reset (linux=scan)\n",
        " overwritten before, 0 unfinished, 0 unreadable",
        "linux: noted that its log was sent: linux=scan passes it over from now on",
    ] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
    let messages = capture.messages(EXTENDED);
    let linux = messages.iter().take(arrived.len().min(100));
    assert!(linux.clone().all(|message| message.text.ends_with("\n boot=-1")), "{:?}", messages[0]);
}

#[test]
fn after_a_panic_and_a_reset_the_stick_sends_the_log_once() {
    arrives_once_after_a_reset("warm-reset", Kernel::Own, &["-m", "512"]);
}
