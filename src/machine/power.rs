//! How the machine ends: QEMU's exit device, power off, reboot, halt.

use super::clock::Deadline;
use super::paging;
use bootinfo::firmware::acpi::{PowerOff, Register};
use netconsole::guarded::Words;
use spin::Once;
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
/// ACPI 6.5, section 4.8.3.2.1, PM1 control.
const PM1_SCI_ENABLE: u16 = 1 << 0;
const PM1_SLEEP_TYPE_SHIFT: u32 = 10;
const PM1_SLEEP_ENABLE: u16 = 1 << 13;
/// Section 4.8.3.7, sleep control.
const SLEEP_CONTROL_TYPE_SHIFT: u32 = 2;
const SLEEP_CONTROL_ENABLE: u8 = 1 << 5;
/// How long the firmware may take to hand over its registers, in µs.
const ENABLE_PATIENCE: u64 = 3_000_000;

static POWER_OFF: Once<PowerOff> = Once::new();
/// ACPI's reset register, for the panic path too: the address (below 4 GiB), whether it is
/// a port, the value to be written.
static RESET: Words<1> = Words::unset();
const RESET_IS_PORT: u64 = 1 << 48;
const RESET_VALUE_SHIFT: u32 = 56;

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

/// What ACPI says of the machine's ends. To be called once.
pub fn use_acpi(off: Option<PowerOff>, reset: Option<(Register, u8)>) {
    if let Some(off) = off {
        POWER_OFF.call_once(|| off);
    }
    if let Some((register, value)) = reset {
        let (address, is_port) = match register {
            Register::Memory(address) => (address, 0),
            Register::Port(port) => (port.into(), RESET_IS_PORT),
        };
        if address < paging::MAPPED_AT_BOOT {
            let word = address | is_port | u64::from(value) << RESET_VALUE_SHIFT;
            RESET.set(&[word]);
        }
    }
}

/// Resets the machine: ACPI's reset register, the chipset's, the keyboard controller, then a triple
/// fault. Panic-safe.
pub fn reboot() -> ! {
    interrupts::disable();
    if let Some([word]) = RESET.get() {
        let [a, b, c, d, _, _, _, value] = word.to_le_bytes();
        let register = if word & RESET_IS_PORT != 0 {
            Register::Port(u16::from_le_bytes([a, b]))
        } else {
            Register::Memory(u32::from_le_bytes([a, b, c, d]).into())
        };
        write(register, value);
    }
    // SAFETY: the machine ends here, so no state that these ports break matters.
    unsafe {
        Port::new(RESET_CONTROL).write(0x02u8);
        Port::new(RESET_CONTROL).write(0x06u8);
        Port::new(KEYBOARD_CONTROLLER).write(0xfeu8);
    }
    triple_fault()
}

/// Writes a byte to a register that ACPI names for the machine's end.
fn write(register: Register, value: u8) {
    // SAFETY: the machine ends by this; the firmware's word is taken for where its register is, which
    // `use_acpi` and the FADT's checksum guard.
    unsafe {
        match register {
            Register::Port(port) => Port::new(port).write(value),
            Register::Memory(address) => {
                core::ptr::with_exposed_provenance_mut::<u8>(address as usize).write_volatile(value);
            }
        }
    }
}

/// Resets the CPU by an exception that no table has an entry for. Panic-safe.
pub fn triple_fault() -> ! {
    // SAFETY: the machine ends here.
    unsafe {
        lidt(&DescriptorTablePointer { limit: 0, base: x86_64::VirtAddr::zero() });
        core::arch::asm!("int3", options(noreturn));
    }
}

/// Turns the machine off by ACPI's state S5, without the firmware's byte code that may want to run before;
/// halts where that does not work.
pub fn poweroff() -> ! {
    match POWER_OFF.get() {
        Some(PowerOff::Pm1 { enable, a, b }) => {
            if let Some((port, value)) = *enable {
                enable_acpi(a.0, port, value);
            }
            for (port, sleep_type) in [Some(*a), *b].into_iter().flatten() {
                let value = u16::from(sleep_type) << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE;
                // SAFETY: the port is a PM1 control register, says the FADT; the machine ends here.
                unsafe { Port::new(port).write(value) }
            }
        }
        Some(PowerOff::SleepControl(register, sleep_type)) => {
            write(*register, sleep_type << SLEEP_CONTROL_TYPE_SHIFT | SLEEP_CONTROL_ENABLE);
        }
        None => log::error!("power: ACPI says no way to turn this machine off; halted"),
    }
    halt()
}

/// Hands the PM1 registers over from the firmware where it still has them (section 4.8.2.5).
fn enable_acpi(control: u16, command: u16, value: u8) {
    // SAFETY: both ports are what the FADT says they are, and the machine ends soon.
    let is_enabled = || unsafe { Port::<u16>::new(control).read() } & PM1_SCI_ENABLE != 0;
    if is_enabled() {
        return;
    }
    // SAFETY: as above.
    unsafe { Port::new(command).write(value) };
    let deadline = Deadline::after(ENABLE_PATIENCE);
    while !is_enabled() && !deadline.has_come() {
        core::hint::spin_loop();
    }
}
