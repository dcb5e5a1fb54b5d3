//! The lockless ring of Linux 5.10 and later (kernel/printk/printk_ringbuffer.c).
//!
//! Descriptors are numbered by ids of 62 bits, and a descriptor's place in its array is the id's low bits. Ids and
//! sequence numbers both grow by one from record to record, so that a sequence number leads to its descriptor; the
//! record's data must then say the same number.
//!
//! Behind the two bytes of a text's length are those of the facility, and of flags and level: not exported, the same in all
//! kernels.

use super::read::{LogError, Read};
use super::record::{Dictionary, Head, Record, Span};
use crate::memory::{Memory, word_in};
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;

/// An id's bits, and above them the descriptor's state. None of this is exported; it is the same in all kernels.
const ID: u64 = (1 << 62) - 1;
const STATE_SHIFT: u32 = 62;
const COMMITTED: u64 = 1;
const FINALIZED: u64 = 2;
const RESERVED: u64 = 0;
/// A block's position with this bit is none: the record has no text.
const NO_TEXT: u64 = 1;
/// A block begins with its descriptor's id.
const BLOCK_HEADER: u64 = 8;
/// The largest rings that are believed: 2^24 descriptors, 2^31 bytes.
const MAX_COUNT_BITS: u32 = 24;
const MAX_SIZE_BITS: u32 = 31;
/// The number after a log's last record is at most this one, which leaves as many again to whoever goes on counting with
/// 36 bits: a year of 1,000 records a second.
const MAX_END: u64 = 1 << 35;
/// The number of a ring's very first descriptor.
const BEFORE_0: u64 = u64::MAX;
/// The largest structures that are believed, and of each how much is read at once, in bytes.
const MAX_SIZE: u64 = 256;
const MAX_READ: usize = 64;

/// Where all is, as far as it does not change from record to record.
pub(super) struct Lockless {
    descriptors: Array,
    infos: Array,
    data: u64,
    /// Less 1: the count of descriptors, and the size of the texts in bytes.
    count_mask: u64,
    size_mask: u64,
    /// The oldest descriptor's id, and its sequence number; that wraps below 0 where it has none.
    tail_id: u64,
    tail_sequence: u64,
    first: u64,
    end: u64,
    fields: Fields,
}

/// An array of structures in the dead kernel's memory.
struct Array {
    at: u64,
    size: u64,
    /// How much of a structure is read, from its start on: the fields that matter.
    read: usize,
}

impl Array {
    fn new(at: u64, size: Option<u64>, fields_end: Option<usize>) -> Result<Self, LogError> {
        let size = size.ok_or(LogError::NotExported)?;
        let read = fields_end.filter(|&end| end <= MAX_READ && end as u64 <= size && size <= MAX_SIZE);
        Ok(Self { at, size, read: read.ok_or(LogError::Damaged)? })
    }

    fn address(&self, number: u64) -> u64 {
        self.at.wrapping_add(number.wrapping_mul(self.size))
    }

    #[inline(always)]
    fn read<M: Memory>(&self, translation: &Translation<'_, M>, number: u64) -> Option<[u8; MAX_READ]> {
        let mut bytes = [0; MAX_READ];
        translation.read(self.address(number), bytes.get_mut(..self.read)?).ok()?;
        Some(bytes)
    }
}

/// Offsets in a descriptor and in a record's data.
struct Fields {
    state: usize,
    begin: usize,
    next: usize,
    sequence: usize,
    nanoseconds: usize,
    text_len: usize,
    caller: Option<usize>,
    subsystem: Span,
    device: Span,
}

impl Fields {
    fn new(info: &VmCoreInfo) -> Option<Self> {
        let offset = |number: Option<u64>| usize::try_from(number?).ok();
        let sum = |a: Option<u64>, b: Option<u64>| offset(a?.checked_add(b?));
        // The offset of a name in the record's data, and its length.
        let name = |inner: Option<u64>, len: Option<u64>| {
            Some(Span { at: info.info_dev_info?.checked_add(inner?)?, len: offset(len)? })
        };
        Some(Self {
            state: offset(info.desc_state_var)?,
            begin: sum(info.desc_text_blk_lpos, info.lpos_begin)?,
            next: sum(info.desc_text_blk_lpos, info.lpos_next)?,
            sequence: offset(info.info_seq)?,
            nanoseconds: offset(info.info_ts_nsec)?,
            text_len: offset(info.info_text_len)?,
            caller: offset(info.info_caller_id),
            subsystem: name(info.dev_info_subsystem, info.subsystem_len)?,
            device: name(info.dev_info_device, info.device_len)?,
        })
    }

