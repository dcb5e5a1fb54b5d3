//! Machine checks: what the CPU and the memory find wrong with themselves (Intel SDM volume 3, chapter 16; AMD's manual,
//! volume 2, chapter 9). Each bank of registers is one part of the machine that reports errors. Without all this an
//! error that can't be corrected resets the machine without a word.

use core::arch::x86_64::__cpuid;
use core::fmt;
use netconsole::guarded::Word;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::model_specific::Msr;

/// CPUID leaf 1, EDX: the exception, and the banks.
const EXCEPTION: u32 = 1 << 7;
const ARCHITECTURE: u32 = 1 << 14;

/// How many banks (bits 0 to 7), and whether there is a register that turns all of them on.
const CAPABILITIES: u32 = 0x179;
const HAS_CONTROL: u64 = 1 << 8;
const STATUS: u32 = 0x17a;
const CONTROL: u32 = 0x17b;
/// The first bank's registers; each bank has four.
const FIRST_BANK: u32 = 0x400;
const BANK_CONTROL: u32 = 0;
const BANK_STATUS: u32 = 1;
const BANK_ADDRESS: u32 = 2;
const BANK_OTHER: u32 = 3;
/// A bank's status: it has an error; with an address; with more.
const VALID: u64 = 1 << 63;
const HAS_ADDRESS: u64 = 1 << 58;
const HAS_OTHER: u64 = 1 << 59;
/// A bank's status: the error may have damaged what the CPU was doing (PCC).
const CONTEXT_CORRUPT: u64 = 1 << 57;
/// [`STATUS`]: the interrupted code can go on (RIPV).
const CAN_GO_ON: u64 = 1;

/// How many banks are on, for the panic path.
static BANKS: Word = Word::new(0);

/// An error that a bank has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The bank's number.
    pub bank: u8,
    /// What happened, as the manuals tell for each bank.
    pub status: u64,
    /// The physical address that it is about.
    pub address: Option<u64>,
    /// What else there is.
    pub other: Option<u64>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bank {}: status {:#018x}", self.bank, self.status)?;
        self.address.map_or(Ok(()), |address| write!(f, ", address {address:#x}"))?;
        self.other.map_or(Ok(()), |other| write!(f, ", misc {other:#x}"))
    }
}

/// Errors that the banks held when this boot began.
pub type OldEvents = [Option<Event>; MAX_OLD_EVENTS];
/// How many of them are kept; today's CPUs have no more banks.
const MAX_OLD_EVENTS: usize = 32;

/// Has the CPU report errors by exception 18. Gives those from before this boot, which the banks hold no longer.
pub fn turn_on() -> OldEvents {
    let mut old = [None; MAX_OLD_EVENTS];
    let leaf = __cpuid(1);
    if leaf.edx & EXCEPTION == 0 {
        return old;
    }
    if leaf.edx & ARCHITECTURE != 0 {
        turn_on_banks(leaf.eax, &mut old);
    }
    // SAFETY: the CPU has the exception, whose entry is set.
    unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::MACHINE_CHECK_EXCEPTION)) };
    old
}

fn turn_on_banks(signature: u32, old: &mut OldEvents) {
    let capabilities = read(CAPABILITIES);
    let [banks, ..] = capabilities.to_le_bytes();
    if capabilities & HAS_CONTROL != 0 {
        write(CONTROL, u64::MAX);
    }
    let (family, model) = (signature >> 8 & 0xf, signature >> 12 & 0xf0 | signature >> 4 & 0xf);
    // Section 16.3.2.1: on these, the first bank is the firmware's.
    let firmware_has_first = family == 6 && model < 0x1a;
    for bank in 0..banks {
        if let Some(old) = old.get_mut(usize::from(bank)) {
            *old = event(bank);
        }
        if bank > 0 || !firmware_has_first {
            write(register(bank, BANK_CONTROL), u64::MAX);
        }
        write(register(bank, BANK_STATUS), 0);
    }
    BANKS.set(banks.into());
}

/// The errors that the banks hold. Panic-safe.
pub fn events() -> impl Iterator<Item = Event> {
    let banks = BANKS.get().and_then(|banks| u8::try_from(banks).ok()).unwrap_or(0);
    (0..banks).filter_map(event)
}

/// What the CPU says of the machine check under way; `None` where it does not tell. Panic-safe.
pub fn status() -> Option<u64> {
    BANKS.get().filter(|&banks| banks > 0).map(|_| read(STATUS))
}

/// The next machine check is an exception again, and does not shut the CPU down. The banks stay as they are, so that
/// who starts next sees them, too. Panic-safe.
pub fn end() {
    if status().is_some() {
        write(STATUS, 0);
    }
}

/// Ends a machine check that a read of a dead kernel's memory ran into, banks cleared, if the CPU can go on after it; else
/// nothing changes, and it returns false. Panic-safe. Called by boot/exceptions.s.
pub extern "C" fn pass_over() -> bool {
    let can_go_on = status().is_some_and(|status| status & CAN_GO_ON != 0);
    if !can_go_on || events().any(|event| event.status & CONTEXT_CORRUPT != 0) {
        return false;
    }
    for event in events() {
        write(register(event.bank, BANK_STATUS), 0);
    }
    end();
    true
}

fn event(bank: u8) -> Option<Event> {
    let status = read(register(bank, BANK_STATUS));
    let more = |has: u64, what| (status & has != 0).then(|| read(register(bank, what)));
    (status & VALID != 0).then(|| Event {
        bank,
        status,
        address: more(HAS_ADDRESS, BANK_ADDRESS),
        other: more(HAS_OTHER, BANK_OTHER),
    })
}

fn register(bank: u8, which: u32) -> u32 {
    u32::from(bank).wrapping_mul(4).wrapping_add(FIRST_BANK).wrapping_add(which)
}

fn read(register: u32) -> u64 {
    // SAFETY: CPUID says that the CPU has these registers, as many banks as it tells; reading changes nothing.
    unsafe { Msr::new(register).read() }
}

fn write(register: u32, value: u64) {
    // SAFETY: as for reading; they only decide which errors are reported.
    unsafe { Msr::new(register).write(value) }
}
