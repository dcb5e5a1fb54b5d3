#![no_main]
//! See `src/linux.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("linux", bytes));
