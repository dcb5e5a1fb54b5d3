//! The wall: what is known of each machine at a glance, and the last of its log, for browsers. It knows nothing of output,
//! receive, senders.
//!
//! Lines are kept as the JSON that the other outputs write: a browser gets them as they are, and nothing is made of them
//! for somebody who does not look. All of it has a bound: see [`crate::limits`].

mod board;
mod feed;
mod machine;

use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compact_str::CompactString;
use serde::Serialize;

use board::Board;
pub use feed::Feed;
use machine::Machine;
pub use machine::State;

/// The page.
pub const PAGE: &str = include_str!("wall.html");
/// How it looks.
pub const STYLE: &str = include_str!("wall.css");
/// What it does.
pub const SCRIPT: &str = include_str!("wall.js");

/// What the page is told first.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Hello {
    /// The program's version.
    pub version: &'static str,
    /// Lines for machines' consoles are passed on.
    pub console: bool,
    /// A machine is silent after so many seconds.
    pub silent_after: u64,
}

/// A machine at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: State,
    /// Gaps in its log.
    pub gaps: u64,
}

/// What is shared by the output's thread, which fills it, and those of the browsers.
#[derive(Debug)]
pub struct Wall {
    board: Mutex<Board>,
    silent_after: Duration,
}

impl Wall {
    /// An empty one.
    pub fn new(silent_after: Duration) -> Self {
        Wall { board: Mutex::new(Board::default()), silent_after }
    }

    /// Takes lines of JSON, each with the name of the machine whose it is.
    pub fn lines<'l>(&self, lines: impl Iterator<Item = (&'l str, &'l [u8])>) {
        let (mut board, now) = (self.board(), now());
        lines.for_each(|(name, line)| board.line(name, line, now));
        board.shrink();
    }

    /// Takes datagrams, as they are in a capture.
    pub fn datagrams<'d>(&self, packets: impl Iterator<Item = &'d [u8]>) {
        let mut board = self.board();
        packets.for_each(|packet| board.datagram(packet));
    }

    /// What time alone changes.
    pub fn tick(&self) {
        self.board().tick(now(), self.silent_after);
    }

    /// The lines of a machine that are kept, as JSON.
    pub fn json(&self, machine: &str) -> Option<Vec<u8>> {
        self.board().json(machine)
    }

    /// The datagrams of a machine that are kept, as a capture.
    pub fn capture(&self, machine: &str) -> Option<Vec<u8>> {
        self.board().capture(machine)
    }

    /// All machines, those that changed last first: in a terminal by their state and not by each line, that none jumps.
    pub fn glances(&self) -> Vec<Glance> {
        let board = self.board();
        let mut machines: Vec<_> = board.machines.iter().collect();
        machines.sort_by_key(|(name, machine)| (Reverse(machine.since), (*name).clone()));
        let glance = |(name, machine): (&CompactString, &Machine)| Glance {
            name: name.to_string(),
            state: machine.state,
            gaps: machine.gaps(),
        };
        machines.into_iter().map(glance).collect()
    }

    /// The lines of a machine from this number on, and the number of the first that is kept of them.
    pub fn lines_from(&self, machine: &str, from: u64) -> Option<(u64, Vec<Box<[u8]>>)> {
        let board = self.board();
        let machine = board.machines.get(machine)?;
        // One that had to make room and came again begins with 0.
        let from = if from > machine.end() { 0 } else { from };
        Some((from.max(machine.first), machine.lines(from).map(Box::from).collect()))
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
