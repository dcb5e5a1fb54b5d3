//! `crash=KIND[@WHERE]`: when a crash is provoked, to prove that none of them keeps its log. How is machine/trap.rs's.

use crate::kernel::Kernel;
use crate::machine::clock::Deadline;
use crate::machine::trap::{self, PATTERN, Place, provoke};
use crate::memory::memory;
use bootinfo::parameters::{Crash, CrashKind, CrashPlace, Parameters};
use core::fmt;
use netconsole::ring::Recovery;

/// The crash that the command line asks for; none where the boot before crashed, or a machine that
/// starts again with the same command line would crash for ever.
fn wanted(parameters: &Parameters, recovery: &Recovery) -> Option<Crash> {
    parameters.crash.filter(|_| recovery.records == 0 || recovery.goodbye)
}

/// Crashes here, or while the cards are looked for, where the command line says so.
pub fn before_cards(parameters: &Parameters, recovery: &Recovery) {
    let Some(crash @ Crash { kind, place: Some(place) }) = wanted(parameters, recovery) else { return };
    if place == CrashPlace::Firmware && kind == CrashKind::HungDevice {
        trap::arm(kind, Place::Firmware, 1);
    }
    if matches!(place, CrashPlace::Early | CrashPlace::Pci) {
        log::warn!("crash: provoking {crash}");
        if place == CrashPlace::Early {
            provoke(kind)
        }
        trap::arm(kind, Place::Card, 1);
    }
}

/// Crashes where the command line says so, after the boot log has gone out.
pub fn after_boot(kernel: &mut Kernel, recovery: &Recovery) {
    let Some(crash) = wanted(kernel.parameters, recovery) else { return };
    log::warn!("crash: provoking {crash}");
    let kind = crash.kind;
    match crash.place {
        // Where it is to come early and there is no such place, it comes here.
        None | Some(CrashPlace::Early | CrashPlace::Pci) => damage(kernel, kind),
        Some(CrashPlace::Log) => log::info!("crash: this record is cut here: {}", Broken(kind)),
        Some(CrashPlace::Message) => panic!("this message is cut here: {}", Broken(kind)),
        Some(CrashPlace::Tx) => wait_for(kernel, kind, Place::Transmit),
        Some(CrashPlace::Rx) => wait_for(kernel, kind, Place::Receive),
        Some(CrashPlace::Serial) => wait_for(kernel, kind, Place::Serial),
        Some(CrashPlace::Smoltcp) => wait_for(kernel, kind, Place::Smoltcp),
        Some(CrashPlace::Console) => wait_for(kernel, kind, Place::Console),
        Some(CrashPlace::Panic) => panic_while_panicking(kind, 1),
        Some(CrashPlace::Panic2) => panic_while_panicking(kind, 2),
        Some(CrashPlace::Panic3) => panic_while_panicking(kind, 3),
        Some(CrashPlace::PanicCard) => panic_at_cards(kind, 1),
        Some(CrashPlace::Firmware) => match kind {
            CrashKind::Loop | CrashKind::HungDevice => {
                trap::arm(kind, Place::Firmware, 1);
                panic!("provoked by crash={crash}")
            }
            CrashKind::GeneralProtection | CrashKind::Nmi => wait_for(kernel, kind, Place::Firmware),
            _ => wait_for(kernel, kind, Place::FirmwareCall),
        },
        Some(CrashPlace::PanicCards) => panic_at_cards(kind, u32::from(u8::MAX)),
    }
}

/// Crashes because somebody at a console asked for it.
pub fn on_command(kernel: &mut Kernel, name: &str) -> ! {
    damage(kernel, CrashKind::find(name).unwrap_or(CrashKind::Panic))
}

fn panic_while_panicking(kind: CrashKind, times: u32) -> ! {
    trap::arm(kind, Place::Panic, times);
    provoke(kind)
}

fn panic_at_cards(kind: CrashKind, times: u32) -> ! {
    trap::arm(kind, Place::PanicCard, times);
    provoke(kind)
}

/// How long a crash waits for its place to be come by, in µs.
const PATIENCE: u64 = 10_000_000;

fn wait_for(kernel: &mut Kernel, kind: CrashKind, place: Place) -> ! {
    trap::arm(kind, place, 1);
    let deadline = Deadline::after(PATIENCE);
    while !deadline.has_come() {
        kernel.poll();
    }
    panic!("crash={}: nothing has come by {place:?}", kind.as_str())
}

/// A value whose text can't be written to its end.
struct Broken(CrashKind);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a ")?;
        provoke(self.0)
    }
}

/// The kinds that damage something and then panic; the others crash at once.
fn damage(kernel: &mut Kernel, kind: CrashKind) -> ! {
    match kind {
        CrashKind::HungDevice => kernel.netconsole.hang_cards(),
        // SAFETY: what is overwritten is not used again: the panic below comes at once. So for the next two.
        CrashKind::OverwriteNic => unsafe { kernel.netconsole.overwrite_cards(PATTERN) },
        CrashKind::OverwriteSender => {
            // SAFETY: as above.
            unsafe { kernel.netconsole.overwrite_targets(PATTERN) };
            memory().overwrite_positions(u64::from_ne_bytes([PATTERN; 8]));
        }
        CrashKind::OverwriteTargets => {
            // SAFETY: as above.
            unsafe { kernel.netconsole.overwrite_targets(PATTERN) };
            memory().overwrite_plan(u64::from_ne_bytes([PATTERN; 8]));
        }
        CrashKind::OverflowRing => {
            for number in 0..100_000 {
                log::info!("overflow message {number:08}");
            }
        }
        _ => provoke(kind),
    }
    panic!("provoked by crash={}", kind.as_str())
}
