//! Counters whose frequency is known, for the time stamp counter to be compared with.

use crate::machine::paging;
use bootinfo::firmware::acpi::{PowerTimer, Register};
use core::fmt;
use x86_64::instructions::port::Port;

/// The i8254's input clock in Hz.
pub const PIT_HZ: u32 = 1_193_182;

/// The ports that this kernel's clock and timer use.
pub struct Ports;

impl Ports {
    /// i8254 channel 0: the timer's.
    pub const PIT_CHANNEL_0: u16 = 0x40;
    /// i8254 control word.
    pub const PIT_CONTROL: u16 = 0x43;

    /// Writes one byte to a port of the i8254 or the i8259s.
    pub fn write(port: u16, value: u8) {
        // SAFETY: callers are this file and timer.rs, which own these chips; no memory is involved.
        unsafe { Port::new(port).write(value) }
    }

    fn read(port: u16) -> u8 {
        // SAFETY: as above.
        unsafe { Port::new(port).read() }
    }
}

/// i8254 datasheet, control word: channel 0, both bytes, mode 0 (the output rises at the end of the count); also the lower
/// six bits of the status.
const COUNT_DOWN_ONCE: u8 = 0x30;
const STATUS_MODE: u8 = 0x3f;

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The i8254's channel 0, which counts down once from 0xffff (55 ms).
    Pit,
    /// A high precision event timer.
    Hpet(Hpet),
    /// ACPI's timer.
    Acpi(PowerTimer),
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pit => "the i8254",
            Self::Hpet(_) => "the HPET",
            Self::Acpi(_) => "ACPI's timer",
        })
    }
}

/// What a counter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// How far it has come.
    At(u32),
    /// Its count is over.
    Ended,
    /// There is no such device.
    Absent,
}

impl Counter {
    /// Its frequency.
    pub fn hz(&self) -> u64 {
        match self {
            Self::Pit => PIT_HZ.into(),
            Self::Hpet(hpet) => hpet.hz,
            Self::Acpi(_) => PowerTimer::HZ.into(),
        }
    }

    /// How many ticks lie between two readings, less than a lap apart.
    pub fn between(&self, earlier: u32, later: u32) -> u32 {
        later.wrapping_sub(earlier) & self.mask()
    }

    fn mask(&self) -> u32 {
        match self {
            Self::Pit => u16::MAX.into(),
            Self::Acpi(PowerTimer { is_wide: false, .. }) => (1 << 24) - 1,
            Self::Hpet(_) | Self::Acpi(_) => u32::MAX,
        }
    }

    /// Has it count, from its begin where it counts once.
    pub fn start(&self) {
        match self {
            Self::Pit => {
                Ports::write(Ports::PIT_CONTROL, COUNT_DOWN_ONCE);
                Ports::write(Ports::PIT_CHANNEL_0, 0xff);
                Ports::write(Ports::PIT_CHANNEL_0, 0xff);
            }
            Self::Hpet(hpet) => hpet.start(),
            Self::Acpi(_) => {}
        }
    }

    /// Reads it. `has_latched` is called at the moment that the reading is of.
    pub fn read(&self, has_latched: impl FnOnce()) -> Reading {
        match self {
            Self::Pit => read_pit(has_latched),
            Self::Hpet(hpet) => {
                let count = hpet.read(Hpet::COUNT);
                has_latched();
                Reading::At(count)
            }
            Self::Acpi(timer) => {
                let count = read_acpi(timer, self.mask());
                has_latched();
                Reading::At(count)
            }
        }
    }
}

fn read_pit(has_latched: impl FnOnce()) -> Reading {
    // i8254 datasheet, read-back command: latch status and count of channel 0.
    const READ_BACK: u8 = 0xc2;
    const OUTPUT: u8 = 1 << 7;
    const NOT_LOADED: u8 = 1 << 6;
    Ports::write(Ports::PIT_CONTROL, READ_BACK);
    has_latched();
    let [status, low, high] = [(); 3].map(|()| Ports::read(Ports::PIT_CHANNEL_0));
    if status & STATUS_MODE != COUNT_DOWN_ONCE {
        return Reading::Absent;
    }
    if status & OUTPUT != 0 {
        return Reading::Ended;
    }
    let left = if status & NOT_LOADED != 0 { u16::MAX } else { u16::from_le_bytes([low, high]) };
    Reading::At(u32::from(u16::MAX - left))
}

/// Reads until two readings are close together: some chipsets give a wrong one while the count changes.
fn read_acpi(timer: &PowerTimer, mask: u32) -> u32 {
    const TRIES: usize = 3;
    const CLOSE: u32 = 0x100;
    let read = || match timer.register {
        // SAFETY: the FADT says that this port is the timer's; no memory is involved.
        Register::Port(port) => unsafe { Port::<u32>::new(port).read() },
        Register::Memory(address) => read_register(address),
    };
    let mut count = read();
    for _ in 0..TRIES {
        let next = read();
        if next.wrapping_sub(count) & mask < CLOSE {
            return next;
        }
        count = next;
    }
    count
}

/// A register of 32 bits whose address ACPI gives; all ones where it is out of reach.
fn read_register(address: u64) -> u32 {
    if !is_reached(address) {
        return u32::MAX;
    }
    let register = core::ptr::with_exposed_provenance::<u32>(address as usize);
    // SAFETY: it is mapped, outside the kernel, and aligned; what ACPI's tables name as a counter has no effect when read.
    unsafe { register.read_volatile() }
}

/// Whether a register lies below 4 GiB, where all is mapped one to one, outside the kernel's image, and aligned.
fn is_reached(address: u64) -> bool {
    let is_low = (paging::PAGE..paging::MAPPED_AT_BOOT).contains(&address);
    is_low && address.is_multiple_of(4) && !paging::is_own(address)
}

/// A high precision event timer (IA-PC HPET specification 1.0a, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpet {
    address: u64,
    hz: u64,
}

impl Hpet {
    /// The upper half of the capabilities: the period in femtoseconds, 100 ns at most.
    const PERIOD: u64 = 0x04;
    const MAX_PERIOD: u64 = 100_000_000;
    const CONFIGURATION: u64 = 0x10;
    const ENABLED: u32 = 1 << 0;
    /// The main counter's lower half.
    const COUNT: u64 = 0xf0;

    /// The one whose registers are at this physical address; `None` where it is out of reach, or no such timer answers.
    pub fn at(address: u64) -> Option<Self> {
        if !is_reached(address) || !address.is_multiple_of(1024) {
            return None;
        }
        let period = u64::from(read_register(address + Self::PERIOD));
        let hz = 1_000_000_000_000_000_u64.checked_div(period)?;
        (period <= Self::MAX_PERIOD).then_some(Self { address, hz })
    }

    fn read(&self, register: u64) -> u32 {
        read_register(self.address + register)
    }

    fn start(&self) {
        let configuration = self.read(Self::CONFIGURATION);
        if configuration & Self::ENABLED == 0 {
            let register =
                core::ptr::with_exposed_provenance_mut::<u32>((self.address + Self::CONFIGURATION) as usize);
            // SAFETY: `at` saw the timer there; that it counts harms nobody, as no interrupt of it is let in.
            unsafe { register.write_volatile(configuration | Self::ENABLED) };
        }
    }
}
