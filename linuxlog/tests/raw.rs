//! Of a log that can't be read as one the text is still found.

mod image;

use image::{Image, text};
use linuxlog::{Crash, Memory, RawText, Unreadable};
use std::cell::Cell;

/// An image whose note lacks these lines.
struct Without<'i>(&'i Image, &'static [&'static str]);

impl Memory for Without<'_> {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read(address, to)?;
        // The note is read in pieces: each of these names lies in one of its page.
        let page = address & !4095;
        let mut whole = [0; 4096];
        if self.0.read(page, &mut whole).is_ok() && whole.windows(10).any(|part| part == b"OSRELEASE=") {
            for name in self.1 {
                if let Some(at) = whole.windows(name.len()).position(|part| part == name.as_bytes()) {
                    whole[at] = b'?';
                }
            }
            let from = usize::try_from(address - page).expect("within a page");
            if let Some(bytes) = whole.get(from..from + to.len()) {
                to.copy_from_slice(bytes);
            }
        }
        Ok(())
    }
}

#[test]
fn the_text_is_found_where_the_records_are_not() {
    for (name, missing) in [
        ("5.4-log_buf_len-4M", &["SYMBOL(log_next_idx)"][..]),
        ("6.1", &["OFFSET(prb_desc_ring.count_bits)"]),
        ("6.12", &["SIZE(prb_desc)"]),
        ("7.2", &["OFFSET(prb_desc_ring.infos)", "SYMBOL(prb)"]),
    ] {
        let image = Image::load(name);
        let memory = Without(&image, missing);
        let crash = Crash::open(&memory, Image::core_header(name)).expect("its note is there");
        assert!(crash.log().is_err(), "{name}");
        let mut raw = crash.raw_text().expect("its text is there");
        let (mut line, mut lines) = ([0; 200], Vec::new());
        while let Some(len) = raw.next_line(&mut line) {
            lines.push(String::from_utf8_lossy(&line[..len]).into_owned());
        }
        let expected = text(&format!("{name}.basic.txt"));
        let (mut found, mut all) = (0, 0);
        for text in expected.lines().filter_map(|line| line.split_once("] ").map(|(_, text)| text.trim())) {
            if (12..150).contains(&text.len()) && text.is_ascii() {
                all += 1;
                found += usize::from(lines.iter().any(|line| line.contains(text)));
            }
        }
        assert!(all > 100 && found == all, "{name}: {found} of {all}");
    }
}

/// Where the ring's head leads nowhere it ends, and quickly.
#[test]
fn without_a_place_there_is_none() {
    let image = Image::load("6.12");
    let memory = Without(&image, &["SYMBOL(prb)", "SYMBOL(printk_rb_static)", "SYMBOL(log_buf)"]);
    let crash = Crash::open(&memory, Image::core_header("6.12")).expect("its note is there");
    assert!(crash.log().is_err() && crash.raw_text().is_none());
}

const NAME: &str = "6.12";
const NO_RECORDS: &[&str] = &["SIZE(prb_desc)"];

fn lines<M: Memory>(raw: &mut RawText<'_, M>) -> Vec<String> {
    let (mut line, mut lines) = ([0; 200], Vec::new());
    while let Some(len) = raw.next_line(&mut line) {
        lines.push(String::from_utf8_lossy(&line[..len]).into_owned());
    }
    lines
}

/// Where there is more text than is wanted the end is left, with the panic.
#[test]
fn of_much_text_the_end_is_kept() {
    let image = Image::load(NAME);
    let memory = Without(&image, NO_RECORDS);
    let crash = Crash::open(&memory, Image::core_header(NAME)).expect("its note is there");
    let all = lines(&mut crash.raw_text().expect("its text is there"));
    let total: usize = all.iter().map(String::len).sum();
    assert!(total > 20_000);
    for most in [0, 10_000, total - 1, total, 1 << 20] {
        let mut raw = crash.raw_text().expect("its text is there");
        let passed = raw.keep_last(most as u64, &mut [0; 200]);
        let left = lines(&mut raw);
        assert!(all.ends_with(&left), "{most}");
        let len: usize = left.iter().map(String::len).sum();
        assert!(len <= most && (len + 200 > most || len == total), "{most}: {len}");
        assert_eq!(len + passed as usize, total, "{most}");
        assert_eq!(most > 0, left.iter().any(|line| line.contains("Kernel panic")), "{most}");
    }
}

/// Memory whose reads of a piece of text fail from the second one on, and whose ring is said to be one of 32 MiB.
struct Broken<'i>(Without<'i>, Cell<u64>);

