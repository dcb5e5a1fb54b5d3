//! What loaders leave, well made and not, by every protocol.

use crate::*;
use core::ops::Range;
use proptest::prelude::*;

mod command_line;

/// Memory that begins at an address, all of it readable.
struct Memory {
    start: u64,
    bytes: Vec<u8>,
}

impl PhysicalMemory for Memory {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(offset..offset.checked_add(len)?)
    }
}

impl Memory {
    const START: u64 = 0x1_0000;

    fn new(len: usize) -> Self {
        Self { start: Self::START, bytes: vec![0; len] }
    }

    /// Puts bytes at an offset and gives their address.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> u64 {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        Self::START + offset as u64
    }

    fn put_u32(&mut self, offset: usize, value: u64) {
        self.put(offset, &u32::try_from(value).expect("32 bits").to_le_bytes());
    }

    fn read_as(&self, magic: u32) -> BootInfo {
        BootInfo::read(magic, Self::START, self)
    }
}

fn problems(boot: &BootInfo) -> Vec<Problem> {
    boot.problems.iter().collect()
}

fn region(start: u64, len: u64) -> MemoryRegion {
    MemoryRegion { start, len }
}

const LINE: &[u8] = b"netconsole=@/,@10.0.2.2/ quiet\0";
/// Where the tests put a command line and a map.
const LINE_AT: usize = 0x1000;
const MAP_AT: usize = 0x4000;
const RSDP_AT: usize = 0x7000;

/// Where [`rsdp`] points to.
const RSDT: acpi::Root = acpi::Root { address: 0x7ffe_2412, is_wide: false };
const XSDT: acpi::Root = acpi::Root { address: 0x1_7ffe_2462, is_wide: true };

/// ACPI's root pointer of a revision.
fn rsdp(revision: u8) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0BOCHS \0\x12\x24\xfe\x7f".to_vec();
    bytes[15] = revision;
    let fix = |bytes: &mut Vec<u8>, at: usize| {
        bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    };
    fix(&mut bytes, 8);
    if revision >= 2 {
        bytes.extend(36u32.to_le_bytes());
        bytes.extend(XSDT.address.to_le_bytes());
        bytes.extend([0; 4]);
        fix(&mut bytes, 32);
    }
    bytes
}

fn multiboot1_entry(size: u32, base: u64, len: u64, kind: u32) -> Vec<u8> {
    let mut entry = size.to_le_bytes().to_vec();
    entry.extend(base.to_le_bytes());
    entry.extend(len.to_le_bytes());
    entry.extend(kind.to_le_bytes());
    entry.resize(entry.len().max(size as usize + 4), 0xee);
    entry
}

/// A multiboot 1 structure with flags, command line, memory sizes, map and name.
fn multiboot1_with(flags: u64, line: &[u8], map: &[u8]) -> Memory {
    let mut memory = Memory::new(0x8000);
    memory.put_u32(0, flags);
    memory.put_u32(4, 639);
    memory.put_u32(8, 31 * 1024);
    let line = memory.put(LINE_AT, line);
    memory.put_u32(16, line);
    let map_at = memory.put(MAP_AT, map);
    memory.put_u32(44, map.len() as u64);
    memory.put_u32(48, map_at);
    let name = memory.put(0x800, b"GRUB 2.12\0");
    memory.put_u32(64, name);
    memory
}

const ALL_FLAGS: u64 = 1 << 0 | 1 << 2 | 1 << 6 | 1 << 9;

