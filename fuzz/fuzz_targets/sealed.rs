#![no_main]
//! See `src/sealed.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("sealed", bytes));
