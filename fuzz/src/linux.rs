//! What a crashed Linux left in memory: the pages of real crashes (linuxlog/tests/images), damaged.

use crate::pieces::pieces;
use flate2::read::GzDecoder;
use linuxlog::{Crash, Memory, Read, Unreadable, scan};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::sync::LazyLock;

const PAGE: usize = 4096;
/// Reads that nothing may need more of: the largest ring that is believed has 2^24 records.
const READS: u64 = 1 << 28;
/// Records that are read; the others are only counted.
const RECORDS: usize = 4096;

/// A crash: its pages by their physical address, those of its structures first, and where its core header is.
struct Image {
    pages: HashMap<u64, Vec<u8>>,
    places: Vec<u64>,
    core_header: u64,
}

macro_rules! images {
    ($($name:literal at $core_header:literal,)*) => {
        [$(LazyLock::new(|| {
            Image::new(include_bytes!(concat!("../../linuxlog/tests/images/", $name, ".pages.gz")), $core_header)
        })),*]
    };
}

static IMAGES: [LazyLock<Image>; 5] = images![
    "5.4-log_buf_len-4M" at 0x1f35_d000,
    "6.1" at 0x1f35_d000,
    "6.12" at 0x1f35_d000,
    "7.2" at 0x1f35_d000,
    "7.2-log_buf_len-4M" at 0x1e00_0000,
];

impl Image {
    fn new(packed: &[u8], core_header: u64) -> Self {
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).expect("it is compressed by gzip");
        let pages = bytes.chunks_exact(8 + PAGE).map(|page| {
            let (address, content) = page.split_first_chunk().expect("it is longer");
            (u64::from_le_bytes(*address), content.to_vec())
        });
        let mut image = Self { pages: pages.collect(), places: Vec::new(), core_header };
        // A reader comes to the structures first.
        let damaged = Damaged::new(&image);
        assert!(read_all(&damaged, core_header, true), "the image is whole");
        let places = damaged.places.into_inner();
        image.places = places;
        image
    }

    /// The page with this number, which may be any.
    fn place(&self, number: u16) -> u64 {
        self.places[usize::from(number) % self.places.len()]
    }

    /// The page of the text that says where all is.
    fn note(&self) -> u64 {
        let is_note = |place: &&u64| self.pages[place][24..].starts_with(b"OSRELEASE=");
        *self.places.iter().find(is_note).expect("each has one")
    }
}

/// An image, of which some pages are others or gone.
struct Damaged<'i> {
    image: &'i Image,
    changed: HashMap<u64, Vec<u8>>,
    lost: HashSet<u64>,
    reads: Cell<u64>,
    /// The pages that were read, in the order of the first read.
    places: RefCell<Vec<u64>>,
}

impl<'i> Damaged<'i> {
    fn new(image: &'i Image) -> Self {
        Self {
            image,
            changed: HashMap::new(),
            lost: HashSet::new(),
            reads: Cell::new(0),
            places: RefCell::default(),
        }
    }

    /// Puts these bytes at an offset of a page, as many as there is room for.
    fn write(&mut self, place: u64, offset: u16, bytes: &[u8]) {
        let page = self.changed.entry(place).or_insert_with(|| self.image.pages[&place].clone());
        let room = &mut page[usize::from(offset) % PAGE..];
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
    }

    /// A word at a page's offset is another, a text at the note's offset is, or a page can't be read.
    fn damage(&mut self, kind: u8, bytes: &[u8]) {
        let [a, b, rest @ ..] = bytes else { return };
        let number = u16::from_le_bytes([*a, *b]);
        match (kind % 3, rest) {
            (0, [a, b, word @ ..]) => {
                self.write(self.image.place(number), u16::from_le_bytes([*a, *b]), word);
            }
            (1, text) => self.write(self.image.note(), number, text),
            (2, _) => {
                self.lost.insert(self.image.place(number));
            }
            _ => {}
        }
    }
}

