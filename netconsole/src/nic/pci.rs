//! Finding PCI functions and their registers (PCI Local Bus Specification 3.0, chapter 6, and PCI-to-PCI
//! Bridge Architecture Specification 1.2, section 3.2).
//!
//! Configuration space is not trusted: every walk is bounded, whatever it says. Nothing here panics,
//! waits or keeps state, so the panic path may use all of it.

mod buses;
#[cfg(test)]
pub(crate) mod fake;
mod numbers;
mod path;
mod place;
mod sizing;
#[cfg(test)]
mod tests;

pub use buses::{RootBuses, Walk, for_each_function, search_roots};
use core::fmt;
pub use numbers::{Unnumbered, is_unnumbered, number};
pub use path::{keep_link_awake, open_bridges, wake};
pub use place::{Space, Unplaced, is_unplaced, place};
pub use sizing::Sizing;
pub use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

/// Offsets of 32-bit words in configuration space (section 6.1, figure 6-1).
mod register {
    pub const ID: u8 = 0x00;
    pub const COMMAND: u8 = 0x04;
    pub const CLASS: u8 = 0x08;
    pub const HEADER_TYPE: u8 = 0x0c;
    pub const BAR0: u8 = 0x10;
    /// Bridges: primary, secondary and subordinate bus numbers (bridge specification, 3.2.5).
    pub const BUS_NUMBERS: u8 = 0x18;
    /// Bridges: what they pass of memory, and of memory that may be read ahead, base and limit in MiB (3.2.5.8 and 9).
    pub const MEMORY_WINDOW: u8 = 0x20;
    pub const PREFETCHABLE_WINDOW: u8 = 0x24;
    pub const CAPABILITIES: u8 = 0x34;

    /// The BARs of a device; a bridge has the first two.
    pub fn bars() -> impl Iterator<Item = u8> {
        (BAR0..).step_by(4).take(6)
    }
}

/// Section 6.2.2.
const COMMAND_IO: u32 = 1 << 0;
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_BUS_MASTER: u32 = 1 << 2;
const COMMAND_INTERRUPT_DISABLE: u32 = 1 << 10;
/// The command register's half of its word. The other half is status, whose bits a written 1 clears.
const COMMAND_MASK: u32 = 0xffff;
/// Section 6.2.3, in the word at [`register::COMMAND`].
const STATUS_CAPABILITIES: u32 = 1 << 20;

/// Capabilities are at least a word and lie in the 192 bytes after the header: a longer list is a circle.
const MAX_CAPABILITIES: usize = 48;
/// Below it lie the BIOS's and the interrupt vectors' memory; no firmware puts a BAR there.
const LOWEST_MEMORY_BAR: u64 = 1 << 20;

fn is_present<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> bool {
    is_id(config.read_word(function, register::ID))
}

fn is_id(word: u32) -> bool {
    // Where nothing answers all ones are read (section 6.1); some hypervisors give zeros, and some bridges one half of these.
    !matches!(word, 0 | 0xffff | 0xffff_0000 | u32::MAX)
}

/// The vendor and device id of a function.
pub fn ids<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> (u16, u16) {
    halves(config.read_word(function, register::ID))
}

fn halves(word: u32) -> (u16, u16) {
    let [a, b, c, d] = word.to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
}

/// Which layout the rest of the header has (section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKind {
    /// Type 0: an ordinary device, with six BARs.
    Device,
    /// Type 1: a PCI-to-PCI bridge, with two BARs.
    Bridge,
    /// Type 2, CardBus, or unknown: no BARs that are known here.
    Other,
}

struct Header {
    kind: HeaderKind,
    is_multifunction: bool,
}

impl Header {
    fn read<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> Self {
        let [_, _, header_type, _] = config.read_word(function, register::HEADER_TYPE).to_le_bytes();
        let kind = match header_type & 0x7f {
            0 => HeaderKind::Device,
            1 => HeaderKind::Bridge,
            _ => HeaderKind::Other,
        };
        Self { kind, is_multifunction: header_type & 0x80 != 0 }
    }
}

