//! Registers that the firmware gave no address: they get one that nobody else can have. Behind bridges it lies in their
//! windows, which are opened where the firmware left them shut.

use super::path::is_above;
use super::{
    COMMAND_IO, COMMAND_MASK, COMMAND_MEMORY, ConfigurationAccess, DeviceFunction, Header, HeaderKind,
    RootBuses, Walk, lowest_bit, register,
};
use core::fmt;
use core::ops::RangeInclusive;

/// Whether a function's BARs have no address at all, as where the firmware has left that to the system.
pub fn is_unplaced<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> bool {
    let mut bars = register::bars();
    while let Some(offset) = bars.next() {
        let low = config.read_word(function, offset);
        // The upper half of a wide one has no bits of its own.
        let high = if low & 0b111 == 0b100 { bars.next() } else { None };
        if low & !0xf != 0 || high.is_some_and(|high| config.read_word(function, high) != 0) {
            return false;
        }
    }
    true
}

/// Why a function's registers could not be given an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplaced {
    /// Nothing says which addresses its root bus has.
    NoWindow,
    /// There is none that certainly nobody has.
    NoRoom,
    /// The bridge above it does not take a window.
    NoBridge,
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoWindow => "ACPI does not write down which addresses its root bus has",
            Self::NoRoom => "its bus has none that certainly nobody has",
            Self::NoBridge => "a bridge above it can't be told to pass any",
        })
    }
}

impl core::error::Error for Unplaced {}

/// How many places are tried for a BAR.
const MAX_TRIES: usize = 256;
/// What a bridge's window is a multiple of.
const WINDOW_UNIT: u64 = 1 << 20;

/// What is known of the addresses.
pub struct Space<'s> {
    /// The root buses.
    pub roots: RootBuses,
    /// Which addresses the bridge to a root bus has for devices, if that is known.
    pub window: &'s dyn Fn(u8) -> Option<RangeInclusive<u64>>,
    /// Where something begins that has any of a range and is no PCI function's: memory, say.
    pub taken: &'s dyn Fn(&RangeInclusive<u64>) -> Option<u64>,
}

/// Gives an address to each memory BAR of a function that [has none](is_unplaced). It is one that no BAR and no bridge's
/// window of any function can include, but for those of the bridges above it, and that [`Space::taken`] does not name.
pub fn place<C: ConfigurationAccess>(
    config: &mut C,
    space: &Space<'_>,
    function: DeviceFunction,
) -> Result<(), Unplaced> {
    let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
    config.write_word(function, register::COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
    let lengths = lengths(config, function);
    let all = lengths.iter().fold(0, |sum: u64, length| sum.saturating_add(*length));
    let window = window(config, space, function.bus, all)?;
    for (length, offset) in lengths.into_iter().zip(register::bars()).filter(|(length, _)| *length != 0) {
        let address = find_room(config, space, function.bus, length, &window).ok_or(Unplaced::NoRoom)?;
        config.write_word(function, offset, u32::try_from(address).map_err(|_| Unplaced::NoRoom)?);
    }
    config.write_word(function, register::COMMAND, command);
    Ok(())
}

/// How long each memory BAR is, in bytes; 0 for others. All of them are 0 then, the upper halves of wide ones too.
fn lengths<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction) -> [u64; 6] {
    let mut lengths = [0; 6];
    let mut bars = lengths.iter_mut().zip(register::bars());
    while let Some((length, offset)) = bars.next() {
        let kind = config.read_word(function, offset) & 0b111;
        config.write_word(function, offset, u32::MAX);
        let mask = config.read_word(function, offset);
        config.write_word(function, offset, 0);
        if kind == 0b100
            && let Some((_, high)) = bars.next()
        {
            config.write_word(function, high, 0);
        }
        if kind & 1 == 0 {
            *length = lowest_bit(u64::from(mask & !0xf));
        }
    }
    lengths
}

