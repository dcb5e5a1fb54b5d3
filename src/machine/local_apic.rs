//! The CPU's local APIC (Intel SDM volume 3, chapter 11): its timer, and the end of what it delivers.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::registers::model_specific::Msr;

/// The timer's vector. Its priority class is the highest, so that nothing that is in service keeps it away.
pub const TIMER_VECTOR: u8 = 0xf0;
/// The vector of interrupts that were gone before the CPU took them, which are not to be ended.
const SPURIOUS: u8 = 0xff;

/// CPUID leaf 1, EDX: there is a local APIC.
const CPUID_APIC: u32 = 1 << 9;
/// IA32_APIC_BASE (section 11.4.4): its address; whether it is on, and whether it is reached by MSRs.
const APIC_BASE: u32 = 0x1b;
const ENABLED: u64 = 1 << 11;
const BY_MSRS: u64 = 1 << 10;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// By MSRs, the first register (table 11-6).
const FIRST_MSR: u32 = 0x800;

/// Registers by their offsets (table 11-1).
const VERSION: u32 = 0x30;
const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS_VECTOR: u32 = 0xf0;
const IN_SERVICE: u32 = 0x100;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;
/// The other local interrupts, each with the highest entry's number from which on there is one: performance counters,
/// the thermal sensor, errors, corrected machine checks.
const LVT_OTHERS: [(u32, u32); 4] = [(0x370, 3), (0x340, 4), (0x330, 5), (0x2f0, 6)];

/// In a local interrupt's register: it is held back; it comes again and again (the timer); ExtINT, from the i8259s.
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const EXTERNAL: u32 = 0b111 << 8;
/// In the spurious vector's register: the APIC accepts interrupts.
const SOFTWARE_ENABLED: u32 = 1 << 8;
/// The timer counts at a 16th of its clock.
const BY_16: u32 = 0b0011;

/// How the registers are reached: 0 not at all, 1 by MSRs, else at this address.
static PLACE: AtomicU64 = AtomicU64::new(NOWHERE);
const NOWHERE: u64 = 0;
const MSRS: u64 = 1;

/// A way to the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalApic(u64);

impl LocalApic {
    /// This CPU's, if it has one that is on and within reach; from here on what it delivers is ended there.
    pub fn find() -> Option<Self> {
        if __cpuid(1).edx & CPUID_APIC == 0 {
            return None;
        }
        // SAFETY: CPUs with a local APIC have this MSR; reading it changes nothing.
        let base = unsafe { Msr::new(APIC_BASE).read() };
        let place = if base & BY_MSRS != 0 { MSRS } else { base & ADDRESS };
        // Below 4 GiB all is mapped one to one, and the MTRRs keep this page uncached.
        let is_reached = place == MSRS || (0x1000..1 << 32).contains(&place);
        if base & ENABLED == 0 || !is_reached {
            return None;
        }
        PLACE.store(place, Ordering::Relaxed);
        Some(Self(place))
    }

    /// The one that [`find`](Self::find) found.
    fn found() -> Option<Self> {
        Some(PLACE.load(Ordering::Relaxed)).filter(|&place| place != NOWHERE).map(Self)
    }

    fn read(self, register: u32) -> u32 {
        if self.0 == MSRS {
            // SAFETY: the APIC is in that mode, and callers name registers of its table.
            return unsafe { Msr::new(FIRST_MSR + (register >> 4)).read() } as u32;
        }
        let address = self.0 as usize + register as usize;
        // SAFETY: `find` saw that the page is the APIC's and is mapped; the register is one of its table, aligned.
        unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() }
    }

    fn write(self, register: u32, value: u32) {
        if self.0 == MSRS {
            // SAFETY: as in `read`; no value that is written lets the APIC reach memory.
            return unsafe { Msr::new(FIRST_MSR + (register >> 4)).write(value.into()) };
        }
        let address = self.0 as usize + register as usize;
        // SAFETY: as in `read`; no value that is written lets the APIC reach memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(value) }
    }

    /// Forgets what whoever ran before wanted: local interrupts are held back, nothing is in service any more, all
    /// priorities are let in.
    pub fn reset(self) {
        let highest = self.read(VERSION) >> 16 & 0xff;
        self.write(SPURIOUS_VECTOR, SOFTWARE_ENABLED | u32::from(SPURIOUS));
        self.write(LVT_TIMER, MASKED);
        self.write(LVT_LINT0, MASKED);
        for (register, from) in LVT_OTHERS {
            if highest >= from {
                self.write(register, MASKED);
            }
        }
        self.write(TASK_PRIORITY, 0);
        // At most one is in service for each vector.
        for _ in 0..256 {
            if (0..8).all(|word| self.read(IN_SERVICE + word * 0x10) == 0) {
                break;
            }
            self.write(END_OF_INTERRUPT, 0);
        }
    }

    /// Lets the i8259s' interrupts through.
    pub fn let_pic_through(self) {
        self.write(LVT_LINT0, EXTERNAL);
    }

    /// Has the timer count down from its highest count, in silence.
    pub fn begin_count(self) {
        self.write(DIVIDE, BY_16);
        self.write(LVT_TIMER, MASKED | u32::from(TIMER_VECTOR));
        self.write(INITIAL_COUNT, u32::MAX);
    }

    /// How far the timer has come since [`begin_count`](Self::begin_count).
    pub fn counted(self) -> u32 {
        u32::MAX - self.read(CURRENT_COUNT)
    }

    /// Has the timer tick after each `period` of its counts.
    pub fn tick(self, period: u32) {
        self.write(LVT_TIMER, PERIODIC | u32::from(TIMER_VECTOR));
        self.write(INITIAL_COUNT, period);
    }

    /// Stops the timer.
    pub fn stop(self) {
        self.write(LVT_TIMER, MASKED);
        self.write(INITIAL_COUNT, 0);
    }
}

/// Ends the interrupt of this vector, if the APIC has it in service: the spurious vector is not, nor what came another way.
pub fn end(vector: u8) {
    let Some(apic) = LocalApic::found() else { return };
    let word = apic.read(IN_SERVICE + u32::from(vector / 32) * 0x10);
    if word & 1 << (vector % 32) != 0 {
        apic.write(END_OF_INTERRUPT, 0);
    }
}