#[test]
fn multiboot1_is_read() {
    let map = [
        multiboot1_entry(20, MIB, 31 * MIB, 1),
        multiboot1_entry(20, 0xf_0000, 0x1_0000, 2),
        // An entry of an unusual size, out of order.
        multiboot1_entry(28, 0, 0x9_fc00, 1),
        multiboot1_entry(20, 1 << 32, 1 << 30, 1),
    ]
    .concat();
    let boot = multiboot1_with(ALL_FLAGS, LINE, &map).read_as(multiboot1::MAGIC);
    assert_eq!(problems(&boot), []);
    assert_eq!(boot.protocol, Protocol::Multiboot1);
    assert_eq!(boot.command_line.as_bytes(), b"netconsole=@/,@10.0.2.2/ quiet");
    assert_eq!(boot.loader.as_bytes(), b"GRUB 2.12");
    assert_eq!(boot.acpi, None);
    assert_eq!(boot.memory.regions(), [region(0, 0x9_fc00), region(MIB, 31 * MIB), region(1 << 32, 1 << 30)]);
    assert_eq!(boot.memory.total(), 0x9_fc00 + 31 * MIB + (1 << 30));
}

#[test]
fn multiboot1_without_a_map_uses_the_sizes_or_the_least() {
    let boot = multiboot1_with(1 << 0, LINE, &[]).read_as(multiboot1::MAGIC);
    assert_eq!(problems(&boot), [Problem::NoMemoryMap]);
    assert_eq!(boot.memory.regions(), [region(0, 639 * 1024), region(MIB, 31 * MIB)]);
    assert_eq!(boot.command_line.as_bytes(), b"");

    let boot = multiboot1_with(0, LINE, &[]).read_as(multiboot1::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryUnknown]);
    assert_eq!(boot.memory.regions(), [LEAST_MEMORY]);
}

#[test]
fn a_damaged_map_gives_what_is_whole() {
    let good = multiboot1_entry(20, MIB, MIB, 1);
    let cut = [&good[..], &19_u32.to_le_bytes()[..]].concat();
    let boot = multiboot1_with(ALL_FLAGS, LINE, &cut).read_as(multiboot1::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryMapDamaged]);
    assert_eq!(boot.memory.regions(), [region(MIB, MIB)]);

    let wraps = [multiboot1_entry(20, u64::MAX, 2, 1), good.clone()].concat();
    let boot = multiboot1_with(ALL_FLAGS, LINE, &wraps).read_as(multiboot1::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryMapDamaged]);
    assert_eq!(boot.memory.regions(), [region(MIB, MIB)]);

    // A length that leads out of memory.
    let mut memory = multiboot1_with(ALL_FLAGS, LINE, &good);
    memory.put_u32(44, u64::from(u32::MAX));
    assert_eq!(problems(&memory.read_as(multiboot1::MAGIC)), [Problem::MemoryMapDamaged]);
}

#[test]
fn the_command_line_may_be_empty_full_too_long_or_without_an_end() {
    let line = |bytes: &[u8]| multiboot1_with(ALL_FLAGS, bytes, &[]).read_as(multiboot1::MAGIC);
    assert_eq!(line(b"\0").command_line.as_bytes(), b"");

    let mut full = vec![b'x'; 4096];
    full[4090] = b' ';
    let boot = line(&[&full[..], b"\0"].concat());
    assert_eq!(boot.command_line.as_bytes(), full);
    assert!(!problems(&boot).contains(&Problem::CommandLineTruncated));

    // The parameter that is cut is not half used.
    let boot = line(&[&full[..], b"y\0"].concat());
    assert_eq!(boot.command_line.as_bytes(), &full[..4090]);
    assert!(problems(&boot).contains(&Problem::CommandLineTruncated));

    let mut memory = multiboot1_with(ALL_FLAGS, LINE, &[]);
    let end = memory.bytes.len() - 9;
    let at = memory.put(end, b"quiet a=b");
    memory.put_u32(16, at);
    let boot = memory.read_as(multiboot1::MAGIC);
    assert_eq!(boot.command_line.as_bytes(), b"quiet");
    assert!(problems(&boot).contains(&Problem::CommandLineUnreadable));

    memory.put_u32(16, u64::from(u32::MAX));
    assert_eq!(memory.read_as(multiboot1::MAGIC).command_line.as_bytes(), b"");
}

