//! One output's way to the system: what can't be written is kept for a while and tried again, and counted and said where
//! it is lost.

use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counts::Counts;
use crate::complain::complain;

/// What is collected before it is written.
const BYTES: usize = 64 << 10;
/// What is kept while it can't be written.
const KEPT: usize = 1 << 20;
/// The time until an output that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How far writing came before it failed, in bytes.
pub type Written = Result<(), (usize, io::Error)>;

/// What an output lost that is closed.
#[derive(Debug)]
pub struct Lost {
    name: String,
    unit: &'static str,
    count: u64,
    untold: u64,
    error: String,
}

impl Lost {
    /// Counts another's with it.
    pub fn add(&mut self, other: &Lost) {
        self.count = self.count.saturating_add(other.count);
    }
}

impl Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lost { name, unit, count, error, .. } = self;
        write!(f, "{name}: {count} {unit} lost: {error}")
    }
}

/// The records on their way to one output.
#[derive(Debug)]
pub struct Buffered {
    name: String,
    /// What is lost: records, or datagrams.
    unit: &'static str,
    counts: Arc<Counts>,
    bytes: Vec<u8>,
    records: u64,
    lost: u64,
    /// Of these the output itself does not tell yet.
    untold: u64,
    /// When it failed last, while it does.
    failed_at: Option<Instant>,
    error: String,
}

impl Buffered {
    /// To an output of this name.
    pub fn new(name: impl Display, unit: &'static str, counts: Arc<Counts>) -> Self {
        Buffered {
            name: name.to_string(),
            unit,
            counts,
            bytes: Vec::new(),
            records: 0,
            lost: 0,
            untold: 0,
            failed_at: None,
            error: String::new(),
        }
    }

    /// Adds whole records, and how many they are. While the output fails there may be no room for them.
    pub fn append(&mut self, bytes: &[u8], records: u64) {
        if self.failed_at.is_some() && self.bytes.len().saturating_add(bytes.len()) > KEPT {
            self.lose(records);
        } else {
            self.bytes.extend_from_slice(bytes);
            self.records = self.records.saturating_add(records);
        }
    }

    /// The same of records that need not be copied where nothing waits.
    pub fn append_all(&mut self, bytes: Vec<u8>, records: u64) {
        if self.bytes.is_empty() {
            self.counts.give_back(std::mem::replace(&mut self.bytes, bytes));
            self.records = self.records.saturating_add(records);
        } else {
            self.append(&bytes, records);
        }
    }

    /// Puts something before what waits, that counts for no record.
    pub fn precede(&mut self, bytes: &[u8]) {
        self.bytes.splice(..0, bytes.iter().copied());
    }

