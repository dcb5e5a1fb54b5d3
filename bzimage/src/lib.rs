//! What unpacks the kernel in `target/netconsole.bzimage`: [`stream`] and [`lzma`] decompress, [`branches`] takes
//! back what makes machine code compress better, [`relocations`] has it run where it lies. Nothing here allocates, and
//! nothing can panic, whatever the input is: linking the program proves it (`main.rs`).
#![no_std]
#![forbid(unsafe_code)]

pub mod branches;
pub mod lzma;
pub mod relocations;
pub mod stream;
