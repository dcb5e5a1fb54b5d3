//! A person at a terminal: keys come in, and what is typed, what commands show and what is logged share
//! the screen.
//!
//! The line being typed gives way to the log: it is erased, the log is shown, and the line is drawn
//! again below. Nothing of this is shown before the first key or [`Terminal::greet`], so that the boot log
//! is alone on the screen.

use super::editor::{Action, LineEditor};
use super::host::Host;
use super::session::{Progress, STEP_OUTPUT, Session};
use crate::text::Text;
use core::fmt::Write;

/// Room for what one step shows, and for the prompt and the line.
const OUTPUT: usize = STEP_OUTPUT + 512;
/// Keys that wait for a command's end.
const KEYS: usize = 1024;
const CTRL_C: u8 = 0x03;

/// To the line's start, and erase to its end (ECMA-48, 8.3.41).
const ERASE_LINE: &str = "\r\x1b[K";

/// What is shown before the first prompt.
const HINT: &str = "Type 'help' and Enter for a list of commands.\n";

/// A terminal's state.
pub struct Terminal {
    session: Session,
    editor: LineEditor,
    keys: Text<KEYS>,
    output: Text<OUTPUT>,
    is_awake: bool,
    /// The prompt and the line are on the screen.
    line_is_shown: bool,
    owes_hint: bool,
}

/// What is to be shown next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// What is in the output.
    Output,
    /// A piece of the log.
    Log,
    /// Nothing of the record that waits: a command has shown it.
    Skip,
    /// Nothing.
    Nothing,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// A terminal of which nothing has come yet.
    pub fn new() -> Self {
        Self {
            session: Session::new(),
            editor: LineEditor::new(),
            keys: Text::new(),
            output: Text::new(),
            is_awake: false,
            line_is_shown: false,
            owes_hint: false,
        }
    }

    /// From here on the prompt is shown where nothing else is, with a hint before the first.
    pub fn greet(&mut self) {
        (self.is_awake, self.owes_hint) = (true, true);
    }

    /// Whether a byte from the terminal can be taken now.
    pub const fn has_room(&self) -> bool {
        self.keys.room() > 0
    }

    /// Whether nothing that was typed waits or is under way.
    pub const fn is_idle(&self) -> bool {
        self.session.is_idle() && self.keys.is_empty()
    }

    /// Takes a byte from the terminal.
    pub fn key(&mut self, byte: u8) {
        if byte == CTRL_C && !self.session.is_idle() {
            self.session.cancel();
            self.keys.clear();
            self.output.extend(b"^C\n");
            return;
        }
        self.keys.push(byte);
    }

    /// Goes on with what was typed; true where there is more to do at once.
    pub fn poll(&mut self, host: &mut dyn Host) -> bool {
        if self.session.followed().is_some() && self.line_waits() {
            self.session.cancel();
        }
        if !self.session.is_idle() {
            return matches!(self.session.poll(host, &mut self.output), Progress::Working | Progress::Done);
        }
        if self.output.room() < STEP_OUTPUT {
            return !self.keys.is_empty();
        }
        let Some(&key) = self.keys.as_bytes().first() else { return false };
        self.keys.drop_front(1);
        match self.editor.key(key) {
            Action::Nothing => {}
            Action::Echo(byte) if self.line_is_shown && self.editor.is_short(self.prompt_len()) => {
                self.output.push(byte);
            }
            Action::Echo(_) | Action::Redraw => self.hide_line(),
            Action::Cancel => {
                self.show_line();
                self.output.extend(b"^C\n");
                self.line_is_shown = false;
            }
            Action::Enter => {
                // A first Enter asks for the prompt.
                if self.is_awake {
                    self.show_line();
                    self.output.extend(b"\n");
                }
                self.line_is_shown = false;
                self.session.begin(self.editor.line(), host, &mut self.output);
                self.editor.finish();
            }
        }
        self.is_awake = true;
        true
    }

    /// Whether all of a line waits among the keys.
    fn line_waits(&self) -> bool {
        let keys = self.keys.as_bytes();
        let skipped = keys.first().is_some_and(|&key| self.editor.has_taken(key));
        keys.iter().skip(usize::from(skipped)).any(|key| matches!(key, b'\r' | b'\n'))
    }

    /// What comes next on the screen, `record` being the number of the next one of the log, if there is one to show.
    pub fn next(&mut self, record: Option<u64>) -> Show {
        if self.output.is_empty() {
            match (record, self.session.followed()) {
                (Some(record), Some(followed)) if record < followed => return Show::Skip,
                (_, Some(_)) => {}
                (Some(_), None) if !self.line_is_shown => return Show::Log,
                (Some(_), None) => self.hide_line(),
                (None, None) if self.is_awake && self.is_idle() => self.show_line(),
                (None, None) => {}
            }
        }
        if self.output.is_empty() { Show::Nothing } else { Show::Output }
    }

    /// Moves as much of the output as fits to `to`; how many bytes.
    pub fn take_output(&mut self, to: &mut [u8]) -> usize {
        let length = self.output.len().min(to.len());
        for (to, &from) in to.iter_mut().zip(self.output.as_bytes()) {
            *to = from;
        }
        self.output.drop_front(length);
        length
    }

    fn prompt_len(&self) -> usize {
        self.session.directory().len().saturating_add("# ".len())
    }

    fn show_line(&mut self) {
        if core::mem::take(&mut self.owes_hint) {
            self.hide_line();
            let _ = self.output.write_str(HINT);
        }
        if !core::mem::replace(&mut self.line_is_shown, true) {
            let prompt = Text::<64>::of(format_args!("{}# ", self.session.directory()));
            // There is room: the output was nearly empty.
            let _ = self.editor.draw(prompt.as_str(), &mut self.output);
        }
    }

    fn hide_line(&mut self) {
        if core::mem::replace(&mut self.line_is_shown, false) {
            let _ = self.output.write_str(ERASE_LINE);
        }
    }
}
