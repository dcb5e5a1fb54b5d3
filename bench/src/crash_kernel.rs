//! What the kernel takes as the crash kernel of a Linux: the memory of a real crash (linuxlog/tests/images) is the machine's.

use crate::append::{QUIET, targets};
use crate::boot::Boot;
use crate::figures::Unit::Instructions;
use crate::figures::{Figure, figure};
use crate::symbols::Symbols;
use crate::trace::{kernel_packed, output, root};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;

const PAGE: usize = 4096;
const MEMORY: u64 = 512 << 20;
const IMAGE: &str = "6.12";
/// Instructions of kexec's purgatory for a byte of the image, all of which it hashes before it goes on: counted once.
const PURGATORY: f64 = 54.0;
/// The most bytes that the image may ask for: a crash kernel's region has 4 MiB, and the loader puts more there.
const MOST: f64 = 2.5 * 1024.0 * 1024.0;
/// Where the header of a bzImage says how much memory it takes (`init_size`, Documentation/arch/x86/boot.rst).
const INIT_SIZE: std::ops::Range<usize> = 0x260..0x264;

/// From the entry to the first frame of Linux's log, for each of its records, and what comes before the entry.
pub fn figures(symbols: &Symbols) -> Result<[Figure; 3], String> {
    let images = root().join("linuxlog/tests/images");
    let memory = memory(&images)?;
    let backend =
        format!("memory-backend-file,id=memory,size={MEMORY},mem-path={},share=off", memory.display());
    let machine = ["-m", "512", "-object", &backend, "-machine", "pc,memory-backend=memory"];
    // Nobody answers: it does not wait for that.
    let append = format!("{QUIET} {} elfcorehdr=511348K linux.patience=0", targets(1));
    let boot = Boot::observe_on(&machine, symbols, "crash-kernel", &append);
    let _ = fs::remove_file(&memory);
    let boot = boot?;
    let records = images.join(format!("{IMAGE}.extended.txt"));
    let records = fs::read_to_string(&records).map_err(|error| format!("{}: {error}", records.display()))?;
    let records = records.lines().filter(|line| !line.starts_with(' ')).count();
    let (first, last) = boot
        .log_frames
        .first()
        .zip(boot.log_frames.get(records - 1))
        .ok_or_else(|| format!("{} frames of {records} records were sent", boot.log_frames.len()))?;
    let image = fs::read(kernel_packed()).map_err(|error| format!("the packed kernel: {error}"))?;
    let size = image.get(INIT_SIZE).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes);
    let size = size.ok_or("the packed kernel has no header")?;
    let first_what = "crash kernel: entry to the first frame of Linux's log";
    let record_what = "crash kernel: a record of Linux's log";
    let purgatory_what = "before it, in kexec's purgatory (54 a byte of init_size)";
    Ok([
        figure("crash_first_frame", first_what, Instructions, Some(3e6), *first as f64),
        figure(
            "crash_record",
            record_what,
            Instructions,
            // 1,500 are aimed at: each record is looked for from its number, in the dead kernel's memory. It must not grow.
            Some(6500.0),
            (last - first) as f64 / (records - 1) as f64,
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
