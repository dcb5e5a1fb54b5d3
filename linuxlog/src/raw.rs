//! The text that lies where the log was, for a log that can't be read as one: in no order, without numbers and times.

use crate::memory::Memory;
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;
use crate::window::Window;
use core::ops::Range;

/// What is looked at, in bytes, at most, and where the ring's size can't be read.
const MOST: u64 = 16 << 20;
const UNKNOWN: u64 = 128 << 10;
/// So much before and behind a ring's head is looked at where the head does not say where the texts are.
const AROUND: u64 = 64 << 10;
/// Shorter texts are taken for chance, in bytes.
const SHORTEST: usize = 8;

/// The text where the log was; what [`Crash::raw_text`](crate::Crash::raw_text) gives.
pub struct RawText<'c, M> {
    window: Window<'c, M>,
    addresses: Range<u64>,
}

impl<'c, M: Memory> RawText<'c, M> {
    /// Of the first place that can be read: the ring's texts, as its head or that of the ring that Linux began with says,
    /// else what lies around the head.
    pub(crate) fn find(translation: &'c Translation<'c, M>, info: &VmCoreInfo) -> Option<Self> {
        let rings = || info.prb.and_then(|prb| translation.word(prb).ok()).into_iter().chain(info.prb_static);
        let texts = rings().filter_map(|ring| {
            let texts = ring.checked_add(info.ringbuffer_text_ring?)?;
            let data = translation.word(texts.checked_add(info.data_ring_data?)?).ok()?;
            let bits =
                info.data_ring_size_bits.and_then(|at| translation.number(texts.checked_add(at)?).ok());
            Some((data, bits.and_then(|bits| 1_u64.checked_shl(bits))))
        });
        let legacy = info.log_buf.and_then(|at| translation.word(at).ok()).map(|data| {
            let len = info.log_buf_len.and_then(|at| translation.number(at).ok());
            (data, len.map(u64::from))
        });
        let around = rings()
            .chain(info.prb)
            .chain(info.log_buf)
            .map(|head| (head.saturating_sub(AROUND), Some(AROUND.saturating_mul(2))));
        let mut window = Window::new(translation);
        let (start, len) =
            texts.chain(legacy).chain(around).find(|&(start, _)| window.byte(start).is_some())?;
        let len = len.filter(|&len| len > 0).unwrap_or(UNKNOWN).min(MOST);
        Some(Self { window, addresses: start..start.saturating_add(len) })
    }

    /// The addresses that are looked at from here on, virtual.
    pub fn addresses(&self) -> Range<u64> {
        self.addresses.clone()
    }

    /// Passes over the first texts, so that of all texts those at the end are left, where a log says what it ended with:
    /// `most` bytes of them at most. Returns how many bytes of text are passed over. Texts are cut as
    /// [`next_line`](Self::next_line) cuts them with this `line`.
    pub fn keep_last(&mut self, most: u64, line: &mut [u8]) -> u64 {
        let (all, mut total, mut passed) = (self.addresses(), 0_u64, 0_u64);
        while let Some(len) = self.next_line(line) {
            total = total.saturating_add(len as u64);
        }
        self.addresses = all;
        while total.saturating_sub(passed) > most
            && let Some(len) = self.next_line(line)
        {
            passed = passed.saturating_add(len as u64);
        }
        passed
    }

    /// Puts the next text into `line`, and returns its length: printable ASCII, cut where the line is full; `None` where
    /// there is no more. What can't be read ends a text, and is passed over.
    pub fn next_line(&mut self, line: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        while !self.addresses.is_empty() {
            let byte =
                self.window.byte(self.addresses.start).filter(|byte| matches!(byte, b' '..=b'~' | b'\t'));
            match (byte, line.get_mut(len)) {
                (Some(byte), Some(slot)) => {
                    *slot = byte;
                    len = len.saturating_add(1);
                }
                // The line is full: the rest is the next one.
                (Some(_), None) if len >= SHORTEST => return Some(len),
                (Some(_), None) => return None,
                (None, _) if len >= SHORTEST => return Some(len),
                (None, _) => len = 0,
            }
            self.addresses.start = self.addresses.start.saturating_add(1);
        }
        (len >= SHORTEST).then_some(len)
    }
}
