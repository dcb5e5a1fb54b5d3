//! The log of Linux before 5.10: records of different lengths one behind the other, with a head each
//! (`struct printk_log`, kernel/printk/printk.c).

use super::read::{LogError, Read};
use super::record::{Dictionary, Head, Record, Span};
use crate::memory::{Memory, field};
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;
use core::cell::Cell;

/// Of the dictionary's length, to the facility and to flags and level; not exported, the same in all kernels.
const FACILITY: usize = 2;
const FLAGS_AND_LEVEL: usize = 3;
/// The largest head that is read, and log that is believed, in bytes.
const MAX_HEAD: usize = 64;
const MAX_LOG: u32 = 1 << 31;

/// Where all is.
pub(super) struct Legacy {
    buffer: u64,
    len: u32,
    first: u32,
    /// The oldest record's number.
    first_sequence: u64,
    count: u64,
    head_size: usize,
    fields: Fields,
    /// A record's number, from 0 on, and offset, from which to walk on.
    known: Cell<(u64, u32)>,
    /// For a walk that goes back.
    marks: Marks,
}

/// How many marks there are.
const MARKS: usize = 256;

/// Offsets of records at equal distances, so that each is a short walk away.
struct Marks {
    offsets: [u32; MARKS],
    /// From each to the next one there are 2^`shift` records.
    shift: u32,
}

impl Marks {
    const fn new() -> Self {
        Self { offsets: [0; MARKS], shift: 0 }
    }

    /// Takes in the offset of a record; they come in the order of their numbers, from 0. Where there are more than marks,
    /// every second mark goes.
    fn add(&mut self, number: u64, offset: u32) {
        if number.checked_shr(self.shift) == Some(MARKS as u64) {
            for place in 0..MARKS / 2 {
                if let Some(&kept) = self.offsets.get(place.saturating_mul(2))
                    && let Some(mark) = self.offsets.get_mut(place)
                {
                    *mark = kept;
                }
            }
            self.shift = self.shift.saturating_add(1);
        }
        let place = number.unbounded_shr(self.shift);
        if place.unbounded_shl(self.shift) == number
            && let Some(mark) = usize::try_from(place).ok().and_then(|place| self.offsets.get_mut(place))
        {
            *mark = offset;
        }
    }

    /// Number and offset of the last mark that is not behind the record `number`, which was added.
    fn before(&self, number: u64) -> Option<(u64, u32)> {
        let place = number.unbounded_shr(self.shift);
        let offset = *self.offsets.get(usize::try_from(place).ok()?)?;
        Some((place.unbounded_shl(self.shift), offset))
    }
}

/// Offsets in a record's head.
struct Fields {
    nanoseconds: usize,
    len: usize,
    text_len: usize,
    dictionary_len: usize,
}

/// A record's head.
struct Entry {
    bytes: [u8; MAX_HEAD],
    /// The whole record's length in bytes.
    len: u32,
}

impl Legacy {
    pub fn find<M: Memory>(translation: &Translation<'_, M>, info: &VmCoreInfo) -> Result<Self, LogError> {
        let number = |symbol: Option<u64>| -> Result<u32, LogError> {
            Ok(translation.number(symbol.ok_or(LogError::NotExported)?)?)
        };
        let offset = |number: Option<u64>| {
            number.and_then(|number| usize::try_from(number).ok()).ok_or(LogError::NotExported)
        };
        let head_size = offset(info.printk_log_size)?;
        let first = number(info.log_first_idx)?;
        let next = number(info.log_next_idx)?;
        let mut log = Self {
            buffer: translation.word(info.log_buf.ok_or(LogError::NotExported)?)?,
            len: number(info.log_buf_len)?,
            first,
            first_sequence: 0,
            count: 0,
            head_size,
            fields: Fields {
                nanoseconds: offset(info.printk_log_ts_nsec)?,
                len: offset(info.printk_log_len)?,
                text_len: offset(info.printk_log_text_len)?,
                dictionary_len: offset(info.printk_log_dict_len)?,
            },
            known: Cell::new((0, first)),
            marks: Marks::new(),
        };
        if log.len > MAX_LOG || first >= log.len || next > log.len || !(16..=MAX_HEAD).contains(&head_size) {
            return Err(LogError::Damaged);
        }
        log.count(translation, next);
        log.first_sequence = log.find_first_sequence(translation, info).unwrap_or(0);
        Ok(log)
    }

