//! The console: lines of text that show and change what the kernel does, from serial or from a target.
//!
//! It is a small shell with the commands that users of netconsole know. A line goes through these
//! stations: [`Session`] takes it apart (`words.rs`, `glob.rs`), finds what is in backquotes, and runs its
//! commands (`job.rs`, which leads to each, on the tree of `tree.rs`) step by step through `head`, `tail` and `grep`
//! (`filter.rs`) to the terminal or into a file. No step waits or holds up the log, nothing is kept that
//! could be made again, and what somebody types or sends can't make anything here panic.
//!
//! It knows nothing of `nic`, `stack`, `ncrx` and `seal`: its [`Host`] does what a command needs of them.

#![forbid(unsafe_code)]

mod dmesg;
mod editor;
mod error;
mod files;
mod filter;
mod glob;
mod help;
mod host;
mod job;
mod kernel_file;
mod module_parameter;
mod modules;
mod path;
mod probe;
mod remote;
mod session;
mod step;
mod system;
mod terminal;
mod tree;
mod words;

pub use host::{Ending, Host};
pub use remote::{Counters, Remote};
pub use session::{Progress, Session};
pub use terminal::{Show, Terminal};

#[cfg(all(test, not(loom)))]
mod tests;
