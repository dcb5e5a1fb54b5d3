//! The run's end of one output: what is collected for it, and the queue to the thread that writes it. What the queue has
//! no room for is lost for this output alone, which tells it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use compact_str::CompactString;

use super::counts::Counts;
use super::error::Error;
use super::places::Place;
use crate::complain::complain;
use crate::limits;
use crate::metrics::Output;
use crate::queue::{Queue, Refused, Waiting};

/// Why records are lost that a queue has no room for.
pub const TOO_SLOW: &str = "it did not take them in time";

/// What is collected before it goes to the thread.
const BYTES: usize = 64 << 10;
/// Files of which it is remembered that records for them were lost.
const LOST_FILES: usize = 4096;

/// Records on their way to an output, whole.
#[derive(Debug, Default)]
pub struct Batch {
    /// One behind the other.
    pub bytes: Vec<u8>,
    /// How many.
    pub records: u64,
    /// For files: whose they are, and the length of each.
    pub runs: Vec<Run>,
    /// See `runs`.
    pub lengths: Vec<usize>,
    /// When the last one was received, as it is shown; and the first of all, where times are told since then.
    pub at: Duration,
    /// See `at`.
    pub first: Option<Duration>,
}

/// Records of one sender, one behind the other.
#[derive(Debug)]
pub struct Run {
    /// The sender's name.
    pub name: CompactString,
    /// Where its file is.
    pub place: Place,
    /// How many.
    pub records: usize,
}

impl Batch {
    /// That the record which ends here is this sender's.
    pub fn belongs(&mut self, name: &CompactString, place: Place, length: usize) {
        self.lengths.push(length);
        match self.runs.last_mut() {
            Some(run) if run.name == *name => run.records = run.records.saturating_add(1),
            _ => self.runs.push(Run { name: name.clone(), place, records: 1 }),
        }
    }

    /// Adds something of one sender, as `write` writes it; whether it wrote anything.
    pub fn put(&mut self, name: &CompactString, place: Place, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let before = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len().saturating_sub(before);
        if length > 0 {
            self.belongs(name, place, length);
        }
        length > 0
    }

    /// The records, each with its sender's name.
    pub fn records(&self) -> impl Iterator<Item = (&CompactString, &[u8])> {
        let names = self.runs.iter().flat_map(|run| std::iter::repeat_n(&run.name, run.records));
        let mut rest = &self.bytes[..];
        names.zip(&self.lengths).map_while(move |(name, &length)| {
            let (record, tail) = rest.split_at_checked(length)?;
            rest = tail;
            Some((name, record))
        })
    }

    /// The records of each sender.
    #[cfg(feature = "http-sinks")]
    pub fn by_sender(&self) -> BTreeMap<&str, Vec<&[u8]>> {
        let mut senders: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
        for (name, record) in self.records() {
            senders.entry(name).or_default().push(record);
        }
        senders
    }

    /// Adds another one's records behind its own.
    pub fn add(&mut self, mut other: Batch) {
        self.bytes.append(&mut other.bytes);
        self.records = self.records.saturating_add(other.records);
        self.runs.append(&mut other.runs);
        self.lengths.append(&mut other.lengths);
    }

    /// All of it; room for as much is left, in `spare` if that has it.
    fn take(&mut self, spare: Vec<u8>) -> Batch {
        let room = self.bytes.len().saturating_add(self.bytes.len() / 8);
        let next = Batch {
            bytes: if spare.capacity() >= room { spare } else { Vec::with_capacity(room) },
            records: 0,
            runs: Vec::with_capacity(self.runs.len()),
            lengths: Vec::with_capacity(self.lengths.len()),
            at: self.at,
            first: self.first,
        };
        std::mem::replace(self, next)
    }

    fn size(&self) -> Waiting {
        let runs = self.runs.len().saturating_mul(size_of::<Run>());
        let lengths = self.lengths.len().saturating_mul(size_of::<usize>());
        Waiting {
            bytes: self.bytes.len().saturating_add(runs).saturating_add(lengths),
            records: self.records,
        }
    }
}

/// What the thread gets.
#[derive(Debug)]
pub enum Work {
    /// Records.
    Batch(Batch),
    /// Files are to be opened again.
    Reopen,
}

