#![no_main]
//! See `src/frames.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("frames", bytes));