impl Memory for Damaged<'_> {
    fn read(&self, address: u64, mut to: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < READS, "reading does not end");
        let mut at = address;
        while !to.is_empty() {
            let place = at & !(PAGE as u64 - 1);
            let page = self.changed.get(&place).or_else(|| self.image.pages.get(&place));
            let page = page.filter(|_| !self.lost.contains(&place)).ok_or(Unreadable { address: at })?;
            // Only a whole image is asked for these.
            if self.image.places.is_empty() && !self.places.borrow().contains(&place) {
                self.places.borrow_mut().push(place);
            }
            let from = &page[(at % PAGE as u64) as usize..];
            let (now, later) = to.split_at_mut(from.len().min(to.len()));
            now.copy_from_slice(&from[..now.len()]);
            at = at.wrapping_add(now.len() as u64);
            to = later;
        }
        Ok(())
    }

    /// Whatever the note says of encryption, where the damage is of an even number of pages.
    fn decrypts(&self, _mask: u64) -> bool {
        self.changed.len().is_multiple_of(2)
    }
}

/// Reads what there is; whether there was a log. Of a whole one no record is missing.
fn read_all(memory: &Damaged<'_>, core_header: u64, is_whole: bool) -> bool {
    let Ok(crash) = Crash::open(memory, core_header) else { return false };
    for cpu in crash.cpus().take(8) {
        assert!(crash.backtrace(&cpu).map(|call| call.to_string()).all(|call| call.len() < 128));
    }
    read_raw(&crash);
    read_log(&crash, is_whole)
}

/// Reads the text that is left where the log can't be read, and its end.
fn read_raw(crash: &Crash<'_, Damaged<'_>>) {
    let mut line = [0; 200];
    let Some(mut text) = crash.raw_text() else { return };
    let mut total = 0;
    while let Some(len) = text.next_line(&mut line) {
        assert!(
            (8..=line.len()).contains(&len)
                && line[..len].iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        );
        total += len as u64;
    }
    let Some(mut end) = crash.raw_text() else { return };
    let passed = end.keep_last(1000, &mut line);
    let mut left = 0;
    while let Some(len) = end.next_line(&mut line) {
        left += len as u64;
    }
    assert!(left <= 1000 && passed + left == total);
}

fn read_log(crash: &Crash<'_, Damaged<'_>>, is_whole: bool) -> bool {
    let log = match crash.log() {
        Ok(log) => log,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let (first, end) = (log.first(), log.end());
    assert!(first <= end);
    for sequence in (first..end).take(RECORDS) {
        if let Read::Record(record) = log.read(sequence) {
            assert_eq!(record.sequence, sequence);
            assert!(record.level < 8 && record.len() <= usize::from(u16::MAX));
            let mut text = vec![0; record.len()];
            assert!(
                record.copy_text(0, &mut text).is_ok_and(|len| len == text.len()) == record.is_readable()
            );
            // A page can be read or it can't.
            assert_eq!(record.is_on_readable_pages(), record.is_readable());
            record.fields(&mut |key, _| assert!(key.len() <= 256));
        }
    }
    assert!(matches!(log.read(end), Read::End));
    let count = log.count();
    assert!(count.whole + count.overwritten + count.unfinished + count.unreadable <= end);
    if is_whole {
        assert_eq!((count.overwritten, count.unfinished, count.unreadable), (0, 0, 0));
    }
    true
}

/// The first byte chooses the crash; each piece is damage.
pub fn check(bytes: &[u8]) {
    let Some((&number, damage)) = bytes.split_first() else { return };
    let image = &IMAGES[usize::from(number) % IMAGES.len()];
    let mut memory = Damaged::new(image);
    for (kind, bytes) in pieces(damage) {
        memory.damage(kind, bytes);
    }
    read_all(&memory, image.core_header, false);
    let note = image.note();
    for crash in scan(&memory, note..note + PAGE as u64) {
        read_log(&crash, false);
    }
}