/// Whose records were lost, where the output has a file for each sender.
pub type Whose = Option<(CompactString, Place)>;

/// The run's end.
#[derive(Debug)]
pub struct Lane {
    name: String,
    unit: &'static str,
    /// What is collected.
    pub batch: Batch,
    queue: Arc<Queue<Work>>,
    counts: Arc<Counts>,
    /// Room is waited for: what is read from a file can wait, what comes from a socket can't.
    waits: bool,
    thread: Option<JoinHandle<Vec<String>>>,
    lost: u64,
    /// Of these the output itself does not tell yet.
    untold: BTreeMap<Whose, u64>,
    on_gone: Arc<OnceLock<Call>>,
    /// See [`Lane::mark`].
    marked: u64,
}

/// Something to call.
struct Call(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

impl Lane {
    /// Starts the thread, which does `work` and returns what it lost, in words.
    pub fn start(
        name: String,
        unit: &'static str,
        waits: bool,
        work: impl FnOnce(&Queue<Work>, &Arc<Counts>) -> Vec<String> + Send + 'static,
    ) -> Result<Self, Error> {
        let (queue, counts) = (Arc::new(Queue::new(limits::OUTPUT_BYTES)), Arc::new(Counts::default()));
        let (its_queue, its_counts) = (Arc::clone(&queue), Arc::clone(&counts));
        let on_gone = Arc::<OnceLock<Call>>::default();
        let its_on_gone = Arc::clone(&on_gone);
        let thread = thread::Builder::new().spawn(move || {
            let losses = work(&its_queue, &its_counts);
            its_queue.leave();
            if let Some(Call(call)) = its_on_gone.get() {
                call();
            }
            losses
        });
        let thread = thread.map_err(|error| Error::Thread(name.clone(), error))?;
        let (batch, untold) = (Batch::default(), BTreeMap::new());
        let (thread, lost, marked) = (Some(thread), 0, 0);
        Ok(Lane { name, unit, batch, queue, counts, waits, thread, lost, untold, on_gone, marked })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is time to hand on what was collected.
    pub fn is_full(&self) -> bool {
        self.batch.bytes.len() >= BYTES
    }

    /// Hands on what was collected. What was lost before is told first: `tell` puts that into a batch, if the output can
    /// tell it.
    pub fn flush(&mut self, mut tell: impl FnMut(&mut Batch, &Whose, u64)) {
        if !self.untold.is_empty() {
            let Batch { at, first, .. } = self.batch;
            let mut told = Batch { at, first, ..Batch::default() };
            self.untold.iter().for_each(|(whose, count)| tell(&mut told, whose, *count));
            let size = told.size();
            if self.queue.offer(Work::Batch(told), size, false).is_ok() {
                self.untold.clear();
            }
        }
        if self.batch.bytes.is_empty() {
            return;
        }
        let batch = self.batch.take(self.counts.spare());
        let size = batch.size();
        // Without a thread there is nobody who wants it.
        if let Err((Refused::Full, Work::Batch(batch))) =
            self.queue.offer(Work::Batch(batch), size, self.waits)
        {
            self.lose(batch);
        }
    }

    fn lose(&mut self, batch: Batch) {
        if self.lost == 0 && batch.records > 0 {
            let Lane { name, unit, .. } = self;
            let waits = limits::OUTPUT_BYTES >> 20;
            complain(format_args!("{name}: too slow: {waits} MiB wait, and further {unit} are lost there"));
        }
        self.counts.lose(batch.records);
        self.lost = self.lost.saturating_add(batch.records);
        if batch.runs.is_empty() {
            let untold = self.untold.entry(None).or_default();
            *untold = untold.saturating_add(batch.records);
        }
        for Run { name, place, records } in batch.runs {
            let whose = Some((name, place));
            if self.untold.len() < LOST_FILES || self.untold.contains_key(&whose) {
                let untold = self.untold.entry(whose).or_default();
                *untold = untold.saturating_add(u64::try_from(records).unwrap_or(u64::MAX));
            }
        }
    }

    /// Files are to be opened again.
    pub fn reopen(&self) {
        // Without a thread there is nothing to open.
        let _ = self.queue.offer(Work::Reopen, Waiting::default(), true);
    }

    /// Marks what was handed on so far.
    pub fn mark(&mut self) {
        self.marked = self.queue.put();
    }

    /// Whether all up to the mark is written, or lost.
    pub fn has_written(&self) -> bool {
        self.queue.is_gone() || self.queue.has_done(self.marked) && !self.counts.is_keeping()
    }

    /// Whether the output has ended by itself.
    pub fn is_gone(&self) -> bool {
        self.queue.is_gone()
    }

    /// Calls this, from another thread, when the output has ended.
    pub fn on_gone(&self, call: impl Fn() + Send + Sync + 'static) {
        // The first one counts.
        let _ = self.on_gone.set(Call(Box::new(call)));
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting().bytes
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.queue.end();
    }

    /// Waits at most so long until all is written or lost; whether it is.
    pub fn wait(&self, most: Duration) -> bool {
        self.queue.wait_gone(most)
    }

    /// What was lost there, in words. What the thread has not written by now is lost, too.
    pub fn losses(&mut self) -> Vec<String> {
        let left = if self.queue.is_gone() { 0 } else { self.queue.waiting().records };
        let lost = self.lost.saturating_add(left);
        let Lane { name, unit, .. } = self;
        let slow = (lost > 0).then(|| format!("{name}: {lost} {unit} lost: it did not take them in time"));
        let thread = self.thread.take_if(|thread| self.queue.is_gone() || thread.is_finished());
        let failed = thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
        slow.into_iter().chain(failed).collect()
    }

    /// The output's counts.
    pub fn metrics(&self) -> Output {
        let Lane { name, counts, queue, .. } = self;
        let (written, lost, waiting) = (counts.written(), counts.lost(), queue.waiting());
        Output { name: name.clone(), written, lost, waiting }
    }

    /// The output's counts, as a line.
    pub fn stats(&self) -> String {
        let (unit, Output { name, written, lost, waiting }) = (self.unit, self.metrics());
        format!("{name}: {written} {unit} written, {lost} lost, {} wait", waiting.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Next;
    use std::sync::mpsc;

    /// A thread that does not get on: what it has no room for is lost, and told when there is room again.
    #[test]
    fn what_has_no_room_is_told() {
        let (go, wait) = mpsc::channel::<()>();
        let (sender, written) = mpsc::channel();
        let mut lane = Lane::start("a lane".to_owned(), "records", false, move |queue, _| {
            let _ = wait.recv();
            while let Next::Some(work) = queue.next(None) {
                if let Work::Batch(batch) = work {
                    let _ = sender.send((batch.bytes.len(), batch.records));
                }
            }
            Vec::new()
        })
        .expect("a thread");
        let tell = |batch: &mut Batch, whose: &Whose, count: u64| {
            assert_eq!(whose, &None);
            batch.bytes.resize(usize::try_from(count).expect("few"), 0);
        };
        let put = |lane: &mut Lane, bytes: usize| {
            lane.batch.bytes.resize(bytes, 0);
            lane.batch.records = 1;
            lane.flush(tell);
        };
        let half = limits::OUTPUT_BYTES / 2;
        [half, half, 1, 1].iter().for_each(|&bytes| put(&mut lane, bytes));
        assert_eq!(lane.stats(), "a lane: 0 records written, 2 lost, 2 wait");
        go.send(()).expect("the thread waits");
        assert_eq!([0; 2].map(|_| written.recv().expect("a batch")), [(half, 1); 2]);
        // The last one is done when the thread asks for the next.
        while lane.queue.waiting() != Waiting::default() {
            thread::yield_now();
        }
        // No further record is needed.
        lane.flush(tell);
        assert_eq!(written.recv_timeout(Duration::from_secs(600)), Ok((2, 0)));
        put(&mut lane, 1);
        assert_eq!(written.recv().expect("a batch"), (1, 1));
        lane.end();
        assert!(lane.wait(Duration::from_secs(600)));
        assert_eq!(lane.losses(), ["a lane: 2 records lost: it did not take them in time"]);
    }
}
