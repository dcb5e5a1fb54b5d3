//! The log of a Linux that has crashed, read where it lies in that kernel's memory.
//!
//! A crashed Linux leaves two things for whoever comes after it: an ELF header that describes its memory
//! (`elfcorehdr=` on the next kernel's command line), and in one of its notes, VMCOREINFO, the names, addresses and
//! offsets of its structures as text. From these two [`Crash`] finds printk's ring, whichever of its two layouts it
//! has ([`Log`]), and gives each [`Record`] by its sequence number. Texts are copied piece by piece from where they
//! lie, so that a log of any size is read without memory of its own.
//!
//! Nothing that the dead kernel left is trusted: each address, length and offset is checked before use, each loop is
//! bounded, and what can't be read is an error that says what it was. No offset into Linux's structures is
//! hard-coded where VMCOREINFO tells it. No function here panics, allocates, or waits, so that a panic path may use
//! it.
//!
//! What a caller brings is [`Memory`]: bytes by their physical address.
//!
//! ```no_run
//! # struct Nothing;
//! # impl linuxlog::Memory for Nothing {
//! #     fn read(&self, _: u64, _: &mut [u8]) -> Result<(), linuxlog::Unreadable> { Err(linuxlog::Unreadable { address: 0 }) }
//! # }
//! # let memory = Nothing;
//! use linuxlog::{Crash, Read};
//!
//! let crash = Crash::open(&memory, 0x1f00_0000)?;
//! let log = crash.log()?;
//! for sequence in log.first()..log.end() {
//!     if let Read::Record(record) = log.read(sequence) {
//!         let mut text = [0; 1024];
//!         let len = record.copy_text(0, &mut text)?;
//!         // `text[..len]` is the message, without its line end.
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]
// A crashed machine's memory is foreign bytes: nothing here may panic.
#![cfg_attr(
    not(test),
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

mod backtrace;
mod core_header;
mod cpu;
mod crash;
mod encryption;
mod kallsyms;
mod log;
mod memory;
mod note;
mod raw;
mod scan;
mod text;
mod translation;
mod vmcoreinfo;
mod window;

pub use backtrace::{Backtrace, ReturnAddress};
pub use core_header::Regions;
pub use cpu::{Cpu, Registers};
pub use crash::{Crash, OpenError, regions};
pub use encryption::Encryption;
pub use kallsyms::Symbol;
pub use log::{Count, Log, LogError, Read, Record};
pub use memory::{Memory, Unreadable};
pub use raw::RawText;
pub use scan::{Scan, scan};
pub use text::Text;
pub use vmcoreinfo::VmCoreInfo;
