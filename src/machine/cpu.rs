//! Which CPU this is.

use core::arch::x86_64::__cpuid;
use raw_cpuid::{CpuId, CpuIdReader, Hypervisor};
use x86_64::instructions::port::Port;

/// Whether a hypervisor says that it runs this. Panic-safe.
pub fn is_virtual() -> bool {
    /// Leaf 1, ECX.
    const HYPERVISOR: u32 = 1 << 31;
    __cpuid(1).ecx & HYPERVISOR != 0
}

/// Logs the CPU's name, its model's numbers, and the features that matter to this kernel.
pub fn describe() {
    let cpu = CpuId::new();
    let brand = cpu.get_processor_brand_string();
    let name = brand.as_ref().map_or("unnamed", |brand| brand.as_str().trim());
    let Some(features) = cpu.get_feature_info() else {
        return log::info!("cpu: {name}");
    };
    log::info!(
        "cpu: {name}, family {:#x}, model {:#x}, stepping {}",
        features.family_id(),
        features.model_id(),
        features.stepping_id()
    );
    let has = |has: bool, name: &'static str| if has { name } else { "" };
    let power = cpu.get_advanced_power_mgmt_info();
    log::info!(
        "cpu: features: sse2{}{}{}{}",
        has(power.is_some_and(|power| power.has_invariant_tsc()), " invariant-tsc"),
        has(features.has_x2apic(), " x2apic"),
        has(erms(&cpu), " erms"),
        has(is_virtual(), " hypervisor"),
    );
    if let Some(hypervisor) = cpu.get_hypervisor_info() {
        log::info!("cpu: runs under {}", hypervisor_name(&hypervisor.identify()));
    }
}

fn erms<R: CpuIdReader>(cpu: &CpuId<R>) -> bool {
    cpu.get_extended_feature_info().is_some_and(|info| info.has_rep_movsb_stosb())
}

/// Whether a reset ends this virtual machine: under KVM without QEMU, as far as such programs are known, where the machine has
/// no ACPI. QEMU resets it, and says who it is by its firmware configuration device. A test answers in its place, so it is
/// a function of its own.
#[inline(never)]
pub fn ends_by_reset() -> bool {
    const SELECTOR: u16 = 0x510;
    const DATA: u16 = 0x511;
    const SIGNATURE: u16 = 0;
    let cpu = CpuId::new();
    if !cpu.get_hypervisor_info().is_some_and(|hypervisor| hypervisor.identify() == Hypervisor::KVM) {
        return false;
    }
    // SAFETY: under KVM these ports are QEMU's device, which then gives its name byte by byte, or nobody's.
    let name = unsafe {
        Port::new(SELECTOR).write(SIGNATURE);
        [(); 4].map(|()| Port::<u8>::new(DATA).read())
    };
    name != *b"QEMU"
}

fn hypervisor_name(hypervisor: &Hypervisor) -> &'static str {
    match hypervisor {
        Hypervisor::Xen => "Xen",
        Hypervisor::VMware => "VMware",
        Hypervisor::HyperV => "Hyper-V",
        Hypervisor::KVM => "KVM",
        Hypervisor::QEMU => "QEMU",
        Hypervisor::Bhyve => "bhyve",
        Hypervisor::QNX => "QNX",
        Hypervisor::ACRN => "ACRN",
        Hypervisor::Unknown(..) => "a hypervisor of unknown name",
    }
}
