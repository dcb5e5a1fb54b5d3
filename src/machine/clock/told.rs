//! The frequency of the time stamp counter where somebody tells it: the CPU, or the hypervisor.

use crate::machine::cpu;
use bootinfo::kvm_clock;
use core::arch::x86_64::__cpuid;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::from_ref;
use x86_64::registers::model_specific::Msr;

/// Who tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The CPU.
    Cpu,
    /// The hypervisor, by CPUID.
    Hypervisor,
    /// KVM's clock.
    KvmClock,
}

impl fmt::Display for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "says the CPU",
            Self::Hypervisor => "says the hypervisor",
            Self::KvmClock => "says KVM's clock",
        })
    }
}

/// The frequency in Hz, and who told it.
pub fn frequency() -> Option<(u64, Teller)> {
    by_cpu()
        .map(|hz| (hz, Teller::Cpu))
        .or_else(|| by_hypervisor().map(|hz| (hz, Teller::Hypervisor)))
        .or_else(|| by_kvm_clock().map(|hz| (hz, Teller::KvmClock)))
}

/// Leaves 0x15 and 0x16 (Intel SDM volume 2).
fn by_cpu() -> Option<u64> {
    let highest = __cpuid(0).eax;
    if highest < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    let (denominator, numerator, crystal) = (u64::from(leaf.eax), u64::from(leaf.ebx), u64::from(leaf.ecx));
    if denominator == 0 || numerator == 0 {
        return None;
    }
    if crystal != 0 {
        return Some(crystal * numerator / denominator);
    }
    // Where the crystal is not told, the counter runs at the base frequency, in MHz.
    let mhz = if highest >= 0x16 { u64::from(__cpuid(0x16).eax & 0xffff) } else { 0 };
    (mhz != 0).then_some(mhz * 1_000_000)
}

/// The first of its leaves, in which EAX is the highest.
const HYPERVISOR_LEAF: u32 = 0x4000_0000;

/// The hypervisors' leaf 0x4000_0010 (kHz), which VMware began.
fn by_hypervisor() -> Option<u64> {
    const FREQUENCY: u32 = HYPERVISOR_LEAF + 0x10;
    if !cpu::is_virtual() || __cpuid(HYPERVISOR_LEAF).eax < FREQUENCY {
        return None;
    }
    let khz = u64::from(__cpuid(FREQUENCY).eax);
    (khz != 0).then_some(khz * 1000)
}

/// Where KVM writes its clock: one cache line, so that it lies in one page. All zero before.
#[repr(C, align(64))]
struct Clock(UnsafeCell<[u32; 8]>);

// SAFETY: only `by_kvm_clock` uses it, on the only CPU, and reads it as volatile.
unsafe impl Sync for Clock {}

static CLOCK: Clock = Clock(UnsafeCell::new([0; 8]));

/// KVM's clock (Linux, Documentation/virt/kvm/x86/cpuid.rst and msr.rst). It is turned on for as long as it takes to read it.
fn by_kvm_clock() -> Option<u64> {
    const SIGNATURE: [u32; 3] =
        [u32::from_le_bytes(*b"KVMK"), u32::from_le_bytes(*b"VMKV"), u32::from_le_bytes(*b"M\0\0\0")];
    const FEATURES: u32 = 1;
    const HAS_CLOCK: u32 = 1 << 3;
    const SYSTEM_TIME: u32 = 0x4b56_4d01;
    const ON: u64 = 1;
    const OFF: u64 = 0;
    /// How often it is read until KVM does not write it meanwhile.
    const TRIES: usize = 100;
    if !cpu::is_virtual() {
        return None;
    }
    // Where KVM looks like Hyper-V, its own leaves are the second block.
    let base = [HYPERVISOR_LEAF, HYPERVISOR_LEAF + 0x100].into_iter().find(|&base| {
        let leaf = __cpuid(base);
        [leaf.ebx, leaf.ecx, leaf.edx] == SIGNATURE
    })?;
    if __cpuid(base + FEATURES).eax & HAS_CLOCK == 0 {
        return None;
    }
    let mut register = Msr::new(SYSTEM_TIME);
    let address = from_ref(&CLOCK).expose_provenance() as u64;
    // SAFETY: CPUID says that KVM has this MSR; it writes the clock, which lies there, physical = virtual.
    unsafe { register.write(address | ON) };
    let word = |number: usize| {
        // SAFETY: the word lies in the clock. KVM writes it from outside, whence volatile.
        unsafe { CLOCK.0.get().cast::<u32>().add(number).read_volatile() }
    };
    let [version, multiplier, shift] = [0, 6, 7];
    let found = (0..TRIES).find_map(|_| {
        let before = word(version);
        let values = (word(multiplier), word(shift).to_le_bytes()[0].cast_signed());
        // Odd while KVM writes.
        (before != 0 && before.is_multiple_of(2) && word(version) == before).then_some(values)
    });
    // SAFETY: as above; from here on KVM does not write there any more.
    unsafe { register.write(OFF) };
    let (multiplier, shift) = found?;
    kvm_clock::frequency(multiplier, shift)
}
