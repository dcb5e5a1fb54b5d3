#![no_main]
//! See `src/ncrx.rs`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netconsole_fuzz::run("ncrx", bytes));
