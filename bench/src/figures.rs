//! What is measured, and how.

use crate::append::{QUIET, targets};
use crate::boot::Boot;
use crate::per_record::Floods;
use crate::symbols::Symbols;
use crate::trace::{kernel, kernel_packed};
use Unit::{Exits, Instructions, KiB, MiB, Notifications};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Instructions,
    Exits,
    Notifications,
    KiB,
    MiB,
}

impl Unit {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Exits => "exits",
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
    thread::scope(|scope| {
        // Callgrind counts the same whatever runs beside it, and takes as long as all of the kernel's.
        let receivers = scope.spawn(crate::receiver::figures);
        let mut figures = kernels()?;
        figures.extend(receivers.join().map_err(|_| "the receiver's figures: a panic")??);
        Ok(figures)
    })
}

/// What is measured of the kernel.
fn kernels() -> Result<Vec<Figure>, String> {
    let symbols = Symbols::read()?;
    let given = boot(&symbols, "given", &format!("{QUIET} {}", targets(1)))?;
    let mut figures = Vec::from(first_frames(&symbols, &given)?);
    figures.extend(first_exits(&symbols)?);
    figures.extend(flood_records(&symbols)?);
    figures.extend(lone_record(&symbols, &given)?);
    figures.push(panic(&symbols)?);
    figures.extend(crate::crash_kernel::figures(&symbols)?);
    figures.push(crate::stored::entry(&symbols)?);
    figures.extend(logging_calls(&given));
    figures.extend(sizes(&symbols)?);
    Ok(figures)
}

fn boot(symbols: &Symbols, name: &str, append: &str) -> Result<Boot, String> {
    Boot::observe(symbols, name, append)
}

pub fn figure(key: &'static str, what: &'static str, unit: Unit, limit: Option<f64>, value: f64) -> Figure {
    Figure { key, what, unit, limit, value }
}

/// From the kernel's entry to its first frame of the log: `given` is a boot that is told all addresses.
fn first_frames(symbols: &Symbols, given: &Boot) -> Result<[Figure; 2], String> {
    let first = |boot: &Boot| boot.log_frames.first().copied().ok_or("no frame of the log was sent");
    let asked = boot(symbols, "asked", "console=null netconsole=@/,6666@10.0.2.2/ after=exit")?;
    let given_what = "kernel entry to first log frame, addresses given";
    let asked_what = "the same with DHCP and ARP answered at once";
    Ok([
        figure("first_frame", given_what, Instructions, Some(1e6), first(given)? as f64),
        figure("first_frame_dhcp_arp", asked_what, Instructions, Some(3e6), first(&asked)? as f64),
    ])
}

/// How often the boot to the first frame leaves a virtual machine: with each port and each device's memory that is read
/// or written. The machine is QEMU's newer one, with a serial port and one card.
fn first_exits(symbols: &Symbols) -> Result<[Figure; 2], String> {
    let append = format!("ip=off after=exit {}", targets(1));
    let machine = ["-machine", "q35", "-serial", "null"];
    let boot = Boot::observe_on(&machine, symbols, "exits", &append)?;
    let first = *boot.log_frames.first().ok_or("no frame of the log was sent")?;
    let until = |moments: &[u64]| moments.iter().filter(|&&at| at <= first).count() as f64;
    let exits = until(&boot.accesses) + until(&boot.notified);
    let serial = until(&boot.serial_accesses);
    if exits < 10.0 || serial < 10.0 {
        return Err(format!("QEMU told of {exits} exits and {serial} of the serial port: that is not all"));
    }
    let what = "kernel entry to first log frame on q35, ports and registers";
    Ok([
        figure("first_frame_exits", what, Exits, Some(300.0), exits),
        figure("first_frame_exits_serial", "and of the serial port", Exits, None, serial),
    ])
}

