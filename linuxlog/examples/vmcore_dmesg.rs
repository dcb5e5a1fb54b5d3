//! Prints the log of a crashed Linux from a dump of its memory, as `vmcore-dmesg` does:
//!
//! ```text
//! cargo run --release -p netconsole-linuxlog --example vmcore_dmesg -- FILE
//! ```
//!
//! FILE is an ELF core file of physical memory (`/proc/vmcore`, QEMU's `dump-guest-memory`), or raw memory from
//! address 0 on (QEMU's `pmemsave`). Status 1 where no crashed Linux is found in it.

use linuxlog::{Log, Memory, Read, Unreadable, scan};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, ReadCache};
use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

/// A file, and which physical addresses it has: each part's address, offset and length.
struct Dump {
    file: File,
    parts: Vec<(u64, u64, u64)>,
}

impl Dump {
    fn open(path: &str) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let cache = ReadCache::new(file.try_clone()?);
        let parts = match ElfFile64::<Endianness, _>::parse(&cache) {
            Err(_) => vec![(0, 0, len)],
            Ok(elf) => {
                let endian = elf.endian();
                let loads = elf.elf_program_headers().iter();
                let loads = loads.filter(|header| header.p_type(endian) == object::elf::PT_LOAD);
                loads
                    .map(|load| (load.p_paddr(endian), load.p_offset(endian), load.p_filesz(endian)))
                    .collect()
            }
        };
        Ok(Self { file, parts })
    }

    /// The address after the last one that is there.
    fn end(&self) -> u64 {
        self.parts.iter().map(|(address, _, len)| address.saturating_add(*len)).max().unwrap_or(0)
    }
}

impl Memory for Dump {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        let error = Unreadable { address };
        let place = self.parts.iter().find_map(|(start, offset, len)| {
            let within = address.checked_sub(*start).filter(|within| within < len)?;
            offset.checked_add(within)
        });
        self.file.read_exact_at(to, place.ok_or(error)?).map_err(|_| error)
    }
}

fn print<M: Memory>(log: &Log<'_, M>, out: &mut impl Write) -> io::Result<()> {
    for sequence in log.first()..log.end() {
        let record = match log.read(sequence) {
            Read::Record(record) => record,
            Read::Unfinished => {
                writeln!(out, "<record {sequence} was being written>")?;
                continue;
            }
            Read::Lost => {
                writeln!(out, "<record {sequence} can't be read>")?;
                continue;
            }
            Read::End => break,
        };
        let mut text = vec![0; record.len()];
        if let Err(error) = record.copy_text(0, &mut text) {
            writeln!(out, "<record {sequence}: {error}>")?;
            continue;
        }
        let micros = record.nanoseconds / 1000;
        for line in String::from_utf8_lossy(&text).split('\n') {
            writeln!(out, "[{:5}.{:06}] {line}", micros / 1_000_000, micros % 1_000_000)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(path) = env::args().nth(1) else {
        eprintln!("usage: vmcore_dmesg FILE");
        return ExitCode::from(2);
    };
    let dump = match Dump::open(&path) {
        Ok(dump) => dump,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Of several kernels the one that crashed last.
    let crash = scan(&dump, 0..dump.end()).max_by_key(|crash| crash.info().crash_time);
    let Some(crash) = crash else {
        eprintln!("{path}: no crashed Linux is in it");
        return ExitCode::FAILURE;
    };
    eprintln!("Linux {}", crash.info().release);
    match crash.log() {
        Ok(log) => match print(&log, &mut io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
