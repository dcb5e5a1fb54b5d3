//! What the kernel takes as the crash kernel of a Linux: the memory of a real crash (linuxlog/tests/images) is the machine's.

use crate::append::{QUIET, targets};
use crate::boot::Boot;
use crate::figures::Unit::Instructions;
use crate::figures::{Figure, figure};
use crate::symbols::Symbols;
use crate::trace::{Event, Run, kernel, kernel_packed, output, root};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

const PAGE: usize = 4096;
const MEMORY: u64 = 512 << 20;
const IMAGE: &str = "6.12";
/// Instructions of kexec's purgatory for a byte of the image, all of which it hashes before it goes on: counted once.
const PURGATORY: f64 = 54.0;
/// The most bytes that the image may ask for: a crash kernel's region has 4 MiB, and the loader puts more there.
const MOST: f64 = 2.25 * 1024.0 * 1024.0;
/// Where the header of a bzImage says how much memory it takes (`init_size`, Documentation/arch/x86/boot.rst).
const INIT_SIZE: std::ops::Range<usize> = 0x260..0x264;

/// From the entry to the first frame of Linux's log and to its last, for each of its records, and what comes before the entry.
pub fn figures(symbols: &Symbols) -> Result<[Figure; 4], String> {
    let Shipped { first, second_half, records } = Shipped::observe(symbols)?;
    let image = fs::read(kernel_packed()).map_err(|error| format!("the packed kernel: {error}"))?;
    let size = image.get(INIT_SIZE).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes);
    let size = size.ok_or("the packed kernel has no header")?;
    let first_what = "crash kernel: entry to the first frame of Linux's log";
    let record_what = "crash kernel: a record of Linux's log";
    let purgatory_what = "before it, in kexec's purgatory (54 a byte of init_size)";
    Ok([
        figure("crash_first_frame", first_what, Instructions, Some(3e6), first as f64),
        figure("crash_last_frame", "the same to its last frame", Instructions, None, second_half.end as f64),
        figure(
            "crash_record",
            record_what,
            Instructions,
            Some(1500.0),
            (second_half.end - second_half.start) as f64 / records as f64,
        ),
        figure(
            "crash_purgatory",
            purgatory_what,
            Instructions,
            Some(MOST * PURGATORY),
            f64::from(size) * PURGATORY,
        ),
    ])
}

/// How Linux's log went out: when its first frame did, in instructions since the entry; when the frame in its middle and
/// its last one did, and how many records that is from the one to the other. Of the first half some is the card's start,
/// which is no record's.
struct Shipped {
    first: u64,
    second_half: Range<u64>,
    records: usize,
}

impl Shipped {
    /// Boots as the crash kernel.
    fn observe(symbols: &Symbols) -> Result<Self, String> {
        let boot = boot(|machine, append| Boot::observe_on(machine, symbols, "crash-kernel", append))?;
        let records = root().join(format!("linuxlog/tests/images/{IMAGE}.extended.txt"));
        let text = fs::read_to_string(&records).map_err(|error| format!("{}: {error}", records.display()))?;
        let count = text.lines().filter(|line| !line.starts_with(' ')).count();
        let (middle, last) = (count / 2, count - 1);
        let [first, start, end] = [0, middle, last].map(|record| boot.log_frames.get(record).copied());
        let second_half = start.zip(end).map(|(start, end)| start..end);
        let (first, second_half) = first
            .zip(second_half)
            .ok_or_else(|| format!("{} frames of {count} records were sent", boot.log_frames.len()))?;
        Ok(Self { first, second_half, records: last - middle })
    }
}

/// How often each address is executed for one record of Linux's log.
pub fn per_record(symbols: &Symbols) -> Result<HashMap<u64, f64>, String> {
    let Shipped { second_half, records, .. } = Shipped::observe(symbols)?;
    let entry = symbols.function("entry")?.start;
    let mut counts = HashMap::<u64, f64>::new();
    let mut now = None;
    // It is the same again.
    boot(|machine, append| {
        Run { name: "crash-kernel", machine, kernel: &kernel(), append }.trace(|event| {
            let Event::Instruction(address) = event else { return };
            now = now.or((address == entry).then_some(0_u64));
            let Some(now) = &mut now else { return };
            if second_half.contains(now) {
                *counts.entry(address).or_default() += 1.0 / records as f64;
            }
            *now += 1;
        })
    })?;
    Ok(counts)
}

/// Boots the machine with the crash's memory, by its arguments and the kernel parameters.
fn boot<T>(observe: impl FnOnce(&[&str], &str) -> Result<T, String>) -> Result<T, String> {
    let memory = memory(&root().join("linuxlog/tests/images"))?;
    let backend =
        format!("memory-backend-file,id=memory,size={MEMORY},mem-path={},share=off", memory.display());
    let machine = ["-m", "512", "-object", &backend, "-machine", "pc,memory-backend=memory"];
    // Nobody answers: it does not wait for that.
    let append = format!("{QUIET} {} elfcorehdr=511348K linux.patience=0", targets(1));
    let observed = observe(&machine, &append);
    let _ = fs::remove_file(&memory);
    observed
}

/// A file with the pages of the crash.
fn memory(images: &std::path::Path) -> Result<PathBuf, String> {
    let pages = images.join(format!("{IMAGE}.pages.gz"));
    let unpacked =
        Command::new("gzip").arg("-dc").arg(&pages).output().map_err(|error| format!("gzip: {error}"))?;
    if !unpacked.status.success() {
        return Err(format!("gzip: {}", String::from_utf8_lossy(&unpacked.stderr)));
    }
    let path = output("crash.memory");
    let write = || {
        let mut file = File::create(&path)?;
        file.set_len(MEMORY)?;
        for page in unpacked.stdout.chunks_exact(8 + PAGE) {
            if let Some((address, content)) = page.split_first_chunk() {
                file.seek(SeekFrom::Start(u64::from_le_bytes(*address)))?;
                file.write_all(content)?;
            }
        }
        Ok(())
    };
    write().map_err(|error: std::io::Error| format!("{}: {error}", path.display()))?;
    Ok(path)
}