    /// Where in a descriptor the last field ends.
    fn descriptor_end(&self) -> Option<usize> {
        self.state.max(self.begin).max(self.next).checked_add(8)
    }

    /// Where in a record's data the last field but the names ends.
    fn info_end(&self) -> Option<usize> {
        let words = self.sequence.max(self.nanoseconds).checked_add(8)?;
        let numbers = self.text_len.max(self.caller.unwrap_or(0)).checked_add(4)?;
        Some(words.max(numbers))
    }
}

impl Lockless {
    pub fn find<M: Memory>(translation: &Translation<'_, M>, info: &VmCoreInfo) -> Result<Self, LogError> {
        let at = |base: u64, offset: Option<u64>| {
            offset.and_then(|offset| base.checked_add(offset)).ok_or(LogError::NotExported)
        };
        let ring = translation.word(info.prb.ok_or(LogError::NotExported)?)?;
        let descriptors = at(ring, info.ringbuffer_desc_ring)?;
        let texts = at(ring, info.ringbuffer_text_ring)?;
        let mask = |bits: u32, most: u32| {
            let size = 1_u64.checked_shl(bits).filter(|_| bits <= most);
            size.and_then(|size| size.checked_sub(1)).ok_or(LogError::Damaged)
        };
        let count_mask =
            mask(translation.number(at(descriptors, info.desc_ring_count_bits)?)?, MAX_COUNT_BITS)?;
        let size_mask = mask(translation.number(at(texts, info.data_ring_size_bits)?)?, MAX_SIZE_BITS)?;
        let tail_id = translation.word(at(descriptors, info.desc_ring_tail_id)?)? & ID;
        let head_id = translation.word(at(descriptors, info.desc_ring_head_id)?)? & ID;
        let count = head_id.wrapping_sub(tail_id) & ID;
        if count > count_mask {
            return Err(LogError::Damaged);
        }
        let fields = Fields::new(info).ok_or(LogError::NotExported)?;
        let array = |pointer: Option<u64>, size: Option<u64>, fields_end: Option<usize>| {
            Array::new(translation.word(at(descriptors, pointer)?)?, size, fields_end)
        };
        let mut ring = Self {
            descriptors: array(info.desc_ring_descs, info.desc_size, fields.descriptor_end())?,
            infos: array(info.desc_ring_infos, info.info_size, fields.info_end())?,
            data: translation.word(at(texts, info.data_ring_data)?)?,
            count_mask,
            size_mask,
            tail_id,
            tail_sequence: 0,
            first: 0,
            end: 0,
            fields,
        };
        ring.number(translation, count);
        Ok(ring)
    }

    /// Finds which sequence numbers the descriptors have: those of the oldest one that is whole, if the next whole one
    /// says the same, else of the next two that agree. Where no two do, the oldest one's. A log without any is empty. The
    /// very first descriptor of a ring has no record, so that record 0 is the second.
    fn number<M: Memory>(&mut self, translation: &Translation<'_, M>, count: u64) {
        let end = |tail: u64| tail.wrapping_add(count).wrapping_add(1);
        let mut tails = (0..=count).filter_map(|place| {
            let id = self.tail_id.wrapping_add(place) & ID;
            let (_, state) = self.descriptor(translation, id)?;
            let sequence = word_in(&self.info(translation, id)?, self.fields.sequence)?;
            let tail = sequence.wrapping_sub(place);
            let is_possible = (tail < MAX_END || tail == BEFORE_0) && end(tail) <= MAX_END;
            (matches!(state, COMMITTED | FINALIZED) && is_possible).then_some(tail)
        });
        let Some(oldest) = tails.next() else { return };
        let mut last = oldest;
        let confirmed = tails.find(|&tail| core::mem::replace(&mut last, tail) == tail);
        self.tail_sequence = confirmed.unwrap_or(oldest);
        self.first = if self.tail_sequence == BEFORE_0 { 0 } else { self.tail_sequence };
        self.end = end(self.tail_sequence);
    }

