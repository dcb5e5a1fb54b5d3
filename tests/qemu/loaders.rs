//! GRUB's `multiboot`, as on a test board. All other tests boot by QEMU's `-kernel`.

use crate::harness::{Boot, Peer, kernel, status, target};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A CD image whose GRUB boots the kernel with these parameters at once.
pub fn grub_image(name: &str, parameters: &str) -> PathBuf {
    let directory = target().join("tests").join(name);
    let files = directory.join("files");
    fs::create_dir_all(files.join("boot/grub")).expect("target/tests is writable");
    fs::copy(kernel(), files.join("boot/netconsole.elf")).expect("a copy of the kernel");
    let menu = format!(
        "set timeout=0\nmenuentry netconsole {{\nmultiboot /boot/netconsole.elf {parameters}\nboot\n}}\n"
    );
    fs::write(files.join("boot/grub/grub.cfg"), menu).expect("a menu");
    let image = directory.join("netconsole.iso");
    let made = Command::new("grub-mkrescue")
        .args(["-d", "/usr/lib/grub/i386-pc", "-o"])
        .arg(&image)
        .arg(&files)
        .output();
    let made = made.expect("grub-mkrescue is missing: run scripts/setup grub");
    assert!(made.status.success(), "grub-mkrescue: {}", String::from_utf8_lossy(&made.stderr));
    image
}

#[test]
fn grub() {
    let parameters = r#"debug "netconsole=+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,7777@10.0.0.2/" after=exit"#;
    let image = grub_image("grub-image", parameters);
    let capture = Boot::new("grub", parameters).image(image).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert!(
        capture
            .messages("10.0.0.2:6666")
            .iter()
            .any(|message| message.text.contains("network logging started"))
    );
    assert!(capture.text("10.0.0.2:7777").contains("network logging started"));
}
