//! Linux for the comparison: Debian's newest cloud kernel, which scripts/bench has fetched, with an initramfs that
//! starts its netconsole and logs a flood.

use crate::append::targets;
use crate::flood::line;
use crate::trace::output;
use std::fs;
use std::path::PathBuf;

/// A kernel that QEMU can boot.
pub struct Linux {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    pub version: String,
}

impl Linux {
    /// Finds the kernel in what was unpacked to target/bench/linux/, and makes its initramfs, which
    /// floods with `records` records.
    pub fn unpack(records: u32) -> Result<Self, String> {
        let unpacked = output("linux");
        let missing = |what: &str| format!("{what} is missing in {}", unpacked.display());
        let entries = fs::read_dir(unpacked.join("boot")).map_err(|_| missing("boot/"))?;
        let kernel = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))
            .ok_or_else(|| missing("boot/vmlinuz-*"))?;
        let name = kernel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version = name.trim_start_matches("vmlinuz-").to_owned();

        let read = |path: PathBuf| fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
        let mut archive = Archive::default();
        archive.directory("bin");
        archive.directory("dev");
        archive.file("bin/busybox", 0o100755, &read(unpacked.join("bin/busybox"))?);
        let mut init = "#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs none /dev\n".to_owned();
        let entries = fs::read_dir(unpacked.join("netconsole")).map_err(|_| missing("netconsole/"))?;
        let mut modules: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        // Their names begin with their place.
        modules.sort();
        for module in modules.iter().filter_map(|name| name.to_str()) {
            archive.file(module, 0o100644, &read(unpacked.join("netconsole").join(module))?);
            let parameters = if module.ends_with("-netconsole.ko") { targets(1) } else { String::new() };
            init += &format!("/bin/busybox insmod /{module} {}\n", parameters.replace("/,", "/eth0,"));
        }
        // One write, which is one record, for each line.
        init += "/bin/busybox dd if=/flood of=/dev/kmsg bs=60\nwhile :; do /bin/busybox sleep 1000; done\n";
        archive.file("init", 0o100755, init.as_bytes());
        archive.file("flood", 0o100644, (0..records).map(line).collect::<String>().as_bytes());
        let initramfs = output("initramfs.cpio");
        fs::write(&initramfs, archive.end()).map_err(|error| format!("{}: {error}", initramfs.display()))?;
        Ok(Self { kernel, initramfs, version })
    }
}

/// A cpio archive in the "newc" format (Linux's buffer-format.rst).
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn directory(&mut self, name: &str) {
        self.file(name, 0o040755, &[]);
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (content.len(), name.len() + 1);
        // inode, mode, uid, gid, links, time, size, device, its own device, length of the name, no checksum
        self.bytes.extend_from_slice(
            format!(
                "070701{inode:08x}{mode:08x}{zero:08x}{zero:08x}{one:08x}{zero:08x}{size:08x}",
                inode = self.entries,
                zero = 0,
                one = 1
            )
            .as_bytes(),
        );
        let zeros = "00000000".repeat(4);
        self.bytes.extend_from_slice(format!("{zeros}{name_size:08x}00000000{name}\0").as_bytes());
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.file("TRAILER!!!", 0, &[]);
        self.bytes
    }
}