#[test]
fn what_cannot_be_read_is_a_problem_and_not_more() {
    let memory = Memory::new(8);
    for magic in [multiboot1::MAGIC, pvh::MAGIC, linux::MAGIC] {
        assert_eq!(problems(&memory.read_as(magic)), [Problem::NoInformation, Problem::MemoryUnknown]);
    }
    let boot = BootInfo::read(multiboot2::MAGIC, 0, &memory);
    assert_eq!(problems(&boot), [Problem::NoInformation, Problem::MemoryUnknown]);
    let boot = memory.read_as(0x1234);
    assert_eq!(problems(&boot), [Problem::UnknownMagic, Problem::MemoryUnknown]);
    assert_eq!(boot.protocol, Protocol::Unknown);
    // The right protocol, but a structure without its magic number.
    let memory = Memory::new(8192);
    for magic in [pvh::MAGIC, linux::MAGIC] {
        assert_eq!(problems(&memory.read_as(magic)), [Problem::NoInformation, Problem::MemoryUnknown]);
    }
}

fn multiboot2_with(tags: &[(u32, Vec<u8>)]) -> Memory {
    let mut bytes = vec![0; 8];
    for (kind, body) in tags {
        bytes.extend(kind.to_le_bytes());
        bytes.extend((body.len() as u32 + 8).to_le_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes.extend([0, 0, 0, 0, 8, 0, 0, 0]);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    Memory { start: Memory::START, bytes }
}

fn multiboot2_map(entry_size: usize, entries: &[(u64, u64, u32)]) -> (u32, Vec<u8>) {
    let mut body = (entry_size as u32).to_le_bytes().to_vec();
    body.extend([0; 4]);
    for (base, len, kind) in entries {
        let mut entry = [base.to_le_bytes(), len.to_le_bytes()].concat();
        entry.extend(kind.to_le_bytes());
        entry.resize(entry_size, 0);
        body.extend(entry);
    }
    (6, body)
}

#[test]
fn multiboot2_is_read() {
    for entry_size in [20, 24, 40] {
        let memory = multiboot2_with(&[
            (1, LINE.to_vec()),
            (2, b"GRUB\0".to_vec()),
            (21, vec![0; 4]),
            (4, [639_u32.to_le_bytes(), 1024_u32.to_le_bytes()].concat()),
            multiboot2_map(entry_size, &[(MIB, MIB, 1), (2 * MIB, MIB, 1), (8 * MIB, MIB, 2)]),
            (12, 0x1_7e9e_c018_u64.to_le_bytes().to_vec()),
            (15, rsdp(2)),
            (14, rsdp(0)),
        ]);
        let boot = memory.read_as(multiboot2::MAGIC);
        assert_eq!(problems(&boot), []);
        assert_eq!(boot.protocol, Protocol::Multiboot2);
        assert_eq!(boot.command_line.as_bytes(), b"netconsole=@/,@10.0.2.2/ quiet");
        assert_eq!(boot.loader.as_bytes(), b"GRUB");
        assert_eq!(boot.memory.regions(), [region(MIB, 2 * MIB)]);
        assert_eq!(boot.acpi, Some(XSDT));
        assert_eq!(boot.uefi, Some(0x1_7e9e_c018));
    }
}

/// By nothing but GRUB's own hand, and nothing else of the line.
#[test]
fn grub_s_backslashes_are_taken_out() {
    let escaped = br#"netconsole=\"@/,@10.0.0.1/;@/\" a=\'b\\c\d\"#.to_vec();
    let meant = br#"netconsole="@/,@10.0.0.1/;@/" a='b\c\d\"#;
    for (loader, expected) in [(&b"GRUB 2.06\0"[..], &meant[..]), (b"qemu\0", &escaped)] {
        let memory = multiboot2_with(&[(1, escaped.clone()), (2, loader.to_vec())]);
        assert_eq!(memory.read_as(multiboot2::MAGIC).command_line.as_bytes(), expected);
    }
}

#[test]
fn multiboot2_stops_at_a_damaged_tag() {
    let mut memory = multiboot2_with(&[(1, LINE.to_vec()), (2, b"GRUB\0".to_vec())]);
    // The second tag's size, behind the first's 8 + 31 bytes and their padding.
    let size_at = 8 + 40 + 4;
    for size in [0, 7, 1 << 20, u32::MAX] {
        memory.put(size_at, &size.to_le_bytes());
        let boot = memory.read_as(multiboot2::MAGIC);
        assert!(problems(&boot).contains(&Problem::TagDamaged), "{size}");
        assert_eq!(boot.command_line.as_bytes(), b"netconsole=@/,@10.0.2.2/ quiet");
        assert_eq!(boot.loader.as_bytes(), b"");
    }
}

#[test]
fn multiboot2_s_damaged_map_gives_what_is_whole() {
    let (kind, mut body) = multiboot2_map(20, &[(MIB, MIB, 1)]);
    body.push(0);
    let boot = multiboot2_with(&[(kind, body.clone())]).read_as(multiboot2::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryMapDamaged]);
    assert_eq!(boot.memory.regions(), [region(MIB, MIB)]);
    // Entries of size 0.
    body[0] = 0;
    let boot = multiboot2_with(&[(kind, body)]).read_as(multiboot2::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryMapDamaged, Problem::MemoryUnknown]);
}

