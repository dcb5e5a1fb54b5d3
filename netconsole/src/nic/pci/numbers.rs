//! Bridges that the firmware gave no bus numbers, so that nothing behind them is found (PCI-to-PCI Bridge Architecture
//! Specification 1.2, sections 3.2.5.3 to 3.2.5.5).

use super::buses::has_device;
use super::{ConfigurationAccess, DeviceFunction, Header, HeaderKind, RootBuses, Walk, register};
use core::fmt;
use core::ops::RangeInclusive;

/// As many buses at most are given to a bridge, for those behind it.
const MOST: u8 = 8;
/// Bridges: what they pass of I/O space, in the lower half of a word whose upper half is status, of which a written 0
/// clears nothing.
const IO_WINDOW: u8 = 0x1c;

/// Why a bridge could not be given bus numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnumbered {
    /// The range of the bus that it is on has no number left.
    NoneFree,
    /// Something answers already on the bus that would have been its.
    Taken(u8),
    /// It does not keep what is written to it.
    Refused,
}

impl fmt::Display for Unnumbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneFree => f.write_str("the range of the bus that it is on has none left"),
            Self::Taken(bus) => write!(f, "something else answers on bus {bus:02x}"),
            Self::Refused => f.write_str("it does not take any"),
        }
    }
}

impl core::error::Error for Unnumbered {}

/// Whether a function is a bridge that has no bus behind it.
pub fn is_unnumbered<C: ConfigurationAccess>(config: &C, function: DeviceFunction) -> bool {
    let secondary = || config.read_word(function, register::BUS_NUMBERS).to_le_bytes()[1];
    Header::read(config, function).kind == HeaderKind::Bridge && secondary() == 0
}

/// Gives numbers to the buses behind a bridge that [has none](is_unnumbered), and shuts those of its windows that were never
/// set. They are free in the range of the bridge above it, or of its root bus, which ends before the next one and with
/// `last`; other bridges beside it that have none are left their share. Returns which it has now.
pub fn number<C: ConfigurationAccess>(
    config: &mut C,
    roots: RootBuses,
    bridge: DeviceFunction,
    last: u8,
) -> Result<RangeInclusive<u8>, Unnumbered> {
    let (hole, bridges) = hole(config, roots, bridge.bus, last).ok_or(Unnumbered::NoneFree)?;
    let (first, end) = (*hole.start(), *hole.end());
    let room = end.saturating_sub(first).saturating_add(1);
    let share = room.checked_div(bridges).unwrap_or(room).clamp(1, MOST);
    let end = first.saturating_add(share.saturating_sub(1));
    let end = match (first..=end).find(|&bus| has_device(config, bus)) {
        None => end,
        Some(bus) if bus == first => return Err(Unnumbered::Taken(bus)),
        Some(bus) => bus.saturating_sub(1),
    };
    for (window, address, shut) in [
        (IO_WINDOW, 0x0000_f0f0, 0x0000_00f0),
        (register::MEMORY_WINDOW, 0xfff0_fff0, 0x0000_fff0),
        (register::PREFETCHABLE_WINDOW, 0xfff0_fff0, 0x0000_fff0),
    ] {
        // Those that are 0, as after a reset, would pass what lies at 0; with the base above the limit they pass nothing.
        if config.read_word(bridge, window) & address == 0 {
            config.write_word(bridge, window, shut);
        }
    }
    let [.., timer] = config.read_word(bridge, register::BUS_NUMBERS).to_le_bytes();
    config.write_word(bridge, register::BUS_NUMBERS, u32::from_le_bytes([bridge.bus, first, end, timer]));
    let [_, secondary, subordinate, _] = config.read_word(bridge, register::BUS_NUMBERS).to_le_bytes();
    if (secondary, subordinate) == (first, end) { Ok(first..=end) } else { Err(Unnumbered::Refused) }
}

/// The first numbers that no bus has and that lead to `bus`, and how many bridges on it have none.
fn hole<C: ConfigurationAccess>(
    config: &C,
    roots: RootBuses,
    bus: u8,
    last: u8,
) -> Option<(RangeInclusive<u8>, u8)> {
    let mut used = [false; 256];
    let mut end = last;
    let mut bridges: u8 = 0;
    for (number, used) in (0..=u8::MAX).zip(&mut used) {
        *used = roots.has(number);
    }
    let mut walk = Walk::new(roots);
    while let Some(function) = walk.next(config) {
        if Header::read(config, function).kind != HeaderKind::Bridge {
            continue;
        }
        let [_, secondary, subordinate, _] = config.read_word(function, register::BUS_NUMBERS).to_le_bytes();
        if secondary == 0 {
            bridges = bridges.saturating_add(u8::from(function.bus == bus));
            continue;
        }
        let is_above = (secondary..=subordinate).contains(&bus);
        if is_above {
            end = end.min(subordinate);
        }
        let its = if is_above { secondary } else { subordinate.max(secondary) };
        for number in secondary..=its {
            if let Some(used) = used.get_mut(usize::from(number)) {
                *used = true;
            }
        }
    }
    let is_free = |&number: &u8| used.get(usize::from(number)) == Some(&false);
    // On a root bus, too, the buses behind it end where the next one begins.
    let first_root = (bus..=end).skip(1).find(|&number| roots.has(number));
    let end = first_root.map_or(end, |root| root.saturating_sub(1));
    let first = (bus..=end).skip(1).find(is_free)?;
    let last = (first..=end).take_while(is_free).last()?;
    Some((first..=last, bridges))
}
