//! Ships a kernel's log over the network as Linux's netconsole does, from its first record to its last words: a log ring
//! that any context may write to, targets and their formats, a small network stack, polled drivers for network cards, and a
//! panic path that trusts nothing. `no_std`, no heap; any kernel can take it, and the host tests it unchanged.
//!
//! # A record's way
//!
//! ```text
//!  any context, any CPU        the CPU that polls
//!  log::info!()                Netconsole::poll()
//!       │                           │
//!       ▼                           ▼
//!   ┌────────┐   ┌─────────┐   ┌────────┐   ┌──────┐   ┌──────┐   ┌─────┐
//!   │ ring   │──▶│ targets │──▶│ format │──▶│ seal │──▶│ wire │──▶│ nic │──▶ UDP
//!   └────────┘   └─────────┘   └────────┘   └──────┘   └──────┘   └─────┘
//!       │                           ▲
//!       └── last_words() ───────────┘    the CPU that panics, with cards that it resets
//! ```
//!
//! It is one line without turning back; the modules are its stations: [`ring`], [`targets`], [`format`](mod@format),
//! [`seal`], [`wire`], [`nic`]. Beside them: [`stack`] (ARP, NDP, DHCP), [`settings`] (`netconsole=`, `ip=`), [`console`]
//! (commands from targets), [`plan`] (what the panic path knows).
//!
//! # What a kernel writes
//!
//! ```
//! use core::panic::PanicInfo;
//! use core::ptr::NonNull;
//! use netconsole::memory::{CardRoom, Memory};
//! use netconsole::nic::{Access, Addresses, Ports, Width};
//! use netconsole::nic::pci::{ConfigurationAccess, DeviceFunction};
//! use netconsole::plan::MAX_NICS;
//! use netconsole::platform::Platform;
//! use netconsole::ring::{Ring, RingMemory};
//! use netconsole::seal::BootId;
//! use netconsole::settings::Settings;
//! use netconsole::Netconsole;
//!
//! struct Mine;
//! static MEMORY: Memory = Memory::new();
//! static CARDS: [CardRoom; MAX_NICS] = [const { CardRoom::new() }; MAX_NICS];
//! static RING_MEMORY: RingMemory = RingMemory::new();
//! static RING: Ring<'static> = RING_MEMORY.ring();
//!
//! // SAFETY: no other platform has MEMORY, CARDS and RING, and Pci is this machine's own configuration space.
//! unsafe impl Platform for Mine {
//!     type Pci = Pci;
//!     fn ticks() -> u64 { read_time_stamp_counter() }
//!     fn memory() -> &'static Memory { &MEMORY }
//!     fn card_room(number: usize) -> Option<&'static CardRoom> { CARDS.get(number) }
//!     fn ring() -> &'static Ring<'static> { &RING }
//!     fn release() -> &'static str { "6.12.1" }
//!     fn pci() -> Pci { Pci }
//!     fn access() -> Access {
//!         // SAFETY: the two functions tell the truth about this kernel's page tables.
//!         let addresses = unsafe { Addresses::new(physical, map) };
//!         let configuration = |function, offset| Pci.read_word(function, offset);
//!         Access { ports: &IoSpace, addresses, configuration, identity: machine_id() }
//!     }
//! }
//!
//! fn run(command_line: &[u8], ticks_per_second: u64) -> ! {
//!     let settings = Settings::parse(command_line, &mut |_, _| {});
//!     netconsole::begin_log::<Mine>(&settings, ticks_per_second, random_boot_id);
//!     // From here on what is logged is kept; the targets get it from record 0 on.
//!     Settings::parse(command_line, &mut |level, problem| log::log!(level, "{problem}"));
//!     let mut netconsole = Netconsole::<Mine>::new(&settings).expect("it is made once");
//!     netconsole.add_targets();
//!     netconsole.find_pci_cards(|_function| true);
//!     loop {
//!         netconsole.poll();
//!         other_work();
//!     }
//! }
//!
//! // In a kernel: #[panic_handler]
//! fn panic(info: &PanicInfo<'_>) -> ! {
//!     stop_other_cpus();
//!     // SAFETY: the CPU that polls is this one, which does not go back, or has been stopped.
//!     let mut last_words = unsafe { netconsole::last_words::last_words::<Mine>(info) };
//!     loop {
//!         last_words.poll();
//!     }
//! }
//! # fn read_time_stamp_counter() -> u64 { 0 }
//! # fn random_boot_id() -> BootId { BootId([7; 16]) }
//! # fn machine_id() -> u64 { 7 }
//! # fn other_work() {}
//! # fn stop_other_cpus() {}
//! # fn physical(pointer: *const u8) -> Option<u64> { Some(pointer.addr() as u64) }
//! # fn map(_: u64, _: usize) -> Option<NonNull<u8>> { None }
//! # struct Pci;
//! # impl ConfigurationAccess for Pci {
//! #     fn read_word(&self, _: DeviceFunction, _: u8) -> u32 { u32::MAX }
//! #     fn write_word(&mut self, _: DeviceFunction, _: u8, _: u32) {}
//! #     unsafe fn unsafe_clone(&self) -> Self { Pci }
//! # }
//! # struct IoSpace;
//! # impl Ports for IoSpace {
//! #     fn read(&self, _: u16, _: Width) -> u32 { u32::MAX }
//! #     fn write(&self, _: u16, _: Width, _: u32) {}
//! # }
//! # let settings = Settings::parse(b"netconsole=@/,@10.0.2.2/", &mut |_, problem| panic!("{problem}"));
//! # netconsole::begin_log::<Mine>(&settings, 1_000_000_000, random_boot_id);
//! # log::info!("kept");
//! # assert_eq!(RING.end(), 1);
//! # let mut netconsole = Netconsole::<Mine>::new(&settings).expect("it is made once");
//! # assert!(Netconsole::<Mine>::new(&settings).is_none());
//! # netconsole.add_targets();
//! # netconsole.find_pci_cards(|_| true);
//! # netconsole.poll();
//! # fn is_send<T: Send>(_: &T) {}
//! # is_send(&netconsole);
//! ```
//!
//! The order: [`begin_log`], [`Netconsole::new`], [`add_targets`](Netconsole::add_targets), cards
//! ([`find_pci_cards`](Netconsole::find_pci_cards), [`claim`](Netconsole::claim), [`claim_mmio`](Netconsole::claim_mmio)),
//! then [`poll`](Netconsole::poll) as often as there is time: the log waits in the ring meanwhile, and what the ring loses is
//! counted. A card that is not claimed is never touched.
//!
//! [`announce`](Netconsole::announce) or [`add_targets`](Netconsole::add_targets) comes before anything that may panic: before it
//! the last words know of nobody whom the log is for, and nothing goes out. Neither needs a card.
//!
//! # What is allowed where
//!
//! | call | context |
//! |---|---|
//! | `log::info!` and its kin, [`append`] | any: interrupts, exceptions, NMI, panic, every CPU; never waits |
//! | [`Netconsole`]'s methods | one context at a time; it is `Send`, not `Sync`. Not from an interrupt that may come while one of them runs |
//! | [`last_words`](last_words::last_words) | any, when the context that polls never goes on; other CPUs may go on logging |
//! | [`Platform`](platform::Platform)'s methods | called from all of these: they must not panic, block or lock |
//!
//! # Sizes
//!
//! All static memory is in [`Memory`](memory::Memory) and, for each card, in a [`CardRoom`](memory::CardRoom) of 216 KiB: its
//! buffers in normal running and in a panic. They are zeros and lie in `.bss`, as does the ring:
//! [`RingMemory`](ring::RingMemory) is 289 KiB. A kernel that finds memory when it runs gives the cards theirs from there, one by
//! one as they are found. What a kernel does not want it leaves out; this is what is left, with the cards:
//!
//! | features | KiB |
//! |---|---|
//! | all | 1,159 |
//! | all but `last-words` | 836 |
//! | all but `user-data` | 1,091 |
//! | all but `vlan` | 1,083 |
//! | all but `many-cards` | 460 |
//! | all but `many-targets` | 1,091 |
//! | `stack`, `virtio` | 172 |
//!
//! Optimised, a panic needs 20 KiB of stack and polling 40 KiB. Without optimisation they need several times as much: the
//! example kernel, which `cargo run` builds so, has 1 MiB for the CPU that polls and 512 KiB for the other, either of which may panic.
//!
//! # Features
//!
//! | feature | what a build without it lacks |
//! |---|---|
//! | `stack` | addresses, targets, the loop that ships; the ring, the formats, the headers and the drivers remain |
//! | `virtio`, `intel`, `rtl8139`, `rtl8168`, `vmxnet3` | the driver |
//! | `seal` | `netconsole.key=`; where it is given all the same, nothing goes out |
//! | `console` | commands, from targets and at a terminal |
//! | `last-words` | what a panic sends ([`last_words`]) |
//! | `user-data` | items of a target's own in its messages |
//! | `vlan` | targets at a VLAN's device (`eth0.100`) |
//! | `many-cards` | the second to the fourth network card |
//! | `many-targets` | the fifth to the sixteenth target |
//!
//! All are on unless told otherwise (`default-features = false`). `test-hooks` is off: it has what provokes crashes in tests of a kernel.

