//! The ELF core header that the crash kernel gets by `elfcorehdr=` (kexec_file_load(2) has Linux make it): where each CPU
//! will leave its registers, where Linux's VMCOREINFO note is, and where there is memory.

use crate::error::ArmError;
use crate::iomem::Resource;
use crate::system::System;
use std::fs::File;
use std::io::Read;
use std::ops::Range;

/// The length of an ELF-64 header, and of a program header (elf(5)).
const HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const ET_CORE: u16 = 4;
const EM_X86_64: u16 = 62;

/// Where Linux maps its own text and data, above all other mappings (Documentation/arch/x86/x86_64/mm.rst).
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// The header, for all memory but `own`, which is the crash kernel's.
pub fn make(system: &System, resources: &[Resource], own: &Range<u64>) -> Result<Vec<u8>, ArmError> {
    let mut segments = notes_of_cpus(system)?;
    segments.push(vmcoreinfo(system)?);
    let mut segments: Vec<(u32, Range<u64>)> = segments.into_iter().map(|notes| (PT_NOTE, notes)).collect();
    for Resource { addresses, .. } in resources.iter().filter(|resource| resource.is_memory()) {
        let below = addresses.start..addresses.end.min(own.start);
        let above = addresses.start.max(own.end)..addresses.end;
        segments
            .extend([below, above].into_iter().filter(|part| !part.is_empty()).map(|part| (PT_LOAD, part)));
    }
    let direct_map = direct_map(system, resources);
    let count = u16::try_from(segments.len()).map_err(|_| ArmError::TooManyParts)?;
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend([ET_CORE, EM_X86_64].into_iter().flat_map(u16::to_le_bytes));
    header.extend(1_u32.to_le_bytes());
    // No entry; the program headers follow; no section headers, no flags.
    header.extend([0, u64::from(HEADER), 0].into_iter().flat_map(u64::to_le_bytes));
    header.extend(0_u32.to_le_bytes());
    header.extend([HEADER, PROGRAM_HEADER, count, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    for (kind, addresses) in segments {
        let len = addresses.end - addresses.start;
        header.extend([kind, 0].into_iter().flat_map(u32::to_le_bytes));
        let mapped =
            direct_map.filter(|_| kind == PT_LOAD).map_or(0, |map| map.wrapping_add(addresses.start));
        // Offset and physical address are the same.
        let words = [addresses.start, mapped, addresses.start, len, len, 0];
        header.extend(words.into_iter().flat_map(u64::to_le_bytes));
    }
    Ok(header)
}

/// Where Linux has all memory mapped, as /proc/kcore tells, whose program headers have virtual and physical addresses. Without
/// it the page tables tell, in more steps.
fn direct_map(system: &System, resources: &[Resource]) -> Option<u64> {
    let mut start = [0; 4096];
    let mut file = File::open(system.path("proc/kcore")).ok()?;
    let len = file.read(&mut start).ok()?;
    let table = start.get(usize::from(HEADER)..len)?.chunks_exact(PROGRAM_HEADER.into());
    table.filter(|part| part.starts_with(&PT_LOAD.to_le_bytes())).find_map(|part| {
        let word = |at: usize| Some(u64::from_le_bytes(*part.get(at..)?.first_chunk()?));
        let (mapped, physical) = (word(16)?, word(24)?);
        let is_memory = |resource: &Resource| resource.is_memory() && resource.addresses.contains(&physical);
        let is_it = mapped < KERNEL_MAP && resources.iter().any(is_memory);
        is_it.then(|| mapped.wrapping_sub(physical))
    })
}

/// Of each CPU, by its number, where its notes will be; nothing for a number that no CPU has.
fn notes_of_cpus(system: &System) -> Result<Vec<Range<u64>>, ArmError> {
    const CPUS: &str = "sys/devices/system/cpu";
    let mut notes = Vec::new();
    for name in system.list(CPUS) {
        let Some(number) = name.strip_prefix("cpu").and_then(|digits| digits.parse::<usize>().ok()) else {
            continue;
        };
        let read = |file: &str| system.read(format!("{CPUS}/{name}/{file}"));
        let address = read("crash_notes").and_then(|text| hexadecimal(&text));
        let len = read("crash_notes_size").and_then(|text| text.parse::<u64>().ok());
        let (Some(address), Some(len)) = (address, len) else {
            return Err(ArmError::NoNotes(format!("/{CPUS}/{name}/crash_notes")));
        };
        if notes.len() <= number {
            notes.resize(number + 1, 0..0);
        }
        notes[number] = address..address + len;
    }
    Ok(notes)
}

/// Where the note is that tells of the kernel's structures.
fn vmcoreinfo(system: &System) -> Result<Range<u64>, ArmError> {
    const FILE: &str = "sys/kernel/vmcoreinfo";
    let text = system.read(FILE).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(hexadecimal);
    match (numbers.next(), numbers.next()) {
        (Some(Some(address)), Some(Some(len))) => Ok(address..address + len),
        _ => Err(ArmError::NoNotes(format!("/{FILE}"))),
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}
