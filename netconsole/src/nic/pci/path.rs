//! What must be so for a card to be reached, and to reach memory: it is awake, and the bridges above it let it through.
//! Firmware that did not boot from it may have left any of this undone.

use super::{
    COMMAND_BUS_MASTER, COMMAND_IO, COMMAND_MASK, COMMAND_MEMORY, ConfigurationAccess, DeviceFunction,
    Header, HeaderKind, RootBuses, Walk, capability_offsets, register,
};
use crate::nic::Waits;

/// PCI Bus Power Management Interface Specification 1.2, section 3.2: the capability, and its control register.
const POWER_MANAGEMENT: u8 = 0x01;
const CONTROL: u8 = 4;
const STATE: u32 = 0b11;
/// The upper bits are status, cleared by a written 1, and data.
const CONTROL_MASK: u32 = 0x7fff;
/// Section 5.4: the most µs until a function is awake.
const WAKING: u64 = 10_000;

/// Wakes a function from a sleep that somebody has put it into (D1 to D3), and gives it back what it forgets by that: its
/// command and its BARs. True where it slept. Panic-safe.
pub fn wake<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction, waits: Waits) -> bool {
    let Some(control) = capability_offsets(config, function, POWER_MANAGEMENT).next() else { return false };
    let control = control.wrapping_add(CONTROL);
    let before = config.read_word(function, control);
    if before == u32::MAX || before & STATE == 0 {
        return false;
    }
    let command = config.read_word(function, register::COMMAND) & COMMAND_MASK;
    let mut bars = [0; 6];
    for (bar, offset) in bars.iter_mut().zip(register::bars()) {
        *bar = config.read_word(function, offset);
    }
    config.write_word(function, control, before & CONTROL_MASK & !STATE);
    waits.pause(WAKING);
    config.write_word(
        function,
        register::COMMAND,
        command & !(COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER),
    );
    for (&bar, offset) in bars.iter().zip(register::bars()) {
        config.write_word(function, offset, bar);
    }
    config.write_word(function, register::COMMAND, command);
    true
}

/// Has every bridge above a function pass what goes to its registers, and its own accesses to memory; returns how many did
/// not. Panic-safe.
pub fn open_bridges<C: ConfigurationAccess>(
    config: &mut C,
    roots: RootBuses,
    function: DeviceFunction,
) -> usize {
    const NEEDED: u32 = COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER;
    if roots.has(function.bus) {
        return 0;
    }
    let mut opened: usize = 0;
    let mut walk = Walk::new(roots);
    while let Some(bridge) = walk.next(config) {
        if !is_above(config, bridge, function.bus) {
            continue;
        }
        let command = config.read_word(bridge, register::COMMAND) & COMMAND_MASK;
        if command & NEEDED != NEEDED {
            config.write_word(bridge, register::COMMAND, command | NEEDED);
            opened = opened.saturating_add(1);
        }
    }
    opened
}

/// PCI Express Base Specification 5.0, section 7.5.3: the capability, and its link control, whose lowest bits let the link sleep
/// (ASPM). The upper half is status, of which a written 1 clears bits.
const EXPRESS: u8 = 0x10;
const LINK_CONTROL: u8 = 0x10;
const LINK_SLEEPS: u32 = 0b11;
const LINK_CONTROL_MASK: u32 = 0xffff;

/// Keeps the link to a function on PCI Express from sleeping by itself (ASPM), of which some cards lose frames, or hang: at the
/// function, and then, in the order of section 5.4.1.3, at the port above it. True where it might have slept.
pub fn keep_link_awake<C: ConfigurationAccess>(
    config: &mut C,
    roots: RootBuses,
    function: DeviceFunction,
) -> bool {
    let mut slept = stop_sleep(config, function);
    if roots.has(function.bus) {
        return slept;
    }
    let mut walk = Walk::new(roots);
    while let Some(port) = walk.next(config) {
        let [_, secondary, ..] = config.read_word(port, register::BUS_NUMBERS).to_le_bytes();
        if secondary == function.bus && is_above(config, port, function.bus) {
            slept |= stop_sleep(config, port);
        }
    }
    slept
}

fn stop_sleep<C: ConfigurationAccess>(config: &mut C, function: DeviceFunction) -> bool {
    let Some(express) = capability_offsets(config, function, EXPRESS).next() else { return false };
    let control = express.wrapping_add(LINK_CONTROL);
    let before = config.read_word(function, control);
    if before == u32::MAX || before & LINK_SLEEPS == 0 {
        return false;
    }
    config.write_word(function, control, before & LINK_CONTROL_MASK & !LINK_SLEEPS);
    true
}

/// Whether a function is a bridge that leads to `bus`, at once or by others.
pub(super) fn is_above<C: ConfigurationAccess>(config: &C, function: DeviceFunction, bus: u8) -> bool {
    let [_, secondary, subordinate, _] = config.read_word(function, register::BUS_NUMBERS).to_le_bytes();
    Header::read(config, function).kind == HeaderKind::Bridge
        && secondary != 0
        && (secondary..=subordinate).contains(&bus)
}