#![cfg_attr(not(any(test, loom)), no_std)]
// A build without some of the features has code that only these use; the build with all of them tells what nobody uses.
#![cfg_attr(
    not(all(
        feature = "stack",
        feature = "virtio",
        feature = "intel",
        feature = "rtl8139",
        feature = "rtl8168",
        feature = "vmxnet3",
        feature = "seal",
        feature = "console",
        feature = "last-words"
    )),
    allow(dead_code, unused_imports, unused_variables, unreachable_code)
)]
// Nothing here may panic, whatever comes from the wire, from a card or from damaged memory: the panic path calls it.
// tests/panic_path.rs proves it on the machine code; these tell it in the editor.
#![cfg_attr(
    not(any(test, loom)),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod cmdline;
#[cfg(feature = "console")]
pub mod console;
pub mod format;
pub mod guarded;
pub mod host_name;
#[cfg(feature = "last-words")]
pub mod last_words;
#[cfg(feature = "stack")]
mod log;
pub mod marked;
#[cfg(feature = "stack")]
pub mod memory;
pub mod ncrx;
#[cfg(feature = "stack")]
pub mod network;
pub mod nic;
mod partial_word;
#[cfg(feature = "stack")]
pub mod plan;
#[cfg(feature = "stack")]
pub mod platform;
#[cfg(feature = "stack")]
mod probe;
pub mod ring;
#[cfg(feature = "stack")]
pub mod runtime;
pub mod seal;
pub mod sender;
pub mod settings;
#[cfg(feature = "stack")]
pub mod stack;
pub mod take_once;
#[cfg(feature = "stack")]
pub mod targets;
pub mod text;
pub mod wire;

#[cfg(feature = "stack")]
pub use self::log::{append, begin_log, set_logger};
#[cfg(feature = "stack")]
pub use runtime::Netconsole;
