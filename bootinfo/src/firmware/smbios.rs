//! SMBIOS: what the machine is called (System Management BIOS Reference Specification 3.7).

use super::{BIOS_AREA, PARAGRAPH, sums_to_zero};
use crate::{Fields, PhysicalMemory};
use core::fmt;

/// More than any machine has, so that a damaged length costs no time.
const MAX_LENGTH: u32 = 1 << 20;

/// Where the structures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// The specification's version that the firmware keeps to.
    pub version: (u8, u8),
    address: u64,
    length: u32,
}

impl EntryPoint {
    /// Sections 5.2.1 and 5.2.2: the two forms' lengths.
    const LENGTH: usize = 31;
    const LENGTH_3: usize = 24;

    /// The entry point at the physical address `address`, of either form.
    pub fn read(memory: &dyn PhysicalMemory, address: u64) -> Option<Self> {
        let wide = || {
            let fields = Fields::read(memory, address, Self::LENGTH_3)?;
            let sound = fields.0.starts_with(b"_SM3_") && sums_to_zero(fields.0);
            let version = (fields.u8(7)?, fields.u8(8)?);
            sound.then_some(Self { version, length: fields.u32(12)?, address: fields.u64(16)? })
        };
        let narrow = || {
            let fields = Fields::read(memory, address, Self::LENGTH)?;
            let second = fields.0.get(16..)?;
            let sound = fields.0.starts_with(b"_SM_")
                && sums_to_zero(fields.0)
                && second.starts_with(b"_DMI_")
                && sums_to_zero(second);
            let version = (fields.u8(6)?, fields.u8(7)?);
            let (length, address) = (fields.u16(22)?.into(), fields.u32(24)?.into());
            sound.then_some(Self { version, length, address })
        };
        wide().or_else(narrow).filter(|entry| entry.length <= MAX_LENGTH)
    }

    /// Looks for the entry point where a BIOS leaves it.
    pub fn find(memory: &dyn PhysicalMemory) -> Option<Self> {
        let mut places = BIOS_AREA.step_by(PARAGRAPH);
        places.find_map(|address| {
            memory.read(address, 4).filter(|bytes| bytes.starts_with(b"_SM"))?;
            Self::read(memory, address)
        })
    }

    /// The structures, up to the first one that is damaged.
    pub fn structures<'m>(&self, memory: &'m dyn PhysicalMemory) -> impl Iterator<Item = Structure<'m>> {
        let length = usize::try_from(self.length).unwrap_or(0);
        let mut rest = memory.read(self.address, length).unwrap_or_default();
        core::iter::from_fn(move || {
            let (structure, following) = Structure::split(rest)?;
            rest = following;
            Some(structure)
        })
        .take_while(|structure| structure.kind != END)
    }
}

/// Section 7.45.
const END: u8 = 127;

/// One structure (section 6.1.2).
#[derive(Clone, Copy)]
pub struct Structure<'m> {
    /// What it describes.
    kind: u8,
    formatted: Fields<'m>,
    strings: &'m [u8],
}

impl<'m> Structure<'m> {
    /// The first structure of `table`, and what follows it.
    fn split(table: &'m [u8]) -> Option<(Self, &'m [u8])> {
        let [kind, length, ..] = *table else { return None };
        if length < 4 {
            return None;
        }
        let (formatted, rest) = table.split_at_checked(length.into())?;
        // Section 6.1.3: strings with a zero behind each, and one more behind the last.
        let end = rest.windows(2).position(|pair| pair == [0, 0])?;
        let (strings, rest) = rest.split_at_checked(end.checked_add(2)?)?;
        Some((Self { kind, formatted: Fields(formatted), strings }, rest))
    }

    /// The string whose number is at `offset`; empty where there is none.
    fn string(&self, offset: usize) -> Escaped<'m> {
        let number = self.formatted.u8(offset).map_or(0, usize::from);
        let text = number.checked_sub(1).and_then(|index| self.strings.split(|byte| *byte == 0).nth(index));
        Escaped(text.unwrap_or_default().trim_ascii())
    }

    /// What the structure calls a place, where it does.
    pub fn label(&self) -> Option<Label> {
        const ETHERNET: u8 = 5;
        let fields = &self.formatted;
        let place = |segment: usize, bus: usize, function: usize| {
            let (bus, function) = (fields.u8(bus)?, fields.u8(function)?);
            // All ones: it is no PCI slot.
            let is_known = fields.u16(segment)? == 0 && (bus, function) != (0xff, 0xff);
            is_known.then_some((bus, function >> 3, function & 7))
        };
        match self.kind {
            9 => {
                let (bus, device, _) = place(0x0d, 0x0f, 0x10)?;
                Some(Label::Slot { number: fields.u16(0x09)?, bus, device })
            }
            41 if fields.u8(0x05)? & 0x7f == ETHERNET => {
                let (bus, device, function) = place(0x07, 0x09, 0x0a)?;
                Some(Label::Ethernet { number: fields.u8(0x06)?.into(), bus, device, function })
            }
            _ => None,
        }
    }

    /// What the structure says, where it is one of those that are shown.
    pub fn description(&self) -> Option<Description<'m>> {
        let string = |offset| self.string(offset);
        match self.kind {
            0 => Some(Description::Firmware { vendor: string(4), version: string(5), date: string(8) }),
            1 => Some(Description::System(Product::new(string(4), string(5), string(7)))),
            2 => Some(Description::Board(Product::new(string(4), string(5), string(7)))),
            _ => None,
        }
    }
}

/// What the firmware calls a place on the PCI buses of segment 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// A slot (section 7.10).
    Slot {
        /// Its number, as it is printed on the board.
        number: u16,
        /// The bus of what is in it.
        bus: u8,
        /// The device number there.
        device: u8,
    },
    /// An Ethernet device on the board (section 7.42).
    Ethernet {
        /// Its number among them, mostly from 1 on.
        number: u16,
        /// Its bus.
        bus: u8,
        /// Its device number.
        device: u8,
        /// Its function.
        function: u8,
    },
}

/// A string of the firmware's, shown with what is not printable ASCII escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escaped<'m>(pub &'m [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// Who made something, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product<'m> {
    /// The maker's name.
    pub maker: Escaped<'m>,
    /// The product's name.
    pub name: Escaped<'m>,
    /// Its serial number.
    pub serial: Escaped<'m>,
}

impl<'m> Product<'m> {
    const fn new(maker: Escaped<'m>, name: Escaped<'m>, serial: Escaped<'m>) -> Self {
        Self { maker, name, serial }
    }
}

impl fmt::Display for Product<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.maker, self.name)?;
        if self.serial.0.is_empty() { Ok(()) } else { write!(f, ", serial number {}", self.serial) }
    }
}

/// What is told of the machine. [`Display`](fmt::Display) gives a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Description<'m> {
    /// Section 7.1.
    Firmware {
        /// Who made it.
        vendor: Escaped<'m>,
        /// Which version it is.
        version: Escaped<'m>,
        /// When it was released.
        date: Escaped<'m>,
    },
    /// Section 7.2.
    System(Product<'m>),
    /// Section 7.3.
    Board(Product<'m>),
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firmware { vendor, version, date } => write!(f, "firmware: {vendor} {version}, {date}"),
            Self::System(product) => write!(f, "machine: {product}"),
            Self::Board(product) => write!(f, "board: {product}"),
        }
    }
}