fn pvh_with(version: u32, entries: &[(u64, u64, u32)]) -> Memory {
    let mut memory = Memory::new(0x8000);
    memory.put_u32(0, pvh::MAGIC.into());
    memory.put_u32(4, version.into());
    let line = memory.put(LINE_AT, LINE);
    memory.put(24, &line.to_le_bytes());
    let rsdp = memory.put(RSDP_AT, &rsdp(2));
    memory.put(32, &rsdp.to_le_bytes());
    for (index, (base, len, kind)) in entries.iter().enumerate() {
        let at = MAP_AT + index * 24;
        memory.put(at, &base.to_le_bytes());
        memory.put(at + 8, &len.to_le_bytes());
        memory.put_u32(at + 16, (*kind).into());
    }
    memory.put(40, &(Memory::START + MAP_AT as u64).to_le_bytes());
    memory.put_u32(48, entries.len() as u64);
    memory
}

#[test]
fn pvh_is_read() {
    let entries = [(0, 0x9_fc00, 1), (0xf_0000, 0x1_0000, 2), (MIB, 127 * MIB, 1)];
    let mut memory = pvh_with(1, &entries);
    let boot = memory.read_as(pvh::MAGIC);
    assert_eq!(problems(&boot), []);
    assert_eq!(boot.protocol, Protocol::Pvh);
    assert_eq!(boot.command_line.as_bytes(), b"netconsole=@/,@10.0.2.2/ quiet");
    assert_eq!(boot.acpi, Some(XSDT));
    assert_eq!(boot.memory.regions(), [region(0, 0x9_fc00), region(MIB, 127 * MIB)]);

    // Without a command line and a root pointer, with a map that goes on outside memory.
    memory.put(24, &[0; 16]);
    memory.put_u32(48, u64::from(u32::MAX));
    let boot = memory.read_as(pvh::MAGIC);
    assert_eq!(boot.command_line.as_bytes(), b"");
    assert_eq!(boot.acpi, None);
    assert_eq!(problems(&boot), [Problem::MemoryMapDamaged, Problem::MemoryMapTooLong]);

    assert_eq!(problems(&pvh_with(0, &entries).read_as(pvh::MAGIC)), [Problem::MemoryUnknown]);
}

/// A descriptor of 48 bytes: type, physical start, virtual start, pages, attributes.
fn uefi_entry(kind: u32, start: u64, pages: u64) -> Vec<u8> {
    let mut entry = u64::from(kind).to_le_bytes().to_vec();
    [start, 0, pages, 0xf, 0xeeee].iter().for_each(|value| entry.extend(value.to_le_bytes()));
    entry
}

