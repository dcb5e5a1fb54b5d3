#![no_main]
//! See `src/ring.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("ring", bytes));
