#![no_main]
//! See `src/parameters.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("parameters", bytes));
