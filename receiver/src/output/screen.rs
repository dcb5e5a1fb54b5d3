//! The thread that writes standard output.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::appended::write_all;
use super::buffered::{Buffered, Written};
use super::counts::Counts;
use super::lane::Work;
use crate::queue::{Next, Queue};

/// How it is called.
pub const NAME: &str = "standard output";
/// How long it rests where standard output is one that others have set not to wait.
const BUSY_REST: Duration = Duration::from_millis(10);

/// Writes what comes, until the end, or until its reader has gone: that is no loss. Returns what was lost.
pub fn write(queue: &Queue<Work>, counts: &Arc<Counts>) -> Vec<String> {
    // Not through the library's buffer: what is written is to be known.
    let Ok(mut stdout) = io::stdout().as_fd().try_clone_to_owned().map(File::from) else { return Vec::new() };
    let mut screen = Buffered::new(NAME, "records", Arc::clone(counts));
    let mut is_closed = false;
    while let Next::Some(work) = queue.next(None) {
        let Work::Batch(batch) = work else { continue };
        screen.append_all(batch.bytes, batch.records);
        screen.write(|bytes| put(&mut stdout, bytes, &mut is_closed));
        wait_until_written(queue, &mut screen, |bytes| put(&mut stdout, bytes, &mut is_closed));
        if is_closed {
            return Vec::new();
        }
    }
    screen.write_last(|bytes| put(&mut stdout, bytes, &mut is_closed));
    screen.loss().into_iter().collect()
}

/// Tries an output that fails again and again, until it is written, or the end comes.
pub fn wait_until_written(
    queue: &Queue<Work>,
    output: &mut Buffered,
    mut write: impl FnMut(&[u8]) -> Written,
) {
    while let Some(rest) = output.rest() {
        queue.rest(rest);
        if queue.is_ended() {
            return;
        }
        output.write(&mut write);
    }
    queue.recovered();
}

fn put(stdout: &mut File, bytes: &[u8], is_closed: &mut bool) -> Written {
    let mut from = 0;
    loop {
        match write_all(stdout, bytes.get(from..).unwrap_or_default()) {
            Ok(()) => return Ok(()),
            Err((_, error)) if error.kind() == ErrorKind::BrokenPipe => {
                *is_closed = true;
                return Ok(());
            }
            Err((length, error)) => {
                from = from.saturating_add(length);
                if error.kind() != ErrorKind::WouldBlock {
                    return Err((from, error));
                }
                thread::sleep(BUSY_REST);
            }
        }
    }
}
