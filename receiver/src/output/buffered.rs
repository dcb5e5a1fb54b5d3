//! One output's way to the system: what can't be written is counted and said, and the output tried again.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use crate::complain::complain;

/// What is collected before it is written.
const BYTES: usize = 64 << 10;
/// The time until an output that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The records on their way to one output.
#[derive(Debug)]
pub struct Buffered {
    name: String,
    /// What is lost: records, or datagrams.
    unit: &'static str,
    bytes: Vec<u8>,
    records: u64,
    lost: u64,
    /// When it failed last, while it does.
    failed_at: Option<Instant>,
    error: String,
}

impl Buffered {
    /// To an output of this name.
    pub fn new(name: impl Display, unit: &'static str) -> Self {
        let name = name.to_string();
        Buffered { name, unit, bytes: Vec::new(), records: 0, lost: 0, failed_at: None, error: String::new() }
    }

    /// Where the next record is to be put, whole.
    pub fn next_record(&mut self) -> &mut Vec<u8> {
        self.records = self.records.saturating_add(1);
        &mut self.bytes
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

    /// Hands all to `write`, unless that failed just now. What is not written is lost.
    pub fn write(&mut self, write: impl FnOnce(&[u8]) -> io::Result<()>) {
        if self.bytes.is_empty() {
            return;
        }
        let rests = self.failed_at.is_some_and(|failed_at| failed_at.elapsed() < AGAIN);
        let result = if rests { None } else { Some(write(&self.bytes)) };
        let records = std::mem::take(&mut self.records);
        self.bytes.clear();
        match result {
            Some(Ok(())) if self.failed_at.take().is_some() => {
                complain(format_args!("{}: written again; {} {} were lost", self.name, self.lost, self.unit));
            }
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.lose(records);
                let is_new = self.failed_at.replace(Instant::now()).is_none();
                self.error = error.to_string();
                if is_new {
                    complain(format_args!(
                        "{}: {error}; what comes is lost there until it can be written: it is tried every second",
                        self.name
                    ));
                }
            }
            None => self.lose(records),
        }
    }

    /// Gives back the memory, where nothing waits: there may be very many of these.
    pub fn give_back(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// How many records are lost that had been written.
    pub fn lose(&mut self, records: u64) {
        self.lost = self.lost.saturating_add(records);
    }

    /// Why, where that is no failure to write.
    pub fn because(&mut self, error: &str) {
        self.error = error.to_owned();
        complain(format_args!("{}: {error}", self.name));
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

    /// While it fails it is tried once a second; what it could not take is counted, whatever comes later.
    #[test]
    fn an_output_that_fails_is_tried_again() {
        let mut buffered = Buffered::new("a file", "records");
        let mut put = |write: &dyn Fn() -> io::Result<()>| {
            buffered.next_record().extend_from_slice(b"text\n");
            let mut was_tried = false;
            buffered.write(|bytes| {
                was_tried = true;
                assert_eq!(bytes, b"text\n");
                write()
            });
            (was_tried, buffered.loss())
        };
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(put(&|| Ok(())), (true, None));
        assert_eq!(put(&full), (true, Some("a file: 1 records lost: no storage space".to_owned())));
        let failed_at = Instant::now();
        let (was_tried, _) = put(&|| Ok(()));
        assert!(!was_tried || failed_at.elapsed() >= AGAIN);
        std::thread::sleep(AGAIN);
        let (was_tried, loss) = put(&|| Ok(()));
        assert!(was_tried && loss.is_some_and(|loss| loss.contains(" records lost: no storage space")));
    }
}
