//! ACPI's static tables (ACPI 6.5, section 5.2), and the few things in the byte code of the DSDT that
//! are needed and can be found without running it.

use super::{BIOS_AREA, PARAGRAPH, sums_to_zero};
use crate::{Fields, PhysicalMemory};
use core::fmt;

/// A table's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 4]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Section 5.2.5.3, `RSDP`.
mod rsdp {
    pub const SIGNATURE: &[u8] = b"RSD PTR ";
    pub const LENGTH: usize = 20;
    pub const REVISION: usize = 15;
    pub const RSDT: usize = 16;
    /// From revision 2 on.
    pub const LENGTH_2: usize = 36;
    pub const XSDT: usize = 24;
}
/// Section 5.2.6, the header of every table.
mod header {
    pub const LENGTH: usize = 36;
    pub const TABLE_LENGTH: usize = 4;
}
/// Longer than any table is, so that a damaged length costs no time.
const MAX_TABLE: usize = 2 << 20;
/// More than any machine has.
const MAX_TABLES: usize = 256;

/// The table of tables: where all others are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its physical address.
    pub address: u64,
    /// Whether it is an XSDT, with 64-bit entries, or an RSDT, with 32-bit ones.
    pub is_wide: bool,
}

impl Root {
    /// What the root pointer in `bytes` says; `None` where its signature or a checksum is wrong.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let old = bytes.get(..rsdp::LENGTH).filter(|bytes| bytes.starts_with(rsdp::SIGNATURE))?;
        if !sums_to_zero(old) {
            return None;
        }
        if Fields(old).u8(rsdp::REVISION)? >= 2
            && let Some(new) = bytes.get(..rsdp::LENGTH_2).filter(|bytes| sums_to_zero(bytes))
            && let Some(address @ 1..) = Fields(new).u64(rsdp::XSDT)
        {
            return Some(Self { address, is_wide: true });
        }
        Some(Self { address: Fields(old).u32(rsdp::RSDT)?.into(), is_wide: false })
    }

    /// What the root pointer at the physical address `address` says.
    pub fn read(memory: &dyn PhysicalMemory, address: u64) -> Option<Self> {
        let bytes = memory.read(address, rsdp::LENGTH_2).or_else(|| memory.read(address, rsdp::LENGTH))?;
        Self::parse(bytes)
    }

    /// Looks for the root pointer where a BIOS leaves it.
    pub fn find(memory: &dyn PhysicalMemory) -> Option<Self> {
        let length = usize::try_from(BIOS_AREA.end.checked_sub(BIOS_AREA.start)?).ok()?;
        // All at once: it is 8,192 places, and the first frame waits for it.
        let paragraphs = memory.read(BIOS_AREA.start, length)?.chunks_exact(PARAGRAPH);
        let mut places = BIOS_AREA.step_by(PARAGRAPH).zip(paragraphs);
        places.find_map(|(address, paragraph)| {
            paragraph.starts_with(rsdp::SIGNATURE).then(|| Self::read(memory, address))?
        })
    }

    /// All tables that the root names, in its order; first the root itself where it can't be read.
    pub fn tables<'m>(
        self,
        memory: &'m dyn PhysicalMemory,
    ) -> impl Iterator<Item = Result<Table<'m>, TableError>> {
        let root = Table::read(memory, self.address);
        let (entries, error) = match root {
            Ok(root) => (root.body(), None),
            Err(error) => (&[][..], Some(Err(error))),
        };
        let width = if self.is_wide { 8 } else { 4 };
        let tables = entries.chunks_exact(width).take(MAX_TABLES).map(Fields).filter_map(move |entry| {
            let address =
                entry.u64(0).or_else(|| entry.u32(0).map(u64::from)).filter(|&address| address != 0)?;
            Some(Table::read(memory, address))
        });
        error.into_iter().chain(tables)
    }

    /// The first sound table with this signature.
    pub fn table<'m>(self, memory: &'m dyn PhysicalMemory, signature: &[u8; 4]) -> Option<Table<'m>> {
        self.tables(memory).flatten().find(|table| table.signature == Signature(*signature))
    }
}

