//! PCI configuration space, by mechanism 1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2: an address in port
//! 0xCF8, the data in 0xCFC), or where these ports are missing, in memory (PCI Express Base Specification 5.0, section
//! 7.2.2); and I/O space.

use super::paging;
use super::trap::{self, Place};
use bootinfo::firmware::pci::Segment;
use netconsole::guarded::Words;
use netconsole::nic::pci::{ConfigurationAccess, DeviceFunction, RootBuses};
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
    /// Not at all: there is no PCI.
    None,
}

/// The mechanism: the address, and the buses or what it is else. While it is unset, or damaged, it is the ports.
static MECHANISM: Words<2> = Words::unset();
const NO_PCI: u64 = 1 << 16;
/// The root buses; unset is bus 0 alone.
static ROOTS: Words<4> = Words::unset();

impl Mechanism {
    /// The one that is used.
    fn now() -> Self {
        match MECHANISM.get() {
            None => Self::Ports,
            Some([_, NO_PCI]) => Self::None,
            Some([address, buses]) => {
                let [first, last, ..] = buses.to_le_bytes();
                Self::Memory(address, first, last)
            }
        }
    }

    /// Looks whether the ports work, else uses the first of `segments` that the ports would reach and `map` can map.
    pub fn choose(segments: impl Iterator<Item = Segment>, mut map: impl FnMut(u64, u64) -> bool) -> Self {
        if ports_work() {
            return Self::Ports;
        }
        let mut usable = segments.filter(|segment| segment.group == 0).filter_map(|segment| {
            let start = segment.address.checked_add(u64::from(segment.first) << 20)?;
            let buses = u64::from(segment.last.checked_sub(segment.first)?).wrapping_add(1);
            map(start, buses << 20).then_some(segment)
        });
        match usable.next() {
            Some(Segment { address, first, last, .. }) => {
                MECHANISM.set(&[address, u64::from(first) | u64::from(last) << 8]);
                Self::Memory(address, first, last)
            }
            None => {
                MECHANISM.set(&[0, NO_PCI]);
                Self::None
            }
        }
    }

    /// The last bus that can be reached.
    pub const fn last_bus(self) -> u8 {
        match self {
            Self::Ports => u8::MAX,
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

/// The root buses of this machine. Panic-safe.
pub fn root_buses() -> RootBuses {
    ROOTS.get().map_or(RootBuses::FIRST, RootBuses::from_words)
}

/// Has these be the root buses.
pub fn set_root_buses(roots: RootBuses) {
    ROOTS.set(&roots.to_words());
}

/// The machine's configuration space. Carries no state but how it is reached: with the ports the address is written
/// before each access, so the panic path may use one of its own.
pub struct ConfigurationSpace;

impl ConfigurationSpace {
    fn select(device: DeviceFunction, register: u8) {
        let address = ENABLE
            | u32::from(device.bus) << 16
            | u32::from(device.device & 0x1f) << 11
            | u32::from(device.function & 7) << 8
            | u32::from(register & 0xfc);
        // SAFETY: these ports belong to the host bridge, and selecting a register changes nothing.
        unsafe { Port::new(ADDRESS).write(address) }
    }

    /// Where a register lies in memory; `None` where that range has no such bus.
    fn place<T>(mechanism: (u64, u8, u8), device: DeviceFunction, register: u8) -> Option<*mut T> {
        let (address, first, last) = mechanism;
        let offset = u64::from(device.bus) << 20
            | u64::from(device.device & 0x1f) << 15
            | u64::from(device.function & 7) << 12
            | u64::from(register);
        let place = address.checked_add(offset).filter(|_| (first..=last).contains(&device.bus))?;
        // Below 4 GiB this costs nothing.
        let place = paging::is_mapped(place, 4).then_some(place)?;
        usize::try_from(place).ok().map(core::ptr::with_exposed_provenance_mut)
    }

    /// Writes a register that is narrower than a word, and only that.
    pub fn write_narrow<T: PortWrite>(device: DeviceFunction, register: u8, value: T) {
        match Mechanism::now() {
            Mechanism::Ports => {
                Self::select(device, register);
                // SAFETY: as for `write_word`; the port of a part of the word is that far above the word's own.
                unsafe { Port::new(DATA | u16::from(register & 3)).write(value) }
            }
            Mechanism::Memory(address, first, last) => {
                if let Some(place) = Self::place::<T>((address, first, last), device, register) {
                    // SAFETY: as for `write_word`.
                    unsafe { place.write_volatile(value) }
                }
            }
            Mechanism::None => {}
        }
    }
}

impl ConfigurationAccess for ConfigurationSpace {
    fn read_word(&self, device_function: DeviceFunction, register_offset: u8) -> u32 {
        match Mechanism::now() {
            Mechanism::Ports => {
                Self::select(device_function, register_offset);
                // SAFETY: reading configuration space has no effect on memory.
                unsafe { Port::new(DATA).read() }
            }
            Mechanism::Memory(address, first, last) => {
                let place =
                    Self::place::<u32>((address, first, last), device_function, register_offset & 0xfc);
                // SAFETY: the firmware says that configuration space is there, and it is mapped; no Rust object lies there.
                place.map_or(u32::MAX, |place| unsafe { place.read_volatile() })
            }
            Mechanism::None => u32::MAX,
        }
    }

    fn write_word(&mut self, device_function: DeviceFunction, register_offset: u8, data: u32) {
        match Mechanism::now() {
            Mechanism::Ports => {
                Self::select(device_function, register_offset);
                // SAFETY: callers set up a device's BARs and command register; which memory the device may
                // then reach is decided by the rings that its driver gives it.
                unsafe { Port::new(DATA).write(data) }
            }
            Mechanism::Memory(address, first, last) => {
                let place =
                    Self::place::<u32>((address, first, last), device_function, register_offset & 0xfc);
                if let Some(place) = place {
                    // SAFETY: as for reading, and as with the ports.
                    unsafe { place.write_volatile(data) }
                }
            }
            Mechanism::None => {}
        }
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
