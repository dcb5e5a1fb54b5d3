//! Lines for a machine's console: one at a time, the next one when the one before has been answered.
//!
//! The machine ends each answer with its prompt. A line that gets none is not sent again: it may have been
//! carried out, and the answer lost.

use std::net::SocketAddr;
use std::time::Duration;

/// The port that machines send from and take lines at, unless told otherwise.
pub const PORT: u16 = 6665;
/// Bytes of a line: a machine takes no longer datagram.
pub const LINE_BYTES: usize = 1000;
/// How long to wait for an answer's end.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two lines, at least: a machine takes 20 a second.
const PAUSE: Duration = Duration::from_millis(60);
/// What every prompt ends with.
const PROMPT: &[u8] = b"# ";

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Ready for the next line.
    Ready,
    /// The next line is being read.
    Reading,
    /// This line is to be sent, since then.
    Due(Vec<u8>, Duration),
    /// A line was sent then, and the machine was heard since or not.
    Sent(Duration, bool),
    /// There are no more lines.
    Ended,
}

/// The conversation with one machine's console.
#[derive(Debug)]
pub struct Console {
    to: SocketAddr,
    state: State,
    sent_at: Duration,
    unanswered: u64,
}

impl Console {
    /// With the machine at this address.
    pub fn new(to: SocketAddr) -> Self {
        Console { to, state: State::Ready, sent_at: Duration::ZERO, unanswered: 0 }
    }

    /// The machine's address.
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// True, once, where it is time to read the next line.
    pub fn wants_line(&mut self) -> bool {
        let wants = self.state == State::Ready;
        if wants {
            self.state = State::Reading;
        }
        wants
    }

    /// Takes the next line; `None`: there is none any more. False where it is too long, and left out.
    pub fn take(&mut self, line: Option<Vec<u8>>, now: Duration) -> bool {
        let fits = line.as_ref().is_none_or(|line| line.len() <= LINE_BYTES);
        self.state = match line {
            Some(line) if fits => State::Due(line, now),
            Some(_) => State::Ready,
            None => State::Ended,
        };
        self.unanswered = self.unanswered.saturating_add(u64::from(!fits));
        fits
    }

    /// The line that is to be sent now.
    pub fn due(&self, now: Duration) -> Option<&[u8]> {
        match &self.state {
            State::Due(line, _) if now >= self.sent_at.saturating_add(PAUSE) => Some(line),
            _ => None,
        }
    }

    /// The line that was due has been sent.
    pub fn sent(&mut self, now: Duration) {
        self.state = State::Sent(now, false);
        self.sent_at = now;
    }