/// What the kernel's UEFI entry leaves: where command line, map, system table are.
fn uefi_with(map: &[u8], descriptor_length: u64) -> Memory {
    let mut memory = Memory::new(0x8000);
    let line = memory.put(LINE_AT, LINE);
    let map_at = memory.put(MAP_AT, map);
    let rsdp = memory.put(RSDP_AT, &rsdp(2));
    // EFI_SYSTEM_TABLE with one configuration table, ACPI_20_TABLE_GUID.
    let table = memory.put(0x2000, b"IBI SYST");
    memory.put(0x2000 + 104, &1u64.to_le_bytes());
    let tables = memory.put(0x3000, b"\x71\xe8\x68\x88\xf1\xe4\xd3\x11\xbc\x22\x00\x80\xc7\x3c\x88\x81");
    memory.put(0x3010, &rsdp.to_le_bytes());
    memory.put(0x2000 + 112, &tables.to_le_bytes());
    for (index, value) in [line, map_at, map.len() as u64, descriptor_length, table].iter().enumerate() {
        memory.put(index * 8, &value.to_le_bytes());
    }
    memory
}

#[test]
fn uefi_is_read() {
    let map = [
        // Conventional; loader's code and data, boot services' code and data; reserved, runtime, ACPI, MMIO.
        uefi_entry(7, 0, 0xa0),
        uefi_entry(1, MIB, 0x100),
        uefi_entry(2, 2 * MIB, 0x100),
        uefi_entry(3, 3 * MIB, 0x80),
        uefi_entry(4, 3 * MIB + 0x8_0000, 0x80),
        uefi_entry(0, 4 * MIB, 0x10),
        uefi_entry(5, 5 * MIB, 0x10),
        uefi_entry(6, 6 * MIB, 0x10),
        uefi_entry(9, 7 * MIB, 0x10),
        uefi_entry(11, 8 * MIB, 0x10),
        uefi_entry(7, 1 << 32, 1 << 18),
    ]
    .concat();
    let memory = uefi_with(&map, 48);
    let boot = memory.read_as(uefi::MAGIC);
    assert_eq!(problems(&boot), []);
    assert_eq!((boot.protocol, boot.loader.as_bytes()), (Protocol::Uefi, &b""[..]));
    assert_eq!(boot.command_line.as_bytes(), b"netconsole=@/,@10.0.2.2/ quiet");
    assert_eq!((boot.uefi, boot.acpi), (Some(Memory::START + 0x2000), Some(XSDT)));
    let regions = [region(0, 0xa_0000), region(MIB, 3 * MIB), region(1 << 32, 1 << 30)];
    assert_eq!(boot.memory.regions(), regions);

    // Descriptors that are too short, or none; a map that goes on outside memory; more than a region can be.
    for length in [0, 39] {
        let boot = uefi_with(&map, length).read_as(uefi::MAGIC);
        assert_eq!(problems(&boot), [Problem::NoInformation, Problem::MemoryUnknown]);
    }
    let mut memory = uefi_with(&map, 48);
    memory.put(16, &u64::MAX.to_le_bytes());
    let boot = memory.read_as(uefi::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryMapDamaged, Problem::MemoryMapTooLong]);
    for (start, pages) in [(0, u64::MAX), (u64::MAX - 0xfff, 2)] {
        let boot = uefi_with(&uefi_entry(7, start, pages), 48).read_as(uefi::MAGIC);
        assert_eq!(problems(&boot), [Problem::MemoryMapDamaged, Problem::MemoryUnknown]);
    }
}

/// `boot_params` with everything that is read of it.
fn linux_with() -> Memory {
    let mut memory = Memory::new(0x8000);
    memory.put(0x202, b"HdrS");
    memory.put(0x210, &[0x72]);
    let rsdp = memory.put(RSDP_AT, &rsdp(0));
    memory.put(0x070, &rsdp.to_le_bytes());
    memory.put(0x1c0, b"EL64");
    memory.put_u32(0x1c4, 0x7e9e_c018);
    memory.put_u32(0x1d8, 1);
    let line = memory.put(LINE_AT, LINE);
    memory.put_u32(0x228, line);
    memory.put(0x1e8, &[2]);
    for (index, (base, kind)) in [(0, 2_u64), (MIB, 1)].into_iter().enumerate() {
        memory.put(0x2d0 + index * 20, &base.to_le_bytes());
        memory.put(0x2d8 + index * 20, &MIB.to_le_bytes());
        memory.put_u32(0x2e0 + index * 20, kind);
    }
    memory
}

