//! `/proc/iomem`: what is at which physical address.

use crate::system::System;
use std::ops::Range;

/// A range of physical addresses and what Linux calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub addresses: Range<u64>,
    pub name: String,
}

impl Resource {
    /// Whether it is memory, also where that was added while Linux ran.
    pub fn is_memory(&self) -> bool {
        self.name == "System RAM" || self.name.starts_with("System RAM (")
    }
}

/// All of them, as Linux lists them; to whoever is not root it shows 0 for every address, and those are left out.
pub fn read(system: &System) -> Vec<Resource> {
    let text = system.read("proc/iomem").unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

/// `  1f000000-1f3fffff : Crash kernel`
fn parse(line: &str) -> Option<Resource> {
    let (addresses, name) = line.trim_start().split_once(" : ")?;
    let (first, last) = addresses.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    let addresses = address(first)?..address(last)?.checked_add(1)?;
    (addresses.end > addresses.start + 1).then(|| Resource { addresses, name: name.to_string() })
}
