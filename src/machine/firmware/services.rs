//! What else is asked of the firmware that goes on: its reset, and its watchdog.

use super::gate::{self, Call};
use super::structure::{SIMPLE_NETWORK, SUCCESS, Status, Structure, call_firmware};
use core::ffi::c_void;
use core::ptr::{null, null_mut};
use netconsole::guarded::Words;

/// Section 4.3, `EFI_SYSTEM_TABLE`; section 4.4, `EFI_BOOT_SERVICES`; section 4.5, `EFI_RUNTIME_SERVICES`.
const BOOT_SERVICES: usize = 0x60;
const RUNTIME_SERVICES: usize = 0x58;
const CREATE_EVENT: usize = 0x50;
const SET_TIMER: usize = 0x58;
const CHECK_EVENT: usize = 0x78;
const SET_WATCHDOG_TIMER: usize = 0x100;
const DISCONNECT_CONTROLLER: usize = 0x110;
const CLOSE_PROTOCOL: usize = 0x120;
const RESET_SYSTEM: usize = 0x68;
/// Section 8.5.1: `EfiResetCold`.
const COLD: usize = 0;
/// Section 7.5: codes from here on are not the firmware's own.
const WATCHDOG_CODE: usize = 0x1_0000;

type CreateEvent = extern "efiapi" fn(u32, usize, *const c_void, *const c_void, &mut *mut c_void) -> Status;
type SetTimer = extern "efiapi" fn(*mut c_void, u32, u64) -> Status;
/// Section 7.1: `EVT_TIMER`, `TimerPeriodic`, and a hundredth of a second in units of 100 ns.
const TIMER: u32 = 1 << 31;
const PERIODIC: u32 = 1;
const PERIOD: u64 = 100_000;

/// `SetWatchdogTimer`, `ResetSystem`, `CheckEvent`, and an event of the timer, 0 for none.
static FUNCTIONS: Words<4> = Words::unset();
/// `CloseProtocol`, `DisconnectController`, and this program's handle.
static CONTROLLERS: Words<3> = Words::unset();

/// Notes where the services are that `image` will use, and makes a timer. Called while the firmware's own page tables are in
/// force.
pub fn note(image: *mut c_void, system_table: Structure) {
    let boot = Structure(system_table.field(BOOT_SERVICES));
    let runtime = Structure(system_table.field(RUNTIME_SERVICES));
    let (create, set): (CreateEvent, SetTimer) = (boot.field(CREATE_EVENT), boot.field(SET_TIMER));
    let mut event = null_mut();
    let is_made = call_firmware(|| create(TIMER, 0, null(), null(), &mut event)) == SUCCESS
        && call_firmware(|| set(event, PERIODIC, PERIOD)) == SUCCESS;
    let event = if is_made { event.expose_provenance() as u64 } else { 0 };
    let [set_watchdog, check, close, disconnect] =
        [SET_WATCHDOG_TIMER, CHECK_EVENT, CLOSE_PROTOCOL, DISCONNECT_CONTROLLER].map(|at| boot.field(at));
    FUNCTIONS.set(&[set_watchdog, runtime.field(RESET_SYSTEM), check, event]);
    CONTROLLERS.set(&[close, disconnect, image.expose_provenance() as u64]);
}

/// Whether the firmware's timer has ticked since this was last asked.
pub fn has_ticked() -> bool {
    let Some([_, _, check, event]) = FUNCTIONS.get().filter(|[.., event]| *event != 0) else { return false };
    // SAFETY: an event that the firmware has made.
    unsafe {
        gate::call(Call::CheckEvent, check as usize, &[event as usize, 0, 0, 0, 0, 0, 0]) == Some(SUCCESS)
    }
}

/// Has the firmware reset the machine; comes back where it does not, or has ended. Panic-safe.
// A test has this call not come back, by this name (tests/qemu/firmware_cards.rs).
#[inline(never)]
pub fn reset() {
    if let Some([_, reset, ..]) = FUNCTIONS.get() {
        // SAFETY: a cold reset, with no status and no data to be told.
        _ = unsafe { gate::call(Call::ResetSystem, reset as usize, &[COLD, 0, 0, 0, 0, 0, 0]) };
    }
}

/// Has all drivers of the firmware let go of the device with this handle, whose Simple Network Protocol the other one has: this
/// program lets go of that first.
pub fn let_go(device: usize, network: usize) {
    let Some([close, disconnect, image]) = CONTROLLERS.get() else { return };
    let protocol = (&raw const SIMPLE_NETWORK).expose_provenance();
    let arguments = [network, protocol, image as usize, 0, 0, 0, 0];
    // SAFETY: the firmware gave the handles; 0 is for a program that is no driver.
    _ = unsafe { gate::call(Call::CloseProtocol, close as usize, &arguments) };
    // SAFETY: as above; 0 is for all drivers, and all their children.
    _ = unsafe { gate::call(Call::DisconnectController, disconnect as usize, &[device, 0, 0, 0, 0, 0, 0]) };
}

/// Has the firmware reset the machine `seconds` from now; 0 is never. It counts in its timer's interrupts. Panic-safe.
pub fn set_watchdog(seconds: u16) {
    if let Some([set, ..]) = FUNCTIONS.get() {
        let arguments = [seconds.into(), WATCHDOG_CODE, 0, 0, 0, 0, 0];
        // SAFETY: seconds, a code, and no data.
        _ = unsafe { gate::call(Call::SetWatchdogTimer, set as usize, &arguments) };
    }
}
