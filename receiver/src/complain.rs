//! What the program says of itself, on standard error. A thread says it, so that nothing waits for who reads that.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memchr;

use crate::queue::{Next, Queue, Refused, Waiting};

/// What may wait to be said.
const MOST: usize = 1 << 20;
/// Said in pieces of so many bytes, so that it shows that somebody reads.
const PIECE: usize = 32 << 10;
/// How long the end waits for the next piece to be said, and who wants all to be out.
const PATIENCE: Duration = Duration::from_secs(2);

static SPEAKER: OnceLock<Speaker> = OnceLock::new();

/// Says something on standard error; without one, or where it is not read, there is nobody to tell.
pub fn complain(what: fmt::Arguments<'_>) {
    speaker().say(&format!("{what}\n"), false);
}

/// Says something of any length, and what the run ends with: there is room for it whatever waits already.
pub fn report(what: fmt::Arguments<'_>) {
    speaker().say(&format!("{what}\n"), true);
}

/// Whether all that was said is out.
pub fn is_out() -> bool {
    speaker().queue.waiting() == Waiting::default()
}

/// Waits for what was said to be out, for at most two seconds.
pub fn wait_out() {
    let until = Instant::now() + PATIENCE;
    while !is_out() && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for what was said to be out, as long as somebody reads it; nothing is said after it.
pub fn finish() {
    if let Some(speaker) = SPEAKER.get() {
        speaker.finish(PATIENCE);
    }
}

fn speaker() -> &'static Speaker {
    SPEAKER.get_or_init(|| Speaker::start(io::stderr()))
}

/// Who says it.
struct Speaker {
    queue: Arc<Queue<String>>,
    /// Lines for which there was no room.
    unsaid: AtomicU64,
}

impl Speaker {
    fn start(mut to: impl Write + Send + 'static) -> Self {
        let queue = Arc::new(Queue::<String>::new(MOST));
        let own = Arc::clone(&queue);
        let work = move || {
            while let Next::Some(text) = own.next(None) {
                let _ = to.write_all(text.as_bytes());
            }
            own.leave();
        };
        // Without a thread there is nobody to say it.
        if thread::Builder::new().spawn(work).is_err() {
            queue.leave();
        }
        Speaker { queue, unsaid: AtomicU64::new(0) }
    }

    /// Puts whole lines into the queue. `always`: although there is no room.
    fn say(&self, text: &str, always: bool) {
        let unsaid = self.unsaid.swap(0, Ordering::Relaxed);
        if unsaid > 0 {
            let told = format!("{unsaid} lines were not said here: nobody read them\n");
            if !self.put(&told, always) {
                self.unsaid.fetch_add(unsaid, Ordering::Relaxed);
            }
        }
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.as_bytes().get(PIECE..).and_then(|tail| memchr(b'\n', tail));
            let (piece, tail) = rest.split_at(end.map_or(rest.len(), |end| PIECE + end + 1));
            if !self.put(piece, always) {
                let lines = piece.lines().count().try_into().unwrap_or(u64::MAX);
                self.unsaid.fetch_add(lines, Ordering::Relaxed);
            }
            rest = tail;
        }
    }

    /// False where there is no room.
    fn put(&self, piece: &str, always: bool) -> bool {
        let size = Waiting { bytes: if always { 0 } else { piece.len() }, records: 1 };
        !matches!(self.queue.offer(piece.to_owned(), size, false), Err((Refused::Full, _)))
    }

    fn finish(&self, patience: Duration) {
        self.queue.end();
        let mut waiting = self.queue.waiting();
        while !self.queue.wait_gone(patience) {
            let before = std::mem::replace(&mut waiting, self.queue.waiting());
            if before == waiting {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{self, Receiver};

    /// Takes a piece each time that it is let.
    struct Slow {
        go: Receiver<()>,
        said: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Who no longer lets it wants all.
            let _ = self.go.recv();
            self.said.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The counts of very many senders, and behind them why the run failed: to a reader who is slow.
    #[test]
    fn what_a_run_ends_with_is_said_however_much_waits() {
        let (let_go, go) = mpsc::channel();
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let speaker = Speaker::start(Slow { go, said: Arc::clone(&said) });
        let line = format!("{}\n", "x".repeat(127));
        let most = MOST / line.len();
        (0..most + 7).for_each(|_| speaker.say(&line, false));
        let counts = line.repeat(20_000);
        speaker.say(&counts, true);
        speaker.say("the reason\n", true);
        drop(let_go);
        speaker.finish(Duration::from_secs(600));
        let said = String::from_utf8(said.lock().expect("no panic").clone()).expect("text");
        let kept = line.repeat(most);
        let rest = said.strip_prefix(&kept).expect("what there was room for");
        assert_eq!(rest, format!("7 lines were not said here: nobody read them\n{counts}the reason\n"));
    }
}