/// What kind of device a function says it is (PCI Code and ID Assignment Specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The base class.
    pub base: u8,
    /// The sub-class.
    pub sub: u8,
    /// The programming interface.
    pub interface: u8,
}

impl Class {
    const HOST_BRIDGE: (u8, u8) = (0x06, 0x00);

    /// The class of a function.
    pub fn read<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> Self {
        let [_, interface, sub, base] = config.read_word(function, register::CLASS).to_le_bytes();
        Self { base, sub, interface }
    }

    /// Whether it is a network controller of any kind.
    pub const fn is_network(self) -> bool {
        self.base == 0x02
    }

    /// The class in words.
    pub const fn name(self) -> &'static str {
        match (self.base, self.sub) {
            (0x01, 0x00) => "SCSI controller",
            (0x01, 0x01) => "IDE controller",
            (0x01, 0x06) => "SATA controller",
            (0x01, 0x08) => "NVMe controller",
            (0x01, _) => "storage controller",
            (0x02, 0x00) => "ethernet controller",
            (0x02, _) => "network controller",
            (0x03, 0x00) => "VGA controller",
            (0x03, _) => "display controller",
            (0x04, _) => "multimedia controller",
            (0x05, _) => "memory controller",
            Self::HOST_BRIDGE => "host bridge",
            (0x06, 0x01) => "ISA bridge",
            (0x06, 0x04) => "PCI bridge",
            (0x06, _) => "bridge",
            (0x07, 0x00) => "serial controller",
            (0x07, _) => "communication controller",
            (0x08, _) => "system peripheral",
            (0x09, _) => "input controller",
            (0x0c, 0x03) => "USB controller",
            (0x0c, 0x05) => "SMBus controller",
            (0x0c, _) => "serial bus controller",
            (0x0d, _) => "wireless controller",
            (0x10, _) => "encryption controller",
            (0x11, _) => "signal processing controller",
            (0x12, _) => "processing accelerator",
            _ => "unclassified device",
        }
    }
}

/// Registers of a function that the firmware has placed somewhere (section 6.2.5). The length is a
/// power of two and the address a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// In physical memory, not below 1 MiB.
    Memory {
        /// The physical address.
        address: u64,
        /// The length in bytes.
        length: u64,
    },
    /// In I/O space.
    Io {
        /// The first port.
        port: u32,
        /// How many ports.
        length: u32,
    },
}

impl Bar {
    fn io(low: u32, mask: u32) -> Option<Self> {
        const FLAGS: u32 = 0b11;
        let length = lowest_bit(u64::from(mask & !FLAGS));
        let port = low & !FLAGS;
        let length = u32::try_from(length).ok().filter(|&length| is_placed(port.into(), length.into()))?;
        Some(Self::Io { port, length })
    }

    fn memory(address: u64, mask: u64) -> Option<Self> {
        const FLAGS: u64 = 0b1111;
        let length = lowest_bit(mask & !FLAGS);
        let address = address & !FLAGS;
        (address >= LOWEST_MEMORY_BAR && is_placed(address, length))
            .then_some(Self::Memory { address, length })
    }
}

/// The lowest address bit that can be set is the length; 0 where none can.
fn lowest_bit(mask: u64) -> u64 {
    mask & mask.wrapping_neg()
}

fn is_placed(address: u64, length: u64) -> bool {
    length != 0
        && address != 0
        && address & length.wrapping_sub(1) == 0
        // The last byte, so that a region may end where the address space does.
        && address.checked_add(length.wrapping_sub(1)).is_some()
}

/// A PCI function, as its header described it when it was read. [`Display`](fmt::Display) gives
/// `00:03.0: 1af4:1041 ethernet controller, BAR4 0xfebf8000+0x4000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// Where it is: bus, device, function.
    pub function: DeviceFunction,
    /// Who made it.
    pub vendor_id: u16,
    /// Which of the vendor's devices it is.
    pub device_id: u16,
    /// What it is.
    pub class: Class,
    /// Its revision.
    pub revision: u8,
    /// Its header's layout.
    pub header: HeaderKind,
    /// The regions that have an address, by the number of their first base address register.
    pub bars: [Option<Bar>; 6],
}

