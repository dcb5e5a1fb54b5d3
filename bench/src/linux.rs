//! The comparison with Linux: Debian's newest cloud kernel and busybox, in the same QEMU with the same
//! card, by the clock on the wall. scripts/bench has fetched the packages.

use crate::figures::targets;
use crate::trace::{kernel, output};
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The modules that netconsole needs on this card, each after what it needs itself.
const MODULES: [&str; 10] = [
    "fs/configfs/configfs",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/net/netconsole",
];

/// Each is the best of so many boots: what else the machine does only ever adds.
const BOOTS: usize = 3;
const LINUX_RECORDS: u32 = 5000;
const OUR_RECORDS: u32 = 200_000;
/// No boot takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one boot showed.
#[derive(Clone, Copy)]
struct Seen {
    first_frame: Duration,
    records_per_second: f64,
}

/// Boots both and prints both columns; false where a ratio is not reached.
pub fn compare() -> Result<bool, String> {
    let linux = Linux::unpack()?;
    let ours = best(|| {
        let append = format!("console=null ip=off {} flood={OUR_RECORDS} after=halt", targets(1));
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.arg("-kernel").arg(kernel()).args(["-append", &append, "-m", "16"]);
        boot(qemu, OUR_RECORDS)
    })?;
    let theirs = best(|| {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.arg("-kernel").arg(&linux.kernel).arg("-initrd").arg(&linux.initramfs).args(["-m", "512"]);
        qemu.args(["-append", "printk.devkmsg=on loglevel=7 panic=-1"]);
        boot(qemu, LINUX_RECORDS)
    })?;
    let first_ratio = theirs.first_frame.as_secs_f64() / ours.first_frame.as_secs_f64();
    let flood_ratio = ours.records_per_second / theirs.records_per_second;
    println!(
        "{:48}{:>14}{:>14}{:>10}{:>10}",
        "by the clock, TCG", "netconsole", "Linux", "ratio", "to reach"
    );
    println!(
        "{:48}{:>11.0} ms{:>11.0} ms{first_ratio:>10.0}{:>10}",
        "QEMU's start to the first frame",
        ours.first_frame.as_secs_f64() * 1e3,
        theirs.first_frame.as_secs_f64() * 1e3,
        10
    );
    println!(
        "{:48}{:>14.0}{:>14.0}{flood_ratio:>10.0}{:>10}",
        "records per second in a flood", ours.records_per_second, theirs.records_per_second, 50
    );
    let kib = |path: &Path| fs::metadata(path).map_or(0, |file| file.len() / 1024);
    println!("{:48}{:>10} KiB{:>10} KiB", "kernel image", kib(&kernel()), kib(&linux.kernel));
    println!("Linux is {}", linux.version);
    Ok(first_ratio >= 10.0 && flood_ratio >= 50.0)
}

fn best(mut boot: impl FnMut() -> Result<Seen, String>) -> Result<Seen, String> {
    let mut best = boot()?;
    for _ in 1..BOOTS {
        let seen = boot()?;
        best.first_frame = best.first_frame.min(seen.first_frame);
        best.records_per_second = best.records_per_second.max(seen.records_per_second);
    }
    Ok(best)
}

/// Boots, and looks at the frames on the wire until the flood's last one.
fn boot(mut qemu: Command, records: u32) -> Result<Seen, String> {
    let wire = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    wire.set_read_timeout(Some(Duration::from_millis(200))).map_err(|error| error.to_string())?;
    let here = wire.local_addr().map_err(|error| error.to_string())?;
    // A port that was free a moment ago, for QEMU's side.
    let there = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let there = there.map_err(|error| error.to_string())?;
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-accel", "tcg"]);
    qemu.arg("-netdev").arg(format!("socket,id=n0,udp={here},localaddr={there}"));
    qemu.args(["-device", "virtio-net-pci,netdev=n0,romfile="]);
    qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let machine = Machine(qemu.spawn().map_err(|error| format!("qemu-system-x86_64: {error}"))?);
    let mut frame = [0; 2048];
    let mut first = None;
    let mut flood: Option<(u32, Instant)> = None;
    let mut latest = None;
    while start.elapsed() < PATIENCE {
        let len = match wire.recv(&mut frame) {
            Ok(len) => len,
            // The flood is over, or its last frames found no room here.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if latest.is_some() {
                    break;
                }
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let Some(payload) = frame.get(..len).filter(|frame| is_log(frame)).and_then(|frame| frame.get(42..))
        else {
            continue;
        };
        let now = Instant::now();
        first.get_or_insert(now);
        if let Some(number) = flood_number(payload) {
            flood.get_or_insert((number, now));
            latest = Some((number, now));
            if number + 1 == records {
                break;
            }
        }
    }
    drop(machine);
    let (Some(first), Some((from, began)), Some((to, ended))) = (first, flood, latest) else {
        return Err(format!("no flood came within {} s", PATIENCE.as_secs()));
    };
    let records_per_second = f64::from(to - from) / (ended - began).as_secs_f64();
    Ok(Seen { first_frame: first - start, records_per_second })
}

/// Whether it is an IPv4 and UDP frame to the target's port.
fn is_log(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[8, 0])
        && frame.get(23) == Some(&17)
        && frame.get(36..38) == Some(&6666u16.to_be_bytes())
}

/// `… flood message 00000042 …`
fn flood_number(payload: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(payload).ok()?;
    text.split_once("flood message ")?.1.get(..8)?.parse().ok()
}

/// A running QEMU, ended with this.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Linux {
    kernel: PathBuf,
    initramfs: PathBuf,
    version: String,
}

impl Linux {
    /// Finds the kernel in what was unpacked to target/bench/linux/, and makes its initramfs.
    fn unpack() -> Result<Self, String> {
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
        for (number, module) in MODULES.iter().enumerate() {
            let path = unpacked.join(format!("lib/modules/{version}/kernel/{module}.ko"));
            archive.file(&format!("{number}.ko"), 0o100644, &read(path)?);
            let parameters = if module.ends_with("netconsole") { targets(1) } else { String::new() };
            init += &format!("/bin/busybox insmod /{number}.ko {}\n", parameters.replace("/,", "/eth0,"));
        }
        // One write, which is one record, for each line.
        init += "/bin/busybox dd if=/flood of=/dev/kmsg bs=60\nwhile :; do /bin/busybox sleep 1000; done\n";
        archive.file("init", 0o100755, init.as_bytes());
        let line = |number| format!("flood message {number:08} abcdefghijklmnopqrstuvwxyz0123456789\n");
        archive.file("flood", 0o100644, (0..LINUX_RECORDS).map(line).collect::<String>().as_bytes());
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
