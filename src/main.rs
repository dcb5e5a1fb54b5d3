//! The kernel: brings up the machine and its NICs, and ships everything it logged since its first
//! instruction to the targets of `netconsole=`.

#![no_std]
#![no_main]

mod after;
mod kernel;
mod machine;
mod panic;

use crate::kernel::Kernel;
use crate::machine::clock::Clock;
use crate::machine::{descriptors, memory, paging};
use ::netconsole::log::{Logger, Ring};

/// Where the boot code (boot/entry.s) arrives: the boot, told in order.
extern "C" fn kernel_main(magic: u32, info: u64, entered: u64) -> ! {
    memory::log_from_here();
    let address_space = paging::protect();
    descriptors::load();
    let clock = Clock::new(entered);
    let boot = memory::boot_info(magic, info);

    let kernel = Kernel::start(clock, &boot);
    kernel.find_devices(address_space);
    kernel.start_targets();
    kernel.flood();
    kernel.crash();
    after::boot(kernel)
}