    /// Looks at a message for an answer's end; gives what is to be shown of it, which is all but the prompt.
    pub fn heard<'m>(&mut self, from: SocketAddr, message: &'m [u8]) -> &'m [u8] {
        let State::Sent(_, has_heard) = &mut self.state else { return message };
        if from != self.to {
            return message;
        }
        *has_heard = true;
        if !message.ends_with(PROMPT) {
            return message;
        }
        self.state = State::Ready;
        let end = message.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end.saturating_add(1));
        message.get(..end).unwrap_or_default()
    }

    /// Gives up a line that has waited too long: to be sent, or for its answer. True where the machine was silent
    /// all the time; after a crash it sends its log at `dmesg`, and no prompt.
    pub fn gives_up(&mut self, now: Duration) -> bool {
        let (since, has_heard) = match self.state {
            State::Due(_, since) => (since, false),
            State::Sent(since, has_heard) => (since, has_heard),
            _ => return false,
        };
        if now < since.saturating_add(PATIENCE) {
            return false;
        }
        self.state = State::Ready;
        self.unanswered = self.unanswered.saturating_add(u64::from(!has_heard));
        !has_heard
    }

    /// Whether time alone changes something.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Due(..) | State::Sent(..))
    }

    /// Whether every line has been answered or given up, and no other will come.
    pub fn is_over(&self) -> bool {
        self.state == State::Ended
    }

    /// Lines that got no answer.
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_line_waits_for_the_prompt_of_the_one_before() {
        let to = SocketAddr::from(([10, 0, 0, 5], PORT));
        let mut console = Console::new(to);
        assert!(console.take(Some(b"uptime".to_vec()), SECOND));
        assert_eq!(console.due(SECOND), Some(&b"uptime"[..]));
        console.heard(to, b"netconsole# ");
        assert!(console.due(SECOND).is_some(), "no answer to what was not sent yet");
        console.sent(SECOND);
        for (from, message) in
            [(SocketAddr::from(([10, 0, 0, 6], PORT)), &b"netconsole# "[..]), (to, b"1 min\n"), (to, b"")]
        {
            assert_eq!(console.heard(from, message), message);
            assert!(console.due(SECOND).is_none() && !console.wants_line());
        }
        assert_eq!(console.heard(to, b"1 min\nnetconsole# "), b"1 min\n");
        assert!(console.wants_line() && !console.wants_line(), "once");
        assert!(!console.is_over() && console.take(None, SECOND));
        assert!(console.is_over() && console.unanswered() == 0);
    }

    /// To the moment, from when the line was read until it is sent, and from then on until its answer.
    #[test]
    fn a_line_is_waited_for_as_long_as_patience_lasts() {
        let moment = Duration::from_micros(1);
        let mut console = Console::new(SocketAddr::from(([10, 0, 0, 5], PORT)));
        assert!(
            !console.is_waiting() && console.wants_line() && !console.is_waiting(),
            "for the person alone"
        );
        assert!(console.take(Some(b"ls".to_vec()), SECOND) && console.is_waiting());
        assert!(!console.gives_up(SECOND + PATIENCE - moment) && console.is_waiting());
        assert!(console.gives_up(SECOND + PATIENCE) && !console.is_waiting(), "it was never sent");
        assert!(console.take(Some(b"ls".to_vec()), SECOND * 10));
        console.sent(SECOND * 12);
        assert!(console.is_waiting());
        assert!(!console.gives_up(SECOND * 12 + PATIENCE - moment) && console.is_waiting());
        assert!(console.gives_up(SECOND * 12 + PATIENCE) && !console.is_waiting());
        assert_eq!(console.unanswered(), 2);
        // The next one may go at once, but not within the pause after the last.
        assert!(console.take(Some(b"ls".to_vec()), SECOND * 12));
        assert!(
            console.due(SECOND * 12 + PAUSE - moment).is_none() && console.due(SECOND * 12 + PAUSE).is_some()
        );
        assert!(console.take(None, SECOND * 20) && !console.is_waiting() && console.is_over());
        assert!(!console.gives_up(SECOND * 60), "no line is waited for");
    }

    #[test]
    fn what_gets_no_answer_is_given_up_and_counted() {
        let mut console = Console::new(SocketAddr::from(([10, 0, 0, 5], PORT)));
        assert!(console.take(Some(b"ls".to_vec()), SECOND));
        assert!(!console.gives_up(SECOND + PATIENCE / 2));
        console.sent(SECOND * 3);
        assert!(!console.gives_up(SECOND + PATIENCE));
        assert!(console.gives_up(SECOND * 3 + PATIENCE));
        assert!(console.wants_line() && !console.gives_up(SECOND * 60));
        assert_eq!(console.unanswered(), 1);
        // What comes without a prompt is an answer, too.
        assert!(console.take(Some(b"dmesg".to_vec()), SECOND * 60));
        console.sent(SECOND * 60);
        console.heard(SocketAddr::from(([10, 0, 0, 5], PORT)), b"6,0,0,-;the log\n");
        assert!(!console.gives_up(SECOND * 60 + PATIENCE));
        assert!(console.wants_line());
        assert_eq!(console.unanswered(), 1);
        assert!(!console.take(Some(vec![b'x'; LINE_BYTES + 1]), SECOND), "too long to be sent");
        assert!(console.wants_line());
        assert_eq!(console.unanswered(), 2);
    }
}