    /// Records that wait.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is time to write.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES
    }

    /// The time until it is tried again, while it fails.
    pub fn rest(&self) -> Option<Duration> {
        self.failed_at.map(|failed_at| AGAIN.saturating_sub(failed_at.elapsed()))
    }

    /// Hands all to `write`, unless that failed just now. What is not written waits.
    pub fn write(&mut self, write: impl FnOnce(&[u8]) -> Written) {
        if !self.bytes.is_empty() && self.rest().is_none_or(|rest| rest.is_zero()) {
            self.write_now(write);
        }
    }

    /// The same for the last time: what is not written is lost.
    pub fn write_last(&mut self, write: impl FnOnce(&[u8]) -> Written) {
        if !self.bytes.is_empty() {
            self.write_now(write);
            let records = std::mem::take(&mut self.records);
            if self.failed_at.is_some() {
                self.lose(records);
                self.bytes.clear();
            }
        }
    }

    fn write_now(&mut self, write: impl FnOnce(&[u8]) -> Written) {
        match write(&self.bytes) {
            Ok(()) => {
                self.counts.write(std::mem::take(&mut self.records));
                self.bytes.clear();
                if self.failed_at.take().is_some() {
                    let Buffered { name, unit, untold, .. } = self;
                    complain(format_args!("{name}: written again; {untold} {unit} were lost"));
                }
            }
            Err((written, error)) => {
                self.bytes.drain(..written.min(self.bytes.len()));
                let is_new = self.failed_at.replace(Instant::now()).is_none();
                self.error = error.to_string();
                if is_new {
                    let Buffered { name, unit, .. } = self;
                    complain(format_args!(
                        "{name}: {error}; it is tried again every second, {unit} wait meanwhile and are lost there when \
                         that is too many"
                    ));
                }
            }
        }
    }

    /// Gives back the memory, where nothing waits: there may be very many of these.
    pub fn give_back(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// Loses what waits.
    pub fn give_up(&mut self) {
        let records = std::mem::take(&mut self.records);
        self.lose(records);
        self.bytes.clear();
    }

    /// What was lost, for when it is opened again; nothing is known of it here then.
    pub fn take_lost(&mut self) -> Option<Lost> {
        let (name, error) = (std::mem::take(&mut self.name), std::mem::take(&mut self.error));
        let lost = Lost { name, unit: self.unit, count: self.lost, untold: self.untold, error };
        (lost.count > 0).then_some(lost)
    }

    /// Goes on from what was lost before.
    pub fn resume(&mut self, lost: Lost) {
        let Lost { count, untold, error, .. } = lost;
        (self.lost, self.untold, self.error) = (count, untold, error);
    }

    /// How many records are lost, had they been written or not.
    pub fn lose(&mut self, records: u64) {
        self.counts.lose(records);
        self.lost = self.lost.saturating_add(records);
        self.untold = self.untold.saturating_add(records);
    }

    /// Why, where that is no failure to write.
    pub fn because(&mut self, error: &str) {
        self.error = error.to_owned();
        complain(format_args!("{}: {error}", self.name));
    }

    /// What the output itself is to tell, now that it can be written: how many were lost, and why.
    pub fn take_untold(&mut self) -> Option<(u64, &str)> {
        if self.untold == 0 || self.failed_at.is_some() {
            return None;
        }
        Some((std::mem::take(&mut self.untold), &self.error))
    }

    /// What was lost in all, if anything was.
    pub fn loss(&self) -> Option<String> {
        let Buffered { name, unit, lost, error, .. } = self;
        (*lost > 0).then(|| format!("{name}: {lost} {unit} lost: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(_: &[u8]) -> Written {
        Err((0, io::Error::from(io::ErrorKind::StorageFull)))
    }

    fn buffered() -> Buffered {
        Buffered::new("a file", "records", Arc::default())
    }

    /// What could not be written is written a second later, with what has come meanwhile.
    #[test]
    fn an_output_that_fails_is_tried_again() {
        let mut buffered = buffered();
        buffered.append(b"one\n", 1);
        let failed_at = Instant::now();
        buffered.write(full);
        buffered.append(b"two\n", 1);
        let mut was_tried = false;
        buffered.write(|_| {
            was_tried = true;
            full(b"")
        });
        assert!(!was_tried || failed_at.elapsed() >= AGAIN);
        std::thread::sleep(buffered.rest().expect("it fails"));
        buffered.write(|bytes| {
            assert_eq!(bytes, b"one\ntwo\n");
            Ok(())
        });
        assert_eq!((buffered.rest(), buffered.loss(), buffered.counts.written()), (None, None, 2));
    }

    /// Above 1 MiB the newest are lost, and told once it can be written again.
    #[test]
    fn what_does_not_fit_meanwhile_is_lost_and_told() {
        let mut buffered = buffered();
        buffered.append(&[b'x'; KEPT], 7);
        buffered.write(full);
        buffered.append(b"y\n", 2);
        assert_eq!(buffered.take_untold(), None);
        std::thread::sleep(buffered.rest().expect("it fails"));
        // A part was written.
        buffered.write(|_| Err((KEPT - 1, io::Error::from(io::ErrorKind::StorageFull))));
        std::thread::sleep(buffered.rest().expect("it fails"));
        buffered.write(|bytes| {
            assert_eq!(bytes, b"x");
            Ok(())
        });
        assert_eq!(buffered.take_untold(), Some((2, "no storage space")));
        assert_eq!(buffered.take_untold(), None);
        assert_eq!(buffered.counts.lost(), 2);
        assert_eq!(buffered.loss().as_deref(), Some("a file: 2 records lost: no storage space"));
    }

    #[test]
    fn the_last_try_is_the_last() {
        let mut buffered = buffered();
        buffered.append(b"one\n", 1);
        buffered.write(full);
        buffered.write_last(full);
        assert_eq!((buffered.waiting(), buffered.counts.lost()), (0, 1));
    }
}
