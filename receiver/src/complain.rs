//! What the program says of itself, on standard error. A thread says it, so that nothing waits for who reads that.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crate::queue::{Next, Queue, Waiting};

/// What may wait to be said.
const MOST: usize = 1 << 20;
/// How long the end waits for what is still to be said.
const PATIENCE: Duration = Duration::from_secs(2);

static SPEAKER: OnceLock<Arc<Queue<String>>> = OnceLock::new();

/// Says something on standard error; without one, or where it is not read, there is nobody to tell.
pub fn complain(what: fmt::Arguments<'_>) {
    let text = format!("{what}\n");
    let size = Waiting { bytes: text.len(), records: 1 };
    let _ = SPEAKER.get_or_init(start).offer(text, size, false);
}

/// Waits a little for what was said to be out; nothing is said after it.
pub fn finish() {
    if let Some(speaker) = SPEAKER.get() {
        speaker.end();
        speaker.wait_gone(PATIENCE);
    }
}

fn start() -> Arc<Queue<String>> {
    let speaker = Arc::new(Queue::<String>::new(MOST));
    let queue = Arc::clone(&speaker);
    let work = move || {
        while let Next::Some(text) = queue.next(None) {
            let _ = io::stderr().write_all(text.as_bytes());
        }
        queue.leave();
    };
    // Without a thread there is nobody to say it.
    if thread::Builder::new().spawn(work).is_err() {
        speaker.leave();
    }
    speaker
}
