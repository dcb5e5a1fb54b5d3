//! The buses of a machine: those that a root complex or host bridge has, and those that bridges lead to.

use super::{ConfigurationAccess, DeviceFunction, Header, HeaderKind, is_present, register};
use core::fmt;

const DEVICES_PER_BUS: u8 = 32;
const FUNCTIONS_PER_DEVICE: u8 = 8;

/// The buses that no bridge leads to, of which bus 0 is always one. Any content is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootBuses([u64; 4]);

impl RootBuses {
    /// Bus 0 alone.
    pub const FIRST: Self = Self([1, 0, 0, 0]);

    /// Those of a set of bits, the lowest of the first word being bus 0, which is added.
    pub const fn from_words([first, rest @ ..]: [u64; 4]) -> Self {
        let [second, third, fourth] = rest;
        Self([first | 1, second, third, fourth])
    }

    /// The set of bits.
    pub const fn to_words(self) -> [u64; 4] {
        self.0
    }

    /// Adds a bus.
    pub fn add(&mut self, bus: u8) {
        if let Some(word) = self.0.get_mut(usize::from(bus >> 6)) {
            *word |= 1 << (bus & 0x3f);
        }
    }

    /// Whether a bus is one of them.
    pub fn has(self, bus: u8) -> bool {
        self.0.get(usize::from(bus >> 6)).is_some_and(|word| word >> (bus & 0x3f) & 1 != 0)
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// The buses' numbers.
impl fmt::Display for RootBuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buses = (0..=u8::MAX).filter(|&bus| self.has(bus));
        buses.try_for_each(|bus| write!(f, "{}{bus:02x}", if bus == 0 { "" } else { ", " }))
    }
}

/// A walk over all functions that are present, on the root buses and every bus that a bridge leads to, each bus once,
/// whatever the bridges say.
pub struct Walk {
    buses: [Bus; 256],
    /// The function that was found last.
    last: Option<DeviceFunction>,
    /// Whether its device has others.
    is_multifunction: bool,
}

/// What a [`Walk`] knows of a bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bus {
    Unknown,
    Found,
    Visited,
}

impl Walk {
    /// A walk that begins.
    pub fn new(roots: RootBuses) -> Self {
        let mut walk = Self { buses: [Bus::Unknown; 256], last: None, is_multifunction: false };
        (0..=u8::MAX).filter(|&bus| roots.has(bus)).for_each(|bus| walk.find(bus));
        walk
    }

    fn find(&mut self, bus: u8) {
        if let Some(state @ Bus::Unknown) = self.buses.get_mut(usize::from(bus)) {
            *state = Bus::Found;
        }
    }

    /// The next function. What was done meanwhile to the one before counts.
    pub fn next<C: ConfigurationAccess>(&mut self, config: &C) -> Option<DeviceFunction> {
        let mut next = self.last.and_then(|last| self.place_after(config, last));
        loop {
            let place = match next {
                Some(place) => place,
                None => self.next_bus()?,
            };
            if is_present(config, place) {
                self.last = Some(place);
                return Some(place);
            }
            // Function 0 is always there (section 3.2.2.3.4).
            next = if place.function == 0 { next_device(place) } else { next_function(place) };
        }
    }

    /// The place on the same bus behind a function that is present; the bus behind it, if it is a bridge, is found.
    fn place_after<C: ConfigurationAccess>(
        &mut self,
        config: &C,
        last: DeviceFunction,
    ) -> Option<DeviceFunction> {
        let header = Header::read(config, last);
        if header.kind == HeaderKind::Bridge
            && let [_, secondary, ..] = config.read_word(last, register::BUS_NUMBERS).to_le_bytes()
        {
            self.find(secondary);
        }
        if last.function == 0 {
            self.is_multifunction = header.is_multifunction;
        }
        if self.is_multifunction { next_function(last) } else { next_device(last) }
    }

    /// The first place on the lowest bus that was found and not visited, which it is from now on.
    fn next_bus(&mut self) -> Option<DeviceFunction> {
        let mut buses = (0..=u8::MAX).zip(&mut self.buses);
        let (bus, state) = buses.find(|(_, state)| **state == Bus::Found)?;
        *state = Bus::Visited;
        Some(DeviceFunction { bus, device: 0, function: 0 })
    }
}

/// The function behind this one, of the same device or the next one; `None` behind the bus's last.
fn next_function(place: DeviceFunction) -> Option<DeviceFunction> {
    let function = place.function.wrapping_add(1);
    if function < FUNCTIONS_PER_DEVICE {
        Some(DeviceFunction { function, ..place })
    } else {
        next_device(place)
    }
}

/// The next device's function 0; `None` behind the bus's last.
fn next_device(place: DeviceFunction) -> Option<DeviceFunction> {
    let device = place.device.wrapping_add(1);
    (device < DEVICES_PER_BUS).then_some(DeviceFunction { device, function: 0, ..place })
}

/// Calls `visit` with each function of a [`Walk`].
pub fn for_each_function<C: ConfigurationAccess>(
    config: &C,
    roots: RootBuses,
    mut visit: impl FnMut(DeviceFunction),
) {
    let mut walk = Walk::new(roots);
    while let Some(function) = walk.next(config) {
        visit(function);
    }
}

/// Looks for root buses besides those that are known, where nothing names them: any bus up to `last` that no bridge leads
/// to and something answers on. A machine that ignores a bus's number shows the same devices on all of them, which is
/// noticed at the first one. This is up to 8,000 reads.
pub fn search_roots<C: ConfigurationAccess>(config: &C, known: RootBuses, last: u8) -> RootBuses {
    let mut roots = known;
    let mut walk = Walk::new(known);
    while walk.next(config).is_some() {}
    for bus in 1..=last {
        if walk.buses.get(usize::from(bus)) != Some(&Bus::Unknown) || !has_device(config, bus) {
            continue;
        }
        if is_alias(config, bus) {
            return roots;
        }
        roots.add(bus);
        walk.find(bus);
        while walk.next(config).is_some() {}
    }
    roots
}

pub(super) fn has_device<C: ConfigurationAccess>(config: &C, bus: u8) -> bool {
    (0..DEVICES_PER_BUS).any(|device| is_present(config, DeviceFunction { bus, device, function: 0 }))
}

/// Whether a bus shows the devices of bus 0, at the same registers.
fn is_alias<C: ConfigurationAccess>(config: &C, bus: u8) -> bool {
    const WORDS: [u8; 8] = [
        register::ID,
        register::CLASS,
        register::BAR0,
        register::BAR0 + 4,
        register::BAR0 + 8,
        register::BAR0 + 16,
        register::BUS_NUMBERS,
        register::CAPABILITIES,
    ];
    (0..DEVICES_PER_BUS).all(|device| {
        let [first, other] = [0, bus].map(|bus| DeviceFunction { bus, device, function: 0 });
        WORDS.iter().all(|&word| config.read_word(first, word) == config.read_word(other, word))
    })
}
