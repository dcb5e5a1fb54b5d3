#![no_main]
//! See `src/packed.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("packed", bytes));