    /// Linux's number of the oldest record. It is exported by no Linux that is known. It is a variable of 8 bytes directly
    /// beside the index of that record, as is that of the newest, before both or behind both as the compiler has laid them
    /// out; two numbers that lie there are believed where there are as many records between them as were counted.
    fn find_first_sequence<M: Memory>(
        &self,
        translation: &Translation<'_, M>,
        info: &VmCoreInfo,
    ) -> Option<u64> {
        if let Some(exported) = info.log_first_seq {
            return translation.word(exported).ok();
        }
        let [first, next] = [info.log_first_idx?, info.log_next_idx?];
        let beside = |distance: i64| {
            let word = |index: u64| translation.word(index.checked_add_signed(distance)?).ok();
            let (first, next) = (word(first)?, word(next)?);
            (next.checked_sub(first) == Some(self.count)).then_some(first)
        };
        beside(8).or_else(|| beside(-8))
    }

    /// Counts and marks the records up to the offset `next`. A walk that comes to nowhere ends where it does.
    fn count<M: Memory>(&mut self, translation: &Translation<'_, M>, next: u32) {
        let (mut at, mut walked) = (self.first, 0_u32);
        while at != next && walked < self.len {
            let Some((place, entry)) = self.entry(translation, at) else { break };
            self.marks.add(self.count, at);
            walked = walked.saturating_add(entry.len);
            at = place.saturating_add(entry.len);
            self.count = self.count.saturating_add(1);
        }
    }

    pub const fn first(&self) -> u64 {
        self.first_sequence
    }

    pub const fn end(&self) -> u64 {
        self.first_sequence.saturating_add(self.count)
    }

    /// The record at an offset, and its offset: where a head of length 0 says so it is at the log's start.
    fn entry<M: Memory>(&self, translation: &Translation<'_, M>, at: u32) -> Option<(u32, Entry)> {
        let entry = self.head(translation, at)?;
        let (at, entry) = if entry.len == 0 { (0, self.head(translation, 0)?) } else { (at, entry) };
        let is_whole = u64::from(at).saturating_add(u64::from(entry.len)) <= u64::from(self.len);
        (is_whole && entry.len as usize >= self.head_size).then_some((at, entry))
    }

    fn head<M: Memory>(&self, translation: &Translation<'_, M>, at: u32) -> Option<Entry> {
        let mut bytes = [0; MAX_HEAD];
        let address = self.buffer.checked_add(u64::from(at))?;
        translation.read(address, bytes.get_mut(..self.head_size)?).ok()?;
        let len = u32::try_from(field(&bytes, self.fields.len, 2)?).ok()?;
        Some(Entry { bytes, len })
    }

    pub fn read<'l, M: Memory>(&'l self, translation: &'l Translation<'l, M>, sequence: u64) -> Read<'l, M> {
        self.walk_to(translation, sequence).unwrap_or(Read::Lost)
    }

    fn walk_to<'l, M: Memory>(
        &'l self,
        translation: &'l Translation<'l, M>,
        sequence: u64,
    ) -> Option<Read<'l, M>> {
        let wanted = sequence.checked_sub(self.first_sequence)?;
        let (known, mark) = (self.known.get(), self.marks.before(wanted)?);
        let (mut number, mut at) = if (mark.0..=wanted).contains(&known.0) { known } else { mark };
        // Bounded, since `wanted` is below `count`, to which one walk came.
        loop {
            let (place, entry) = self.entry(translation, at)?;
            if number == wanted {
                self.known.set((number, at));
                return Some(Read::Record(self.record(translation, sequence, place, &entry)?));
            }
            at = place.checked_add(entry.len)?;
            number = number.checked_add(1)?;
        }
    }

    fn record<'l, M: Memory>(
        &self,
        translation: &'l Translation<'l, M>,
        sequence: u64,
        at: u32,
        entry: &Entry,
    ) -> Option<Record<'l, M>> {
        let Self { fields, head_size, .. } = self;
        let byte = |offset: usize| entry.bytes.get(fields.dictionary_len.checked_add(offset)?).copied();
        let length = |offset: usize| usize::try_from(field(&entry.bytes, offset, 2)?).ok();
        let head = Head {
            sequence,
            nanoseconds: field(&entry.bytes, fields.nanoseconds, 8)?,
            facility: byte(FACILITY)?,
            flags_and_level: byte(FLAGS_AND_LEVEL)?,
            caller: None,
        };
        let room = usize::try_from(entry.len).ok()?.checked_sub(*head_size)?;
        let text_len = length(fields.text_len)?.min(room);
        let dictionary_len = length(fields.dictionary_len)?.min(room.saturating_sub(text_len));
        let text_at = self.buffer.checked_add(u64::from(at))?.checked_add(*head_size as u64)?;
        let text = Span { at: text_at, len: text_len };
        let dictionary = Span { at: text_at.checked_add(text_len as u64)?, len: dictionary_len };
        Some(Record::new(translation, &head, text, Dictionary::Items(dictionary)))
    }
}
