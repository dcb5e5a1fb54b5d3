//! PCI configuration space, by mechanism 1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2: an address in port
//! 0xCF8, the data in 0xCFC), or in memory (PCI Express Base Specification 5.0, section 7.2.2); and I/O space.
//!
//! Memory is used where the ports are missing, and in a virtual machine, where a read through the ports leaves the machine
//! twice and one of memory once. A real board's firmware may describe memory wrongly, and nothing is gained there.

use super::trap::{self, Place};
use super::{cpu, paging};
use bootinfo::firmware::pci::Segment;
use netconsole::guarded::Words;
use netconsole::nic::pci::{ConfigurationAccess, DeviceFunction, RootBuses, Walk, ids};
use netconsole::nic::{Ports, Width};
use x86_64::instructions::port::{Port, PortWrite};

const ENABLE: u32 = 1 << 31;
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// How configuration space is reached. Panic-safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// By the ports.
    Ports,
    /// In memory: where bus 0's begins, the first and the last bus.
    Memory(u64, u8, u8),
    /// In memory likewise, and other buses by the ports.
    Both(u64, u8, u8),
    /// Not at all: there is no PCI.
    None,
}

/// The mechanism: the address, and the buses or what it is else. While it is unset, or damaged, it is the ports.
static MECHANISM: Words<2> = Words::unset();
const NO_PCI: u64 = 1 << 16;
const PORTS: u64 = 1 << 18;
/// Beside the buses: the ports work, too.
const PORTS_WORK: u64 = 1 << 17;
/// The root buses; unset is bus 0 alone.
static ROOTS: Words<4> = Words::unset();

impl Mechanism {
    /// The one that is used.
    fn now() -> Self {
        match MECHANISM.get() {
            None | Some([_, PORTS]) => Self::Ports,
            Some([_, NO_PCI]) => Self::None,
            Some([address, buses]) => {
                let [first, last, ..] = buses.to_le_bytes();
                if buses & PORTS_WORK != 0 {
                    Self::Both(address, first, last)
                } else {
                    Self::Memory(address, first, last)
                }
            }
        }
    }

    /// Looks whether the ports work. Where they do not, or in a virtual machine, it is the first of `segments` that the ports
    /// would reach and `map` can map; where the ports work, only if both show the same.
    pub fn choose(segments: impl Iterator<Item = Segment>, mut map: impl FnMut(u64, u64) -> bool) -> Self {
        let ports_work = ports_work();
        if ports_work && !cpu::is_virtual() {
            return Self::Ports;
        }
        let mut usable = segments.filter(|segment| segment.group == 0).filter_map(|segment| {
            let start = segment.address.checked_add(u64::from(segment.first) << 20)?;
            let length = u64::from(segment.last.checked_sub(segment.first)?).wrapping_add(1) << 20;
            // Tables to map what lies beyond are few, and a card's registers may need them.
            let is_free = start.checked_add(length).is_some_and(|end| end <= paging::MAPPED_AT_BOOT);
            ((is_free || !ports_work) && map(start, length)).then_some(segment)
        });
        match usable.next() {
            Some(Segment { address, first, last, .. }) => {
                let ports = if ports_work { PORTS_WORK } else { 0 };
                MECHANISM.set(&[address, u64::from(first) | u64::from(last) << 8 | ports]);
                if ports_work && !both_show_the_same() {
                    return Self::ports_alone();
                }
            }
            None if ports_work => {}
            None => MECHANISM.set(&[0, NO_PCI]),
        }
        Self::now()
    }

    /// From now on, and in a panic, only the ports are used.
    fn ports_alone() -> Self {
        MECHANISM.set(&[0, PORTS]);
        Self::Ports
    }

    /// Uses the ports alone from now on if they show a function that memory does not; whether they do.
    pub fn leave_memory_if_ports_show_more() -> bool {
        let Self::Both(..) = Self::now() else { return false };
        let mut walk = Walk::new(root_buses());
        while let Some(function) = walk.next(&ByPorts) {
            if ids(&ByPorts, function) != ids(&ConfigurationSpace, function) {
                Self::ports_alone();
                return true;
            }
        }
        false
    }

    /// The last bus that can be reached.
    pub const fn last_bus(self) -> u8 {
        match self {
            Self::Ports | Self::Both(..) => u8::MAX,
            Self::Memory(_, _, last) => last,
            Self::None => 0,
        }
    }
}

/// Whether the address port keeps what is written to it, as the host bridge's does.
fn ports_work() -> bool {
    let mut port = Port::<u32>::new(ADDRESS);
    // SAFETY: the port belongs to the host bridge, or to nothing; selecting a register changes nothing.
    unsafe {
        port.write(ENABLE);
        port.read() == ENABLE
    }
}

/// Whether memory shows what the ports do, at bus 0's first device and its last one. Where an MCFG names a wrong place, or
/// that place ignores the address, it does not.
fn both_show_the_same() -> bool {
    /// Vendor and device, and the class.
    const WORDS: [u8; 2] = [0, 8];
    [0, 31].into_iter().all(|device| {
        let function = DeviceFunction { bus: 0, device, function: 0 };
        let by_ports = WORDS.map(|word| ByPorts.read_word(function, word));
        by_ports == WORDS.map(|word| ConfigurationSpace.read_word(function, word))
    })
}

