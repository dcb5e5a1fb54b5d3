//! A small kernel of another kind than the one in the workspace's root: it runs at a higher half, where nothing lies at
//! its physical address, on two processors, with memory in frames that are no neighbours. It ships its log, and its last
//! words, with the library: what that takes is in this file.

#![no_std]
#![no_main]

mod addresses;
mod boot;
mod clock;
mod cpus;
mod exceptions;
mod memory;
mod ports;
mod start_info;

use core::panic::PanicInfo;
use memory::AddressSpace;
use netconsole::last_words::last_words;
use netconsole::memory::{CardRoom, Memory};
use netconsole::nic::pci::ConfigurationAccess;
use netconsole::nic::{Access, Addresses};
use netconsole::plan::MAX_NICS;
use netconsole::platform::Platform;
use netconsole::ring::{Ring, RingMemory};
use netconsole::seal::BootId;
use netconsole::settings::Settings;
use netconsole::{Netconsole, begin_log};
use start_info::StartInfo;

/// This kernel, as the library sees it.
struct Example;

static MEMORY: Memory = Memory::new();
static CARDS: [CardRoom; MAX_NICS] = [const { CardRoom::new() }; MAX_NICS];
static RING_MEMORY: RingMemory = RingMemory::new();
static RING: Ring<'static> = RING_MEMORY.ring();

// SAFETY: nobody else uses MEMORY and CARDS, RING stays, and Configuration is this machine's.
unsafe impl Platform for Example {
    type Pci = ports::Configuration;

    fn ticks() -> u64 {
        clock::ticks()
    }

    fn memory() -> &'static Memory {
        &MEMORY
    }

    fn card_room(number: usize) -> Option<&'static CardRoom> {
        CARDS.get(number)
    }

    fn ring() -> &'static Ring<'static> {
        &RING
    }

    fn release() -> &'static str {
        "9.8-example"
    }

    fn pci() -> ports::Configuration {
        ports::Configuration
    }

    fn access() -> Access {
        // SAFETY: they tell the truth about this kernel's page tables.
        let addresses = unsafe { Addresses::new(addresses::physical, addresses::device) };
        let configuration = |function, offset| ports::Configuration.read_word(function, offset);
        Access { ports: &ports::Io, addresses, configuration, identity: 0 }
    }
}

/// Where the first processor arrives (boot/boot.s), with the physical address of what the loader says.
extern "C" fn first_main(info: u64) -> ! {
    // SAFETY: called once, here, and nobody else runs.
    unsafe { exceptions::make(cpus::stop) };
    exceptions::load();
    // SAFETY: the address is the loader's.
    let info = unsafe { StartInfo::read(info) };
    let command_line = info.command_line();

    // The log begins: from here on each processor may write to it.
    let settings = Settings::parse(command_line.as_bytes(), &mut |_, problem| say!("{problem}"));
    begin_log::<Example>(&settings, clock::measure(), || BootId(clock::boot_id()));
    log::info!("example kernel {}", env!("CARGO_PKG_VERSION"));

    let mut netconsole = Netconsole::<Example>::new(&settings).expect("called once");
    // Even who panics before there is a card now knows where the log goes.
    netconsole.add_targets();

    // SAFETY: called once, here, and nobody else runs.
    let mut address_space = unsafe { AddressSpace::complete(info.memory_map()) };
    cpus::start_second(&mut address_space, command_line.contains("crash=second"));

    // The log goes out: this processor polls, and no other.
    netconsole.find_pci_cards(|_| true);
    say!("it runs and polls");
    loop {
        netconsole.poll();
        if command_line.contains("crash=first") && cpus::has_logged_burst() {
            // SAFETY: nothing is mapped there, which is what is wanted.
            unsafe { core::ptr::null::<u8>().read_volatile() };
        }
    }
}

/// Where exceptions end, too.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cpus::be_alone();
    say!("{info}");
    // SAFETY: the processor that polled has stopped or is this one, and never goes on.
    let mut shipment = unsafe { last_words::<Example>(info) };
    loop {
        // Somebody may ask again for what was lost.
        shipment.poll();
    }
}
