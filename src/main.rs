//! The kernel: brings up the machine and its network cards, and ships everything it logged since its
//! first instruction to the targets of `netconsole=`.

#![no_std]
#![no_main]

mod after;
mod buses;
mod crash;
mod describe;
mod entry;
mod find_cards;
mod flood;
mod kernel;
mod last_log;
mod linux;
mod log;
mod machine;
mod memory;
mod panic;
mod platform;
mod serial_console;
mod start;

use kernel::Kernel;
use machine::clock::Clock;
use machine::{cache, descriptors, features, machine_check, nmi, paging};
use netconsole::Netconsole;
use platform::ThisKernel;

/// Where the boot code (boot/entry.s) arrives, `entered` being the time stamp counter at its first
/// instruction: the boot, told in order.
extern "C" fn kernel_main(magic: u32, info: u64, entered: u64) -> ! {
    descriptors::load();
    features::turn_on_protections();
    cache::choose();
    let boot = start::read_boot_info(magic, info);
    let mut address_space = paging::protect();
    memory::set_aside(&boot.memory, log::kept(&boot.memory));
    let parameters = start::read_parameters(boot);
    // From here on a panic knows what is to come after it, and to whom the log goes.
    panic::Policy::of(parameters).set();
    Netconsole::<ThisKernel>::announce(&parameters.settings);
    serial_console::choose(&parameters.console);
    if parameters.linux.core_header.is_some() && parameters.watchdog.is_none() {
        // Linux may have died in one, and another may be pending. Where this kernel's own watchdog is armed, an NMI is how
        // a hang ends.
        nmi::count();
    }
    let buses = buses::prepare(boot, parameters, &mut address_space);
    let machine_checks = machine_check::turn_on();
    let before = linux::open(boot, parameters);
    let log = start::begin_log(boot, parameters, before, entered);
    netconsole::set_logger::<ThisKernel>();
    start::tell_machine_checks(&machine_checks);

    let clock = Clock::new(entered, start::keep_timebase, describe::counters);
    let kernel = &mut Kernel::new(clock, parameters).expect("the kernel is made once");
    start::introduce(boot, parameters, &log);
    buses.tell();
    linux::tell(before);
    kernel.add_targets(boot, before);
    kernel.start_watchdog();
    crash::before_cards(parameters, &log.recovery);
    kernel.find_cards(boot, &buses, address_space);
    kernel.adopt_watchdog();
    kernel.start_targets();
    kernel.ship_crash();
    start::check_protections();
    describe::machine(boot);
    kernel.know_century(boot, before);
    flood::run(kernel);
    kernel.drain();
    crash::after_boot(kernel, &log.recovery);
    after::boot(kernel, before)
}
