//! The line that is being typed: keys as a terminal sends them (ECMA-48, VT100), a history.

use super::words::MAX_LINE;
use crate::text::Text;
use core::fmt::{self, Write};

/// How many lines the history keeps.
const HISTORY: usize = 8;
/// How many columns the line may take, prompt included: what every terminal has, less one so that
/// nothing wraps.
const COLUMNS: usize = 79;

/// A line under way.
pub(super) struct LineEditor {
    line: Text<MAX_LINE>,
    /// Before which byte the next character goes.
    cursor: usize,
    /// The newest first.
    history: [Text<MAX_LINE>; HISTORY],
    /// Which line of the history is shown, counted from 1; 0 is the new one.
    recalled: usize,
    escape: Escape,
    /// The last byte was a carriage return, so that a line feed belongs to it.
    returned: bool,
}

/// How much of a key's escape sequence has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// The sequence's parameter.
    Parameter(u8),
}

/// What is to be done about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// This byte is now at the line's end.
    Echo(u8),
    /// The line has changed.
    Redraw,
    /// The line is complete.
    Enter,
    /// Ctrl-C.
    Cancel,
}

impl LineEditor {
    pub(super) const fn new() -> Self {
        Self {
            line: Text::new(),
            cursor: 0,
            history: [const { Text::new() }; HISTORY],
            recalled: 0,
            escape: Escape::None,
            returned: false,
        }
    }

    /// Whether this byte is the rest of the Enter before it, and begins nothing.
    pub(super) const fn has_taken(&self, byte: u8) -> bool {
        self.returned && byte == b'\n'
    }

    /// The line as it is.
    pub(super) fn line(&self) -> &str {
        self.line.as_str()
    }

    /// Takes one byte of a key.
    pub(super) fn key(&mut self, byte: u8) -> Action {
        let returned = core::mem::replace(&mut self.returned, byte == b'\r');
        match (self.escape, byte) {
            (Escape::None, _) => {}
            (Escape::Begun, b'[' | b'O') => {
                self.escape = Escape::Parameter(0);
                return Action::Nothing;
            }
            (Escape::Parameter(_), b'0'..=b'9' | b';') => {
                self.escape = Escape::Parameter(byte);
                return Action::Nothing;
            }
            (Escape::Parameter(parameter), _) => {
                self.escape = Escape::None;
                return self.special_key(byte, parameter);
            }
            (Escape::Begun, _) => self.escape = Escape::None,
        }
        match byte {
            b'\n' if returned => Action::Nothing,
            b'\r' | b'\n' => Action::Enter,
            0x1b => {
                self.escape = Escape::Begun;
                Action::Nothing
            }
            0x03 => {
                self.clear();
                Action::Cancel
            }
            0x01 => self.move_to(0),
            0x05 => self.move_to(self.line.len()),
            0x08 | 0x7f => {
                let end = self.cursor;
                self.erase(self.before(end), end)
            }
            0x15 => self.erase(0, self.cursor),
            0x0b => self.erase(self.cursor, self.line.len()),
            b' '.. => self.insert(byte),
            _ => Action::Nothing,
        }
    }

    fn special_key(&mut self, last: u8, parameter: u8) -> Action {
        match (last, parameter) {
            (b'A', _) => self.recall(self.recalled.saturating_add(1)),
            (b'B', _) => self.recall(self.recalled.saturating_sub(1)),
            (b'C', _) => self.move_to(self.after(self.cursor)),
            (b'D', _) => self.move_to(self.before(self.cursor)),
            (b'H', _) | (b'~', b'1' | b'7') => self.move_to(0),
            (b'F', _) | (b'~', b'4' | b'8') => self.move_to(self.line.len()),
            (b'~', b'3') => self.erase(self.cursor, self.after(self.cursor)),
            _ => Action::Nothing,
        }
    }

    fn insert(&mut self, byte: u8) -> Action {
        if self.line.room() == 0 {
            return Action::Nothing;
        }
        self.line.insert(self.cursor, &[byte]);
        self.cursor = self.cursor.saturating_add(1);
        let is_plain = self.cursor == self.line.len() && byte.is_ascii();
        if is_plain { Action::Echo(byte) } else { Action::Redraw }
    }

    fn erase(&mut self, start: usize, end: usize) -> Action {
        self.line.replace(start, end, &[]);
        self.cursor = start;
        Action::Redraw
    }

    fn move_to(&mut self, cursor: usize) -> Action {
        self.cursor = cursor.min(self.line.len());
        Action::Redraw
    }

    /// Where the character before byte `at` begins.
    fn before(&self, at: usize) -> usize {
        let head = self.line.as_bytes().get(..at).unwrap_or_default();
        head.iter().rposition(|&byte| byte & 0xc0 != 0x80).unwrap_or(0)
    }

    /// Where the character at byte `at` ends.
    fn after(&self, at: usize) -> usize {
        let tail = self.line.as_bytes().get(at..).unwrap_or_default();
        let rest = tail.iter().skip(1).take_while(|&&byte| byte & 0xc0 == 0x80).count();
        at.saturating_add(rest).saturating_add(1).min(self.line.len())
    }

    /// Shows a line of the history in place of the one under way.
    fn recall(&mut self, number: usize) -> Action {
        let Some(older) = number.checked_sub(1) else {
            self.recalled = 0;
            self.line.clear();
            return self.move_to(0);
        };
        match self.history.get(older).filter(|line| !line.is_empty()) {
            None => Action::Nothing,
            Some(line) => {
                self.line = *line;
                self.recalled = number;
                self.move_to(usize::MAX)
            }
        }
    }

