#![no_main]
//! See `src/boot_info.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("boot_info", bytes));
