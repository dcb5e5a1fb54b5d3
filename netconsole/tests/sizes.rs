//! What the crate's first page says of memory is true of this build; scripts/features runs it with the features of each row.

#![cfg(feature = "stack")]

use netconsole::memory::{CardRoom, Memory};
use netconsole::plan::MAX_NICS;
use netconsole::ring::RingMemory;

const PAGE: &str = include_str!("../src/lib.rs");

/// The features that decide how large the memory is, and whether this build has them.
const FEATURES: [(&str, bool); 13] = [
    ("stack", cfg!(feature = "stack")),
    ("virtio", cfg!(feature = "virtio")),
    ("intel", cfg!(feature = "intel")),
    ("rtl8139", cfg!(feature = "rtl8139")),
    ("rtl8168", cfg!(feature = "rtl8168")),
    ("vmxnet3", cfg!(feature = "vmxnet3")),
    ("seal", cfg!(feature = "seal")),
    ("console", cfg!(feature = "console")),
    ("last-words", cfg!(feature = "last-words")),
    ("user-data", cfg!(feature = "user-data")),
    ("vlan", cfg!(feature = "vlan")),
    ("many-cards", cfg!(feature = "many-cards")),
    ("many-targets", cfg!(feature = "many-targets")),
];

/// How the table calls this build.
fn row() -> String {
    let names =
        |is_built: bool| FEATURES.iter().filter(move |(_, built)| *built == is_built).map(|(name, _)| *name);
    match names(false).collect::<Vec<_>>()[..] {
        [] => "all".into(),
        [missing] => format!("all but `{missing}`"),
        _ => names(true).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

/// The KiB of a row.
fn told(row: &str) -> Option<usize> {
    let cell =
        PAGE.lines().find_map(|line| line.strip_prefix("//! | ")?.strip_prefix(row)?.strip_prefix(" | "))?;
    let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
    Some(digits.parse().unwrap_or_else(|_| panic!("'{row}' has no number: '{cell}'")))
}

#[test]
fn the_memory_is_as_large_as_the_page_says() {
    let (row, size) = (row(), size_of::<Memory>() + size_of::<[CardRoom; MAX_NICS]>());
    let all = told("all").expect("the table has a row for all features");
    match told(&row) {
        // A new field is no reason to change the page.
        Some(kib) => assert!(
            size.abs_diff(kib << 10) * 50 <= size,
            "'{row}' is said to be {kib} KiB, and is {} KiB",
            size.div_ceil(1 << 10)
        ),
        None => assert!(size < all << 10, "{row}: {} KiB, more than with all features", size >> 10),
    }
}

#[test]
fn a_card_s_memory_is_as_large_as_the_page_says() {
    if row() == "all" {
        let says =
            format!("[`CardRoom`](memory::CardRoom) of {} KiB", size_of::<CardRoom>().div_ceil(1 << 10));
        assert!(PAGE.contains(&says), "the page does not say: {says}");
    }
}

#[test]
fn the_ring_is_as_large_as_the_page_says() {
    let says = format!("[`RingMemory`](ring::RingMemory) is {} KiB", (size_of::<RingMemory>() + 512) >> 10);
    assert!(PAGE.contains(&says), "the page does not say: {says}");
}

#[test]
fn the_example_has_the_stacks_that_the_page_says() {
    let first = include_str!("../examples/kernel/src/boot.rs");
    assert!(
        first.contains("FIRST_STACK_SIZE: usize = 1 << 20;") && PAGE.contains("1 MiB for the CPU that polls")
    );
    let second = include_str!("../examples/kernel/src/cpus.rs");
    assert!(second.contains("STACK_PAGES: u64 = 128;") && PAGE.contains("512 KiB for the other"));
}
