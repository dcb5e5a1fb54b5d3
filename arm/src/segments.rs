//! What kexec_load(2) is given: the kernel's image, what a boot loader would tell it, and a few instructions that enter it,
//! all in the memory that is set aside.

use crate::core_header;
use crate::error::ArmError;
use crate::iomem::{self, Resource};
use crate::system::System;
use std::fs;
use std::ops::Range;
use std::path::Path;

const PAGE: u64 = 4096;

/// Offsets in a bzImage and in `boot_params`, which has its header at the same place (Documentation/arch/x86/boot.rst,
/// zero-page.rst).
mod field {
    pub const ACPI_RSDP_ADDR: usize = 0x070;
    pub const EXT_CMD_LINE_PTR: usize = 0x0c8;
    pub const E820_ENTRIES: usize = 0x1e8;
    pub const SETUP_SECTS: usize = 0x1f1;
    pub const SYSSIZE: usize = 0x1f4;
    /// The jump's second byte tells where the header ends, counted from the byte behind it.
    pub const JUMP: usize = 0x201;
    pub const MAGIC: usize = 0x202;
    pub const TYPE_OF_LOADER: usize = 0x210;
    pub const CMD_LINE_PTR: usize = 0x228;
    pub const KERNEL_ALIGNMENT: usize = 0x230;
    pub const RELOCATABLE: usize = 0x234;
    pub const XLOADFLAGS: usize = 0x236;
    pub const INIT_SIZE: usize = 0x260;
    pub const E820_TABLE: usize = 0x2d0;
}
/// `type_of_loader` of kexec-tools.
const KEXEC: u8 = 0xd0;
/// The 64-bit entry, behind the load address; the flag in `xloadflags` that there is one, and that it may lie anywhere.
const ENTRY_64: u64 = 0x200;
const HAS_ENTRY_64: u8 = 1;
const ABOVE_4_GIB: u8 = 2;
/// Types of memory in the E820 table, and how many entries there is room for.
const USABLE: u32 = 1;
const RESERVED: u32 = 2;
const ACPI: u32 = 3;
const ACPI_NVS: u32 = 4;
const MAX_ENTRIES: usize = 128;

/// A piece of memory and what is put there; zeros fill it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub at: u64,
    pub len: u64,
    pub content: Vec<u8>,
}

/// All pieces, and where Linux jumps to when it crashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    pub segments: Vec<Segment>,
    pub entry: u64,
}

impl Segments {
    /// For this image, which is `kernel`'s, with this command line.
    pub fn make(system: &System, kernel: &Path, image: &[u8], line: &str) -> Result<Self, ArmError> {
        let resources = iomem::read(system);
        if resources.is_empty() {
            return Err(ArmError::NotRoot);
        }
        // With crashkernel=…,high there is some below 4 GiB, too, which no kernel is loaded to.
        let own = resources.iter().rfind(|resource| resource.name == "Crash kernel");
        let own = own.ok_or(ArmError::NoRegion)?.addresses.clone();
        let image = Image::read(image).ok_or_else(|| ArmError::NoImage(kernel.to_path_buf()))?;

        let at = own.start.next_multiple_of(image.alignment);
        let kernel = Segment { at, len: pages(image.memory), content: image.code.to_vec() };
        let header = core_header::make(system, &resources, &own)?;
        let too_little = || ArmError::ReservedTooLittle((own.end - own.start) / 1024);
        let below = |end: u64, len: usize| {
            end.checked_sub(pages(len as u64)).filter(|at| *at > kernel.at + kernel.len)
        };
        let core_at = below(own.end & !(PAGE - 1), header.len()).ok_or_else(too_little)?;
        let line = format!("elfcorehdr={core_at:#x} {line}\0");
        let told_len = PAGE as usize + enter(0, 0).len() + line.len();
        let told_at = below(core_at, told_len).ok_or_else(too_little)?;
        let entry = told_at + PAGE;
        let jump = enter(told_at, kernel.at + ENTRY_64);
        let line_at = entry + jump.len() as u64;

        let mut told = image.boot_params(line_at);
        let rsdp = rsdp(system).to_le_bytes();
        told[field::ACPI_RSDP_ADDR..][..rsdp.len()].copy_from_slice(&rsdp);
        write_memory_map(&mut told, &resources, own.start..core_at);
        told.extend(jump);
        told.extend(line.as_bytes());
        let told = Segment { at: told_at, len: core_at - told_at, content: told };
        let core = Segment { at: core_at, len: pages(header.len() as u64), content: header };
        Ok(Self { segments: vec![kernel, told, core], entry })
    }
}

