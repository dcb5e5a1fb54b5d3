//! Prints the log of a crashed Linux from a dump of its memory, as `vmcore-dmesg` does:
//!
//! ```text
//! cargo run --release -p netconsole-linuxlog --example vmcore_dmesg -- FILE [CORE_HEADER]
//! ```
//!
//! FILE is an ELF core file of physical memory (`/proc/vmcore`, QEMU's `dump-guest-memory`), or raw memory from
//! address 0 on (QEMU's `pmemsave`). CORE_HEADER is the physical address of the crash's ELF core header, which its crash
//! kernel got as `elfcorehdr=`; with it follows what each CPU was doing. Status 1 where no crashed Linux is found in it.

use linuxlog::{Crash, Log, Memory, Read, Unreadable, scan};
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
        let (mut address, mut rest) = (address, to);
        // Parts that lie beside each other in memory need not in the file.
        while !rest.is_empty() {
            let error = Unreadable { address };
            let part = self.parts.iter().find_map(|(start, offset, len)| {
                let within = address.checked_sub(*start).filter(|within| within < len)?;
                Some((offset.checked_add(within)?, len - within))
            });
            let (place, left) = part.ok_or(error)?;
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            self.file.read_exact_at(now, place).map_err(|_| error)?;
            (address, rest) = (address + left, later);
        }
        Ok(())
    }

    /// Whoever writes a dump has read the memory as the dead kernel did.
    fn decrypts(&self, _mask: u64) -> bool {
        true
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

/// What each CPU was doing, and where it came from.
fn print_cpus<M: Memory>(crash: &Crash<'_, M>, out: &mut impl Write) -> io::Result<()> {
    for (number, cpu) in crash.cpus().enumerate() {
        let registers = &cpu.registers;
        writeln!(
            out,
            "CPU {number}: process {}, RIP {:#018x} RSP {:#018x}",
            cpu.process, registers.rip, registers.rsp
        )?;
        for call in crash.backtrace(&cpu) {
            writeln!(out, " ? {call}")?;
        }
    }
    Ok(())
}

/// A physical address, decimal or from `0x` on hexadecimal.
fn address(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (path, core_header) = match &arguments[..] {
        [path] => (path, None),
        [path, word] if address(word).is_some() => (path, address(word)),
        _ => {
            eprintln!("usage: vmcore_dmesg FILE [CORE_HEADER]");
            return ExitCode::from(2);
        }
    };
    let dump = match Dump::open(path) {
        Ok(dump) => dump,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let crash = match core_header {
        Some(address) => Crash::open(&dump, address).ok(),
        // Of several kernels the one that crashed last.
        None => scan(&dump, 0..dump.end()).max_by_key(|crash| crash.info().crash_time),
    };
    let Some(crash) = crash else {
        eprintln!("{path}: no crashed Linux is in it");
        return ExitCode::FAILURE;
    };
    eprintln!("Linux {}", crash.info().release);
    let mut out = io::stdout().lock();
    match crash.log() {
        Ok(log) => match print(&log, &mut out).and_then(|()| print_cpus(&crash, &mut out)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
