#![no_main]
//! See `src/console.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("console", bytes));
