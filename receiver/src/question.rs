//! What other threads ask of a run. It answers between two datagrams, so that nothing of it needs a lock.

use std::fmt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use crate::metrics::Metrics;

/// How long an answer is waited for: a run may be busy with what came before.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question, and where the answer goes.
pub enum Question {
    /// Whether the run gets on.
    Alive(SyncSender<()>),
    /// All counts.
    Metrics(SyncSender<Metrics>),
    /// That a line is sent to a machine's console.
    Line {
        /// The machine's name.
        machine: String,
        /// The line, without its end.
        line: Vec<u8>,
        /// Whether it will be.
        answer: SyncSender<Result<(), Unsent>>,
    },
}

/// Why a line is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// No machine has that name.
    Unknown,
    /// It is too long, or has several lines.
    Unfit,
    /// Too many lines wait.
    Full,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsent::Unknown => "no machine has that name",
            Unsent::Unfit => "expected one line of at most 1000 bytes",
            Unsent::Full => "too many lines wait for an answer",
        })
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Question::Alive(_) => "Alive",
            Question::Metrics(_) => "Metrics",
            Question::Line { .. } => "Line",
        })
    }
}

/// Asks a run.
pub struct Asker(Box<dyn Fn(Question) + Send + Sync>);

impl Asker {
    /// By this way to it.
    pub fn new(send: impl Fn(Question) + Send + Sync + 'static) -> Self {
        Asker(Box::new(send))
    }

    /// Asks, and waits a while for the answer; `None` where the run has ended or does not get on.
    pub fn ask<T>(&self, question: impl FnOnce(SyncSender<T>) -> Question) -> Option<T> {
        // With room for the answer: the run never waits for who asks.
        let (sender, receiver) = sync_channel(1);
        (self.0)(question(sender));
        receiver.recv_timeout(PATIENCE).ok()
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}
