#![no_main]
//! See `src/firmware.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("firmware", bytes));
