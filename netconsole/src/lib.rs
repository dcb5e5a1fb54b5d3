//! The parts of a netconsole: a log ring that any context may write to, the message formats, the
//! path from a record to an Ethernet frame, and polled NIC drivers. `no_std`, no heap; any kernel
//! can take it as a library, and the host tests it as it stands.
//!
//! A record's life is one line without turning back; the modules are its stations:
//! `log::info!` → [`ring`] → [`targets`] and [`format`](mod@format) → [`wire`] (headers) → [`nic`].

#![cfg_attr(not(any(test, loom)), no_std)]
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
pub mod console;
pub mod format;
pub mod guarded;
pub mod host_name;
pub mod last_words;
pub mod marked;
pub mod ncrx;
pub mod nic;
mod partial_word;
pub mod plan;
pub mod ring;
pub mod seal;
pub mod settings;
pub mod stack;
pub mod take_once;
pub mod targets;
pub mod text;
pub mod wire;
