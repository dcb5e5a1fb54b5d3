//! What is measured, and how.

use crate::boot::{Boot, LoggingCall};
use crate::per_record::Floods;
use crate::symbols::Symbols;
use crate::trace::{kernel, kernel_packed};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Instructions,
    Notifications,
    KiB,
    MiB,
}

impl Unit {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Notifications => "notifications",
            Self::KiB => "KiB",
            Self::MiB => "MiB",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name in the baseline.
    pub key: &'static str,
    pub what: &'static str,
    pub unit: Unit,
    /// What is to be reached, where something is.
    pub limit: Option<f64>,
    pub value: f64,
}

impl Figure {
    /// Whether what is to be reached is not.
    pub fn is_missed(&self) -> bool {
        self.limit.is_some_and(|limit| self.value > limit)
    }
}

/// Measures everything, always in the same order.
pub fn all() -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    let mut add = |key, what, unit, limit: Option<f64>, value: f64| {
        figures.push(Figure { key, what, unit, limit, value });
    };
    let symbols = Symbols::read()?;
    let boot = |name: &str, append: &str| Boot::observe(&symbols, name, append);
    use Unit::{Instructions, KiB, MiB, Notifications};

    let given = boot("given", &format!("{QUIET} {}", targets(1)))?;
    let first = given.log_frames.first().copied().ok_or("no frame of the log was sent")?;
    add(
        "first_frame",
        "kernel entry to first log frame, addresses given",
        Instructions,
        Some(1e6),
        first as f64,
    );

    let asked = boot("asked", "console=null netconsole=@/,6666@10.0.2.2/ after=exit")?;
    let first = asked.log_frames.first().copied().ok_or("no frame of the log was sent")?;
    let what = "the same with DHCP and ARP answered at once";
    add("first_frame_dhcp_arp", what, Instructions, Some(3e6), first as f64);

    let one = Floods::observe(&symbols, 1, "")?;
    let all = one.cost();
    let logging = one.per_record(|boot| boot.calls.iter().map(|call| call.instructions).sum());
    add("record", "a record in a flood, into the ring, shipped and all", Instructions, Some(1000.0), all);
    let what = "of that, from the ring to the published descriptor";
    add("record_shipped", what, Instructions, None, all - logging);
    for (key, what, count) in [
        ("record_further_target", "each further target, of 4", 4),
        ("record_further_of_16", "each further target, of 16", 16),
    ] {
        let further = (Floods::observe(&symbols, count, "")?.cost() - all) / (count - 1) as f64;
        add(key, what, Instructions, Some(500.0), further);
    }
    let exits = one.per_record(|boot| boot.notifications);
    add("notifications", "notifications per record in a flood", Notifications, Some(0.07), exits);

    let lone = given.calls.last().ok_or("nothing was logged")?;
    let leaving = |boot: &Boot| {
        let frame = boot.log_frames.last()?;
        frame.checked_sub(boot.calls.last()?.at)
    };
    // As QEMU's timers fall, another turn of the kernel may come in between.
    let mut leaves = leaving(&given);
    for _ in 0..2 {
        leaves = leaves.min(leaving(&boot("lone", &format!("{QUIET} {}", targets(1)))?));
    }
    let leaves = leaves.ok_or("the last record was not sent")?;
    add("lone_record", "a lone record, logged until it has left", Instructions, None, leaves as f64);
    let notified = given.notified.iter().filter(|&&at| at >= lone.at).count();
    add("lone_record_exits", "its notifications", Notifications, Some(1.0), notified as f64);

    let panic = boot("panic", &format!("{QUIET} {} crash=panic", targets(1)))?;
    let begin = panic.panicked.ok_or("the kernel did not panic")?;
    let end = panic.log_frames.last().copied().filter(|&end| end > begin).ok_or("no report was sent")?;
    let what = "panic to the report's last frame, the card's reset included";
    add("panic", what, Instructions, Some(1e6), (end - begin) as f64);

    add("ring_write", "a text of 59 bytes into the ring (flood)", Instructions, None, logging);
    let mean = |calls: &mut dyn Iterator<Item = &LoggingCall>| {
        let (mut sum, mut count) = (0, 0.0);
        calls.for_each(|call| (sum, count) = (sum + call.instructions, count + 1.0));
        sum as f64 / f64::max(count, 1.0)
    };
    let literal = mean(&mut given.calls.iter().filter(|call| !call.formatted));
    add("logging_call_literal", "logging call, a literal text", Instructions, Some(250.0), literal);
    let formatted = mean(&mut given.calls.iter().filter(|call| call.formatted));
    add(
        "logging_call_formatted",
        "logging call with arguments, the boot's mean",
        Instructions,
        None,
        formatted,
    );

    add("image", "kernel image: ELF, stripped", KiB, None, size(&kernel())?);
    let what = "the same packed: bzImage, unpacks itself";
    add("image_packed", what, KiB, Some(200.0), size(&kernel_packed())?);
    add(
        "memory",
        "memory in use, ring and buffers included",
        KiB,
        Some(2048.0),
        symbols.memory()? as f64 / 1024.0,
    );
    add("smallest_machine", "smallest -m that ships its log", MiB, Some(4.0), smallest_machine()?.into());
    Ok(figures)
}

/// No serial port, no address to be asked for, and the end right after the log.
const QUIET: &str = "console=null ip=off after=exit";

/// Kernel parameters for a boot with a flood to `targets`.
pub fn flood(records: u32, targets: &str) -> String {
    format!("{QUIET} {targets} flood={records}")
}

/// The targets' ports, in their order.
pub const TARGET_PORTS: std::ops::Range<u16> = 6666..6682;

/// The parameter for so many targets, all addresses given.
pub fn targets(count: usize) -> String {
    let target = |port| format!("@10.0.0.1/,{port}@10.0.0.2/02:00:00:00:00:02");
    let targets: Vec<String> = TARGET_PORTS.take(count).map(target).collect();
    format!("netconsole={}", targets.join(";"))
}

/// The size of a file that scripts/build has made, in KiB.
fn size(path: &Path) -> Result<f64, String> {
    let file = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(file.len() as f64 / 1024.0)
}

/// The least memory in MiB with which the kernel boots and ships its log.
fn smallest_machine() -> Result<u32, String> {
    (2..=64).find(|&mib| ships_with(mib)).ok_or_else(|| "it does not even ship with -m 64".into())
}

fn ships_with(mib: u32) -> bool {
    let append = format!("{QUIET} {}", targets(1));
    let status = Command::new("timeout")
        .args(["10", "qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-m", &format!("{mib}M"), "-append", &append, "-netdev", "user,id=n0"])
        .args(["-device", "virtio-net-pci,netdev=n0,romfile="])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel"])
        .arg(kernel())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // 33: a target was started and everything went out.
    status.is_ok_and(|status| status.code() == Some(33))
}
