//! One screen for two streams: the log as it arrives over the network, and the serial console of the machine that
//! sends it, on which commands are typed.
//!
//! The serial console shows the log, too. Its lines are left out here, as the network brings them; what stays are the
//! prompt with what is typed, and the answers. Where the network brings nothing, the lines that say why
//! are those that the serial console has of `netconsole:`.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::Duration;

/// How long the network may bring nothing before the serial console is asked why.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long the network may take to bring what serial has shown already.
pub const GRACE: Duration = Duration::from_millis(500);

/// To the line's start, and erase to its end (ECMA-48, 8.3.41).
const ERASE_LINE: &[u8] = b"\r\x1b[K";

/// What the kernel's own messages about its targets begin with, behind the time.
const SUBJECT: &[u8] = b"netconsole:";

/// How many lines are remembered while a command is answered, of each stream.
const REMEMBERED: usize = 1000;

/// What is on the screen, and what is known of both streams.
#[derive(Debug, Default)]
pub struct Screen {
    /// Whether a line that is not complete can be shown, and erased again.
    is_terminal: bool,
    /// What the serial console has shown since its last line's end.
    line: Vec<u8>,
    /// How much of that is on the screen.
    shown: Vec<u8>,
    /// A carriage return came, and with it perhaps the beginning of an erasure.
    returned: Vec<u8>,
    /// The newest record that serial has shown as it came, in µs since the boot.
    newest: u64,
    /// A command was typed and is not answered yet.
    is_answering: bool,
    /// Records that came amid an answer: the answer's, or new ones that the network brings, too.
    doubtful: VecDeque<Vec<u8>>,
    /// What the network has brought since the command was typed, and serial has not shown.
    recent: VecDeque<Vec<u8>>,
    /// Lines about the targets, while the network has brought nothing.
    reasons: Vec<Vec<u8>>,
    has_arrived: bool,
    is_told: bool,
    output: Vec<u8>,
}

impl Screen {
    /// A screen on which nothing is shown yet.
    pub fn new(is_terminal: bool) -> Self {
        Self { is_terminal, ..Self::default() }
    }

    /// What is to be written to the screen now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether the network has brought something, or it was said why not.
    pub fn is_settled(&self) -> bool {
        self.has_arrived || self.is_told
    }

    /// Takes a line that the network has brought, with its end.
    pub fn arrived(&mut self, line: &[u8]) {
        self.has_arrived = true;
        self.reasons.clear();
        self.compare(without_colours(line.trim_ascii_end()));
        self.hide();
        self.output.extend_from_slice(line);
        self.show();
    }

    /// Says why nothing has arrived for [`PATIENCE`], by what serial has shown; what it shows later of that follows.
    pub fn nothing_arrived(&mut self, log: &str) {
        if self.is_settled() {
            return;
        }
        self.is_told = true;
        self.hide();
        let seconds = PATIENCE.as_secs();
        let remark = format!(
            "run: nothing has arrived for {seconds} s; what the serial console says of it ({log} has all):\n"
        );
        self.output.extend_from_slice(remark.as_bytes());
        for reason in std::mem::take(&mut self.reasons) {
            self.put_line(&reason);
        }
        self.show();
    }

