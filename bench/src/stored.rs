//! What comes between a crash and the kernel's entry where netconsole-arm has loaded it: the kernel is stored, and is copied
//! and proven by its checksum in place of being unpacked.

use crate::append::{QUIET, targets};
use crate::figures::Unit::Instructions;
use crate::figures::{Figure, figure};
use crate::symbols::Symbols;
use crate::trace::{Event, Run, kernel, kernel_packed, output};
use netconsole_bzimage::model::Model;
use netconsole_bzimage::stored::Packed;
use std::fs;
use std::path::{Path, PathBuf};

/// Instructions from the image's entry to the kernel's. By QEMU's loader the image is entered in 32-bit mode, and makes page
/// tables before the rest, which takes some 10,000 of them.
pub fn entry(symbols: &Symbols) -> Result<Figure, String> {
    let image = image()?;
    let kernel_entry = symbols.function("entry_unpacked")?.start;
    let (mut count, mut entered) = (0_u64, None);
    let append = format!("{QUIET} {}", targets(1));
    Run { name: "stored", machine: &[], kernel: &image, append: &append }.trace(|event| {
        if let Event::Instruction(address) = event {
            count += 1;
            entered = entered.or((address == kernel_entry).then_some(count));
        }
    })?;
    let size = fs::metadata(kernel()).map_err(|error| at(&kernel(), error))?.len();
    // Each of its bytes is looked at.
    let entered = entered.filter(|&count| count > size).ok_or("the stored kernel was not entered")?;
    let what = "the same of one that netconsole-arm loads: image's entry to kernel's";
    Ok(figure("crash_stored", what, Instructions, Some(6e6), entered as f64))
}

/// The packed kernel's image with the kernel stored, as netconsole-arm makes it.
fn image() -> Result<PathBuf, String> {
    let packed = fs::read(kernel_packed()).map_err(|error| at(&kernel_packed(), error))?;
    let whole = "the packed kernel is damaged: scripts/build";
    let of_file = Packed::read(&packed).ok_or(whole)?;
    let mut stored = vec![0; of_file.stored_len().ok_or(whole)?];
    of_file.store(&mut Box::new(Model::ZEROS), &mut stored).ok_or(whole)?;
    let path = output("stored.bzimage");
    fs::write(&path, stored).map_err(|error| at(&path, error))?;
    Ok(path)
}

fn at(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
