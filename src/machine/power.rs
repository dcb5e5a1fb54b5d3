//! How the machine ends: QEMU's exit device, power off, reboot, halt.

use super::pci::ConfigurationPorts;
use netconsole::nic::pci::{ConfigurationAccess, DeviceFunction};
use x86_64::instructions::{hlt, interrupts, port::Port, tables::lidt};
use x86_64::structures::DescriptorTablePointer;

/// What `after=exit` reports through QEMU's `isa-debug-exit`; QEMU's own status is twice that plus 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExitCode {
    /// The boot log went out; QEMU ends with status 33.
    Good = 0x10,
    /// A panic; status 35.
    Panic = 0x11,
    /// No target could be started; status 37.
    NoTarget = 0x12,
}

/// Where scripts/run and the tests put QEMU's `isa-debug-exit`.
const DEBUG_EXIT: u16 = 0xf4;
const RESET_CONTROL: u16 = 0xcf9;
const KEYBOARD_CONTROLLER: u16 = 0x64;
/// ACPI 6.4, section 4.8.3.2.1: SLP_EN; SLP_TYP is 0 for S5 on both chipsets below.
const SLEEP_ENABLE: u16 = 1 << 13;

/// Ends QEMU by its exit device; halts where there is none. Panic-safe.
pub fn exit(code: ExitCode) -> ! {
    // SAFETY: nothing but the exit device listens at this port.
    unsafe { Port::new(DEBUG_EXIT).write(code as u32) };
    halt()
}

/// Stops for good. Panic-safe.
pub fn halt() -> ! {
    interrupts::disable();
    loop {
        hlt();
    }
}

/// Resets the machine: the chipset's reset register, the keyboard controller, then a triple fault.
/// Panic-safe.
pub fn reboot() -> ! {
    interrupts::disable();
    // SAFETY: the machine ends here, so no state that these ports or the empty table break matters.
    unsafe {
        Port::new(RESET_CONTROL).write(0x02u8);
        Port::new(RESET_CONTROL).write(0x06u8);
        Port::new(KEYBOARD_CONTROLLER).write(0xfeu8);
    }
    triple_fault()
}

/// Resets the CPU by an exception that no table has an entry for. Panic-safe.
pub fn triple_fault() -> ! {
    // SAFETY: the machine ends here.
    unsafe {
        lidt(&DescriptorTablePointer { limit: 0, base: x86_64::VirtAddr::zero() });
        core::arch::asm!("int3", options(noreturn));
    }
}

/// Turns the machine off by its chipset's power management registers; halts where the chipset is
/// not known.
pub fn poweroff() -> ! {
    if let Some(control) = power_control_port() {
        // SAFETY: the port is PM1a_CNT of a chipset recognised by its id.
        unsafe { Port::new(control).write(SLEEP_ENABLE) };
    }
    log::error!("power: this chipset's power off is not known; halted");
    halt()
}

/// PM1a_CNT of the two chipsets that QEMU has: PIIX4 (datasheet, PMBA at 0x40 of function 3) and
/// ICH9 (PMBASE at 0x40 of the LPC bridge).
fn power_control_port() -> Option<u16> {
    const PIIX4: u32 = 0x7113_8086;
    const ICH9: u32 = 0x2918_8086;
    let ports = ConfigurationPorts;
    for (device, function, id) in [(1, 3, PIIX4), (31, 0, ICH9)] {
        let function = DeviceFunction { bus: 0, device, function };
        if ports.read_word(function, 0) == id {
            let base = u16::try_from(ports.read_word(function, 0x40) & 0xff80).ok()?;
            return base.checked_add(4).filter(|&port| port > 4);
        }
    }
    None
}