impl PciDevice {
    /// Reads the header of `function` and sizes its BARs, decoding off meanwhile; `None` where no
    /// function answers. A BAR whose address is missing, unaligned or beyond its space is left out.
    pub fn read<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction) -> Option<Self> {
        Some(Self::identify(config, function)?.size(config))
    }

    /// Sizes the BARs of a function that was [identified](Self::identify), as [`read`](Self::read) does.
    fn size<C: ConfigurationAccess>(self, config: &mut C) -> Self {
        let bars = match bar_count(self.class, self.header) {
            0 => [None; 6],
            count => size_bars(config, self.function, count),
        };
        Self { bars, ..self }
    }

    /// Reads the header of `function` and leaves it as it is: its BARs are not known. `None` where no function answers.
    pub fn identify<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> Option<Self> {
        let id = config.read_word(function, register::ID);
        if !is_id(id) {
            return None;
        }
        let (vendor_id, device_id) = halves(id);
        let [revision, interface, sub, base] = config.read_word(function, register::CLASS).to_le_bytes();
        let class = Class { base, sub, interface };
        let header = Header::read(config, function).kind;
        Some(Self { function, vendor_id, device_id, class, revision, header, bars: [None; 6] })
    }

    /// The physical ranges (address, length in bytes) that its memory BARs take: what is to be mapped
    /// before its driver starts.
    pub fn memory_ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bars.iter().filter_map(|bar| match *bar {
            Some(Bar::Memory { address, length }) => Some((address, length)),
            _ => None,
        })
    }

    /// Lets the function answer at its memory BARs and reach memory by itself, without interrupts.
    pub fn enable<C: ConfigurationAccess>(&self, config: &mut C) {
        self.command(config, COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_INTERRUPT_DISABLE);
    }

    /// The same, with its I/O BARs in place of the memory BARs.
    pub fn enable_io<C: ConfigurationAccess>(&self, config: &mut C) {
        self.command(config, COMMAND_IO | COMMAND_BUS_MASTER | COMMAND_INTERRUPT_DISABLE);
    }

    fn command<C: ConfigurationAccess>(&self, config: &mut C, wanted: u32) {
        let command = config.read_word(self.function, register::COMMAND) & COMMAND_MASK;
        config.write_word(self.function, register::COMMAND, command | wanted);
    }

    /// The offsets in configuration space of its capabilities that have this id (section 6.7).
    pub fn capabilities<C: ConfigurationAccess>(&self, config: &C, id: u8) -> impl Iterator<Item = u8> {
        capability_offsets(config, self.function, id)
    }
}

