//! The log of one machine, as the terminal shows it: what is kept of it, limited by level and words, followed at its end
//! or stopped at a line.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::limits;

/// What a line of JSON has that is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    event: String,
    level: Option<u8>,
    timestamp_us: Option<u64>,
    text: Option<String>,
    crash: bool,
    notice: Option<String>,
    sequence: Option<u64>,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, of all of the machine's.
    pub number: u64,
    /// What it says, without control characters.
    pub text: String,
    /// 0 emergency to 7 debug; none of what is said about the log.
    pub level: Option<u8>,
    /// It is part of a crash report.
    pub is_crash: bool,
    /// A crash, or a boot, begins here.
    pub mark: Option<Mark>,
}

/// Where it is jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A crash report begins.
    Crash,
    /// A boot begins.
    Boot,
}

/// The levels that it may be limited to.
const LEVELS: [u8; 4] = [7, 6, 4, 3];

/// The log of a machine.
#[derive(Debug, Default)]
pub struct Log {
    /// Whose.
    pub machine: String,
    lines: VecDeque<Line>,
    /// The number of the next line that is to come.
    next: u64,
    /// Which of [`LEVELS`] is shown at most.
    level: usize,
    /// Only lines with this in them are shown; in lower case.
    words: String,
    /// The number of the line at the bottom, where it is not followed.
    stopped_at: Option<u64>,
}

impl Log {
    /// Of another machine: from its beginning.
    pub fn of(machine: &str, before: &Log) -> Self {
        Log {
            machine: machine.to_owned(),
            level: before.level,
            words: before.words.clone(),
            ..Log::default()
        }
    }

    /// The number of the next line that is wanted.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes lines of JSON, of which the first has this number.
    pub fn take(&mut self, first: u64, lines: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        if first < self.next {
            // The machine had to make room, and came again.
            self.lines.clear();
        }
        self.next = first;
        for line in lines {
            self.lines.extend(parse(line.as_ref(), self.next));
            self.next = self.next.saturating_add(1);
        }
        while self.lines.len() > limits::WALL_LINES {
            self.lines.pop_front();
        }
    }

    /// The lines for so many rows, the last at the bottom.
    pub fn shown(&self, rows: usize) -> Vec<&Line> {
        let upto = self.stopped_at.unwrap_or(u64::MAX);
        let mut shown: Vec<&Line> =
            self.lines.iter().rev().filter(|line| line.number <= upto && self.has(line)).take(rows).collect();
        shown.reverse();
        shown
    }

    fn has(&self, line: &Line) -> bool {
        let most = LEVELS.get(self.level).copied().unwrap_or(7);
        line.level.is_none_or(|level| level <= most)
            && (self.words.is_empty() || line.text.to_lowercase().contains(&self.words))
    }

    /// The level that is shown at most.
    pub fn level(&self) -> u8 {
        LEVELS.get(self.level).copied().unwrap_or(7)
    }

    /// The next of the levels.
    pub fn limit(&mut self) {
        self.level = (self.level + 1) % LEVELS.len();
    }

    /// What lines must have.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Only lines with this are shown.
    pub fn find(&mut self, words: &str) {
        self.words = words.to_lowercase();
    }

    /// Whether the newest line is at the bottom.
    pub fn is_followed(&self) -> bool {
        self.stopped_at.is_none()
    }

    /// Goes back by so many of the lines that are shown, or with a negative number on; the end is followed again.
    pub fn scroll(&mut self, by: isize) {
        let shown: Vec<u64> =
            self.lines.iter().filter(|line| self.has(line)).map(|line| line.number).collect();
        let upto = self.stopped_at.unwrap_or(u64::MAX);
        let last = shown.partition_point(|&number| number <= upto).saturating_sub(1);
        let place = last.saturating_add_signed(by.saturating_neg());
        self.stopped_at = shown.get(place).copied().filter(|_| place + 1 < shown.len());
    }

    /// Follows the newest line.
    pub fn follow(&mut self) {
        self.stopped_at = None;
    }

