//! `after=`: what follows the boot log.

use crate::kernel::Kernel;
use crate::machine::power::{self, ExitCode};
use crate::machine::{timer, watchdog};
use crate::memory;
use netconsole::parameters::After;

/// Ends or serves as the command line says.
pub fn boot(mut kernel: Kernel) -> ! {
    let after = kernel.parameters.after;
    if after == After::Serve {
        serve(kernel)
    }
    let code = if kernel.has_running_target() { ExitCode::Good } else { ExitCode::NoTarget };
    if code == ExitCode::NoTarget {
        log::error!("netconsole: no target could be started");
    }
    log::info!("boot: done, {}", ending(after));
    kernel.drain();
    memory::ring().say_goodbye();
    watchdog::stop();
    match after {
        After::Poweroff => power::poweroff(),
        After::Reboot => power::reboot(),
        After::Exit => power::exit(code),
        After::Halt | After::Serve => power::halt(),
    }
}

fn ending(after: After) -> &'static str {
    match after {
        After::Poweroff => "powering off",
        After::Reboot => "rebooting",
        After::Exit => "exiting",
        After::Halt | After::Serve => "halting",
    }
}

/// Answers, ships and shows for ever, asleep from one tick of the timer to the next.
fn serve(mut kernel: Kernel) -> ! {
    timer::start();
    loop {
        if !kernel.poll() {
            timer::sleep();
        }
    }
}
