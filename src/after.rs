//! `after=`: what follows the boot log.

use crate::crash;
use crate::kernel::Kernel;
use crate::linux::{self, Before};
use crate::log::ring;
use crate::machine::firmware;
use crate::machine::interrupts::Strays;
use crate::machine::nmi;
use crate::machine::power::{self, ExitCode, Order};
use crate::machine::timer::Timer;
use crate::machine::watchdog;
use crate::{describe, start};
use bootinfo::parameters::After;
use netconsole::console::Ending;

/// Ends or serves as the command line says; where it says nothing, a Linux's crash kernel reboots. Whatever ends the
/// machine waits until the log of a Linux was heard. A kernel that searched for one serves: it would find the same log
/// again after a reset, or again none.
pub fn boot(kernel: &mut Kernel, before: Before) -> ! {
    nmi::tell();
    let is_crash_kernel = kernel.parameters.linux.core_header.is_some();
    let after = match kernel.parameters.after {
        Some(After::Serve) => serve(kernel, before),
        Some(after) => after,
        None if is_crash_kernel => After::Reboot,
        None => serve(kernel, before),
    };
    // A crash kernel that found no log says why, which is to be heard, too.
    if (is_crash_kernel || before.has_log()) && kernel.await_reception() {
        note_sent(before);
    }
    nmi::tell();
    linux::tell_failures();
    let code = if kernel.netconsole.running_targets() > 0 { ExitCode::Good } else { ExitCode::NoTarget };
    if code == ExitCode::NoTarget {
        kernel.await_fallback();
        if kernel.parameters.settings.asks_for_target {
            log::error!("netconsole: no target could be started");
        } else {
            log::error!("netconsole: no target was given: netconsole=@/,@ADDRESS/ names one");
        }
    }
    if after == After::Poweroff {
        tell_poweroff();
    }
    log::info!("boot: done, {}", ending(after));
    let code = if end_log(kernel) { code } else { ExitCode::NoTarget };
    watchdog::stop();
    match after {
        After::Poweroff => power::poweroff(),
        After::Reboot => reboot(),
        After::Exit => power::exit(code),
        After::Halt | After::Serve => power::halt(),
    }
}

/// Where the firmware's reset hangs, the chipset's watchdog ends that, if there is one.
fn reboot() -> ! {
    watchdog::guard_reset();
    power::reboot(Order::FirmwareFirst)
}

fn ending(after: After) -> &'static str {
    match after {
        After::Poweroff => "powering off",
        After::Reboot => "rebooting",
        After::Exit => "exiting",
        After::Halt | After::Serve => "halting",
    }
}

/// Says so where there is no way to turn the machine off, while somebody can still hear it.
fn tell_poweroff() {
    if !power::can_power_off() {
        log::error!("power: ACPI says no way to turn this machine off: it halts");
    }
}

/// Ships what is left of the log; false where that can't be. Then the next boot is to know that there is more.
fn end_log(kernel: &mut Kernel) -> bool {
    let has_gone_out = kernel.drain();
    if !has_gone_out {
        log::error!("netconsole: the log has not gone out: a card takes nothing any more");
        kernel.tell_others();
        kernel.show_all();
    }
    kernel.await_acknowledgements();
    if has_gone_out {
        ring().say_goodbye();
    }
    has_gone_out
}

/// Notes for the next boot that the log of a Linux has arrived.
fn note_sent(before: Before) {
    if let Some(boot) = start::boot_info() {
        before.note_sent(boot);
    }
}

/// Answers, ships and shows for ever, asleep from one tick of the timer to the next.
fn serve(kernel: &mut Kernel, before: Before) -> ! {
    let mut is_noted = !before.has_log();
    kernel.clock.settle();
    if let Some(boot) = start::boot_info().filter(|_| !firmware::stays()) {
        describe::hold_back_interrupts(boot);
    }
    let mut timer = Timer::start();
    let mut strays = Strays::new();
    kernel.netconsole.terminal().greet();
    loop {
        if !kernel.poll() {
            if !is_noted && kernel.is_received() {
                is_noted = true;
                note_sent(before);
                linux::tell_failures();
            }
            timer.sleep();
        }
        strays.report(kernel.clock.now());
        if let Some(ending) = kernel.netconsole.take_ending() {
            on_command(kernel, ending);
        }
    }
}

/// Ends as somebody at a console asked for.
fn on_command(kernel: &mut Kernel, ending: Ending) -> ! {
    log::warn!("console: {ending}");
    if matches!(ending, Ending::Poweroff) {
        tell_poweroff();
    }
    if let Ending::Crash(name) = ending {
        kernel.drain();
        crash::on_command(kernel, name)
    }
    end_log(kernel);
    match ending {
        Ending::Poweroff => power::poweroff(),
        Ending::Reboot | Ending::Crash(_) => reboot(),
    }
}