    /// The descriptor with this id, and its state; `None` where it can't be read or has another id.
    fn descriptor<M: Memory>(
        &self,
        translation: &Translation<'_, M>,
        id: u64,
    ) -> Option<([u8; MAX_READ], u64)> {
        let descriptor = self.descriptors.read(translation, id & self.count_mask)?;
        let state = word_in(&descriptor, self.fields.state)?;
        (state & ID == id).then_some((descriptor, state >> STATE_SHIFT))
    }

    /// The data of the record whose descriptor has this id.
    fn info<M: Memory>(&self, translation: &Translation<'_, M>, id: u64) -> Option<[u8; MAX_READ]> {
        self.infos.read(translation, id & self.count_mask)
    }

    pub const fn first(&self) -> u64 {
        self.first
    }

    pub const fn end(&self) -> u64 {
        self.end
    }

    pub fn read<'l, M: Memory>(&'l self, translation: &'l Translation<'l, M>, sequence: u64) -> Read<'l, M> {
        if sequence < self.first {
            return Read::Lost;
        }
        let id = self.tail_id.wrapping_add(sequence.wrapping_sub(self.tail_sequence)) & ID;
        self.read_id(translation, id, sequence).unwrap_or(Read::Lost)
    }

    /// The record of this descriptor, which must have this sequence number; `None` where it can't be read.
    fn read_id<'l, M: Memory>(
        &'l self,
        translation: &'l Translation<'l, M>,
        id: u64,
        sequence: u64,
    ) -> Option<Read<'l, M>> {
        let (descriptor, state) = self.descriptor(translation, id)?;
        match state {
            COMMITTED | FINALIZED => {}
            RESERVED => return Some(Read::Unfinished),
            _ => return None,
        }
        let info = self.info(translation, id)?;
        if word_in(&info, self.fields.sequence)? != sequence {
            return None;
        }
        let &[len_low, len_high, facility, flags_and_level] =
            info.get(self.fields.text_len..)?.first_chunk::<4>()?;
        let nanoseconds = word_in(&info, self.fields.nanoseconds)?;
        let caller = self.caller(&info);
        let head = Head { sequence, nanoseconds, facility, flags_and_level, caller };
        let len = u16::from_le_bytes([len_low, len_high]).into();
        let begin = word_in(&descriptor, self.fields.begin)?;
        let next = word_in(&descriptor, self.fields.next)?;
        let text = self.text(translation, id, begin, next, len)?;
        let info_at = self.infos.address(id & self.count_mask);
        let name = |span: Span| Span { at: info_at.wrapping_add(span.at), len: span.len };
        let dictionary =
            Dictionary::Names { subsystem: name(self.fields.subsystem), device: name(self.fields.device) };
        Some(Read::Record(Record::new(translation, &head, text, dictionary)))
    }

    /// Who logged the record, where the kernel keeps that.
    fn caller(&self, info: &[u8]) -> Option<u32> {
        let caller = info.get(self.fields.caller?..)?.first_chunk().copied().map(u32::from_le_bytes);
        caller.filter(|&caller| caller != 0)
    }

    /// Where a record's text lies: behind its block's header, for as long as record and block both have room. A block
    /// that would go across the ring's end lies at its start.
    #[inline(always)]
    fn text<M: Memory>(
        &self,
        translation: &Translation<'_, M>,
        id: u64,
        begin: u64,
        next: u64,
        len: usize,
    ) -> Option<Span> {
        if begin & NO_TEXT != 0 || next & NO_TEXT != 0 {
            return Some(Span { at: self.data, len: 0 });
        }
        let lap = |position: u64| position & !self.size_mask;
        let end = next & self.size_mask;
        let (start, size) = if lap(begin) == lap(next) {
            (begin & self.size_mask, next.checked_sub(begin)?)
        } else if lap(begin).wrapping_add(self.size_mask).wrapping_add(1) != lap(next) {
            return None;
        } else if end == 0 {
            let start = begin & self.size_mask;
            (start, self.size_mask.wrapping_add(1).checked_sub(start)?)
        } else {
            (0, end)
        };
        let block = self.data.wrapping_add(start);
        if translation.word(block).ok()? & ID != id {
            return None;
        }
        let room = usize::try_from(size.checked_sub(BLOCK_HEADER)?).ok()?;
        Some(Span { at: block.wrapping_add(BLOCK_HEADER), len: len.min(room) })
    }
}
