//! What is fuzzed: for each kind of foreign bytes a function that takes any bytes and checks what must hold
//! whatever they are. The targets in `fuzz_targets/` feed them from libFuzzer, `tests/corpus.rs` from the
//! cases that were worth keeping.

mod boot_info;
mod console;
mod firmware;
mod formats;
mod frames;
mod linux;
mod ncrx;
mod nic;
mod packed;
mod parameters;
mod pieces;
mod receiver;
mod ring;
mod sealed;
mod wire;

/// A target: its name, which is also its corpus' folder, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("parameters", parameters::check),
    ("boot_info", boot_info::check),
    ("frames", frames::check),
    ("wire", wire::check),
    ("ring", ring::check),
    ("formats", formats::check),
    ("receiver", receiver::check),
    ("sealed", sealed::check),
    ("firmware", firmware::check),
    ("ncrx", ncrx::check),
    ("console", console::check),
    ("linux", linux::check),
    ("packed", packed::check),
];

/// Runs the target called `name`; for a name that is none, an empty list of targets says so.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    target.unwrap_or_else(|| panic!("no target is called {name}")).1(bytes);
}
