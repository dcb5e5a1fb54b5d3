//! The lints that tell a panic in the editor are the same in each part that may not panic. Neither Cargo's tables nor an
//! attribute can share a list that holds for the code and not for its tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const PARTS: [&str; 4] =
    ["bootinfo/src/lib.rs", "linuxlog/src/lib.rs", "netconsole/src/lib.rs", "src/panic/mod.rs"];

/// The names between the parentheses of the crate's or module's `deny`.
fn denied(text: &str) -> Vec<&str> {
    let (_, list) = text.split_once("deny(").unwrap_or_default();
    let (list, _) = list.split_once(')').unwrap_or_default();
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[test]
fn what_may_not_panic_denies_the_same_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |part| fs::read_to_string(root.join(part)).unwrap_or_else(|error| panic!("{part}: {error}"));
    let texts = PARTS.map(read);
    let lists: BTreeMap<_, _> = PARTS.into_iter().zip(texts.iter().map(|text| denied(text))).collect();
    let first = &lists[PARTS[0]];
    assert!(first.contains(&"clippy::indexing_slicing"), "{first:?}");
    for (part, list) in &lists {
        assert_eq!(list, first, "{part} and {}", PARTS[0]);
    }
}