/// Why a table does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The physical address that should be its is not readable memory, or ends too early.
    Unreadable(u64),
    /// It is shorter than its header or longer than any table.
    Length(Signature, u32),
    /// Its checksum is wrong.
    Checksum(Signature),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(address) => write!(f, "the table at {address:#x} can't be read"),
            Self::Length(signature, length) => {
                write!(f, "table {signature} has an impossible length of {length} bytes")
            }
            Self::Checksum(signature) => write!(f, "table {signature} has a wrong checksum"),
        }
    }
}

impl core::error::Error for TableError {}

/// A sound table.
#[derive(Clone, Copy)]
pub struct Table<'m> {
    /// Its name.
    pub signature: Signature,
    bytes: &'m [u8],
}

impl<'m> Table<'m> {
    /// The table at the physical address `address`.
    pub fn read(memory: &'m dyn PhysicalMemory, address: u64) -> Result<Self, TableError> {
        let unreadable = TableError::Unreadable(address);
        let head = Fields::read(memory, address, header::LENGTH).ok_or(unreadable)?;
        let signature = Signature(head.0.first_chunk().copied().ok_or(unreadable)?);
        let length = head.u32(header::TABLE_LENGTH).ok_or(unreadable)?;
        let bytes = usize::try_from(length)
            .ok()
            .filter(|length| (header::LENGTH..=MAX_TABLE).contains(length))
            .ok_or(TableError::Length(signature, length))?;
        let bytes = Fields::read(memory, address, bytes).ok_or(unreadable)?.0;
        if !sums_to_zero(bytes) {
            return Err(TableError::Checksum(signature));
        }
        Ok(Self { signature, bytes })
    }

    /// The whole table.
    pub(super) fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// What follows the header.
    pub(super) fn body(&self) -> &'m [u8] {
        self.bytes.get(header::LENGTH..).unwrap_or_default()
    }

    fn fields(&self) -> Fields<'m> {
        Fields(self.bytes)
    }
}

/// Name, length, and who made it.
impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |range: core::ops::Range<usize>| {
            self.bytes.get(range).unwrap_or_default().trim_ascii().escape_ascii()
        };
        write!(f, "{} {} bytes, {} {}", self.signature, self.bytes.len(), text(10..16), text(16..24))
    }
}

/// How many processors the MADT says can be used.
pub fn processors(madt: &Table<'_>) -> usize {
    const LOCAL_APIC: u8 = 0;
    const LOCAL_X2APIC: u8 = 9;
    const ENABLED: u32 = 1;
    let flags = controllers(madt).filter_map(|(kind, entry)| match kind {
        LOCAL_APIC => entry.u32(4),
        LOCAL_X2APIC => entry.u32(8),
        _ => None,
    });
    flags.filter(|flags| flags & ENABLED != 0).count()
}

/// The physical addresses of the I/O APICs that the MADT names.
pub fn io_apics<'m>(madt: &Table<'m>) -> impl Iterator<Item = u32> + use<'m> {
    const IO_APIC: u8 = 1;
    controllers(madt).filter_map(|(kind, entry)| if kind == IO_APIC { entry.u32(4) } else { None })
}

/// What the MADT (section 5.2.12) names, each with its type.
fn controllers<'m>(madt: &Table<'m>) -> impl Iterator<Item = (u8, Fields<'m>)> + use<'m> {
    let mut rest = madt.bytes.get(44..).unwrap_or_default();
    // Each entry has at least its type and length, so the walk ends.
    core::iter::from_fn(move || {
        let (&kind, &length) = rest.first().zip(rest.get(1).filter(|&&length| length >= 2))?;
        let (entry, following) = rest.split_at_checked(length.into()).unwrap_or((rest, &[]));
        rest = following;
        Some((kind, Fields(entry)))
    })
}

/// Where a register is (section 5.2.3.2, Generic Address Structure).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// In memory, at this physical address.
    Memory(u64),
    /// An I/O port.
    Port(u16),
}

impl Register {
    fn read(fields: Fields<'_>, offset: usize) -> Option<Self> {
        const SYSTEM_MEMORY: u8 = 0;
        const SYSTEM_IO: u8 = 1;
        let address = fields.u64(offset.checked_add(4)?).filter(|&address| address != 0)?;
        match fields.u8(offset)? {
            SYSTEM_MEMORY => Some(Self::Memory(address)),
            SYSTEM_IO => u16::try_from(address).ok().map(Self::Port),
            _ => None,
        }
    }
}

