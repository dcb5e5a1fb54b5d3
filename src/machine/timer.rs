//! What wakes the CPU from `hlt`: a tick, proven before it is relied on. While the kernel serves, it looks at its devices
//! after each tick and sleeps in between.
//!
//! The local APIC's timer is tried first, since nothing of it lies outside of the CPU; then the i8254 on IRQ 0 through the
//! i8259s, which boards may gate or route elsewhere. Where neither ticks, the kernel never sleeps.

use super::clock::{self, Deadline, PIT_HZ, Ports};
use super::firmware;
use super::interrupts::{self, PIC_BASE};
use super::local_apic::LocalApic;
use super::pic;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::interrupts as cpu;

/// Ticks per second.
const HZ: u32 = 250;
/// How long the local APIC's timer is compared with the time stamp counter, in µs.
const COMPARISON: u64 = 1_000;
/// How long a source may take until it ticks, in µs. A busy hypervisor may hold its timers back; the kernel works
/// meanwhile, without sleep.
const PATIENCE: u64 = 2_000_000;
/// In how many pauses at least, with interrupts let in: a kernel that has much to do pauses seldom.
const PAUSES: u32 = 1_000;
/// How many ticks prove a source.
const PROOF: u32 = 2;
/// How long the kernel pauses in place of a sleep, with interrupts let in, in µs.
const PAUSE: u64 = 100;

/// i8254 datasheet, control word: channel 0, both bytes, mode 2 (rate generator).
const CHANNEL_0_RATE: u8 = 0x34;

/// When the firmware that goes on was last let tick, by [`clock::micros`].
static FIRMWARE_TICKED_AT: AtomicU64 = AtomicU64::new(0);

/// Lets the firmware that goes on have its interrupts, where it has not had them here for half as long as it may wait.
pub fn let_firmware_tick() {
    if !firmware::stays() {
        return;
    }
    let now = clock::micros();
    let ticked_at = FIRMWARE_TICKED_AT.load(Ordering::Relaxed);
    // As the frequency becomes known better, the clock may go back.
    if now.abs_diff(ticked_at) >= firmware::TICK_INTERVAL / 2 {
        FIRMWARE_TICKED_AT.store(now, Ordering::Relaxed);
        firmware::gate::tick();
    }
}

/// Where ticks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The local APIC's timer.
    LocalApic(LocalApic),
    /// The i8254.
    Pit,
    /// The firmware's own timer, which interrupts only the firmware.
    Firmware,
    /// Nothing ticks.
    None,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocalApic(_) => "the local APIC ticks",
            Self::Pit => "the i8254 ticks",
            Self::Firmware => "the firmware's own ticks",
            Self::None => "nothing ticks on this machine: the CPU never sleeps",
        })
    }
}

/// The ticks, and whether they are proven.
pub struct Timer {
    source: Source,
    is_proven: bool,
    /// The count of ticks when the source was started, and by when, or in how many more pauses, it must have ticked.
    before: u32,
    patience: Deadline,
    pauses_left: u32,
    /// How often the firmware's timer was seen to have ticked.
    firmware_ticks: u32,
}

impl Timer {
    /// Starts the ticks. Interrupts stay off but for the moments in [`sleep`](Self::sleep). The clock must have
    /// settled: this uses the i8254.
    pub fn start() -> Self {
        if firmware::stays() {
            return Self::of(Source::Firmware);
        }
        // The i8259s' lines all are masked; where one comes all the same, it must not look like an exception.
        pic::start(PIC_BASE, 0);
        let source = match LocalApic::find() {
            Some(apic) => {
                apic.reset();
                start_local(apic);
                Source::LocalApic(apic)
            }
            None => {
                start_pit();
                Source::Pit
            }
        };
        Self::of(source)
    }

    fn of(source: Source) -> Self {
        let (before, patience) = (interrupts::ticks(), Deadline::after(PATIENCE));
        Self { source, is_proven: false, before, patience, pauses_left: PAUSES, firmware_ticks: 0 }
    }

    /// Sleeps until the next tick at the latest; where ticks are not proven, it pauses for [`PAUSE`].
    pub fn sleep(&mut self) {
        if self.is_proven && self.source == Source::Firmware {
            return firmware::gate::sleep();
        }
        if self.is_proven {
            cpu::enable_and_hlt();
            cpu::disable();
            return;
        }
        let deadline = Deadline::after(PAUSE);
        if self.source == Source::Firmware {
            firmware::gate::tick();
            self.firmware_ticks = self.firmware_ticks.wrapping_add(firmware::services::has_ticked().into());
            if self.firmware_ticks > PROOF {
                self.is_proven = true;
                log::debug!("timer: {}", self.source);
            }
            while !deadline.has_come() {
                core::hint::spin_loop();
            }
            return;
        }
        cpu::enable();
        while !deadline.has_come() {
            core::hint::spin_loop();
        }
        cpu::disable();
        self.pauses_left = self.pauses_left.saturating_sub(1);
        self.judge();
    }

    /// Looks whether the source has ticked, or takes the next one.
    fn judge(&mut self) {
        if self.source == Source::None {
            return;
        }
        if interrupts::ticks().wrapping_sub(self.before) >= PROOF {
            self.is_proven = true;
            log::debug!("timer: {}", self.source);
        } else if self.pauses_left == 0 && self.patience.has_come() {
            *self = match self.source {
                Source::LocalApic(apic) => {
                    apic.stop();
                    apic.let_pic_through();
                    start_pit();
                    Self::of(Source::Pit)
                }
                Source::Pit | Source::Firmware | Source::None => {
                    log::warn!("timer: {}", Source::None);
                    Self::of(Source::None)
                }
            };
        }
    }
}

fn start_local(apic: LocalApic) {
    apic.begin_count();
    let deadline = Deadline::after(COMPARISON);
    while !deadline.has_come() {
        core::hint::spin_loop();
    }
    let per_tick = u64::from(apic.counted()) * (1_000_000 / u64::from(HZ)) / COMPARISON;
    // A timer that did not count is not proven either.
    apic.tick(u32::try_from(per_tick).unwrap_or(u32::MAX).max(1));
}

fn start_pit() {
    let divisor = (PIT_HZ / HZ) as u16;
    let [low, high] = divisor.to_le_bytes();
    Ports::write(Ports::PIT_CONTROL, CHANNEL_0_RATE);
    Ports::write(Ports::PIT_CHANNEL_0, low);
    Ports::write(Ports::PIT_CHANNEL_0, high);
    pic::start(PIC_BASE, 1);
}
