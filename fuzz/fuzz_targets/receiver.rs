#![no_main]
//! See `src/receiver.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("receiver", bytes));