/// ACPI's timer (section 4.8.3.3): it counts up at [`HZ`](Self::HZ).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerTimer {
    /// Where it is read, as 32 bits.
    pub register: Register,
    /// Whether it has 32 bits, and not 24.
    pub is_wide: bool,
}

impl PowerTimer {
    /// Its frequency.
    pub const HZ: u32 = 3_579_545;
}

/// The physical address of the registers that the table `HPET` names (IA-PC HPET specification 1.0a, section 3.2.4).
pub fn event_timer(hpet: &Table<'_>) -> Option<u64> {
    const ADDRESS: usize = 40;
    match Register::read(hpet.fields(), ADDRESS)? {
        Register::Memory(address) => Some(address),
        Register::Port(_) => None,
    }
}

/// How the machine is turned off: state S5 (section 7.3.2, `_S5_`; section 4.8.3.2, PM1 control; section
/// 4.8.3.7, sleep control).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// By the PM1 control registers, which are I/O ports.
    Pm1 {
        /// SMI_CMD, and the value that makes these registers work where the firmware has not.
        enable: Option<(u16, u8)>,
        /// PM1a_CNT, and SLP_TYPa.
        a: (u16, u8),
        /// PM1b_CNT, and SLP_TYPb, where there is one.
        b: Option<(u16, u8)>,
    },
    /// By the sleep control register of a machine with reduced hardware, and SLP_TYP.
    SleepControl(Register, u8),
}

/// The FADT (section 5.2.9).
pub struct Fixed<'m> {
    fadt: Fields<'m>,
}

/// Offsets in the FADT.
mod fadt {
    pub const DSDT: usize = 40;
    pub const SMI_COMMAND: usize = 48;
    pub const ACPI_ENABLE: usize = 52;
    pub const PM1A_CONTROL: usize = 64;
    pub const PM1B_CONTROL: usize = 68;
    pub const POWER_TIMER: usize = 76;
    pub const POWER_TIMER_LENGTH: usize = 91;
    pub const CENTURY: usize = 108;
    pub const FLAGS: usize = 112;
    pub const RESET_REGISTER: usize = 116;
    pub const RESET_VALUE: usize = 128;
    pub const X_DSDT: usize = 140;
    pub const X_POWER_TIMER: usize = 208;
    pub const SLEEP_CONTROL: usize = 244;
    pub const FLAG_WIDE_TIMER: u32 = 1 << 8;
    pub const FLAG_RESET: u32 = 1 << 10;
    pub const FLAG_REDUCED_HARDWARE: u32 = 1 << 20;
}

impl<'m> Fixed<'m> {
    /// What the FADT says.
    pub fn new(fadt: Table<'m>) -> Self {
        Self { fadt: fadt.fields() }
    }

    fn has(&self, flag: u32) -> bool {
        self.fadt.u32(fadt::FLAGS).is_some_and(|flags| flags & flag != 0)
    }

