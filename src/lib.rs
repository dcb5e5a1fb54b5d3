//! The parts of a netconsole: a log ring that any context may write to, the message formats, the
//! path from a record to an Ethernet frame, and polled NIC drivers. `no_std`, no heap; other kernels
//! can take it as a library, and the host tests it as it stands.
//!
//! A record's life is one line without turning back; the modules are its stations:
//! `log::info!` → [`log`] (ring) → [`netconsole`] (targets, formats) → [`wire`] (headers) → [`nic`].

#![cfg_attr(not(any(test, loom)), no_std)]

pub mod bootinfo;
pub mod cmdline;
pub mod console;
pub mod firmware;
pub mod host_name;
pub mod log;
pub mod marked;
pub mod netconsole;
pub mod nic;
pub mod parameters;
mod partial_word;
pub mod rtc;
pub mod stack;
pub mod text;
pub mod wire;
