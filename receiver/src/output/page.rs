//! The thread that fills the wall.

use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;

use super::counts::Counts;
use super::lane::{Batch, Work};
use crate::queue::{Next, Queue};
use crate::wall::Wall;

/// How it is called.
pub const NAME: &str = "the wall";
/// Whose a datagram is that is kept as it came: no sender has this name.
pub const DATAGRAMS: CompactString = CompactString::const_new("\0");
/// How often time alone is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Takes what comes, until the end.
pub fn fill(wall: &Wall, queue: &Queue<Work>, counts: &Arc<Counts>) -> Vec<String> {
    let mut ticked_at = Instant::now();
    loop {
        if ticked_at.elapsed() >= TICK {
            ticked_at = Instant::now();
            wall.tick();
        }
        match queue.next(Some(TICK)) {
            Next::Some(Work::Batch(batch)) => {
                take(wall, &batch);
                counts.write(batch.records);
            }
            Next::Some(Work::Reopen) => {}
            Next::Nothing => {}
            Next::End => return Vec::new(),
        }
    }
}

fn take(wall: &Wall, batch: &Batch) {
    let (mut rest, mut lengths) = (batch.bytes.as_slice(), batch.lengths.iter());
    for run in &batch.runs {
        let items = lengths.by_ref().take(run.records).map_while(|&length| {
            let (item, behind) = rest.split_at_checked(length)?;
            rest = behind;
            Some(item)
        });
        if run.name == DATAGRAMS {
            wall.datagrams(items);
        } else {
            wall.lines(items.map(|line| (run.name.as_str(), line)));
        }
    }
}
