#![no_main]
//! See `src/formats.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("formats", bytes));