/// The addresses that reach a bus: of the bridges above it, from the root down, those that are shut are opened for
/// `length` bytes.
fn window<C: ConfigurationAccess>(
    config: &mut C,
    space: &Space<'_>,
    bus: u8,
    length: u64,
) -> Result<RangeInclusive<u64>, Unplaced> {
    let mut window = if space.roots.has(bus) { (space.window)(bus) } else { None };
    let mut is_first = true;
    let mut walk = Walk::new(space.roots);
    while let Some(bridge) = walk.next(config) {
        if space.roots.has(bus) {
            break;
        }
        if !is_above(config, bridge, bus) {
            continue;
        }
        if core::mem::take(&mut is_first) {
            window = (space.window)(bridge.bus);
        }
        if let Some(open) = memory_window(config, bridge, register::MEMORY_WINDOW) {
            window = Some(open);
            continue;
        }
        let within = window.take().ok_or(Unplaced::NoWindow)?;
        let length = length.max(WINDOW_UNIT).checked_next_power_of_two().ok_or(Unplaced::NoRoom)?;
        let start = find_room(config, space, bridge.bus, length, &within).ok_or(Unplaced::NoRoom)?;
        let opened = start..=start.saturating_add(length.saturating_sub(1));
        let [base, limit] = [*opened.start(), *opened.end()].map(|address| address >> 16 & 0xfff0);
        let word = u32::try_from(base | limit << 16).map_err(|_| Unplaced::NoRoom)?;
        config.write_word(bridge, register::MEMORY_WINDOW, word);
        window = memory_window(config, bridge, register::MEMORY_WINDOW).filter(|found| *found == opened);
        if window.is_none() {
            return Err(Unplaced::NoBridge);
        }
    }
    window.ok_or(Unplaced::NoWindow)
}

/// What a bridge passes of memory by one of its two windows; `None` where that is nothing, or was never set.
fn memory_window<C: ConfigurationAccess>(
    config: &C,
    bridge: DeviceFunction,
    register: u8,
) -> Option<RangeInclusive<u64>> {
    let [a, b, c, d] = config.read_word(bridge, register).to_le_bytes();
    let [base, limit] = [[a, b], [c, d]].map(|half| u64::from(u16::from_le_bytes(half) & 0xfff0) << 16);
    (base <= limit && limit != 0).then_some(base..=limit | 0xf_ffff)
}

/// The highest free place of this length in the window, for a function on `bus`.
fn find_room<C: ConfigurationAccess>(
    config: &C,
    space: &Space<'_>,
    bus: u8,
    length: u64,
    window: &RangeInclusive<u64>,
) -> Option<u64> {
    let mask = !length.checked_sub(1)?;
    let mut start = window.end().checked_add(1)?.checked_sub(length)? & mask;
    for _ in 0..MAX_TRIES {
        let range = start..=start.checked_add(length)?.checked_sub(1)?;
        if start < *window.start() {
            return None;
        }
        match (space.taken)(&range).or_else(|| lowest_taken(config, space.roots, bus, &range)) {
            None => return Some(start),
            Some(taken) => start = taken.min(start).checked_sub(length)? & mask,
        }
    }
    None
}

/// Where the lowest range begins that some function may have of this one, but for the windows of bridges above `bus`.
fn lowest_taken<C: ConfigurationAccess>(
    config: &C,
    roots: RootBuses,
    bus: u8,
    range: &RangeInclusive<u64>,
) -> Option<u64> {
    let mut lowest: Option<u64> = None;
    let mut take = |start: u64, end: u64| {
        if start <= *range.end() && end >= *range.start() && start != 0 {
            lowest = Some(lowest.map_or(start, |lowest| lowest.min(start)));
        }
    };
    let mut walk = Walk::new(roots);
    while let Some(function) = walk.next(config) {
        let count = match Header::read(config, function).kind {
            HeaderKind::Device => 6,
            HeaderKind::Bridge => 2,
            HeaderKind::Other => 0,
        };
        if count == 2 && !is_above(config, function, bus) {
            for register in [register::MEMORY_WINDOW, register::PREFETCHABLE_WINDOW] {
                if let Some(window) = memory_window(config, function, register) {
                    take(*window.start(), *window.end());
                }
            }
        }
        let mut offsets = register::bars().take(count);
        while let Some(offset) = offsets.next() {
            let bar = config.read_word(function, offset);
            if bar & 1 != 0 {
                continue;
            }
            let high = if bar & 0b110 == 0b100 {
                offsets.next().map_or(0, |high| config.read_word(function, high))
            } else {
                0
            };
            let start = u64::from(bar & !0xf) | u64::from(high) << 32;
            // It is not sized: it is at most as long as its address is round.
            take(start, start.saturating_add(lowest_bit(start)).saturating_sub(1));
        }
    }
    lowest
}
