//! How far a long file is read, on a terminal.

use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

/// From this size on a file is long: at once it is said how far it is read.
const LONG: u64 = 64 << 20;
/// How often it is said.
const INTERVAL: Duration = Duration::from_millis(500);

/// A file that is read, and how far.
#[derive(Debug)]
pub struct Progress<R> {
    file: R,
    read: u64,
    size: u64,
    began: Instant,
    said: Option<Instant>,
    is_wanted: bool,
}

impl<R: Read> Progress<R> {
    /// Of a file of so many bytes. It is said on standard error where that is a terminal, and no other output is.
    pub fn new(file: R, size: u64, is_shown: bool) -> Self {
        let is_wanted = size > 0 && io::stderr().is_terminal() && !(is_shown && io::stdout().is_terminal());
        Progress { file, read: 0, size, began: Instant::now(), said: None, is_wanted }
    }

    fn say(&mut self) {
        let now = Instant::now();
        let is_first = self.said.is_none() && self.size >= LONG;
        if !is_first && now.saturating_duration_since(self.said.unwrap_or(self.began)) < INTERVAL {
            return;
        }
        self.said = Some(now);
        let line = line(self.read, self.size, now.saturating_duration_since(self.began));
        // Who does not see it misses nothing.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }
}

impl<R: Read> Read for Progress<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(to)?;
        self.read = self.read.saturating_add(length as u64);
        if self.is_wanted {
            self.say();
        }
        Ok(length)
    }
}

impl<R> Drop for Progress<R> {
    fn drop(&mut self) {
        if self.said.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Read so much of it in this time.
fn line(read: u64, size: u64, took: Duration) -> String {
    let share = read as f64 / size.max(1) as f64;
    let left = took.as_secs_f64() * (1.0 / share.max(1e-6) - 1.0).max(0.0);
    let left = Duration::from_secs(left as u64);
    let gigabytes = size as f64 / 1e9;
    format!("{:.0} % of {gigabytes:.1} GB read, {} left", share * 100.0, humantime::format_duration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_goes_on_as_before() {
        let line = line(2_500_000_000, 10_000_000_000, Duration::from_secs(30));
        assert_eq!(line, "25 % of 10.0 GB read, 1m 30s left");
        assert!(super::line(0, 0, Duration::ZERO).starts_with("0 % of 0.0 GB"));
    }
}
