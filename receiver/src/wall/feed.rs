//! What one browser is told, as server-sent events: it has its own place in everything, and one that is slow leaves out
//! what is no longer kept.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use serde::Serialize;

use super::board::Board;
use super::machine::{State, list};
use super::{Hello, Wall, now};
use crate::limits;

/// How often something is sent at most: lines, and tiles.
const LINES_EVERY: Duration = Duration::from_millis(100);
const TILES_EVERY: Duration = Duration::from_millis(400);
/// When nothing else is sent, so that it shows whether the browser is there.
const BEAT: Duration = Duration::from_secs(5);
/// Bytes of lines that are sent together.
const BATCH_BYTES: usize = 256 << 10;
/// Where there are very many machines, one that changed within this time is listed.
const RECENT: Duration = Duration::from_secs(600);

#[derive(Serialize)]
struct Summary {
    machines: usize,
    listed: usize,
    booting: usize,
    rebooted: usize,
    up: usize,
    silent: usize,
    crashed: usize,
    lost: u64,
}

/// One browser's place.
#[derive(Debug)]
pub struct Feed {
    wall: Arc<Wall>,
    hello: Option<Hello>,
    /// Only machines with this in their names are listed.
    find: String,
    /// Whose log is looked at.
    machine: Option<String>,
    listed: HashSet<CompactString>,
    /// The number of the last change that it was told.
    seen: Option<u64>,
    tiles_at: Option<Instant>,
    next_line: Option<u64>,
    reported: u64,
    sent_at: Instant,
    is_behind: bool,
}

impl Feed {
    /// For a browser that has seen nothing yet.
    pub fn new(wall: Arc<Wall>, hello: Hello, find: &str, machine: Option<String>) -> Self {
        Feed {
            wall,
            hello: Some(hello),
            find: find.to_lowercase(),
            machine,
            listed: HashSet::new(),
            seen: None,
            tiles_at: None,
            next_line: None,
            reported: 0,
            sent_at: Instant::now(),
            is_behind: false,
        }
    }

    /// The next events, waited for.
    pub fn wait(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(hello) = self.hello.take() {
            event(&mut out, "hello", &serde_json::to_vec(&hello).unwrap_or_default());
        } else if !std::mem::take(&mut self.is_behind) {
            thread::sleep(LINES_EVERY);
        }
        loop {
            self.collect(&mut out);
            if out.is_empty() && self.sent_at.elapsed() >= BEAT {
                out.extend_from_slice(b":\n\n");
            }
            if !out.is_empty() {
                self.sent_at = Instant::now();
                return out;
            }
            thread::sleep(LINES_EVERY);
        }
    }

    fn collect(&mut self, out: &mut Vec<u8>) {
        let wall = Arc::clone(&self.wall);
        let board = wall.board();
        if self.tiles_at.is_none_or(|at| at.elapsed() >= TILES_EVERY) {
            self.tiles_at = Some(Instant::now());
            self.tiles(&board, out);
        }
        self.log(&board, out);
    }

    /// The tiles that changed. Where there are more than can be listed, those that changed or crashed, or are looked for.
    fn tiles(&mut self, board: &Board, out: &mut Vec<u8>) {
        if self.seen == Some(board.changes) {
            return;
        }
        let now = now();
        let is_many = board.machines.len() > limits::WALL_LISTED;
        let mut summary = Summary {
            machines: board.machines.len(),
            listed: 0,
            booting: 0,
            rebooted: 0,
            up: 0,
            silent: 0,
            crashed: 0,
            lost: board.lost,
        };
        let mut chosen = Vec::new();
        for (name, machine) in &board.machines {
            let count = match machine.state {
                State::Booting => &mut summary.booting,
                State::Rebooted => &mut summary.rebooted,
                State::Up => &mut summary.up,
                State::Silent => &mut summary.silent,
                State::Crashed => &mut summary.crashed,
            };
            *count = count.saturating_add(1);
            let is_crashed = machine.state == State::Crashed;
            let is_wanted = if self.find.is_empty() {
                !is_many || is_crashed || now.saturating_sub(machine.since) < RECENT
            } else {
                name.to_lowercase().contains(&self.find)
            };
            if is_wanted {
                chosen.push((Reverse(is_crashed), Reverse(machine.since), name, machine));
            }
        }
        chosen.sort_unstable_by(|one, other| (one.0, one.1, one.2).cmp(&(other.0, other.1, other.2)));
        chosen.truncate(limits::WALL_LISTED);
        summary.listed = chosen.len();
        let mut tiles = Vec::new();
        for (.., name, machine) in &chosen {
            if Some(machine.changed) > self.seen || !self.listed.contains(*name) {
                tiles.push(serde_json::to_vec(&machine.tile(name, now)).unwrap_or_default());
            }
        }
        let listed: HashSet<CompactString> = chosen.iter().map(|(.., name, _)| (*name).clone()).collect();
        let gone: Vec<&str> = self.listed.difference(&listed).map(CompactString::as_str).collect();
        if !gone.is_empty() {
            event(out, "gone", &serde_json::to_vec(&gone).unwrap_or_default());
        }
        self.listed = listed;
        self.seen = Some(board.changes);
        let mut data = vec![b'['];
        list(&mut data, tiles.iter().map(Vec::as_slice));
        data.push(b']');
        event(out, "tiles", &data);
        event(out, "summary", &serde_json::to_vec(&summary).unwrap_or_default());
    }

    /// What came in the log that is looked at.
    fn log(&mut self, board: &Board, out: &mut Vec<u8>) {
        let Some(machine) = self.machine.as_ref().and_then(|name| board.machines.get(name.as_str())) else {
            return;
        };
        // A machine that had to make room and came again begins with 0.
        let from = self.next_line.filter(|&next| next <= machine.end()).unwrap_or(machine.first);
        let lost = machine.first.saturating_sub(from);
        let from = from.max(machine.first);
        if from < machine.end() {
            let mut data = format!("{{\"lost\":{lost},\"lines\":[").into_bytes();
            let mut count = 0;
            let lines = machine.lines(from).take_while(|line| {
                let has_room = count < BATCH_BYTES;
                count = count.saturating_add(line.len());
                has_room
            });
            let mut sent: u64 = 0;
            list(&mut data, lines.inspect(|_| sent = sent.saturating_add(1)));
            data.extend_from_slice(b"]}");
            event(out, "lines", &data);
            let next = from.saturating_add(sent);
            self.is_behind = next < machine.end();
            self.next_line = Some(next);
        }
        if self.reported != machine.reported {
            self.reported = machine.reported;
            let mut data = vec![b'['];
            for (index, report) in machine.reports().enumerate() {
                if index > 0 {
                    data.push(b',');
                }
                report.json(&mut data);
            }
            data.push(b']');
            event(out, "reports", &data);
        }
    }
}

/// An event. Its data is JSON of one line.
fn event(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    for part in [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"] {
        out.extend_from_slice(part);
    }
}