#[test]
fn linux_is_read() {
    let mut memory = linux_with();
    let boot = memory.read_as(linux::MAGIC);
    assert_eq!(problems(&boot), []);
    assert_eq!(boot.protocol, Protocol::Linux);
    assert_eq!(boot.command_line.as_bytes(), b"netconsole=@/,@10.0.2.2/ quiet");
    assert_eq!(boot.loader.as_bytes(), b"GRUB");
    assert_eq!(boot.acpi, Some(RSDT));
    assert_eq!(boot.uefi, Some(0x1_7e9e_c018));
    assert_eq!(boot.memory.regions(), [region(MIB, MIB)]);

    // Without a map, by the sizes: the older one, then the newer one.
    memory.put(0x1e8, &[0]);
    memory.put(0x002, &1024_u16.to_le_bytes());
    let boot = memory.read_as(linux::MAGIC);
    assert_eq!(problems(&boot), [Problem::NoMemoryMap]);
    assert_eq!(boot.memory.regions(), [region(MIB, MIB)]);
    memory.put_u32(0x1e0, 2048);
    assert_eq!(memory.read_as(linux::MAGIC).memory.regions(), [region(MIB, 2 * MIB)]);

    // More entries than the table has.
    memory.put(0x1e8, &[255]);
    assert_eq!(problems(&memory.read_as(linux::MAGIC)), [Problem::MemoryMapDamaged]);
    // A command line above 4 GiB, where nothing is.
    memory.put_u32(0x0c8, 1);
    assert!(problems(&memory.read_as(linux::MAGIC)).contains(&Problem::CommandLineUnreadable));
}

/// Of a map with this many entries only the last is usable, and another behind it.
fn long_map(entries: usize) -> Vec<(u64, u64, u32)> {
    let mut map = vec![(0, MIB, 2); entries];
    map.extend([(8 * MIB, MIB, 1)]);
    map
}

#[test]
fn maps_and_tags_are_read_as_far_as_their_limits() {
    let multiboot1 = |map: &[(u64, u64, u32)]| {
        let entries: Vec<_> =
            map.iter().map(|(base, len, kind)| multiboot1_entry(20, *base, *len, *kind)).collect();
        let mut memory = Memory::new(0x2_0000);
        memory.put_u32(0, 1 << 6);
        let map_at = memory.put(0x1000, &entries.concat());
        memory.put_u32(44, entries.concat().len() as u64);
        memory.put_u32(48, map_at);
        memory.read_as(multiboot1::MAGIC)
    };
    let multiboot2 =
        |map: &[(u64, u64, u32)]| multiboot2_with(&[multiboot2_map(24, map)]).read_as(multiboot2::MAGIC);
    let pvh = |map: &[(u64, u64, u32)]| {
        let mut memory = Memory::new(0x1_0000);
        memory.put_u32(0, pvh::MAGIC.into());
        memory.put_u32(4, 1);
        for (index, (base, len, kind)) in map.iter().enumerate() {
            let entry = [base.to_le_bytes(), len.to_le_bytes(), u64::from(*kind).to_le_bytes()].concat();
            memory.put(MAP_AT + index * 24, &entry);
        }
        memory.put(40, &(Memory::START + MAP_AT as u64).to_le_bytes());
        memory.put_u32(48, map.len() as u64);
        memory.read_as(pvh::MAGIC)
    };
    for read in [&multiboot1 as &dyn Fn(&[(u64, u64, u32)]) -> BootInfo, &multiboot2, &pvh] {
        let whole = read(&long_map(1023));
        assert_eq!(problems(&whole), []);
        assert_eq!(whole.memory.regions(), [region(8 * MIB, MIB)]);
        let too_long = read(&long_map(1024));
        assert!(problems(&too_long).contains(&Problem::MemoryMapTooLong));
        assert_ne!(too_long.memory.regions(), [region(8 * MIB, MIB)]);
    }

    let linux = |entries: u8| {
        let mut memory = Memory::new(0x1000);
        memory.put(0x202, b"HdrS");
        memory.put(0x1e8, &[entries]);
        let last = 0x2d0 + (usize::from(entries) - 1) * 20;
        memory.put(last, &(8 * MIB).to_le_bytes());
        memory.put(last + 8, &MIB.to_le_bytes());
        memory.put_u32(last + 16, 1);
        memory.read_as(linux::MAGIC)
    };
    assert_eq!(linux(128).memory.regions(), [region(8 * MIB, MIB)]);
    assert!(!problems(&linux(128)).contains(&Problem::MemoryMapDamaged));
    assert!(problems(&linux(129)).contains(&Problem::MemoryMapDamaged));

    // The last tag is the end's.
    let tags = |count: usize| multiboot2_with(&vec![(21, vec![0; 4]); count - 1]).read_as(multiboot2::MAGIC);
    assert!(!problems(&tags(256)).contains(&Problem::TagDamaged));
    assert!(problems(&tags(257)).contains(&Problem::TagDamaged));
}

