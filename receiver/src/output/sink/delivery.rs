//! The thread that hands records to another program or machine: what is not taken waits, and is tried again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::complain::complain;
use crate::output::counts::Counts;
use crate::output::lane::{Batch, Work};
use crate::queue::{Next, Queue};

/// The time until it is tried again, the first time and at most: it doubles each time.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_MOST: Duration = Duration::from_secs(30);
/// After the end it is tried so often, the first time apart.
const LAST_TRIES: u32 = 3;
/// Bytes that are handed over at once.
const BYTES: usize = 256 << 10;

/// A way to somebody who takes records.
pub trait Delivery {
    /// How long records are collected before they go together.
    const LINGER: Duration;

    /// Hands over all records of a batch. Where that failed it is called with the same batch again.
    fn deliver(&mut self, batch: &Batch) -> Result<(), Failure>;

    /// Waits until all was taken; nothing more comes.
    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Why records were not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// They are to be offered again, after this time at least.
    Again(String, Duration),
    /// So many of them never will be taken.
    Refused(u64, String),
}

impl Failure {
    /// To be offered again.
    pub fn again(why: impl ToString) -> Self {
        Failure::Again(why.to_string(), Duration::ZERO)
    }
}

/// What became of the records.
struct Fate<'a> {
    name: &'a str,
    unit: &'static str,
    counts: &'a Counts,
    lost: u64,
    why: String,
}

/// Hands over what comes until the end. Returns what was lost, in words.
pub fn run<D: Delivery>(
    mut delivery: D,
    (name, unit): (&str, &'static str),
    queue: &Queue<Work>,
    counts: &Arc<Counts>,
) -> Vec<String> {
    let mut fate = Fate { name, unit, counts, lost: 0, why: String::new() };
    while let Next::Some(work) = queue.next(None) {
        let Work::Batch(mut batch) = work else { continue };
        gather::<D>(queue, &mut batch);
        if !fate.offer(queue, batch.records, || delivery.deliver(&batch)) {
            return fate.losses();
        }
    }
    fate.offer(queue, 0, || delivery.finish());
    fate.losses()
}

/// Takes what else waits, or comes shortly.
fn gather<D: Delivery>(queue: &Queue<Work>, batch: &mut Batch) {
    let until = Instant::now() + D::LINGER;
    while batch.bytes.len() < BYTES {
        match queue.also(until) {
            Some(Work::Batch(further)) => batch.add(further),
            Some(Work::Reopen) => {}
            None => return,
        }
    }
}

impl Fate<'_> {
    /// Offers records until they are taken or refused; false where the end came before, and all that waits is lost.
    fn offer(
        &mut self,
        queue: &Queue<Work>,
        records: u64,
        mut deliver: impl FnMut() -> Result<(), Failure>,
    ) -> bool {
        let Fate { name, unit, counts, .. } = *self;
        let (mut pause, mut last_tries, mut has_failed) = (AGAIN, 0, false);
        loop {
            let was_ended = queue.is_ended();
            match deliver() {
                Ok(()) => counts.write(records),
                Err(Failure::Refused(refused, why)) => {
                    if self.why != why {
                        complain(format_args!("{name}: {refused} {unit} refused, and lost there: {why}"));
                    }
                    counts.write(records.saturating_sub(refused));
                    self.lose(refused, why);
                }
                Err(Failure::Again(why, after)) => {
                    if !std::mem::replace(&mut has_failed, true) {
                        complain(format_args!("{name}: {why}; it is tried again, {unit} wait meanwhile"));
                    }
                    last_tries += u32::from(was_ended);
                    if last_tries > LAST_TRIES {
                        self.lose(queue.leave(), why);
                        return false;
                    }
                    if was_ended {
                        std::thread::sleep(AGAIN);
                    } else {
                        queue.rest(pause.max(after.min(AGAIN_MOST)));
                    }
                    pause = pause.saturating_mul(2).min(AGAIN_MOST);
                    continue;
                }
            }
            if has_failed {
                complain(format_args!("{name}: taken again"));
                queue.recovered();
            }
            return true;
        }
    }

    fn lose(&mut self, records: u64, why: String) {
        self.counts.lose(records);
        self.lost = self.lost.saturating_add(records);
        self.why = why;
    }

    fn losses(self) -> Vec<String> {
        let Fate { name, unit, lost, why, .. } = self;
        (lost > 0).then(|| format!("{name}: {lost} {unit} lost: {why}")).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Waiting;

    /// Says these one after the other, and keeps what it took.
    struct Scripted<'a>(Vec<Result<(), Failure>>, &'a mut Vec<u64>);

    impl Delivery for Scripted<'_> {
        const LINGER: Duration = Duration::ZERO;

        fn deliver(&mut self, batch: &Batch) -> Result<(), Failure> {
            let said = if self.0.is_empty() { Err(Failure::again("it is down")) } else { self.0.remove(0) };
            if said.is_ok() {
                self.1.push(batch.records);
            }
            said
        }
    }

    fn outcome(script: Vec<Result<(), Failure>>) -> (Vec<u64>, Vec<String>, u64, u64) {
        let (queue, counts) = (Queue::new(1 << 30), Arc::new(Counts::default()));
        for records in [3, 5] {
            // None is gathered behind it.
            let batch = Batch { bytes: vec![0; BYTES], records, ..Batch::default() };
            assert!(queue.offer(Work::Batch(batch), Waiting { bytes: BYTES, records }, false).is_ok());
        }
        queue.end();
        let mut taken = Vec::new();
        let losses = run(Scripted(script, &mut taken), ("a sink", "records"), &queue, &counts);
        (taken, losses, counts.written(), counts.lost())
    }

    #[test]
    fn what_is_not_taken_is_offered_again() {
        let again = || Err(Failure::again("it is down"));
        assert_eq!(outcome(vec![again(), again(), Ok(()), Ok(())]), (vec![3, 5], vec![], 8, 0));
        let refused = || Err(Failure::Refused(2, "too old".to_owned()));
        let losses = vec!["a sink: 2 records lost: too old".to_owned()];
        assert_eq!(outcome(vec![again(), refused(), Ok(())]), (vec![5], losses, 6, 2));
        let losses = vec!["a sink: 8 records lost: it is down".to_owned()];
        assert_eq!(outcome(vec![]), (vec![], losses, 0, 8));
    }
}