    /// The DSDT.
    pub fn dsdt(&self, memory: &'m dyn PhysicalMemory) -> Option<Table<'m>> {
        let wide = self.fadt.u64(fadt::X_DSDT).filter(|&address| address != 0);
        let address = wide.or_else(|| self.fadt.u32(fadt::DSDT).map(u64::from))?;
        Table::read(memory, address).ok()
    }

    /// The register that resets the machine, and the value to be written (section 4.8.3.6).
    pub fn reset(&self) -> Option<(Register, u8)> {
        if !self.has(fadt::FLAG_RESET) {
            return None;
        }
        Register::read(self.fadt, fadt::RESET_REGISTER).zip(self.fadt.u8(fadt::RESET_VALUE))
    }

    /// ACPI's timer.
    pub fn power_timer(&self) -> Option<PowerTimer> {
        if self.has(fadt::FLAG_REDUCED_HARDWARE) {
            return None;
        }
        let old = || {
            self.fadt.u8(fadt::POWER_TIMER_LENGTH).filter(|&length| length == 4)?;
            let port = u16::try_from(self.fadt.u32(fadt::POWER_TIMER)?).ok().filter(|&port| port != 0)?;
            Some(Register::Port(port))
        };
        let register = Register::read(self.fadt, fadt::X_POWER_TIMER).or_else(old)?;
        Some(PowerTimer { register, is_wide: self.has(fadt::FLAG_WIDE_TIMER) })
    }

    /// Which register of the real-time clock holds the year's first two digits, if one does.
    pub fn century(&self) -> Option<u8> {
        self.fadt.u8(fadt::CENTURY).filter(|&register| (0x0e..0x80).contains(&register))
    }

    /// How the machine is turned off, the sleep types being those of the DSDT.
    pub fn power_off(&self, dsdt: &Table<'_>) -> Option<PowerOff> {
        let (a, b) = sleep_types(dsdt.body())?;
        if self.has(fadt::FLAG_REDUCED_HARDWARE) {
            return Register::read(self.fadt, fadt::SLEEP_CONTROL)
                .map(|register| PowerOff::SleepControl(register, a));
        }
        let port = |offset| {
            self.fadt.u32(offset).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0)
        };
        Some(PowerOff::Pm1 {
            enable: port(fadt::SMI_COMMAND).zip(self.fadt.u8(fadt::ACPI_ENABLE)),
            a: (port(fadt::PM1A_CONTROL)?, a),
            b: port(fadt::PM1B_CONTROL).map(|port| (port, b)),
        })
    }
}

/// SLP_TYPa and SLP_TYPb of state S5: the first two numbers of the package that byte code names `_S5_`
/// (section 20.2.5, DefName and DefPackage). Every DSDT has it as constants.
fn sleep_types(code: &[u8]) -> Option<(u8, u8)> {
    const NAME: u8 = 0x08;
    const ROOT: u8 = b'\\';
    const PACKAGE: u8 = 0x12;
    let at = code.windows(5).enumerate().find_map(|(at, window)| {
        let (&last, name) = window.split_last()?;
        let before = code.get(..at)?;
        let is_named = matches!(before, [.., NAME] | [.., NAME, ROOT]);
        (name == b"_S5_" && last == PACKAGE && is_named).then_some(at)
    })?;
    // Section 20.2.4: the length's first byte says in its two highest bits how many more there are.
    let length = code.get(at.checked_add(5)?..)?;
    let more = usize::from(*length.first()? >> 6);
    // Behind the length the number of elements, then these.
    let mut elements = length.get(more.checked_add(2)?..)?;
    // They have 3 bits.
    let mut next =
        || integer(&mut elements).and_then(|value| u8::try_from(value).ok()).filter(|&value| value < 8);
    let a = next()?;
    Some((a, next().unwrap_or(0)))
}

/// Takes a number from the front of byte code (section 20.2.3).
pub(super) fn integer(code: &mut &[u8]) -> Option<u64> {
    let (&kind, rest) = code.split_first()?;
    let length = match kind {
        0 | 1 => 0,
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        0x0e => 8,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(length)?;
    *code = rest;
    let constant = if length == 0 { u64::from(kind) } else { 0 };
    Some(digits.iter().rev().fold(constant, |value, &digit| value << 8 | u64::from(digit)))
}

/// The physical addresses of the virtio-over-MMIO devices in the byte code of a DSDT: the first fixed
/// memory range (section 6.4.3.4) behind each name of that kind, `LNRO0005`.
pub fn virtio_mmio<'t>(dsdt: &Table<'t>) -> impl Iterator<Item = u64> + use<'t> {
    const NAME: &[u8] = b"LNRO0005\0";
    /// Memory32Fixed, 9 bytes: whether it can be written, its address, its length.
    const FIXED_MEMORY: &[u8] = &[0x86, 9, 0];
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|window| window == what);
    let mut rest = dsdt.body();
    core::iter::from_fn(move || {
        let device = find(rest, NAME)?.checked_add(NAME.len())?;
        rest = rest.get(device..)?;
        let range = find(rest, FIXED_MEMORY)?;
        Fields(rest).u32(range.checked_add(4)?).map(u64::from)
    })
}
