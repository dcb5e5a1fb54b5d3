//! How the machine ends: QEMU's exit device, power off, reboot, halt.

use super::clock::Deadline;
use super::{cache, cpu, firmware, paging};
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
    /// No target could be started, or the log has not gone out; status 37.
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
/// How long a way to end the machine is given until the next one is tried, in µs.
const END_PATIENCE: u64 = 50_000;
/// How long the keyboard controller may be busy, in µs.
const KEYBOARD_PATIENCE: u64 = 10_000;
/// Its status: it has not read the last byte yet.
const INPUT_FULL: u8 = 1 << 1;
/// How long the machine may take to turn itself off, in µs.
const OFF_PATIENCE: u64 = 5_000_000;

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

/// Stops for good: what follows may be somebody's hand at the reset button. Panic-safe.
pub fn halt() -> ! {
    interrupts::disable();
    cache::write_back_all();
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

/// In which order the ways to reset the machine are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The firmware first, where it goes on.
    FirmwareFirst,
    /// The firmware last: it may be damaged, and nothing would end a call that hangs.
    FirmwareLast,
}

/// Resets the machine: by the firmware where it goes on, ACPI's reset register, the chipset's, the keyboard controller, then a triple
/// fault. Each is given some time, as a reset does not come at once. Panic-safe.
pub fn reboot(order: Order) -> ! {
    interrupts::disable();
    cache::write_back_all();
    if order == Order::FirmwareLast {
        reset_by_registers();
    }
    firmware::services::reset();
    reset_by_registers();
    triple_fault()
}

fn reset_by_registers() {
    if let Some([word]) = RESET.get() {
        let [a, b, c, d, _, _, _, value] = word.to_le_bytes();
        let register = if word & RESET_IS_PORT != 0 {
            Register::Port(u16::from_le_bytes([a, b]))
        } else {
            Register::Memory(u32::from_le_bytes([a, b, c, d]).into())
        };
        write(register, value);
        pause(END_PATIENCE);
    }
    // SAFETY: the machine ends here, so no state that the port breaks matters.
    unsafe {
        Port::new(RESET_CONTROL).write(0x02u8);
        Port::new(RESET_CONTROL).write(0x06u8);
    }
    pause(END_PATIENCE);
    reset_by_keyboard();
}

/// Has the keyboard controller pull the CPU's reset line. Panic-safe.
fn reset_by_keyboard() {
    let deadline = Deadline::after(KEYBOARD_PATIENCE);
    // SAFETY: the machine ends here, so no state that the port breaks matters. Reading it tells how the controller is.
    unsafe {
        while Port::<u8>::new(KEYBOARD_CONTROLLER).read() & INPUT_FULL != 0 && !deadline.has_come() {
            core::hint::spin_loop();
        }
        Port::new(KEYBOARD_CONTROLLER).write(0xfeu8);
    }
    pause(END_PATIENCE);
}

/// Waits for `micros` µs.
fn pause(micros: u64) {
    let deadline = Deadline::after(micros);
    while !deadline.has_come() {
        core::hint::spin_loop();
    }
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

/// Whether there is a way to turn this machine off.
pub fn can_power_off() -> bool {
    POWER_OFF.get().is_some() || cpu::ends_by_reset()
}

/// Turns the machine off by ACPI's state S5, without the firmware's byte code that may want to run before. Where there is
/// no such way, small hypervisors (Firecracker, kvmtool) end a machine that asks to be reset; else it halts.
pub fn poweroff() -> ! {
    cache::write_back_all();
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
        None if cpu::ends_by_reset() => reset_by_keyboard(),
        None => {}
    }
    pause(OFF_PATIENCE);
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