    /// Gives the line up.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        (self.cursor, self.recalled) = (0, 0);
    }

    /// Takes the complete line into the history and begins another.
    pub(super) fn finish(&mut self) {
        let is_new = self.history.first().is_none_or(|newest| newest.as_bytes() != self.line.as_bytes());
        if !self.line.is_empty() && is_new {
            self.history.rotate_right(1);
            if let Some(newest) = self.history.first_mut() {
                *newest = self.line;
            }
        }
        self.clear();
    }

    /// Whether all of the line fits next to a prompt of `prompt` columns.
    pub(super) const fn is_short(&self, prompt: usize) -> bool {
        prompt.saturating_add(self.line.len()) <= COLUMNS
    }

    /// Writes the prompt and the line, as much of it around the cursor as fits a terminal's width, and
    /// puts the terminal's cursor in its place.
    pub(super) fn draw(&self, prompt: &str, out: &mut dyn Write) -> fmt::Result {
        let head = self.line.as_bytes().get(..self.cursor).unwrap_or_default();
        let before = head.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        let room = COLUMNS.saturating_sub(prompt.len()).max(1);
        let skipped = before.saturating_sub(room);
        write!(out, "{prompt}")?;
        let mut shown = 0usize;
        for char in self.line.as_str().chars().skip(skipped).take(room) {
            out.write_char(char)?;
            shown = shown.saturating_add(1);
        }
        match shown.saturating_sub(before.saturating_sub(skipped)) {
            0 => Ok(()),
            behind => write!(out, "\x1b[{behind}D"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The line after these keys, and what the terminal was told last.
    fn after(editor: &mut LineEditor, keys: &str) -> (String, Action) {
        let mut action = Action::Nothing;
        for byte in keys.bytes() {
            action = editor.key(byte);
            if action == Action::Enter {
                editor.finish();
            }
        }
        (editor.line().into(), action)
    }

    #[test]
    fn keys_edit_the_line() {
        for (keys, line) in [
            ("abc", "abc"),
            ("abc\x7f", "ab"),
            ("abc\x08\x08", "a"),
            ("\x7f", ""),
            ("a\u{e4}\x7f", "a"),
            ("abc\x15", ""),
            ("abc\x03d", "d"),
            ("abc\x01x", "xabc"),
            ("abc\x01\x05x", "abcx"),
            ("abc\x1b[D\x1b[Dx", "axbc"),
            ("abc\x1b[D\x7f", "ac"),
            ("a\u{e4}c\x1b[D\x1b[Dx", "ax\u{e4}c"),
            ("ab\x1b[Hx\x1b[Fy", "xaby"),
            ("abc\x1b[D\x1b[3~", "ab"),
            ("abc\x1b[D\x1b[D\x0b", "a"),
            ("abc\x1b[D\x15", "c"),
            ("ab\x1b[5~c", "abc"),
            ("a\tb", "ab"),
        ] {
            assert_eq!(after(&mut LineEditor::new(), keys).0, line, "{keys:?}");
        }
    }

    #[test]
    fn lines_come_back() {
        let mut editor = LineEditor::new();
        assert_eq!(after(&mut editor, "one\r\ntwo\ntwo\r\r").0, "");
        assert_eq!(after(&mut editor, "\x1b[A").0, "two");
        assert_eq!(after(&mut editor, "\x1b[A").0, "one");
        assert_eq!(after(&mut editor, "\x1b[A"), ("one".into(), Action::Nothing));
        assert_eq!(after(&mut editor, "\x1b[B").0, "two");
        assert_eq!(after(&mut editor, "\x1b[B").0, "");
        assert_eq!(after(&mut editor, "\x1bOA!").0, "two!");
    }

    #[test]
    fn the_last_eight_lines_are_kept() {
        let mut editor = LineEditor::new();
        for line in 1..=9 {
            assert_eq!(after(&mut editor, &format!("line {line}\r")).1, Action::Enter);
        }
        let oldest = (1..=9).map(|_| after(&mut editor, "\x1b[A").0).collect::<Vec<_>>();
        assert_eq!(oldest[6..], ["line 3", "line 2", "line 2"]);
    }

    #[test]
    fn a_line_feed_behind_a_carriage_return_is_no_second_line() {
        let mut editor = LineEditor::new();
        assert_eq!(editor.key(b'\r'), Action::Enter);
        assert_eq!(editor.key(b'\n'), Action::Nothing);
        assert_eq!(editor.key(b'\n'), Action::Enter);
    }

    #[test]
    fn what_is_drawn_fits_a_terminal() {
        let drawn = |keys: &str| {
            let mut editor = LineEditor::new();
            after(&mut editor, keys);
            let mut out = String::new();
            editor.draw("# ", &mut out).expect("it can be written");
            out
        };
        assert_eq!(drawn("abc"), "# abc");
        assert_eq!(drawn("abc\x1b[D"), "# abc\x1b[1D");
        assert_eq!(drawn(&("a".repeat(100) + "b")).len(), 79);
        assert!(drawn(&("a".repeat(100) + "b")).ends_with("ab"));
        assert_eq!(drawn(&("a".repeat(100) + "b\x01")), format!("# {}\x1b[77D", "a".repeat(77)));
    }

    proptest! {
        #[test]
        fn any_keys_leave_a_line(keys in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut editor = LineEditor::new();
            let mut out = String::new();
            for key in keys {
                if editor.key(key) == Action::Enter {
                    editor.finish();
                }
                prop_assert!(editor.cursor <= editor.line.len());
            }
            editor.draw("# ", &mut out).expect("it can be written");
        }
    }
}