    /// Takes what serial has shown.
    pub fn serial(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match (self.returned.as_slice(), byte) {
                ([], b'\r') => self.returned.push(byte),
                (_, b'\n') => {
                    self.returned.clear();
                    self.end_line();
                }
                ([], _) => {
                    self.line.push(byte);
                    // The prompt is back.
                    self.is_answering &= !is_prompt(&self.line);
                }
                (begun, _) if ERASE_LINE.get(begun.len()) == Some(&byte) => {
                    self.returned.push(byte);
                    if self.returned == ERASE_LINE {
                        self.returned.clear();
                        self.line.clear();
                    }
                }
                // No erasure: to the line's start alone.
                (_, b'\r') => self.returned = vec![byte],
                _ => {
                    self.line = vec![byte];
                    self.returned.clear();
                }
            }
        }
        self.show();
    }

    /// Whether records of an answer wait for the network to bring them: after [`GRACE`] they are to be [shown](Self::settle).
    pub fn is_doubtful(&self) -> bool {
        !self.is_answering && !self.doubtful.is_empty()
    }

    /// Shows the records that the network has not brought: they are the answer's.
    pub fn settle(&mut self) {
        self.hide();
        while !self.doubtful.is_empty() {
            self.end_doubt();
        }
        self.show();
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        match time(&line) {
            // Serial shows each new record once, in order: an older one is an answer's.
            Some(time) if self.is_answering && time <= self.newest => self.put_line(&line),
            Some(time) if self.is_answering => self.doubt(line, time),
            Some(time) => {
                self.newest = self.newest.max(time);
                self.log_line(line);
            }
            None if line.starts_with(b"[boot -") => {}
            None => {
                if is_command(&line) {
                    self.is_answering = true;
                    self.recent.clear();
                }
                self.put_line(&line);
            }
        }
    }

    /// A new record amid an answer: it is the answer's where the network does not bring it.
    fn doubt(&mut self, line: Vec<u8>, time: u64) {
        if let Some(place) = self.recent.iter().position(|recent| is_same(recent, &line)) {
            self.recent.remove(place);
            self.newest = self.newest.max(time);
            return;
        }
        self.doubtful.push_back(line);
        if self.doubtful.len() > REMEMBERED {
            self.end_doubt();
        }
    }

    /// Compares what the network has brought with what serial has shown amid an answer.
    fn compare(&mut self, line: Vec<u8>) {
        match self.doubtful.iter().position(|doubtful| is_same(&line, doubtful)) {
            Some(place) => {
                self.newest = self.newest.max(time(&line).unwrap_or(0));
                self.doubtful.remove(place);
            }
            None if self.is_answering => {
                self.recent.push_back(line);
                if self.recent.len() > REMEMBERED {
                    self.recent.pop_front();
                }
            }
            None => {}
        }
    }

    /// The oldest record that the network has not brought is the answer's.
    fn end_doubt(&mut self) {
        if let Some(line) = self.doubtful.pop_front() {
            self.newest = self.newest.max(time(&line).unwrap_or(0));
            self.put_line(&line);
        }
    }

    /// A record that serial has shown as it came.
    fn log_line(&mut self, line: Vec<u8>) {
        let is_reason = !self.has_arrived && text(&line).starts_with(SUBJECT);
        match (is_reason, self.is_told) {
            (false, _) => {}
            (true, true) => self.put_line(&line),
            (true, false) => self.reasons.push(line),
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        self.settle();
        if !self.shown.is_empty() {
            self.shown.clear();
            self.output.push(b'\n');
        }
        self.line.clear();
    }

    /// Shows a whole line.
    fn put_line(&mut self, line: &[u8]) {
        match line.strip_prefix(self.shown.as_slice()) {
            Some(rest) => self.output.extend_from_slice(rest),
            None => {
                self.hide();
                self.output.extend_from_slice(line);
            }
        }
        self.shown.clear();
        self.output.push(b'\n');
    }

    /// Shows the line under way as it is now, where it is no record.
    fn show(&mut self) {
        if !self.is_terminal || self.line.first() == Some(&b'[') {
            return;
        }
        match self.line.strip_prefix(self.shown.as_slice()) {
            Some(rest) => self.output.extend_from_slice(rest),
            None => {
                self.hide();
                self.output.extend_from_slice(&self.line);
            }
        }
        self.shown.clone_from(&self.line);
    }

    /// Takes the line under way from the screen.
    fn hide(&mut self) {
        if !self.shown.is_empty() {
            self.output.extend_from_slice(ERASE_LINE);
            self.shown.clear();
        }
    }
}

/// The time of a record, in µs, as the basic format has it: `[    0.000123] text`.
fn time(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"[")?.trim_ascii_start();
    let (time, _) = rest.split_at_checked(rest.iter().position(|&byte| byte == b']')?)?;
    let (seconds, micros) = std::str::from_utf8(time).ok()?.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(seconds) || !is_number(micros) || micros.len() != 6 {
        return None;
    }
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)
}

/// What follows a record's time.
fn text(line: &[u8]) -> &[u8] {
    let start = line.windows(2).position(|pair| pair == b"] ").map_or(0, |at| at + 2);
    line.get(start..).unwrap_or_default()
}

/// Whether a line is a prompt, `target1# `.
fn is_prompt(line: &[u8]) -> bool {
    let is_name = |name: &[u8]| !name.is_empty() && !name.contains(&b' ') && !name.starts_with(b"[");
    line.strip_suffix(b"# ").is_some_and(is_name)
}

/// Whether a line is a prompt with a command.
fn is_command(line: &[u8]) -> bool {
    let Some(place) = line.windows(2).position(|pair| pair == b"# ") else { return false };
    let (prompt, command) = line.split_at(place + 2);
    is_prompt(prompt) && !command.trim_ascii().is_empty()
}

/// Whether the network has brought the record that serial shows: a sender's name may stand before it.
fn is_same(arrived: &[u8], shown: &[u8]) -> bool {
    arrived.ends_with(shown)
}

/// A line without the colours that the receiver gives it.
fn without_colours(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        if byte == 0x1b {
            // Up to the letter that ends it.
            let _ = bytes.find(|byte| byte.is_ascii_alphabetic());
        } else {
            plain.push(byte);
        }
    }
    plain
}

#[cfg(test)]
mod tests;
