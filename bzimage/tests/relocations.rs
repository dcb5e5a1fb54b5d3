//! The places of the kernel's own addresses: kept, found again, and moved.

use netconsole_bzimage::relocations::{apply, encode};
use proptest::collection::btree_set;
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_word_is_moved_and_nothing_else(places in btree_set(0usize..3000, 0..60), offset: u64) {
        // Words do not overlap.
        let places: Vec<usize> = places.into_iter().map(|place| place * 16 + place % 3).collect();
        let mut image: Vec<u8> = (0..50_000usize).map(|at| at as u8).collect();
        let before = image.clone();
        let mut kept = Vec::new();
        encode(&places.iter().map(|&place| place as u64).collect::<Vec<_>>(), &mut kept);
        prop_assert_eq!(apply(&kept, &mut image, offset), Some(()));
        let mut expected = before.clone();
        for place in places {
            let word = u64::from_le_bytes(before[place..place + 8].try_into()?);
            expected[place..place + 8].copy_from_slice(&word.wrapping_add(offset).to_le_bytes());
        }
        prop_assert!(image == expected);
    }

    /// Whatever they are, nothing panics.
    #[test]
    fn any_bytes(places: Vec<u8>, offset: u64) {
        apply(&places, &mut [0; 300], offset);
    }
}

#[test]
fn what_lies_outside_or_is_cut_off_is_refused() {
    assert_eq!(apply(&[8], &mut [0; 16], 1), Some(()));
    assert_eq!(apply(&[9], &mut [0; 16], 1), None);
    assert_eq!(apply(&[0x88], &mut [0; 16], 1), None);
}
