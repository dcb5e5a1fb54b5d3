//! What packs the kernel into `target/netconsole.bzimage`, and unpacks it there. [`branches`] has machine code compress
//! better, and takes that back; [`compression`] does it, with a [`model`] that knows each byte's place in its
//! [instruction](instructions); [`relocations`] has the kernel run where it lies; [`stream`] is all of it; [`stored`] does
//! the unpacking before there is any hurry. Nothing here allocates, and nothing that unpacks can panic, whatever the input
//! is: linking the program proves it (`main.rs`).
#![no_std]
#![forbid(unsafe_code)]

pub mod branches;
mod coder;
pub mod compression;
mod counters;
pub mod instructions;
mod matches;
pub mod model;
mod odds;
pub mod relocations;
pub mod stored;
pub mod stream;
