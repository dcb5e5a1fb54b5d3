//! Pages of real crashes (`tests/images/`), and a log as Linux would have printed it.

#![allow(dead_code, reason = "each test program takes only a part")]

pub mod kallsyms;

use flate2::read::GzDecoder;
use linuxlog::{Log, Memory, Read, Record, Unreadable};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;

const PAGE: u64 = 4096;

/// The crashes.
pub const NAMES: [&str; 5] = ["5.4-log_buf_len-4M", "6.1", "6.12", "7.2", "7.2-log_buf_len-4M"];

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/images").join(name)
}

pub fn text(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Physical memory of which some pages are there.
#[derive(Clone)]
pub struct Image {
    pages: HashMap<u64, Vec<u8>>,
}

impl Image {
    /// The pages of a crash: each is its physical address and 4,096 bytes.
    pub fn load(name: &str) -> Self {
        let file = File::open(path(&format!("{name}.pages.gz"))).expect("the image is there");
        let mut bytes = Vec::new();
        GzDecoder::new(file).read_to_end(&mut bytes).expect("it is compressed by gzip");
        let pages = bytes.chunks_exact(8 + PAGE as usize).map(|page| {
            let (address, content) = page.split_first_chunk().expect("it is longer");
            (u64::from_le_bytes(*address), content.to_vec())
        });
        Self { pages: pages.collect() }
    }

    /// Where the ELF core header is, as the crash kernel was told.
    pub fn core_header(name: &str) -> u64 {
        let line = text(&format!("{name}.cmdline"));
        let value =
            line.split_whitespace().find_map(|word| word.strip_prefix("elfcorehdr=")).expect("it is told");
        match (value.strip_prefix("0x"), value.strip_suffix('K')) {
            (Some(digits), _) => u64::from_str_radix(digits, 16).expect("a number"),
            (_, Some(digits)) => digits.parse::<u64>().expect("a number") << 10,
            _ => value.parse().expect("a number"),
        }
    }

    pub fn addresses(&self) -> Vec<u64> {
        let mut addresses: Vec<u64> = self.pages.keys().copied().collect();
        addresses.sort_unstable();
        addresses
    }

    pub fn page_mut(&mut self, address: u64) -> &mut Vec<u8> {
        self.pages.get_mut(&address).expect("it is one of `addresses`")
    }

    pub fn remove(&mut self, address: u64) {
        self.pages.remove(&address);
    }
}

impl Memory for Image {
    fn read(&self, address: u64, mut to: &mut [u8]) -> Result<(), Unreadable> {
        let mut at = address;
        while !to.is_empty() {
            let page = self.pages.get(&(at & !(PAGE - 1))).ok_or(Unreadable { address: at })?;
            let from = &page[(at % PAGE) as usize..];
            let (now, later) = to.split_at_mut(from.len().min(to.len()));
            now.copy_from_slice(&from[..now.len()]);
            at += now.len() as u64;
            to = later;
        }
        Ok(())
    }
}

/// All that can be read, a line a record, as Linux's basic format has it.
pub fn basic<M: Memory>(log: &Log<'_, M>) -> String {
    let mut out = String::new();
    for_each_record(log, |record, text| {
        let micros = record.nanoseconds / 1000;
        for line in text.split('\n') {
            writeln!(out, "[{:5}.{:06}] {line}", micros / 1_000_000, micros % 1_000_000)
                .expect("it has room");
        }
    });
    out
}

/// The same in the extended format.
pub fn extended<M: Memory>(log: &Log<'_, M>) -> String {
    let mut out = String::new();
    for_each_record(log, |record, text| {
        let level = u32::from(record.facility) << 3 | u32::from(record.level);
        let flag = if record.continues { 'c' } else { '-' };
        let (sequence, micros) = (record.sequence, record.nanoseconds / 1000);
        writeln!(out, "{level},{sequence},{micros},{flag};{}", escape(text)).expect("it has room");
        record.fields(&mut |key, value| {
            let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
            writeln!(out, " {key}={}", escape(&value)).expect("it has room");
        });
    });
    out
}

fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b' '..=b'~' if byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    text.bytes().map(escaped).collect()
}

fn for_each_record<M: Memory>(log: &Log<'_, M>, mut take: impl FnMut(&Record<'_, M>, &str)) {
    for sequence in log.first()..log.end() {
        let Read::Record(record) = log.read(sequence) else { continue };
        let mut text = vec![0; record.len()];
        // In two pieces, as a datagram's end may cut it.
        let half = text.len() / 2;
        let first = record.copy_text(0, &mut text[..half]);
        let second = record.copy_text(half, &mut text[half..]);
        if (first, second) == (Ok(half), Ok(record.len() - half)) {
            take(&record, &String::from_utf8_lossy(&text));
        }
    }
}