impl fmt::Display for PciDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:04x}:{:04x} {}", self.function, self.vendor_id, self.device_id, self.class.name())?;
        for (number, bar) in self.bars.iter().enumerate() {
            match bar {
                Some(Bar::Memory { address, length }) => write!(f, ", BAR{number} {address:#x}+{length:#x}")?,
                Some(Bar::Io { port, length }) => write!(f, ", BAR{number} I/O {port:#x}+{length:#x}")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// The offsets in configuration space of a function's capabilities that have this id (section 6.7).
fn capability_offsets<C: ConfigurationAccess>(
    config: &C,
    function: DeviceFunction,
    id: u8,
) -> impl Iterator<Item = u8> {
    let has_list = config.read_word(function, register::COMMAND) & STATUS_CAPABILITIES != 0;
    let [first, ..] = config.read_word(function, register::CAPABILITIES).to_le_bytes();
    let mut next = if has_list { first } else { 0 };
    let list = core::iter::from_fn(move || {
        // The lowest two bits are reserved; the header itself is no capability.
        let offset = next & !0b11;
        if offset < 0x40 {
            return None;
        }
        let [found, following, ..] = config.read_word(function, offset).to_le_bytes();
        next = following;
        Some((found, offset))
    });
    list.take(MAX_CAPABILITIES).filter_map(move |(found, offset)| (found == id).then_some(offset))
}

/// How many BARs of such a function are sized.
fn bar_count(Class { base, sub, .. }: Class, header: HeaderKind) -> usize {
    match header {
        // With a host bridge's decoding off, memory itself might be gone.
        HeaderKind::Device if (base, sub) != Class::HOST_BRIDGE => 6,
        HeaderKind::Bridge => 2,
        _ => 0,
    }
}

/// Writes ones to the first `count` BARs to see which address bits they have (section 6.2.5.1), and
/// puts back what they were.
fn size_bars<C: ConfigurationAccess>(
    config: &mut C,
    function: DeviceFunction,
    count: usize,
) -> [Option<Bar>; 6] {
    let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
    config.write_word(function, register::COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
    let mut probe = |offset: u8| {
        let original = config.read_word(function, offset);
        config.write_word(function, offset, u32::MAX);
        let mask = config.read_word(function, offset);
        config.write_word(function, offset, original);
        (original, mask)
    };
    let mut bars = [None; 6];
    let mut registers = register::bars().zip(bars.iter_mut()).take(count);
    while let Some((offset, bar)) = registers.next() {
        let (low, mask) = probe(offset);
        *bar = match low & 0b111 {
            // 64 bits wide: the next register holds the upper half. Without a next one it is damaged.
            0b100 => registers.next().and_then(|(offset, _)| {
                let (high, high_mask) = probe(offset);
                let wide = |low, high| u64::from(low) | u64::from(high) << 32;
                Bar::memory(wide(low, high), wide(mask, high_mask))
            }),
            0b000 => Bar::memory(low.into(), mask.into()),
            0b001 | 0b011 | 0b101 | 0b111 => Bar::io(low, mask),
            // Below 1 MiB (obsolete) and reserved.
            _ => None,
        };
    }
    config.write_word(function, register::COMMAND, command);
    bars
}

/// Takes from a function the right to reach memory by itself. Panic-safe.
pub fn disable<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction) {
    let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
    config.write_word(function, register::COMMAND, command & !COMMAND_BUS_MASTER);
}

/// What [`stop_bus_masters`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// How many devices could reach memory by themselves.
    pub bus_masters: usize,
    /// How many could interrupt by messages (MSI, MSI-X).
    pub messages: usize,
}

/// The capabilities of message signalled interrupts (PCI 3.0, sections 6.8.1 and 6.8.2), each with its enable bit in the
/// first word.
const MESSAGES: [(u8, u32); 2] = [(0x05, 1 << 16), (0x11, 1 << 31)];

/// Takes from every device the right to reach memory by itself, and to interrupt by messages, network cards included;
/// returns how many had them. Bridges and the host's own keep it: nothing comes through them any more. What the firmware,
/// or a kernel that crashed, had running can then write nowhere. Panic-safe.
pub fn stop_bus_masters<C: ConfigurationAccess>(config: &mut C, roots: RootBuses) -> Stopped {
    let mut stopped = Stopped::default();
    let mut walk = Walk::new(roots);
    while let Some(function) = walk.next(config) {
        let Class { base, sub, .. } = Class::read(config, function);
        let is_device = Header::read(config, function).kind != HeaderKind::Bridge;
        let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
        if is_device && (base, sub) != Class::HOST_BRIDGE && command & COMMAND_BUS_MASTER != 0 {
            config.write_word(function, register::COMMAND, command & !COMMAND_BUS_MASTER);
            stopped.bus_masters = stopped.bus_masters.saturating_add(1);
        }
        if is_device && stop_messages(config, function) {
            stopped.messages = stopped.messages.saturating_add(1);
        }
    }
    stopped
}

/// Turns a function's message signalled interrupts off; whether they were on.
fn stop_messages<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction) -> bool {
    let mut was_on = false;
    for (id, enabled) in MESSAGES {
        let Some(offset) = capability_offsets(config, function, id).next() else { continue };
        let control = config.read_word(function, offset);
        if control & enabled != 0 {
            config.write_word(function, offset, control & !enabled);
            was_on = true;
        }
    }
    was_on
}