fn pages(len: u64) -> u64 {
    len.next_multiple_of(PAGE)
}

/// A bzImage that can be entered in 64-bit mode wherever it lies.
struct Image<'i> {
    header: &'i [u8],
    code: &'i [u8],
    alignment: u64,
    /// How much memory it needs from its first byte on.
    memory: u64,
}

impl<'i> Image<'i> {
    fn read(file: &'i [u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
        let flags = HAS_ENTRY_64 | ABOVE_4_GIB;
        let is_right = file.get(field::MAGIC..)?.starts_with(b"HdrS")
            && *file.get(field::RELOCATABLE)? == 1
            && *file.get(field::XLOADFLAGS)? & flags == flags;
        let setup = (usize::from(*file.get(field::SETUP_SECTS)?) + 1) * 512;
        let code = file.get(setup..)?;
        // In units of 16 bytes; a signature may follow.
        let len = usize::try_from(number(field::SYSSIZE)?).ok()?.checked_mul(16)?;
        let end = field::MAGIC + usize::from(*file.get(field::JUMP)?);
        let alignment = u64::from(number(field::KERNEL_ALIGNMENT)?);
        let memory = u64::from(number(field::INIT_SIZE)?);
        is_right.then_some(())?;
        (alignment.is_power_of_two() && memory >= code.len().min(len) as u64).then_some(())?;
        Some(Self {
            header: file.get(field::SETUP_SECTS..end)?,
            code: &code[..code.len().min(len)],
            alignment: alignment.max(PAGE),
            memory,
        })
    }

    /// The page that a boot loader hands over, with the command line's address in it.
    fn boot_params(&self, line_at: u64) -> Vec<u8> {
        let mut page = vec![0; PAGE as usize];
        page[field::SETUP_SECTS..][..self.header.len()].copy_from_slice(self.header);
        page[field::TYPE_OF_LOADER] = KEXEC;
        let line_at = line_at.to_le_bytes();
        page[field::CMD_LINE_PTR..][..4].copy_from_slice(&line_at[..4]);
        page[field::EXT_CMD_LINE_PTR..][..4].copy_from_slice(&line_at[4..]);
        page
    }
}

/// `mov rsi, boot_params; mov rax, entry; jmp rax`: Linux clears all registers before it jumps here.
fn enter(boot_params: u64, entry: u64) -> Vec<u8> {
    let mut code = vec![0x48, 0xbe];
    code.extend(boot_params.to_le_bytes());
    code.extend([0x48, 0xb8]);
    code.extend(entry.to_le_bytes());
    code.extend([0xff, 0xe0]);
    code
}

/// What the crash kernel may use, `own`, and what lies below 1 MiB; and where ACPI's tables are.
fn write_memory_map(boot_params: &mut [u8], resources: &[Resource], own: Range<u64>) {
    const FIRST_MIB: u64 = 1 << 20;
    let kind = |resource: &Resource| match resource.name.as_str() {
        "ACPI Tables" => Some(ACPI),
        "ACPI Non-volatile Storage" => Some(ACPI_NVS),
        "Reserved" | "reserved" => Some(RESERVED),
        _ if resource.is_memory() && resource.addresses.end <= FIRST_MIB => Some(USABLE),
        _ => None,
    };
    let known = resources.iter().filter_map(|resource| Some((resource.addresses.clone(), kind(resource)?)));
    let mut count = 0;
    for (addresses, kind) in [(own, USABLE)].into_iter().chain(known).take(MAX_ENTRIES) {
        let entry = &mut boot_params[field::E820_TABLE + count * 20..][..20];
        entry[..8].copy_from_slice(&addresses.start.to_le_bytes());
        entry[8..16].copy_from_slice(&(addresses.end - addresses.start).to_le_bytes());
        entry[16..].copy_from_slice(&kind.to_le_bytes());
        count += 1;
    }
    boot_params[field::E820_ENTRIES] = count as u8;
}