/// What a record of a flood costs, to one target and to several.
fn flood_records(symbols: &Symbols) -> Result<Vec<Figure>, String> {
    let one = Floods::observe(symbols, 1, "")?;
    let all = one.cost();
    let logging = logging_of(&one);
    let exits = one.per_record(|boot| boot.notifications);
    let record_what = "a record in a flood, into the ring, shipped and all";
    let shipped_what = "of that, from the ring to the published descriptor";
    let mut figures = vec![
        figure("record", record_what, Instructions, Some(1000.0), all),
        figure("record_shipped", shipped_what, Instructions, None, all - logging),
    ];
    for (key, what, count) in [
        ("record_further_target", "each further target, of 4", 4),
        ("record_further_of_16", "each further target, of 16", 16),
    ] {
        let further = (Floods::observe(symbols, count, "")?.cost() - all) / (count - 1) as f64;
        figures.push(figure(key, what, Instructions, Some(500.0), further));
    }
    let what = "notifications per record in a flood";
    figures.push(figure("notifications", what, Notifications, Some(0.07), exits));
    let what = "a text of 59 bytes into the ring (flood)";
    figures.push(figure("ring_write", what, Instructions, None, logging));
    Ok(figures)
}

/// The instructions of a flood's record in the logging call.
fn logging_of(floods: &Floods) -> f64 {
    floods.per_record(|boot| boot.calls.iter().map(|call| call.instructions).sum())
}

/// A record that is logged while nothing else is to be sent.
fn lone_record(symbols: &Symbols, given: &Boot) -> Result<[Figure; 2], String> {
    let lone = given.calls.last().ok_or("nothing was logged")?;
    let leaving = |boot: &Boot| {
        let frame = boot.log_frames.last()?;
        frame.checked_sub(boot.calls.last()?.at)
    };
    // As QEMU's timers fall, another turn of the kernel may come in between.
    let mut leaves = leaving(given);
    for _ in 0..2 {
        leaves = leaves.min(leaving(&boot(symbols, "lone", &format!("{QUIET} {}", targets(1)))?));
    }
    let leaves = leaves.ok_or("the last record was not sent")?;
    let notified = given.notified.iter().filter(|&&at| at >= lone.at).count();
    let what = "a lone record, logged until it has left";
    Ok([
        figure("lone_record", what, Instructions, None, leaves as f64),
        figure("lone_record_exits", "its notifications", Notifications, Some(1.0), notified as f64),
    ])
}

fn panic(symbols: &Symbols) -> Result<Figure, String> {
    let panic = boot(symbols, "panic", &format!("{QUIET} {} crash=panic", targets(1)))?;
    let begin = panic.panicked.ok_or("the kernel did not panic")?;
    let end = panic.log_frames.last().copied().filter(|&end| end > begin).ok_or("no report was sent")?;
    let what = "panic to the report's last frame, the card's reset included";
    Ok(figure("panic", what, Instructions, Some(1e6), (end - begin) as f64))
}

/// The boot's logging calls.
fn logging_calls(given: &Boot) -> [Figure; 2] {
    let mean = |formatted: bool| {
        let calls = given.calls.iter().filter(|call| call.formatted == formatted);
        let (mut sum, mut count) = (0, 0.0);
        calls.for_each(|call| (sum, count) = (sum + call.instructions, count + 1.0));
        sum as f64 / f64::max(count, 1.0)
    };
    let (literal_what, formatted_what) =
        ("logging call, a literal text", "logging call with arguments, the boot's mean");
    [
        figure("logging_call_literal", literal_what, Instructions, Some(250.0), mean(false)),
        figure("logging_call_formatted", formatted_what, Instructions, None, mean(true)),
    ]
}

/// Files and memory. The packed kernel and its memory must fit a crash kernel's region of 4 MiB, of which the loader
/// hashes every byte; the kernel and its memory, the 1,920 KiB that a BIOS leaves of 3 MiB.
fn sizes(symbols: &Symbols) -> Result<[Figure; 4], String> {
    let packed_what = "the same packed: bzImage, unpacks itself";
    let memory_what = "memory, ring included, 216 for each card not";
    let smallest_what = "smallest -m that ships its log";
    let memory = symbols.memory()? as f64 / 1024.0;
    Ok([
        figure("image", "kernel image: ELF, stripped", KiB, None, size(&kernel())?),
        figure("image_packed", packed_what, KiB, Some(256.0), size(&kernel_packed())?),
        figure("memory", memory_what, KiB, Some(1920.0), memory),
        figure("smallest_machine", smallest_what, MiB, Some(3.0), smallest_machine()?.into()),
    ])
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