#[test]
fn room_is_found_outside_of_what_is_taken() {
    const MIB: u64 = 1 << 20;
    let mut map = MemoryMap::EMPTY;
    for (start, len) in [(0x1000, 0x9_e000), (MIB, 15 * MIB), (20 * MIB, 4 * MIB + 100), (1 << 32, 8 * MIB)] {
        map.add(start, len).expect("room for a region");
    }
    let highest =
        |length, end, taken: &[Range<u64>]| map.highest_room(length, &(MIB..end), taken.iter().cloned());
    let lowest =
        |length, end, taken: &[Range<u64>]| map.lowest_room(length, &(0x1800..end), taken.iter().cloned());
    const LIMIT: u64 = 1 << 32;
    // The highest and the lowest page; within the limits, and long enough.
    assert_eq!(highest(4096, u64::MAX, &[]), Some(LIMIT + 8 * MIB - 4096));
    assert_eq!(lowest(4096, u64::MAX, &[]), Some(0x2000));
    assert_eq!(highest(MIB, LIMIT, &[]), Some(23 * MIB));
    assert_eq!(lowest(MIB, LIMIT, &[]), Some(MIB));
    assert_eq!(highest(5 * MIB, LIMIT, &[]), Some(11 * MIB));
    for length in [0, 16 * MIB, u64::MAX] {
        assert_eq!((highest(length, LIMIT, &[]), lowest(length, LIMIT, &[])), (None, None));
    }
    assert_eq!(highest(4096, MIB, &[]), None);
    assert_eq!((lowest(4096, 0x3000, &[]), lowest(4096, 0x2fff, &[])), (Some(0x2000), None));
    // Beside what is taken, near the wanted end first; else in another region.
    let taken = |from: u64, to: u64| from * MIB..to * MIB;
    assert_eq!(highest(MIB, LIMIT, &[taken(20, 23)]), Some(23 * MIB));
    assert_eq!(highest(MIB, LIMIT, &[taken(22, 25)]), Some(21 * MIB));
    assert_eq!(highest(MIB, LIMIT, &[taken(20, 25)]), Some(15 * MIB));
    assert_eq!(highest(MIB, LIMIT, &[taken(14, 15), 0..0, taken(20, 25), taken(15, 16)]), Some(13 * MIB));
    assert_eq!(lowest(MIB, LIMIT, &[taken(1, 3)]), Some(3 * MIB));
    assert_eq!(lowest(MIB, LIMIT, &[taken(2, 4)]), Some(MIB));
    assert_eq!(lowest(2 * MIB, LIMIT, &[taken(2, 4), 5 * MIB + 1..6 * MIB]), Some(6 * MIB));
    assert_eq!(lowest(MIB, LIMIT, &[taken(0, 16)]), Some(20 * MIB));
}