/// Where ACPI's root is, as this Linux was told it; 0 where nobody did: by a BIOS it is found in memory.
fn rsdp(system: &System) -> u64 {
    let told = fs::read(system.path("sys/kernel/boot_params/data")).unwrap_or_default();
    let told = told.get(field::ACPI_RSDP_ADDR..).and_then(|rest| rest.first_chunk()).copied();
    let of_firmware = || {
        let table = system.read("sys/firmware/efi/systab")?;
        let of = |name: &str| table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=0x"));
        u64::from_str_radix(of("ACPI20").or_else(|| of("ACPI"))?, 16).ok()
    };
    told.map(u64::from_le_bytes).filter(|address| *address != 0).or_else(of_firmware).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: &str = "kernel";

    /// A machine with two CPUs, numbered 0 and 2, that has set so much memory aside, and the kernel's header.
    fn system(root: &Path, own: &str) -> System {
        let iomem = format!(
            "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n00100000-1fffffff : System RAM\n  {own} : Crash kernel\n\
             20000000-2000ffff : ACPI Tables\n100000000-13fffffff : System RAM (kmem)\n"
        );
        let mut image = vec![0; 512 * 3 + 4096];
        image[field::SETUP_SECTS] = 2;
        image[field::SYSSIZE..][..2].copy_from_slice(&256_u16.to_le_bytes());
        image[field::JUMP] = 0x6a;
        image[field::MAGIC..][..4].copy_from_slice(b"HdrS");
        image[field::KERNEL_ALIGNMENT..][..2].copy_from_slice(&0x1000_u16.to_le_bytes());
        image[field::RELOCATABLE] = 1;
        image[field::XLOADFLAGS] = HAS_ENTRY_64 | ABOVE_4_GIB;
        image[field::INIT_SIZE..][..4].copy_from_slice(&0x10_1234_u32.to_le_bytes());
        for (name, text) in [
            ("proc/iomem", iomem.as_bytes()),
            ("sys/kernel/vmcoreinfo", b"0x0000000003a7d000 1024\n"),
            ("sys/devices/system/cpu/cpu0/crash_notes", b"1fa00000\n"),
            ("sys/devices/system/cpu/cpu0/crash_notes_size", b"368\n"),
            ("sys/devices/system/cpu/cpu2/crash_notes", b"1fb00000\n"),
            ("sys/devices/system/cpu/cpu2/crash_notes_size", b"368\n"),
            (KERNEL, &image),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("it has a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        System::new(root.to_path_buf())
    }

    fn number(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(*bytes[at..].first_chunk().expect("8 bytes"))
    }

    #[test]
    fn all_lies_in_the_memory_that_is_set_aside() {
        let root = tempfile::tempdir().expect("a directory");
        let system = system(root.path(), "1f000000-1f3fffff");
        let kernel = root.path().join(KERNEL);
        let image = fs::read(&kernel).expect("a file");
        let Segments { segments, entry } =
            Segments::make(&system, &kernel, &image, "quiet").expect("it fits");
        for (number, segment) in segments.iter().enumerate() {
            let end = segment.at + segment.len;
            assert!(segment.at % PAGE == 0 && segment.len % PAGE == 0 && end <= 0x1f40_0000, "{number}");
            assert!(segment.content.len() as u64 <= segment.len, "{number}");
            assert!(segments.get(number + 1).is_none_or(|next| end <= next.at), "{number} meets the next");
        }
        let [image, told, core] = &segments[..] else { panic!("three segments") };
        assert_eq!((image.at, image.len), (0x1f00_0000, 0x10_2000));
        assert_eq!(entry, told.at + PAGE);
        let code = &told.content[PAGE as usize..];
        assert_eq!((number(code, 2), number(code, 12)), (told.at, image.at + ENTRY_64));
        let line_at = (number(&told.content, field::CMD_LINE_PTR) as u32 as u64 - told.at) as usize;
        assert_eq!(told.content[line_at..], *format!("elfcorehdr={:#x} quiet\0", core.at).as_bytes());
        assert_eq!(told.content[field::TYPE_OF_LOADER], KEXEC);
        // Its own memory first, without the core header; then the rest that it is told of.
        let entry = |place: usize| &told.content[field::E820_TABLE + 20 * place..][..20];
        assert_eq!(told.content[field::E820_ENTRIES], 4);
        assert_eq!((number(entry(0), 0), number(entry(0), 8)), (0x1f00_0000, core.at - 0x1f00_0000));
        let kinds: Vec<u8> = (0..4).map(|place| entry(place)[16]).collect();
        assert_eq!(kinds, [1, 2, 1, 3]);
    }

    #[test]
    fn the_core_header_has_each_cpu_s_notes_and_all_memory_but_its_own() {
        let root = tempfile::tempdir().expect("a directory");
        let system = system(root.path(), "1f000000-1f3fffff");
        let own = 0x1f00_0000..0x1f40_0000;
        let header = core_header::make(&system, &iomem::read(&system), &own).expect("it has notes");
        let parts: Vec<(u8, u64, u64)> =
            header[64..].chunks_exact(56).map(|part| (part[0], number(part, 24), number(part, 40))).collect();
        assert_eq!(usize::from(header[56]), parts.len());
        assert_eq!(
            parts,
            [
                (4, 0x1fa0_0000, 368),
                // A CPU that is not there counts: those behind it keep their numbers.
                (4, 0, 0),
                (4, 0x1fb0_0000, 368),
                (4, 0x03a7_d000, 0x1024),
                (1, 0x1000, 0x9_ec00),
                (1, 0x10_0000, 0x1ef0_0000),
                (1, 0x1f40_0000, 0xc0_0000),
                (1, 0x1_0000_0000, 0x4000_0000),
            ]
        );
    }

    #[test]
    fn memory_is_said_to_be_where_kcore_has_it() {
        let root = tempfile::tempdir().expect("a directory");
        let system = system(root.path(), "1f000000-1f3fffff");
        // The kernel's own mapping, what has no physical address, and the direct map.
        let parts: [[u64; 2]; 3] = [
            [0xffff_ffff_8100_0000, 0x100_0000],
            [0xffff_c900_0000_0000, u64::MAX],
            [0xffff_8880_0010_0000, 0x10_0000],
        ];
        let mut kcore = vec![0; 64];
        for [mapped, physical] in parts {
            kcore.extend([1, 0, mapped, physical, 0, 0, 0].into_iter().flat_map(u64::to_le_bytes));
        }
        fs::write(root.path().join("proc/kcore"), kcore).expect("a file");
        let header = core_header::make(&system, &iomem::read(&system), &(0x1f00_0000..0x1f40_0000));
        let header = header.expect("it has notes");
        let mapped = header[64..].chunks_exact(56).map(|part| number(part, 16));
        assert_eq!(
            mapped.collect::<Vec<_>>(),
            [
                0,
                0,
                0,
                0,
                0xffff_8880_0000_1000,
                0xffff_8880_0010_0000,
                0xffff_8880_1f40_0000,
                0xffff_8881_0000_0000
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        let small = system(root.path(), "1f000000-1f0fffff");
        let kernel = root.path().join(KERNEL);
        let image = fs::read(&kernel).expect("a file");
        let refused = Segments::make(&small, &kernel, &image, "").map(|_| ());
        assert!(matches!(refused, Err(ArmError::ReservedTooLittle(1024))), "{refused:?}");
    }
}
