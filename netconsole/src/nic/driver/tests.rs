//! What doc/cards.md says of the drivers, against what they say.

use super::Model;
use std::collections::BTreeMap;
use std::path::Path;

/// The rows of the table: what there is in each column.
fn rows() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../doc/cards.md");
    let page = std::fs::read_to_string(page).expect("doc/cards.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()).collect()
}

/// The ids in a cell such as `1af4:1000, 1041; 15ad:07b0`: a vendor's holds until the next.
fn ids(cell: &str) -> Vec<(u16, u16)> {
    let (mut vendor, mut all) = (None, Vec::new());
    for id in cell.split([',', ';']).map(str::trim) {
        let (ahead, device) = id.split_once(':').map_or((None, id), |(ahead, device)| (Some(ahead), device));
        let number = |text: &str| u16::from_str_radix(text, 16).ok();
        vendor = ahead.map_or(vendor, number);
        all.extend(vendor.zip(number(device)));
    }
    all
}

#[test]
fn the_table_of_cards_names_each_id_that_is_driven_and_whether_that_was_tried() {
    let mut listed = BTreeMap::new();
    for row in rows() {
        let [card, cell, driven, tested, crash] = &row[..] else { panic!("{row:?}") };
        assert!(![driven, tested, crash].iter().any(|cell| cell.is_empty()), "{card}");
        for id in ids(cell) {
            assert_eq!(listed.insert(id, driven.clone()), None, "{id:x?} is there twice");
        }
    }
    for id in [0x1af4, 0x8086, 0x10ec, 0x15ad]
        .into_iter()
        .flat_map(|vendor| (0..=u16::MAX).map(move |device| (vendor, device)))
    {
        let is_proven = Model::of(id).map(Model::is_proven);
        let said = is_proven
            .map(|is_proven| if is_proven { "own driver" } else { "UEFI firmware; else own driver" });
        assert_eq!(listed.remove(&id).as_deref(), said, "{id:x?}");
    }
    assert!(listed.is_empty(), "of vendors that nothing drives: {listed:x?}");
}