    /// Stops where it is.
    pub fn stop(&mut self) {
        self.stopped_at = self.lines.back().map(|line| line.number);
    }

    /// Stops so that the last crash, or boot, is in the first of so many rows; false where there is none.
    pub fn jump(&mut self, to: Mark, rows: usize) -> bool {
        let mut shown = self.lines.iter().filter(|line| self.has(line));
        let Some(place) = shown.clone().rev().find(|line| line.mark == Some(to)).map(|line| line.number)
        else {
            return false;
        };
        let below = shown.by_ref().skip_while(|line| line.number < place).take(rows);
        self.stopped_at = below.last().map(|line| line.number);
        true
    }
}

fn parse(line: &[u8], number: u64) -> Option<Line> {
    let object: Object = serde_json::from_slice(line).ok()?;
    let mark = match &*object.event {
        "crash" => Some(Mark::Crash),
        "rebooted" => Some(Mark::Boot),
        "record" if object.sequence == Some(0) => Some(Mark::Boot),
        _ => None,
    };
    let text = match &*object.event {
        "record" => {
            let time = object.timestamp_us.map(|us| format!("[{:5}.{:06}] ", us / 1_000_000, us % 1_000_000));
            format!("{}{}", time.unwrap_or_default(), object.text.unwrap_or_default())
        }
        // What is said of a report as a whole is behind its lines.
        _ => format!("… {}", object.notice?),
    };
    let text = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    Some(Line { number, text, level: object.level, is_crash: object.crash, mark })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Log {
        let mut log = Log { machine: "a".to_owned(), ..Log::default() };
        log.take(0, lines);
        log
    }

    fn shown(log: &Log, rows: usize) -> Vec<String> {
        log.shown(rows).iter().map(|line| line.text.clone()).collect()
    }

    const LINES: [&str; 6] = [
        r#"{"event":"record","level":6,"sequence":0,"timestamp_us":1500000,"text":"first"}"#,
        r#"{"event":"record","level":3,"text":"wor\u001b[31mse"}"#,
        r#"{"event":"missing","first":7,"last":9,"count":3,"notice":"3 records missing (7–9)"}"#,
        r#"{"event":"report","kind":"oops"}"#,
        r#"{"event":"crash","kind":"oops","notice":"crash report from a"}"#,
        r#"{"event":"record","level":0,"crash":true,"text":"the last"}"#,
    ];

    #[test]
    fn lines_are_words_for_a_person() {
        let log = log(&LINES);
        let all = [
            "[    1.500000] first",
            "wor [31mse",
            "… 3 records missing (7–9)",
            "… crash report from a",
            "the last",
        ];
        assert_eq!(shown(&log, 10), all);
        assert_eq!(shown(&log, 2), all[3..]);
        assert_eq!(log.next(), 6);
    }

    #[test]
    fn it_is_limited_and_scrolled_among_what_is_shown() {
        let mut log = log(&LINES);
        log.limit();
        log.limit();
        log.limit();
        assert_eq!((log.level(), shown(&log, 10).len()), (3, 4), "what is about the log has no level");
        log.find("WOR");
        assert_eq!(shown(&log, 10), ["wor [31mse"]);
        log.find("");
        log.scroll(2);
        assert!(!log.is_followed());
        assert_eq!(shown(&log, 1), ["… 3 records missing (7–9)"].map(|_| shown(&log, 1)[0].clone()));
        log.take(6, [r#"{"event":"record","level":0,"text":"later"}"#]);
        assert_eq!(log.shown(1)[0].number, 2, "it stays where it was stopped");
        log.scroll(-9);
        assert!(log.is_followed());
        assert_eq!(shown(&log, 1), ["later"]);
        assert!(log.jump(Mark::Crash, 1));
        assert_eq!(shown(&log, 1), ["… crash report from a"]);
        assert!(!log.jump(Mark::Boot, 1), "the boot's record has a lower level than is shown");
    }
}
