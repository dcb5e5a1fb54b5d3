//! Tables of the firmware, well made and not.

use super::acpi::{self, Fixed, PowerOff, PowerTimer, Register, Root, Table, TableError};
use super::iommu::{Iommu, iommus};
use super::pci;
use super::smbios::{EntryPoint, Label};
use super::uefi::SystemTable;
use crate::PhysicalMemory;
use proptest::prelude::*;

/// The PC's first MiB, where these tables lie here.
struct Memory(Vec<u8>);

const SIZE: usize = 0x10_0000;

impl PhysicalMemory for Memory {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(address).ok()?;
        self.0.get(at..at.checked_add(len)?)
    }
}

impl Memory {
    fn new() -> Self {
        Self(vec![0; SIZE])
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Sets the byte at `at` so that all of `bytes` adds up to 0.
fn fix(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
}

/// An ACPI table.
fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend((36 + body.len() as u32).to_le_bytes());
    bytes.extend(b"\x01\0BOCHS BXPC    \x01\0\0\0BXPC\x01\0\0\0");
    bytes.extend(body);
    fix(&mut bytes, 9);
    bytes
}

fn rsdp(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0BOCHS ".to_vec();
    bytes.push(revision);
    bytes.extend(rsdt.to_le_bytes());
    fix(&mut bytes, 8);
    bytes.extend(36u32.to_le_bytes());
    bytes.extend(xsdt.to_le_bytes());
    bytes.extend([0; 4]);
    fix(&mut bytes, 32);
    bytes
}

/// A FADT's body: flags, the reset register, and what else is set by its offset in the table.
fn fadt(flags: u32, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; 268 - 36];
    body[112 - 36..116 - 36].copy_from_slice(&flags.to_le_bytes());
    for (offset, bytes) in fields {
        body[offset - 36..offset - 36 + bytes.len()].copy_from_slice(bytes);
    }
    table(b"FACP", &body)
}

const RESET_SUPPORTED: u32 = 1 << 10;
const REDUCED_HARDWARE: u32 = 1 << 20;

const DSDT_AT: usize = 0x5_0000;

/// `_S5_` as QEMU's PC writes it and in other ways, and the sleep types that it gives.
const SLEEP: [(&[u8], u8, u8); 4] = [
    (b"\x08_S5_\x12\x06\x04\x00\x01\x00\x00", 0, 1),
    (b"\x08_S5_\x12\x08\x04\x0a\x05\x0a\x02\x00\x00", 5, 2),
    (b"\x08\\_S5_\x12\x0a\x02\x0b\x05\x00\x0b\x02\x00", 5, 2),
    (b"\x08_S5_\x12\x40\x01\x04\x0c\x05\x00\x00\x00\x0a\x02", 5, 2),
];

