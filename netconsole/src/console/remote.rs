//! Lines that targets send, and the answers, in datagrams.
//!
//! Whoever asks last gets the answers; while a command is under way, nobody else is listened to, unless it shows the
//! log as it comes, which the next line ends, whoever sends it. Who
//! may ask at all is the caller's to say: [`Remote`] only counts those that may not. An address can be
//! forged by anybody on the link, so this is off unless it is asked for (`netconsole.input`).

use super::host::Host;
use super::session::{Progress, STEP_OUTPUT, Session};
use crate::format::MAX_DATAGRAM;
use crate::network::Conversation;
use crate::text::Text;
use core::fmt::{self, Write};

/// Lines that wait, in bytes: more than a datagram may be long.
const LINES: usize = 1024;
/// Room for a datagram, and for what one step shows.
const OUTPUT: usize = MAX_DATAGRAM + STEP_OUTPUT;
/// How many datagrams may come at once, and how many a second.
const BURST: u32 = 20;
/// The time after which one more may come, in µs.
const INTERVAL: u64 = 50_000;

/// How many datagrams came, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Taken.
    pub accepted: u64,
    /// Dropped: from no target's address, or not to its source port.
    pub foreign: u64,
    /// Dropped: too many, or while somebody else was answered.
    pub limited: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, foreign, limited } = self;
        write!(f, "accepted {accepted}, dropped: from elsewhere {foreign}, too many {limited}")
    }
}

/// The console's end for targets.
pub struct Remote {
    session: Session,
    conversation: Option<Conversation>,
    lines: Text<LINES>,
    output: Text<OUTPUT>,
    /// A line has been answered, but for the prompt.
    owes_prompt: bool,
    /// What the log that is being followed has shown is to go out, however little it is.
    is_due: bool,
    counters: Counters,
    /// How many datagrams may still come, and since when another would have been allowed.
    allowance: u32,
    refilled_at: u64,
}

impl Default for Remote {
    fn default() -> Self {
        Self::new()
    }
}

impl Remote {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self {
            session: Session::new(),
            conversation: None,
            lines: Text::new(),
            output: Text::new(),
            owes_prompt: false,
            is_due: false,
            counters: Counters::default(),
            allowance: BURST,
            refilled_at: 0,
        }
    }

    /// What became of the datagrams.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Counts a datagram that may not be taken.
    pub const fn refuse(&mut self) {
        self.counters.foreign = self.counters.foreign.saturating_add(1);
    }

    /// Takes the lines of a datagram that arrived at `now` µs from somebody who may send them.
    pub fn take(&mut self, from: Conversation, payload: &[u8], now: u64) {
        let is_another = self.conversation.is_some_and(|conversation| conversation.remote != from.remote);
        let length = payload.len().saturating_add(1);
        let is_busy = !self.is_quiet() && (self.session.followed().is_none() || !self.lines.is_empty());
        if !self.is_allowed(now) || is_another && is_busy || self.lines.room() < length {
            self.counters.limited = self.counters.limited.saturating_add(1);
            return;
        }
        if is_another {
            self.session = Session::new();
            // What is left of a log that was followed.
            self.output.clear();
        }
        self.counters.accepted = self.counters.accepted.saturating_add(1);
        self.conversation = Some(from);
        self.lines.extend(payload);
        if !payload.ends_with(b"\n") {
            self.lines.push(b'\n');
        }
    }

    fn is_allowed(&mut self, now: u64) -> bool {
        let earned = now.saturating_sub(self.refilled_at) / INTERVAL;
        self.refilled_at = self.refilled_at.saturating_add(earned.saturating_mul(INTERVAL));
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.allowance = self.allowance.saturating_add(earned).min(BURST);
        let is_allowed = self.allowance > 0;
        self.allowance = self.allowance.saturating_sub(1);
        is_allowed
    }

    /// Whether everything that was asked has been answered.
    pub fn is_quiet(&self) -> bool {
        self.session.is_idle() && self.lines.is_empty() && self.output.is_empty() && !self.owes_prompt
    }

    /// Goes on with what was asked; true where there is more to do at once.
    pub fn poll(&mut self, host: &mut dyn Host) -> bool {
        self.is_due = false;
        if self.session.followed().is_some() && !self.lines.is_empty() {
            self.session.cancel();
        }
        if !self.session.is_idle() {
            let progress = self.session.poll(host, &mut self.output);
            self.is_due = progress == Progress::Waiting && self.session.followed().is_some();
            return matches!(progress, Progress::Working | Progress::Done);
        }
        if self.output.room() < STEP_OUTPUT {
            return true;
        }
        let Some(end) = self.lines.as_bytes().iter().position(|&byte| byte == b'\n') else {
            if core::mem::take(&mut self.owes_prompt) {
                // It ends the answer, so that who asked knows that there is no more.
                let _ = write!(self.output, "{}# ", self.session.directory());
                return true;
            }
            return false;
        };
        let line = self.lines.as_bytes().get(..end).unwrap_or_default();
        self.owes_prompt = true;
        match core::str::from_utf8(line) {
            Ok(line) => self.session.begin(line, host, &mut self.output),
            Err(_) => self.output.extend(b"expected UTF-8 text\n"),
        }
        self.lines.drop_front(end.saturating_add(1));
        true
    }

    /// With whom it talks, if anybody asked anything.
    pub fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref()
    }

    /// The next datagram to be sent, of at most `longest` bytes, once it is full or the answer complete.
    pub fn datagram(&self, longest: usize) -> Option<(&Conversation, &[u8])> {
        let output = self.output.as_bytes();
        let is_complete = self.session.is_idle() && self.lines.is_empty() && !self.owes_prompt;
        let datagram = match output.get(..longest.min(MAX_DATAGRAM)) {
            // Where a line ends, if one does.
            Some(full) => match full.iter().rposition(|&byte| byte == b'\n') {
                Some(end) => full.get(..=end)?,
                None => full,
            },
            None if (is_complete || self.is_due) && !output.is_empty() => output,
            None => return None,
        };
        Some((self.conversation.as_ref()?, datagram))
    }

    /// Takes `length` bytes as sent.
    pub fn sent(&mut self, length: usize) {
        self.output.drop_front(length);
    }
}
