//! The kernel: brings up the machine and its network cards, and ships everything it logged since its
//! first instruction to the targets of `netconsole=`.

#![no_std]
#![no_main]

mod after;
mod card;
mod choose;
mod consoles;
mod crash;
mod describe;
mod entry;
mod fallback;
mod find_cards;
mod flood;
mod kernel;
mod log;
mod machine;
mod memory;
mod panic;
mod serial_console;
mod start;
mod statistics;
mod vlan;
mod wall_clock;

use consoles::Consoles;
use kernel::Kernel;
use machine::clock::Clock;
use machine::{descriptors, features, paging};

/// Where the boot code (boot/entry.s) arrives, `entered` being the time stamp counter at its first
/// instruction: the boot, told in order.
extern "C" fn kernel_main(magic: u32, info: u64, entered: u64) -> ! {
    descriptors::load();
    features::turn_on_protections();
    let boot = start::read_boot_info(magic, info);
    let address_space = paging::protect();
    let parameters = start::read_parameters(boot);
    let log = start::begin_log(boot, parameters, entered);

    let clock = Clock::new(entered, |hz| log::ring().set_frequency(hz));
    let consoles = Consoles::make(parameters.input).expect("the consoles are made once");
    let kernel = Kernel::make(clock, parameters, consoles).expect("the kernel is made once");
    start::introduce(boot, parameters, &log);
    kernel.add_targets(boot);
    kernel.start_watchdog();
    crash::before_cards(parameters, &log.recovery);
    kernel.find_cards(boot, address_space);
    kernel.start_targets();
    start::check_protections();
    describe::machine(boot);
    flood::run(kernel);
    kernel.drain();
    crash::after_boot(kernel, &log.recovery);
    after::boot(kernel)
}