/// The root buses of this machine. Panic-safe.
pub fn root_buses() -> RootBuses {
    ROOTS.get().map_or(RootBuses::FIRST, RootBuses::from_words)
}

/// Has these be the root buses.
pub fn set_root_buses(roots: RootBuses) {
    ROOTS.set(&roots.to_words());
}

/// Configuration space by the ports alone. The address is written before each access, so that the panic path may use it
/// between two of anybody else's.
struct ByPorts;

impl ByPorts {
    fn select(device: DeviceFunction, register: u8) {
        let address = ENABLE
            | u32::from(device.bus) << 16
            | u32::from(device.device & 0x1f) << 11
            | u32::from(device.function & 7) << 8
            | u32::from(register & 0xfc);
        // SAFETY: these ports belong to the host bridge, and selecting a register changes nothing.
        unsafe { Port::new(ADDRESS).write(address) }
    }

    /// Writes a register, which may be narrower than a word.
    fn write<T: PortWrite>(device: DeviceFunction, register: u8, value: T) {
        Self::select(device, register);
        // SAFETY: callers set up a device's BARs and command register; which memory the device may then reach is decided
        // by the rings that its driver gives it. The port of a part of the word is that far above the word's own.
        unsafe { Port::new(DATA | u16::from(register & 3)).write(value) }
    }
}

impl ConfigurationAccess for ByPorts {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        Self::select(function, register);
        // SAFETY: reading configuration space has no effect on memory.
        unsafe { Port::new(DATA).read() }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, data: u32) {
        Self::write(function, register & 0xfc, data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// The machine's configuration space. Carries no state but how it is reached, so the panic path may use one of its own.
pub struct ConfigurationSpace;

/// How a register is reached.
enum Way<T> {
    Ports,
    Memory(*mut T),
    None,
}

impl ConfigurationSpace {
    fn way<T>(function: DeviceFunction, register: u8) -> Way<T> {
        let (address, first, last, otherwise) = match Mechanism::now() {
            Mechanism::Ports => return Way::Ports,
            Mechanism::Memory(address, first, last) => (address, first, last, Way::None),
            Mechanism::Both(address, first, last) => (address, first, last, Way::Ports),
            Mechanism::None => return Way::None,
        };
        let offset = u64::from(function.bus) << 20
            | u64::from(function.device & 0x1f) << 15
            | u64::from(function.function & 7) << 12
            | u64::from(register);
        let place = address.checked_add(offset).filter(|_| (first..=last).contains(&function.bus));
        // Below 4 GiB this costs nothing.
        let place = place.filter(|&place| paging::is_mapped(place, 4));
        match place.and_then(|place| usize::try_from(place).ok()) {
            Some(place) => Way::Memory(core::ptr::with_exposed_provenance_mut(place)),
            None => otherwise,
        }
    }

    /// Writes a register that is narrower than a word, and only that.
    pub fn write_narrow<T: PortWrite>(device: DeviceFunction, register: u8, value: T) {
        match Self::way::<T>(device, register) {
            Way::Ports => ByPorts::write(device, register, value),
            // SAFETY: the firmware says that configuration space is there, and it is mapped; no Rust object lies there.
            // What is written does what it does through the ports.
            Way::Memory(place) => unsafe { place.write_volatile(value) },
            Way::None => {}
        }
    }
}

impl ConfigurationAccess for ConfigurationSpace {
    fn read_word(&self, device_function: DeviceFunction, register_offset: u8) -> u32 {
        match Self::way::<u32>(device_function, register_offset & 0xfc) {
            Way::Ports => ByPorts.read_word(device_function, register_offset),
            // SAFETY: as for writing; reading has no effect on memory.
            Way::Memory(place) => unsafe { place.read_volatile() },
            Way::None => u32::MAX,
        }
    }

    fn write_word(&mut self, device_function: DeviceFunction, register_offset: u8, data: u32) {
        Self::write_narrow(device_function, register_offset & 0xfc, data);
        if data == u32::MAX {
            trap::probe(Place::Sizing);
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// The machine's I/O space, for devices with I/O BARs. Carries no state.
pub struct IoPorts;

impl Ports for IoPorts {
    fn read(&self, port: u16, width: Width) -> u32 {
        // SAFETY: drivers name only ports that a BAR of their device decodes; what the device does to
        // memory is bounded by the rings that it is given.
        unsafe {
            match width {
                Width::Byte => Port::<u8>::new(port).read().into(),
                Width::Half => Port::<u16>::new(port).read().into(),
                Width::Word => Port::<u32>::new(port).read(),
            }
        }
    }

    fn write(&self, port: u16, width: Width, value: u32) {
        let [a, b, ..] = value.to_le_bytes();
        // SAFETY: as for reading.
        unsafe {
            match width {
                Width::Byte => Port::new(port).write(a),
                Width::Half => Port::new(port).write(u16::from_le_bytes([a, b])),
                Width::Word => Port::new(port).write(value),
            }
        }
    }
}
