//! A Linux whose memory the CPU encrypts (AMD's SME): it says so, and the entries of its page tables have a bit more.

mod image;

use image::{Image, basic, text};
use linuxlog::{Crash, Encryption, LogError, Memory, Unreadable, scan};

const NAME: &str = "7.2-log_buf_len-4M";
const BIT: u32 = 51;
const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Memory that is decrypted where it was encrypted with this bit.
struct Decrypted {
    image: Image,
    encryption: Encryption,
}

impl Memory for Decrypted {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        self.image.read(address, to)
    }

    fn decrypts(&self, mask: u64) -> bool {
        mask == self.encryption.mask()
    }
}

/// As if that Linux had had `mem_encrypt=on`.
fn encrypted() -> Image {
    let mut image = Image::load(NAME);
    let crash = Crash::open(&image, Image::core_header(NAME)).expect("it is whole");
    let info = *crash.info();
    let top = info.init_top_pgt.expect("it is exported") - 0xffff_ffff_8000_0000;
    let top = top.wrapping_add(info.phys_base.expect("it is exported"));
    let there = image.addresses();
    mark(&mut image, &there, top, if info.five_levels == Some(1) { 5 } else { 4 });
    let (old, new) =
        ("NUMBER(sme_mask)=0\nCRASHTIME=1795930863\n", format!("NUMBER(sme_mask)={}\nPAD=1\n", 1_u64 << BIT));
    assert_eq!(old.len(), new.len());
    for address in there {
        let page = image.page_mut(address);
        if let Some(at) = page.windows(old.len()).position(|text| text == old.as_bytes()) {
            page[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
    }
    image
}

/// Sets the bit in each entry of a page table that is there, and of those that it leads to.
fn mark(image: &mut Image, there: &[u64], table: u64, levels: u32) {
    if there.binary_search(&table).is_err() {
        return;
    }
    for place in 0..512 {
        let bytes = &mut image.page_mut(table)[place * 8..place * 8 + 8];
        let entry = u64::from_le_bytes((&*bytes).try_into().expect("eight bytes"));
        if entry & PRESENT == 0 || entry & 1 << BIT != 0 {
            continue;
        }
        bytes.copy_from_slice(&(entry | 1 << BIT).to_le_bytes());
        if levels > 1 && entry & LARGE == 0 {
            mark(image, there, entry & ADDRESS, levels - 1);
        }
    }
}

#[test]
fn memory_that_is_decrypted_is_read_as_any_other() {
    let memory = Decrypted { image: encrypted(), encryption: Encryption::with_mask(1 << BIT) };
    let expected = text(&format!("{NAME}.basic.txt"));
    let crash = Crash::open(&memory, Image::core_header(NAME)).expect("it is whole");
    assert_eq!(crash.info().sme_mask, Some(1 << BIT));
    assert!(basic(&crash.log().expect("it is whole")) == expected);
    // Without the core header page tables lead to the log.
    let addresses = memory.image.addresses();
    let (first, last) = (addresses[0], addresses[addresses.len() - 1]);
    let found = scan(&memory, first..last + 4096).next().expect("the note is there");
    assert!(basic(&found.log().expect("it is whole")) == expected);
}

#[test]
fn memory_that_is_not_decrypted_is_refused() {
    let (image, core_header) = (encrypted(), Image::core_header(NAME));
    let refused = |memory: &dyn Fn() -> Option<LogError>| assert_eq!(memory(), Some(LogError::Encrypted));
    refused(&|| Crash::open(&image, core_header).expect("the note can be read").log().err());
    let other = Decrypted { image: image.clone(), encryption: Encryption::with_mask(1 << 47) };
    refused(&|| Crash::open(&other, core_header).expect("the note can be read").log().err());
}

/// The core header is of the crash kernel's memory, which Linux has not encrypted.
#[test]
fn the_core_header_says_where_it_lies_itself() {
    let (image, core_header) = (Image::load(NAME), Image::core_header(NAME));
    let regions = linuxlog::regions(&image, core_header).expect("it is whole");
    assert_eq!(regions.core_header(), core_header..core_header + 64 + 5 * 56);
}