#[test]
fn a_range_is_usable_where_all_of_it_is() {
    let mut map = MemoryMap::EMPTY;
    map.add(0x1000, 0x1000).expect("room for a region");
    map.add(0x2000, 0x1000).expect("room for a region");
    assert!(map.holds(0x1000, 0x2000) && map.holds(0x1ff0, 0x20) && map.holds(0x3000, 0));
    assert!(!map.holds(0xfff, 2) && !map.holds(0x2fff, 2) && !map.holds(u64::MAX, 2));
}

#[test]
fn the_map_keeps_its_first_regions_when_it_is_full() {
    let map: Vec<u8> = (1..=65).flat_map(|index| multiboot1_entry(20, index * 2 * MIB, MIB, 1)).collect();
    let boot = multiboot1_with(ALL_FLAGS, LINE, &map).read_as(multiboot1::MAGIC);
    assert_eq!(problems(&boot), [Problem::MemoryMapTooLong]);
    assert_eq!(boot.memory.regions().len(), MemoryMap::MAX);
    assert_eq!(boot.memory.regions().last(), Some(&region(128 * MIB, MIB)));
}

#[test]
fn every_problem_prints() {
    let mut all = Problems::default();
    Problem::ALL.into_iter().for_each(|problem| all.add(problem));
    let texts: std::collections::HashSet<_> = all.iter().map(|problem| problem.to_string()).collect();
    assert_eq!(texts.len(), Problem::ALL.len());
}

/// Whatever memory holds, the result keeps its invariants.
fn check_any(memory: &Memory, magic: u32) {
    let boot = memory.read_as(magic);
    assert!(!boot.command_line.as_bytes().contains(&0));
    let regions = boot.memory.regions();
    assert!(!regions.is_empty());
    assert!(regions.iter().all(|region| region.len > 0 && region.start.checked_add(region.len).is_some()));
    assert!(regions.windows(2).all(|pair| pair[0].end() < pair[1].start));
}

proptest! {
    #[test]
    fn regions_are_kept_in_order_and_apart(
        regions in prop::collection::vec((0_u64..100, 0_u64..20), 0..40),
    ) {
        let mut map = MemoryMap::EMPTY;
        let mut covered = [false; 128];
        for (start, len) in regions {
            map.add(start, len).expect("room");
            (start..start + len).for_each(|address| covered[address as usize] = true);
        }
        prop_assert!(map.regions().windows(2).all(|pair| pair[0].end() < pair[1].start));
        for (address, is_covered) in (0..).zip(covered) {
            let is_in = map.regions().iter().any(|region| (region.start..region.end()).contains(&address));
            prop_assert_eq!(is_in, is_covered);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        magic in prop_oneof![
            Just(multiboot1::MAGIC), Just(multiboot2::MAGIC), Just(pvh::MAGIC), Just(linux::MAGIC), any::<u32>(),
        ],
        bytes in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        check_any(&Memory { start: Memory::START, bytes }, magic);
    }

    #[test]
    fn good_structures_with_bytes_changed_are_too(
        changes in prop::collection::vec((0_usize..100, any::<u8>()), 0..8),
        in_map in prop::collection::vec((0_usize..200, any::<u8>()), 0..8),
    ) {
        let entries = [(MIB, MIB, 1), (8 * MIB, MIB, 1), (64 * MIB, MIB, 2)];
        let map: Vec<u8> =
            entries.iter().flat_map(|&(base, len, kind)| multiboot1_entry(20, base, len, kind)).collect();
        for (mut memory, magic) in [
            (multiboot1_with(ALL_FLAGS, LINE, &map), multiboot1::MAGIC),
            (pvh_with(1, &entries), pvh::MAGIC),
            (multiboot2_with(&[(1, LINE.to_vec()), multiboot2_map(24, &entries)]), multiboot2::MAGIC),
        ] {
            let places = changes.iter().map(|&(at, byte)| (at, byte));
            for (at, byte) in places.chain(in_map.iter().map(|&(at, byte)| (MAP_AT + at, byte))) {
                if let Some(place) = memory.bytes.get_mut(at) {
                    *place = byte;
                }
            }
            check_any(&memory, magic);
        }
    }
}
