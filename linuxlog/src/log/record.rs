//! A record of printk's log.

use crate::memory::{Memory, PAGE, Unreadable};
use crate::translation::Translation;
use core::fmt;

/// The longest dictionary that is read, in bytes. Linux's names of subsystem and device take 80.
const DICTIONARY: usize = 256;
/// How much text is looked through for its readability at once, in bytes.
const CHUNK: usize = 256;

/// A record, whose text lies in the dead kernel's memory.
pub struct Record<'l, M> {
    translation: &'l Translation<'l, M>,
    /// Its sequence number.
    pub sequence: u64,
    /// When it was logged, in ns since that kernel's clock began.
    pub nanoseconds: u64,
    /// Who logged it: 0 is the kernel, 1 user space.
    pub facility: u8,
    /// 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Whether it continues a line.
    pub continues: bool,
    /// The thread, or with the top bit set the CPU, that logged it, where the kernel keeps that.
    pub caller: Option<u32>,
    text: Span,
    dictionary: Dictionary,
}

/// Bytes by their virtual address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub at: u64,
    pub len: usize,
}

/// Where the names of subsystem and device are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dictionary {
    /// Two texts that a zero ends.
    Names { subsystem: Span, device: Span },
    /// `KEY=VALUE`, a zero between two of them.
    Items(Span),
}

/// What a ring knows of a record beside its text.
pub(super) struct Head {
    pub sequence: u64,
    pub nanoseconds: u64,
    pub facility: u8,
    /// The flags in the low five bits, the level in the top three.
    pub flags_and_level: u8,
    pub caller: Option<u32>,
}

/// The record continues a line (`LOG_CONT` in the kernel's printk code; not exported, the same in all kernels).
const CONTINUES: u8 = 8;

impl<'l, M> Record<'l, M> {
    pub(super) fn new(
        translation: &'l Translation<'l, M>,
        head: &Head,
        text: Span,
        dictionary: Dictionary,
    ) -> Self {
        let &Head { sequence, nanoseconds, facility, flags_and_level, caller } = head;
        let (level, continues) = (flags_and_level >> 5, flags_and_level & CONTINUES != 0);
        Self { translation, sequence, nanoseconds, facility, level, continues, caller, text, dictionary }
    }

    /// The text's length in bytes.
    pub fn len(&self) -> usize {
        self.text.len
    }

    /// The virtual address of the text, for [`Crash::read`](crate::Crash::read).
    pub fn text_address(&self) -> u64 {
        self.text.at
    }

    /// Whether it has no text.
    pub fn is_empty(&self) -> bool {
        self.text.len == 0
    }
}

impl<M: Memory> Record<'_, M> {
    /// Copies the text from byte `offset` on, as much as `to` takes, and returns how much that is.
    pub fn copy_text(&self, offset: usize, to: &mut [u8]) -> Result<usize, Unreadable> {
        let left = self.text.len.saturating_sub(offset);
        let len = left.min(to.len());
        let address = self.text.at.saturating_add(offset as u64);
        let to = to.get_mut(..len).ok_or(Unreadable { address })?;
        self.translation.read(address, to)?;
        Ok(len)
    }

    /// Whether all of the text can be read.
    pub fn is_readable(&self) -> bool {
        let mut chunk = [0; CHUNK];
        (0..self.len()).step_by(CHUNK).all(|offset| self.copy_text(offset, &mut chunk).is_ok())
    }

    /// Whether a byte can be read of each page that the text is on: as good as [`is_readable`](Self::is_readable), but for
    /// memory that is broken in places, and cheaper: what lies directly before the text was read when the record was found.
    pub fn is_on_readable_pages(&self) -> bool {
        let end = self.text.at.saturating_add(self.text.len as u64);
        // The first page that begins behind what was read already.
        let mut page = self.text.at.checked_next_multiple_of(PAGE);
        while let Some(start) = page.filter(|&start| start < end) {
            if self.translation.read(start, &mut [0]).is_err() {
                return false;
            }
            page = start.checked_add(PAGE);
        }
        true
    }

    /// Calls `item` with the key and value of each item beside the text: `SUBSYSTEM` and `DEVICE`. What can't be
    /// read is left out.
    pub fn fields(&self, item: &mut dyn FnMut(&[u8], &[u8])) {
        let mut buffer = [0; DICTIONARY];
        match self.dictionary {
            Dictionary::Names { subsystem, device } => {
                for (key, span) in [(&b"SUBSYSTEM"[..], subsystem), (b"DEVICE", device)] {
                    let name = self.copy(span, &mut buffer).split(|&byte| byte == 0).next();
                    if let Some(name) = name.filter(|name| !name.is_empty()) {
                        item(key, name);
                    }
                }
            }
            Dictionary::Items(span) => {
                for text in self.copy(span, &mut buffer).split(|&byte| byte == 0) {
                    let mut parts = text.splitn(2, |&byte| byte == b'=');
                    if let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                        item(key, value);
                    }
                }
            }
        }
    }

    /// The bytes, as many as there is room for; none where they can't be read.
    fn copy<'b>(&self, span: Span, buffer: &'b mut [u8; DICTIONARY]) -> &'b [u8] {
        let Some(to) = buffer.get_mut(..span.len.min(DICTIONARY)) else { return &[] };
        match self.translation.read(span.at, to) {
            Ok(()) => to,
            Err(_) => &[],
        }
    }
}

impl<M> fmt::Debug for Record<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, nanoseconds, level, text, .. } = self;
        write!(f, "record {sequence} at {nanoseconds} ns, level {level}, {} bytes", text.len)
    }
}