/// A machine: BIOS, ACPI with FADT, DSDT and MADT, SMBIOS.
fn machine() -> Memory {
    let mut memory = Memory::new();
    memory.put(0xf_5a10, &rsdp(2, 0x1_0000, 0x1_1000));
    let entries = [0x2_0000u32, 0x3_0000];
    memory.put(0x1_0000, &table(b"RSDT", &entries.map(u32::to_le_bytes).concat()));
    memory.put(0x1_1000, &table(b"XSDT", &entries.map(|entry| u64::from(entry).to_le_bytes()).concat()));
    let dsdt = u32::try_from(DSDT_AT).expect("below 1 MiB").to_le_bytes();
    memory.put(0x2_0000, &fadt(0, &[(40, &dsdt), (64, &0x604u32.to_le_bytes())]));
    let mut madt = vec![0; 8];
    madt.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    madt.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 1, 0, 0, 0]);
    madt.extend([0, 8, 1, 1, 0, 0, 0, 0]);
    madt.extend([9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    memory.put(0x3_0000, &table(b"APIC", &madt));
    memory.put(DSDT_AT, &table(b"DSDT", &[b"code ", SLEEP[0].0, b" code"].concat()));

    let structures = [
        &b"\x00\x18\x00\x00\x01\x02\x00\xe8\x03"[..],
        &[0; 15],
        b"SeaBIOS\0rel-1.16.2\x0004/01/2014\0\0",
        b"\x01\x08\x00\x01\x01\x02\x00\x03ACME\0Board \xff\0  77 \0\0",
        b"\x7f\x04\x00\x7f\0\0",
        b"\x02\x08\x00\x02\x01\x00\x00\x00behind the end\0\0",
    ]
    .concat();
    memory.put(0x6_0000, &structures);
    let mut entry = b"_SM_\0\x1f\x02\x08\0\0\0\0\0\0\0\0_DMI_\0".to_vec();
    entry.extend(u16::try_from(structures.len()).expect("short").to_le_bytes());
    entry.extend(0x6_0000u32.to_le_bytes());
    entry.extend([6, 0, 0x28]);
    fix(&mut entry[16..], 5);
    fix(&mut entry, 4);
    memory.put(0xf_5910, &entry);
    memory
}

fn signatures(memory: &Memory, root: Root) -> Vec<String> {
    root.tables(memory).map(|table| table.expect("a sound table").signature.to_string()).collect()
}

#[test]
fn acpi_is_found_and_read() {
    let mut memory = machine();
    let root = Root::find(&memory).expect("a root pointer");
    assert_eq!(root, Root { address: 0x1_1000, is_wide: true });
    assert_eq!(signatures(&memory, root), ["FACP", "APIC"]);
    let madt = root.table(&memory, b"APIC").expect("a MADT");
    assert_eq!(acpi::processors(&madt), 2);
    assert_eq!(acpi::io_apics(&madt).collect::<Vec<_>>(), [0xfec0_0000]);

    // The old root pointer, and a newer one whose second checksum is wrong.
    let old = Root { address: 0x1_0000, is_wide: false };
    assert_eq!(signatures(&memory, old), ["FACP", "APIC"]);
    memory.put(0xf_5a10, &rsdp(0, 0x1_0000, 0));
    assert_eq!(Root::find(&memory), Some(old));
    let mut damaged = rsdp(2, 0x1_0000, 0x1_1000);
    damaged[24] ^= 1;
    assert_eq!(Root::parse(&damaged), Some(old));
    damaged[16] ^= 1;
    assert_eq!(Root::parse(&damaged), None);
    memory.put(0xf_5a10, &damaged);
    assert_eq!(Root::find(&memory), None);
}

#[test]
fn a_damaged_table_is_named_and_the_others_count() {
    let mut memory = machine();
    memory.0[0x3_0000 + 40] ^= 1;
    let root = Root { address: 0x1_1000, is_wide: true };
    let results: Vec<_> = root.tables(&memory).map(|table| table.map(|table| table.signature)).collect();
    let apic = acpi::Signature(*b"APIC");
    assert_eq!(results, [Ok(acpi::Signature(*b"FACP")), Err(TableError::Checksum(apic))]);
    for (length, error) in [
        (0u32, TableError::Length(apic, 0)),
        (35, TableError::Length(apic, 35)),
        (u32::MAX, TableError::Length(apic, u32::MAX)),
        (0x10_0000, TableError::Unreadable(0x3_0000)),
    ] {
        memory.put(0x3_0004, &length.to_le_bytes());
        assert_eq!(Table::read(&memory, 0x3_0000).err(), Some(error));
    }
    let nowhere = Root { address: u64::MAX - 8, is_wide: false };
    let errors: Vec<_> = nowhere.tables(&memory).map(|table| table.err()).collect();
    assert_eq!(errors, [Some(TableError::Unreadable(u64::MAX - 8))]);
}

#[test]
fn tables_are_read_as_far_as_their_limits() {
    let mut memory = Memory(vec![0; 3 << 20]);
    for (length, is_read) in [(2 << 20, true), ((2 << 20) + 1, false)] {
        memory.put(0, &table(b"LONG", &vec![0; length - 36]));
        assert_eq!(Table::read(&memory, 0).is_ok(), is_read, "{length}");
    }

    let entries = 0x2_0000u32.to_le_bytes().repeat(257);
    let mut memory = machine();
    memory.put(0x7_0000, &table(b"RSDT", &entries));
    let root = Root { address: 0x7_0000, is_wide: false };
    assert_eq!(signatures(&memory, root).len(), 256);

    let structures = |length: u32| {
        let mut entry = b"_SM3_\0\x18\x03\x02\0\x01\0".to_vec();
        entry.extend(length.to_le_bytes());
        entry.extend(0x6_0000u64.to_le_bytes());
        fix(&mut entry, 5);
        let mut memory = Memory::new();
        memory.put(0, &entry);
        EntryPoint::read(&memory, 0).is_some()
    };
    assert!(structures(1 << 20));
    assert!(!structures((1 << 20) + 1));
}

#[test]
fn the_machine_s_ends_are_found() {
    let mut memory = machine();
    let dsdt_at = (DSDT_AT as u64).to_le_bytes();
    let port = |port: u32| port.to_le_bytes();
    let reset_port = [&[1u8, 8, 0, 1][..], &0xcf9u64.to_le_bytes()].concat();
    let reset_memory = [&[0u8, 8, 0, 1][..], &0xfea0_0000u64.to_le_bytes()].concat();
    let ends = |memory: &mut Memory, flags, fields: &[(usize, &[u8])]| {
        memory.put(0x2_0000, &fadt(flags, fields));
        let memory = &*memory;
        let fixed = Fixed::new(Table::read(memory, 0x2_0000).expect("a FADT"));
        (fixed.dsdt(memory).and_then(|dsdt| fixed.power_off(&dsdt)), fixed.reset())
    };

    for (code, a, b) in SLEEP {
        memory.put(DSDT_AT, &table(b"DSDT", &[b"_S5_ \x08_S4_ ", code].concat()));
        let fields = [
            (140, &dsdt_at[..]),
            (48, &port(0xb2)),
            (52, &[0xf1]),
            (64, &port(0x604)),
            (68, &port(0x704)),
            (116, &reset_port),
            (128, &[0x0f]),
        ];
        let pm1 = PowerOff::Pm1 { enable: Some((0xb2, 0xf1)), a: (0x604, a), b: Some((0x704, b)) };
        assert_eq!(
            ends(&mut memory, RESET_SUPPORTED, &fields),
            (Some(pm1), Some((Register::Port(0xcf9), 0x0f))),
            "{}",
            code.escape_ascii()
        );
        // Not supported, says the flag.
        assert_eq!(ends(&mut memory, 0, &fields).1, None);
    }

    let fields =
        [(140, &dsdt_at[..]), (244, &reset_memory), (116, &reset_memory), (128, &[0x42]), (64, &port(0x604))];
    assert_eq!(
        ends(&mut memory, RESET_SUPPORTED | REDUCED_HARDWARE, &fields),
        (
            Some(PowerOff::SleepControl(Register::Memory(0xfea0_0000), 5)),
            Some((Register::Memory(0xfea0_0000), 0x42))
        )
    );

    for code in
        [&b"\x08_S5_\x12"[..], b"\x08_S5_\x12\xc6", b"\x08_S5_\x12\x06\x04\x70abc", b"_S5_\x12\x06\x04\x00"]
    {
        memory.put(DSDT_AT, &table(b"DSDT", code));
        assert_eq!(ends(&mut memory, 0, &[(140, &dsdt_at), (64, &port(0x604))]).0, None);
    }
}

#[test]
fn the_machine_s_counters_and_its_century_are_found() {
    let port = 0x608u32.to_le_bytes();
    let wide = [&[1u8, 32, 0, 3][..], &0x708u64.to_le_bytes()].concat();
    let found = |flags, fields: &[(usize, &[u8])]| {
        let mut memory = machine();
        memory.put(0x2_0000, &fadt(flags, fields));
        let fixed = Fixed::new(Table::read(&memory, 0x2_0000).expect("a FADT"));
        (fixed.power_timer(), fixed.century())
    };
    let timer = |port, is_wide| Some(PowerTimer { register: Register::Port(port), is_wide });
    let old: [(usize, &[u8]); 3] = [(76, &port), (91, &[4]), (108, &[0x32])];
    assert_eq!(found(0, &old), (timer(0x608, false), Some(0x32)));
    assert_eq!(found(1 << 8, &old), (timer(0x608, true), Some(0x32)));
    let both: [(usize, &[u8]); 4] = [(76, &port), (91, &[4]), (208, &wide), (108, &[0x80])];
    assert_eq!(found(1 << 8, &both), (timer(0x708, true), None));
    assert_eq!(found(0, &[(76, &port), (91, &[0])]), (None, None));
    assert_eq!(found(REDUCED_HARDWARE, &old).0, None);

    let hpet = |space: u8, address: u64| {
        let mut memory = Memory::new();
        let body = [&[0, 0, 0, 0, space, 64, 0, 0][..], &address.to_le_bytes(), &[0; 4]].concat();
        memory.put(0x2_0000, &table(b"HPET", &body));
        acpi::event_timer(&Table::read(&memory, 0x2_0000).expect("a table"))
    };
    assert_eq!(hpet(0, 0xfed0_0000), Some(0xfed0_0000));
    assert_eq!(hpet(0, 0), None);
    assert_eq!(hpet(1, 0x100), None);
}

#[test]
fn virtio_over_mmio_is_found_in_byte_code() {
    let mut memory = Memory::new();
    let device = |address: u32| {
        let address = address.to_le_bytes();
        let range = [b"\x86\x09\0\x01", &address[..], b"\0\x02\0\0"].concat();
        [b"\x08_HID\x0dLNRO0005\0\x08_CRS\x11", &range[..], b"\x79\0"].concat()
    };
    let code = [device(0xfeb0_0e00), b"\x86\x09\0\x01 other".to_vec(), device(0xfeb0_2e00)].concat();
    memory.put(DSDT_AT, &table(b"DSDT", &code));
    let dsdt = Table::read(&memory, DSDT_AT as u64).expect("a DSDT");
    assert_eq!(acpi::virtio_mmio(&dsdt).collect::<Vec<_>>(), [0xfeb0_0e00, 0xfeb0_2e00]);
}

fn descriptions(memory: &Memory, entry: EntryPoint) -> Vec<String> {
    entry.structures(memory).filter_map(|structure| Some(structure.description()?.to_string())).collect()
}

const DESCRIPTIONS: [&str; 2] =
    ["firmware: SeaBIOS rel-1.16.2, 04/01/2014", "machine: ACME Board \\xff, serial number 77"];

#[test]
fn smbios_tells_the_names_up_to_its_end() {
    let mut memory = machine();
    let entry = EntryPoint::find(&memory).expect("an entry point");
    assert_eq!(entry.version, (2, 8));
    assert_eq!(descriptions(&memory, entry), DESCRIPTIONS);

    // The newer form.
    let mut entry = b"_SM3_\0\x18\x03\x07\0\x01\0".to_vec();
    entry.extend(0x100u32.to_le_bytes());
    entry.extend(0x6_0000u64.to_le_bytes());
    fix(&mut entry, 5);
    memory.put(0xf_5910, &[0; 31]);
    memory.put(0xe_0010, &entry);
    let found = EntryPoint::find(&memory).expect("an entry point");
    assert_eq!(found.version, (3, 7));
    assert_eq!(descriptions(&memory, found), DESCRIPTIONS);

    // A structure that is too short, or has no end, ends the list.
    memory.0[0x6_0001] = 3;
    assert_eq!(descriptions(&memory, found), [""; 0]);
    memory.0[0x6_0001] = 0xff;
    memory.put(0x6_0100, &[1; 0x100]);
    assert!(descriptions(&memory, found).len() <= 1);
    memory.0[0xe_0010 + 6] ^= 1;
    assert_eq!(EntryPoint::find(&memory), None);
}

#[test]
fn smbios_tells_slots_and_what_is_on_the_board() {
    let slot = |number: u16, place: [u8; 4]| {
        let mut bytes = vec![9, 0x13, 0, 9, 1, 0xa5, 13, 4, 3];
        bytes.extend(number.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(place);
        bytes.resize(0x13, 0);
        [bytes, b"PCIe\0\0".to_vec()].concat()
    };
    let onboard = |kind, number, place: [u8; 4]| {
        let [a, b, c, d] = place;
        [vec![41, 11, 0, 41, 1, kind, number, a, b, c, d], b"LAN\0\0".to_vec()].concat()
    };
    let structures = [
        slot(5, [0, 0, 3, 0]),
        // Of another segment, and without a place.
        slot(6, [1, 0, 3, 0]),
        slot(7, [0, 0, 0xff, 0xff]),
        // Ethernet, enabled and not; sound; cut.
        onboard(0x85, 1, [0, 0, 0, 31 << 3 | 6]),
        onboard(0x05, 2, [0, 0, 2, 0]),
        onboard(0x87, 3, [0, 0, 2, 0]),
        b"\x29\x08\0\x29\x01\x85\x04\0\0\0".to_vec(),
        b"\x7f\x04\0\x7f\0\0".to_vec(),
    ];
    let mut memory = machine();
    memory.put(0x6_0000, &structures.concat());
    let length = u16::try_from(structures.concat().len()).expect("short").to_le_bytes();
    memory.put(0xf_5910 + 22, &length);
    let mut entry = memory.0[0xf_5910..][..31].to_vec();
    fix(&mut entry[16..], 5);
    fix(&mut entry, 4);
    memory.put(0xf_5910, &entry);
    let entry = EntryPoint::find(&memory).expect("an entry point");
    let labels: Vec<_> = entry.structures(&memory).filter_map(|structure| structure.label()).collect();
    assert_eq!(
        labels,
        [
            Label::Slot { number: 5, bus: 3, device: 0 },
            Label::Ethernet { number: 1, bus: 0, device: 31, function: 6 },
            Label::Ethernet { number: 2, bus: 2, device: 0, function: 0 },
        ]
    );
}

#[test]
fn uefi_s_table_leads_to_smbios() {
    let mut memory = machine();
    let entry_point = EntryPoint::find(&memory);
    // EFI_TABLE_HEADER: signature, revision 2.70; the tables' count and address.
    memory.put(0x7_0000, b"IBI SYST\x46\0\x02\0");
    memory.put(0x7_0000 + 104, &2u64.to_le_bytes());
    memory.put(0x7_0000 + 112, &0x7_1000u64.to_le_bytes());
    // SMBIOS_TABLE_GUID as memory has it, behind another table.
    memory.put(0x7_1018, b"\x31\x2d\x9d\xeb\x88\x2d\xd3\x11\x9a\x16\x00\x90\x27\x3f\xc1\x4d");
    memory.put(0x7_1028, &0xf_5910u64.to_le_bytes());
    let table = SystemTable::read(&memory, 0x7_0000).expect("a system table");
    assert_eq!(table.revision, (2, 70));
    assert_eq!(table.smbios(&memory), entry_point);
    memory.0[0x7_1018] ^= 1;
    assert_eq!(table.smbios(&memory), None);
    // ACPI_TABLE_GUID, then also ACPI_20_TABLE_GUID, which counts.
    assert_eq!(table.acpi(&memory), None);
    memory.put(0x7_1018, b"\x30\x2d\x9d\xeb\x88\x2d\xd3\x11\x9a\x16\x00\x90\x27\x3f\xc1\x4d");
    memory.put(0x7_1028, &0xf_5a10u64.to_le_bytes());
    assert!(Root::find(&memory).is_some());
    assert_eq!(table.acpi(&memory), Root::find(&memory));
    memory.put(0x7_1000, b"\x71\xe8\x68\x88\xf1\xe4\xd3\x11\xbc\x22\x00\x80\xc7\x3c\x88\x81");
    memory.put(0x7_1010, &0xf_5a10u64.to_le_bytes());
    memory.0[0x7_1018] ^= 1;
    assert_eq!(table.acpi(&memory), Root::find(&memory));
    memory.0[0x7_0000] ^= 1;
    assert!(SystemTable::read(&memory, 0x7_0000).is_none());
}

/// Reads all there is to read, for what must hold whatever the memory says.
fn read_everything(memory: &Memory) {
    if let Some(root) = Root::find(memory) {
        assert!(root.tables(memory).count() <= 257);
        for table in root.tables(memory).flatten() {
            assert!(acpi::processors(&table) <= SIZE / 2);
            assert!(acpi::virtio_mmio(&table).count() <= SIZE / 9);
            let fixed = Fixed::new(table);
            fixed.reset();
            fixed.dsdt(memory).and_then(|dsdt| fixed.power_off(&dsdt));
        }
    }
    if let Some(entry) = EntryPoint::find(memory) {
        for structure in entry.structures(memory) {
            let _ = structure.description().map(|description| description.to_string());
        }
    }
    if let Some(table) = SystemTable::read(memory, 0x7_0000) {
        table.smbios(memory);
        table.acpi(memory);
    }
}

/// Where the tables of [`machine`] are.
const PLACES: [(usize, usize); 7] = [
    (0xf_5a10, 36),
    (0xf_5910, 31),
    (0x1_1000, 52),
    (0x2_0000, 268),
    (0x3_0000, 100),
    (DSDT_AT, 64),
    (0x6_0000, 160),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Tables with any bytes changed, their checksums made right again.
    #[test]
    fn hostile_tables_are_survived(
        changes in proptest::collection::vec((0usize..PLACES.len(), 0usize..268, any::<u8>()), 1..12),
    ) {
        let mut memory = machine();
        for (place, offset, value) in changes {
            let (start, length) = PLACES[place];
            memory.0[start + offset % length] = value;
        }
        for start in [0x1_1000, 0x2_0000, 0x3_0000, DSDT_AT] {
            let length = u32::from_le_bytes(memory.0[start + 4..start + 8].try_into().expect("four")) as usize;
            if (36..SIZE - start).contains(&length) {
                fix(&mut memory.0[start..start + length], 9);
            }
        }
        fix(&mut memory.0[0xf_5a10..0xf_5a10 + 20], 8);
        fix(&mut memory.0[0xf_5a10..0xf_5a10 + 36], 32);
        fix(&mut memory.0[0xf_5920..0xf_592f], 5);
        fix(&mut memory.0[0xf_5910..0xf_592f], 4);
        read_everything(&memory);
    }

    #[test]
    fn any_bytes_are_survived(
        body in proptest::collection::vec(any::<u8>(), 0..400),
        signature in prop_oneof![Just(*b"FACP"), Just(*b"APIC"), Just(*b"DSDT")],
    ) {
        let mut memory = machine();
        memory.put(0x3_0000, &table(&signature, &body));
        memory.put(0x6_0000, &body);
        read_everything(&memory);
    }
}

/// The sound table of these bytes, in a memory that is never given back.
fn in_memory(bytes: Vec<u8>) -> Table<'static> {
    let memory = Box::leak(Box::new(Memory::new()));
    memory.put(0x1000, &bytes);
    Table::read(memory, 0x1000).expect("a sound table")
}

#[test]
fn configuration_space_in_memory_is_what_the_mcfg_says() {
    let entry = |address: u64, group: u16, first: u8, last: u8| {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(group.to_le_bytes());
        bytes.extend([first, last, 0, 0, 0, 0]);
        bytes
    };
    let mut body = vec![0; 8];
    body.extend(entry(0xe000_0000, 0, 0, 0xff));
    // Nowhere, not on a megabyte, buses in the wrong order.
    body.extend(entry(0, 0, 0, 0xff));
    body.extend(entry(0xe000_8000, 0, 0, 0xff));
    body.extend(entry(0xe000_0000, 0, 9, 8));
    body.extend(entry(0x38_0000_0000, 1, 0x80, 0x80));
    body.extend([1; 15]);
    let found: Vec<_> = pci::segments(&in_memory(table(b"MCFG", &body))).collect();
    let segment = |address, group, first, last| pci::Segment { address, group, first, last };
    assert_eq!(found, [segment(0xe000_0000, 0, 0, 0xff), segment(0x38_0000_0000, 1, 0x80, 0x80)]);
    assert_eq!(pci::segments(&in_memory(table(b"MCFG", &[0; 3]))).count(), 0);
}

#[test]
fn host_bridges_are_counted_and_their_buses_read() {
    let hid = |digit: u8| [&b"\x08_HID\x0c\x41\xd0\x0a"[..], &[digit]].concat();
    let code = [
        hid(8).as_slice(),
        // A compatible id is not another one.
        b"\x08_CID\x0c\x41\xd0\x0a\x03",
        &hid(3),
        b"\x08_BBN\x0a\x80",
        &hid(8),
        // A method of no arguments that returns a number, serialized or not; words.
        b"\x14\x0a_BBN\x08\xa4\x0a\xc0",
        &hid(8),
        b"\x08_BBN\x0b\x40\x00",
        &hid(8),
        // Found out by running it, too large, in another name.
        b"\x14\x0a_BBN\x00\xa4\x60",
        b"\x08_BBN\x0b\x40\x01",
        b"X_BBN\x0a\x11",
        // Other devices.
        b"\x08_HID\x0c\x41\xd0\x0c\x08\x08_HID\x0dPNP0A05\0\x08_HID\x0dPNP0A08X",
        b"\x08_HID\x0dPNP0A03\0",
        b"\x08_BBN",
    ]
    .concat();
    let mut buses = Vec::new();
    let found = pci::host_bridges(&in_memory(table(b"DSDT", &code)), |bus| buses.push(bus));
    assert_eq!(buses, [0x80, 0xc0, 0x40]);
    assert_eq!(found, pci::HostBridges { count: 6, numbered: 3, configuration: None, windows: [None; 4] });

    let look = |code: &[u8]| pci::host_bridges(&in_memory(table(b"DSDT", code)), |_| {}).configuration;
    assert_eq!(look(b"\x14\x0c_CBA\0\xa4\x0c\0\0\0\xe0"), Some(0xe000_0000));
    assert_eq!(look(b"\x08_CBA\x0e\0\0\0\0\x40\0\0\0"), Some(0x40_0000_0000));
    assert_eq!(look(b"\x08_CBA\0"), None);
    assert_eq!(look(b"\x08_CBA\x0e\0\0\0\0\x40\0\0"), None);
}

#[test]
fn iommus_are_where_the_tables_say() {
    let unit = |kind: &[u8], address: u64| {
        let mut bytes = kind.to_vec();
        bytes.resize(8, 0);
        bytes.extend(address.to_le_bytes());
        bytes
    };
    let dmar = [
        &[0; 12][..],
        &unit(&[0, 0, 16, 0], 0xfed9_0000),
        // Reserved memory, and a unit without an address.
        &unit(&[1, 0, 16, 0], 0x7000_0000),
        &unit(&[0, 0, 16, 0], 0),
        // A device of one is within it.
        &unit(&[0, 0, 24, 0], 0xfed9_1000),
        &[1, 8, 0, 0, 0, 0, 2, 0],
        // Cut off.
        &[0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xd9],
    ]
    .concat();
    let found: Vec<_> = iommus(&in_memory(table(b"DMAR", &dmar))).collect();
    assert_eq!(found, [Iommu::IntelVtd(0xfed9_0000), Iommu::IntelVtd(0xfed9_1000)]);

    let ivrs = [
        &[0; 12][..],
        &unit(&[0x10, 0, 16, 0], 0xfeb8_0000),
        &unit(&[0x11, 0, 16, 0], 0xfeb8_0000),
        &unit(&[0x20, 0, 16, 0], 1),
        &unit(&[0x40, 0, 16, 0], 0xfeb9_0000),
    ]
    .concat();
    let found: Vec<_> = iommus(&in_memory(table(b"IVRS", &ivrs))).collect();
    assert_eq!(found, [Iommu::AmdVi(0xfeb8_0000), Iommu::AmdVi(0xfeb9_0000)]);

    let viot = [
        &[5, 0, 48, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[3, 0, 16, 0, 0, 0, 0x1b, 0x02, 0, 0, 0, 0, 0, 0, 0, 0],
        // In another segment; a range of devices.
        &[3, 0, 16, 0, 1, 0, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &unit(&[4, 0, 16, 0], 0xfeb0_0000),
    ]
    .concat();
    let found: Vec<_> = iommus(&in_memory(table(b"VIOT", &viot))).collect();
    assert_eq!(found, [Iommu::VirtioPci(0x21b), Iommu::VirtioMmio(0xfeb0_0000)]);
    assert_eq!(found[0].to_string(), "virtio-iommu at 02:03.3");

    assert_eq!(iommus(&in_memory(table(b"APIC", &dmar))).count(), 0);
    // Structures that do not go on.
    assert_eq!(iommus(&in_memory(table(b"DMAR", &[0; 100]))).count(), 0);
}

#[test]
fn the_addresses_that_a_host_bridge_has_for_devices_are_read() {
    let memory = |general: u8, min: u32, max: u32, length: u32| {
        let mut bytes = vec![0x87, 0x17, 0, 0, general, 1];
        for word in [0, min, max, 0, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    };
    let root = b"\x08_HID\x0c\x41\xd0\x0a\x08";
    let window =
        |parts: &[&[u8]]| pci::host_bridges(&in_memory(table(b"DSDT", &parts.concat())), |_| {}).windows;
    let vga = memory(0x0c, 0xa_0000, 0xb_ffff, 0x2_0000);
    let good = memory(0x0c, 0xc000_0000, 0xdfff_ffff, 0x2000_0000);
    assert_eq!(
        window(&[root, b"\x08_CRS", &vga, &good]),
        [Some((0xc000_0000, 0xdfff_ffff)), None, None, None]
    );
    // Configuration space is declared in the same way, before or behind; each range counts once, and four are kept.
    let configuration = memory(0x0c, 0xb000_0000, 0xbfff_ffff, 0x1000_0000);
    let both = [Some((0xb000_0000, 0xbfff_ffff)), Some((0xc000_0000, 0xdfff_ffff)), None, None];
    assert_eq!(window(&[root, b"\x08_CRS", &configuration, b"\x08_CRS", &vga, &good]), both);
    let many: Vec<u8> = (1..9).flat_map(|at| memory(0x0c, at << 28, (at << 28) + 0xfff, 0x1000)).collect();
    assert_eq!(window(&[root, b"\x08_CRS", &many])[3], Some((4 << 28, (4 << 28) + 0xfff)));
    // Consumed, of another length, before any host bridge, not resources.
    assert_eq!(window(&[root, b"\x08_CRS", &memory(0x0d, 0xc000_0000, 0xdfff_ffff, 0x2000_0000)]), [None; 4]);
    assert_eq!(window(&[root, b"\x08_CRS", &memory(0x0c, 0xc000_0000, 0xdfff_ffff, 0)]), [None; 4]);
    assert_eq!(window(&[b"\x08_CRS", &good, root]), [None; 4]);
    assert_eq!(window(&[root, &good]), [None; 4]);
}