impl Memory for Broken<'_> {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read(address, to)?;
        match to {
            [bits @ 14..=24, 0, 0, 0] => *bits = 25,
            [_, ..] if to.len() == 256 => {
                self.1.set(self.1.get() + 1);
                if self.1.get() > 1 {
                    return Err(Unreadable { address });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A piece that can't be read costs one read, not one for each of its bytes; of a large ring 16 MiB are looked at.
#[test]
fn what_cannot_be_read_is_tried_once() {
    let image = Image::load(NAME);
    let memory = Broken(Without(&image, NO_RECORDS), Cell::new(0));
    let crash = Crash::open(&memory, Image::core_header(NAME)).expect("its note is there");
    memory.1.set(0);
    let mut raw = crash.raw_text().expect("its first piece is there");
    let [first, then] = raw.addresses();
    assert_eq!((first.end - first.start, then.is_empty(), raw.is_in_order()), (16 << 20, true, false));
    lines(&mut raw);
    let tried = memory.1.get();
    assert!((100..=1 + (16 << 20) / 256).contains(&tried), "{tried}");
}

/// A ring that has come round: the texts of an image moved on by some bytes, as its head says, or does not.
struct Moved<'i> {
    without: Without<'i>,
    /// Physical: where the texts lie.
    start: u64,
    size: u64,
    by: u64,
    says: bool,
    head: u64,
}

impl Moved<'_> {
    fn word(&self, address: u64) -> u64 {
        let mut bytes = [0; 8];
        self.without.read(address, &mut bytes).expect("it is there");
        u64::from_le_bytes(bytes)
    }
}

impl Memory for Moved<'_> {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        // How far it has come, and from where.
        if address == self.head {
            let moved = if self.says { self.word(address).wrapping_add(self.by) } else { 1 << 40 };
            to.copy_from_slice(&moved.to_le_bytes()[..to.len()]);
            return Ok(());
        }
        if address == self.head + 8 {
            let moved = self.word(self.head).wrapping_add(self.by).wrapping_sub(self.size);
            to.copy_from_slice(&moved.to_le_bytes()[..to.len()]);
            return Ok(());
        }
        if (self.start..self.start + self.size).contains(&address) {
            for (byte, offset) in to.iter_mut().zip(address - self.start..) {
                let from = self.start + (offset + self.size - self.by) % self.size;
                // Where its pages were not kept there was no text.
                *byte = 0;
                let _ = self.without.0.read(from, std::slice::from_mut(byte));
            }
            return Ok(());
        }
        self.without.read(address, to)
    }
}

/// Tells where the words of 8 bytes and the pieces of 256 are read.
struct Watched<'i>(Without<'i>, std::cell::RefCell<(Vec<u64>, Vec<u64>)>);

impl Memory for Watched<'_> {
    fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        match to.len() {
            8 => self.1.borrow_mut().0.push(address),
            256 => self.1.borrow_mut().1.push(address),
            _ => {}
        }
        self.0.read(address, to)
    }
}

#[test]
fn of_a_ring_that_has_come_round_the_oldest_text_is_first() {
    let image = Image::load(NAME);
    // The last words that are read before the texts are how far it has come, and from where.
    let watched = Watched(Without(&image, NO_RECORDS), Default::default());
    let crash = Crash::open(&watched, Image::core_header(NAME)).expect("its note is there");
    watched.1.take();
    let mut raw = crash.raw_text().expect("its text is there");
    assert!(raw.is_in_order());
    let (words, pieces) = watched.1.take();
    let (head, start) = (words[words.len() - 2], pieces[0]);
    assert_eq!(words[words.len() - 1], head + 8);
    let [first, then] = raw.addresses();
    let size = first.end - first.start + then.end - then.start;
    let expected = lines(&mut raw);
    for (by, says) in [(then.end - then.start, true), (size - 4096, true), (size - 4096, false)] {
        let without = Without(&image, NO_RECORDS);
        let memory = Moved { without, start, size, by, says, head };
        let crash = Crash::open(&memory, Image::core_header(NAME)).expect("its note is there");
        let mut raw = crash.raw_text().expect("its text is there");
        assert_eq!(raw.is_in_order(), says, "{by}");
        let found = lines(&mut raw);
        // One text is cut where the ring ends.
        let is_panic = |line: &String| line.contains("Kernel panic");
        let panic = found.iter().position(is_panic).expect("the panic");
        let version = found.iter().position(|line| line.contains("Linux version ")).expect("the first");
        assert_eq!(version < panic, says, "{by}");
        assert!(!says || found.len().abs_diff(expected.len()) <= 2, "{} of {}", found.len(), expected.len());
    }
}
