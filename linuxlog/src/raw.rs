//! The text that lies where the log was, for a log that can't be read as one, without numbers and times: oldest first where
//! it is known how far the log had come, else as it lies there.

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
/// Bytes of the pointer to the texts, behind which the ring says how far it has come.
const POINTER: u64 = 8;
/// Shorter texts are taken for chance, in bytes.
const SHORTEST: usize = 8;

/// The text where the log was; what [`Crash::raw_text`](crate::Crash::raw_text) gives.
pub struct RawText<'c, M> {
    window: Window<'c, M>,
    addresses: Range<u64>,
    /// What follows: the newest texts, where the log had come round to its buffer's start.
    then: Range<u64>,
    is_in_order: bool,
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
            let size = bits.and_then(|bits| 1_u64.checked_shl(bits));
            let positions = texts.checked_add(info.data_ring_data?)?.checked_add(POINTER)?;
            Some((data, size, size.and_then(|size| newest_end(translation, positions, size))))
        });
        let legacy = info.log_buf.and_then(|at| translation.word(at).ok()).map(|data| {
            let number = |at: Option<u64>| at.and_then(|at| translation.number(at).ok()).map(u64::from);
            (data, number(info.log_buf_len), number(info.log_next_idx))
        });
        let around = rings()
            .chain(info.prb)
            .chain(info.log_buf)
            .map(|head| (head.saturating_sub(AROUND), Some(AROUND.saturating_mul(2)), None));
        let mut window = Window::new(translation);
        let (start, len, newest) =
            texts.chain(legacy).chain(around).find(|&(start, ..)| window.byte(start).is_some())?;
        let len = len.filter(|&len| len > 0).unwrap_or(UNKNOWN);
        let end = start.saturating_add(len.min(MOST));
        let seam = newest.filter(|&newest| newest < len && len <= MOST);
        // What lies behind the newest text is the oldest, if it is any.
        let seam_at = start.saturating_add(seam.unwrap_or(0));
        Some(Self { window, addresses: seam_at..end, then: start..seam_at, is_in_order: seam.is_some() })
    }

    /// The addresses that are looked at from here on, virtual, in two parts, the second of which may be empty.
    pub fn addresses(&self) -> [Range<u64>; 2] {
        [self.addresses.clone(), self.then.clone()]
    }

    /// Whether the texts come oldest first.
    pub fn is_in_order(&self) -> bool {
        self.is_in_order
    }

    /// Passes over the first texts, so that of all texts those at the end are left, where a log says what it ended with:
    /// `most` bytes of them at most. Returns how many bytes of text are passed over. Texts are cut as
    /// [`next_line`](Self::next_line) cuts them with this `line`.
    pub fn keep_last(&mut self, most: u64, line: &mut [u8]) -> u64 {
        let (all, mut total, mut passed) = (self.addresses(), 0_u64, 0_u64);
        while let Some(len) = self.next_line(line) {
            total = total.saturating_add(len as u64);
        }
        [self.addresses, self.then] = all;
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
        loop {
            if self.addresses.is_empty() {
                // No text goes across the buffer's end.
                if len >= SHORTEST {
                    return Some(len);
                }
                if self.then.is_empty() {
                    return None;
                }
                len = 0;
                self.addresses = core::mem::replace(&mut self.then, 0..0);
            }
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
    }
}

/// The offset at which the newest text of a ring of `size` bytes ends, by the positions of its end and its beginning that
/// are said at this address (`head_lpos` and `tail_lpos` of Linux's `struct prb_data_ring`, which are not exported), where
/// they fit.
fn newest_end<M: Memory>(translation: &Translation<'_, M>, positions: u64, size: u64) -> Option<u64> {
    let head = translation.word(positions).ok()?;
    let tail = translation.word(positions.checked_add(8)?).ok()?;
    let is_possible = size.is_power_of_two() && (1..=size).contains(&head.wrapping_sub(tail));
    is_possible.then(|| head & size.wrapping_sub(1))
}
