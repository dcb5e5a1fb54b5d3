//! The kernel's command line. Its first [`KEPT`] bytes are kept; what follows is searched for a key, up to its end: a key
//! that nobody sees would let everything go out in the clear.

use crate::{BootInfo, PhysicalMemory, Problem};
use netconsole::cmdline;
use netconsole::settings::may_hold_key;
use netconsole::text::Text;

/// How many bytes of the line are kept.
const KEPT: usize = 4096;
/// Room for the parameters behind them that may hold a key.
const KEY_ROOM: usize = 256;
/// How far the line's end is looked for, in bytes.
pub const MAX_COMMAND_LINE: usize = 64 << 10;

/// The kernel's command line, as the loader gave it; of a long one what is kept, and behind that, after a blank, the
/// parameters that may hold a key.
pub type CommandLine = Text<{ KEPT + KEY_ROOM }>;

impl BootInfo {
    /// Copies the zero-terminated command line at `address`.
    pub(super) fn copy_command_line(&mut self, memory: &dyn PhysicalMemory, address: u64) {
        // One by one: how long the line is shows only at its end, and behind that may be nothing.
        let byte = |offset| memory.read(address.checked_add(offset)?, 1)?.first().copied();
        self.take_command_line((0..).map(byte));
    }

    /// Takes the command line from `bytes`, up to the first zero; a byte that can't be read is `None`.
    pub(super) fn take_command_line(&mut self, bytes: impl Iterator<Item = Option<u8>>) {
        self.command_line.clear();
        let mut bytes = bytes.take_while(|byte| *byte != Some(0));
        let mut search = None;
        for (number, byte) in bytes.by_ref().enumerate() {
            let Some(byte) = byte.filter(|_| number < MAX_COMMAND_LINE) else {
                self.problems.add(Problem::CommandLineUnreadable);
                if search.is_none() {
                    self.cut_last_parameter(|_| {});
                }
                return;
            };
            match &mut search {
                None if number < KEPT => self.command_line.push(byte),
                None => {
                    self.problems.add(Problem::CommandLineTruncated);
                    let mut new = KeySearch::new();
                    self.cut_last_parameter(|byte| new.take(byte, &mut |_| true));
                    search.insert(new).take(byte, &mut |word| self.keep(word));
                }
                Some(search) => search.take(byte, &mut |word| self.keep(word)),
            }
        }
        if let Some(search) = &mut search {
            search.end(&mut |word| self.keep(word));
            if search.is_lost {
                self.problems.add(Problem::KeyUnreadable);
            }
        }
    }

    /// Whether a key may be in the part of the command line that could not be read or kept.
    pub fn may_hide_key(&self) -> bool {
        let hides = |problem| matches!(problem, Problem::CommandLineUnreadable | Problem::KeyUnreadable);
        self.problems.iter().any(hides)
    }

    /// Takes the last parameter out, unless white space follows it, and gives its bytes to `cut`: half a parameter might
    /// mean something else than the whole, an address with a digit less.
    fn cut_last_parameter(&mut self, cut: impl FnMut(u8)) {
        let line = self.command_line.as_bytes();
        let mut whole = 0;
        let mut end = 0;
        while let Some((_, next)) = cmdline::next_word(line, end) {
            whole = end;
            end = next;
        }
        if end < line.len() {
            whole = end;
        }
        line.iter().skip(whole).copied().for_each(cut);
        self.command_line.truncate(whole);
    }

    /// Keeps a parameter of the line's end; false where there is no room.
    fn keep(&mut self, word: &[u8]) -> bool {
        let has_room = word.len() < self.command_line.room();
        if has_room {
            self.command_line.push(b' ');
            self.command_line.extend(word);
        }
        has_room
    }
}

/// The longest parameter that is looked at as a whole, in bytes; of a longer one, whether a key may be in it.
const WORD: usize = 512;
/// How much of a longer one is looked at again together with what follows: more than a key and its name.
const OVERLAP: usize = 128;

/// Looks for parameters that may hold a key in a text that comes byte by byte.
struct KeySearch {
    word: [u8; WORD],
    len: usize,
    in_quotes: bool,
    is_long: bool,
    /// A key may have been there and was not kept.
    is_lost: bool,
}

impl KeySearch {
    const fn new() -> Self {
        Self { word: [0; WORD], len: 0, in_quotes: false, is_long: false, is_lost: false }
    }

    /// Takes the next byte. A parameter that ends before it and may hold a key goes to `keep`.
    fn take(&mut self, byte: u8, keep: &mut dyn FnMut(&[u8]) -> bool) {
        self.in_quotes ^= byte == b'"';
        if byte.is_ascii_whitespace() && !self.in_quotes {
            return self.end(keep);
        }
        if self.len == WORD {
            self.is_long = true;
            self.is_lost |= self.may_hold_key();
            self.word.copy_within(WORD.saturating_sub(OVERLAP).., 0);
            self.len = OVERLAP;
        }
        if let Some(slot) = self.word.get_mut(self.len) {
            *slot = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    /// The parameter has ended.
    fn end(&mut self, keep: &mut dyn FnMut(&[u8]) -> bool) {
        if self.may_hold_key() {
            let word = self.word.get(..self.len).unwrap_or_default();
            self.is_lost |= self.is_long || !keep(word);
        }
        (self.len, self.is_long) = (0, false);
    }

    fn may_hold_key(&self) -> bool {
        may_hold_key(self.word.get(..self.len).unwrap_or_default())
    }
}
