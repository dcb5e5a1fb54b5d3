//! GRUB's `multiboot`, as on a test board. All other tests boot by QEMU's `-kernel`.

use crate::harness::{Boot, Peer, kernel, status, target};
use crate::images::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A CD image whose GRUB carries out `commands` at once; the kernel is the file `/boot/netconsole`.
pub fn grub_image(name: &str, kernel: &Path, commands: &str) -> PathBuf {
    let directory = target().join("tests").join(name);
    let files = directory.join("files");
    fs::create_dir_all(files.join("boot/grub")).expect("target/tests is writable");
    fs::copy(kernel, files.join("boot/netconsole")).expect("a copy of the kernel");
    fs::write(files.join("boot/grub/grub.cfg"), format!("{commands}\nboot\n")).expect("a menu");
    let image = directory.join("netconsole.iso");
    run(Command::new("grub-mkrescue").args(["-d", "/usr/lib/grub/i386-pc", "-o"]).arg(&image).arg(&files));
    image
}

#[test]
fn grub() {
    let parameters = r#"debug "netconsole=+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,7777@10.0.0.2/" after=exit"#;
    let image = grub_image("grub-image", &kernel(), &format!("multiboot /boot/netconsole {parameters}"));
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
