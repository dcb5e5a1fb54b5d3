//! A flood as it must arrive: all of its records, each once, in order, and as it was logged.

use std::time::Instant;

/// Of the records' text, what is before and behind the number of eight digits.
const HEAD: &str = "flood message ";
const TAIL: &str = " abcdefghijklmnopqrstuvwxyz0123456789\n";

/// The flood's record of this number, as the kernel makes it for `flood=`.
pub fn line(number: u32) -> String {
    format!("{HEAD}{number:08}{TAIL}")
}

/// A flood under way.
pub struct Flood {
    records: u32,
    /// The number of the next record.
    next: u32,
    first_frame: Option<Instant>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

/// What a whole flood showed.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When the first frame of the log came, which is before the flood.
    pub first_frame: Instant,
    /// From the flood's first record to its last.
    pub records_per_second: f64,
}

impl Flood {
    /// Waits for this number of records.
    pub fn of(records: u32) -> Self {
        Self { records, next: 0, first_frame: None, began: None, ended: None }
    }

    /// Looks at a frame that has just come. An error where a record is missing, comes twice, or is not as it
    /// was logged.
    pub fn see(&mut self, frame: &[u8]) -> Result<(), String> {
        let Some(payload) = log(frame) else { return Ok(()) };
        let now = Instant::now();
        self.first_frame.get_or_insert(now);
        if number(payload) == Some(self.next) {
            self.began.get_or_insert(now);
            self.ended = Some(now);
            self.next += 1;
            return Ok(());
        }
        let text = String::from_utf8_lossy(payload);
        match text.contains(HEAD) {
            true => Err(format!("instead of the flood's record {} came: {text}", self.next)),
            // What the kernel logs besides.
            false => Ok(()),
        }
    }

    /// What it showed, once it is over.
    pub fn seen(&self) -> Option<Seen> {
        if self.next < self.records {
            return None;
        }
        let took = self.ended? - self.began?;
        let records_per_second = f64::from(self.records - 1) / took.as_secs_f64();
        Some(Seen { first_frame: self.first_frame?, records_per_second })
    }
}

/// The payload of an IPv4 and UDP frame to the target's port.
fn log(frame: &[u8]) -> Option<&[u8]> {
    let is_log = frame.get(12..14) == Some(&[8, 0])
        && frame.get(23) == Some(&17)
        && frame.get(36..38) == Some(&6666u16.to_be_bytes());
    frame.get(42..).filter(|_| is_log)
}

/// `… flood message 00000042 …`
fn number(payload: &[u8]) -> Option<u32> {
    let (head, digits) = payload.strip_suffix(TAIL.as_bytes())?.split_last_chunk::<8>()?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|_| head.ends_with(HEAD.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Flood, line};

    /// A frame of the log with this text.
    fn frame(text: &str) -> Vec<u8> {
        let mut frame = vec![0; 42];
        frame[12] = 8;
        frame[23] = 17;
        frame[36..38].copy_from_slice(&6666u16.to_be_bytes());
        [&frame, text.as_bytes()].concat()
    }

    fn record(number: u32) -> Vec<u8> {
        frame(&format!("[    0.012345] {}", line(number)))
    }

    #[test]
    fn a_whole_flood_is_seen() {
        let mut flood = Flood::of(3);
        let frames = [frame("[    0.000000] booting\n"), record(0), record(1), vec![0; 60], record(2)];
        for frame in frames {
            assert!(flood.seen().is_none());
            flood.see(&frame).expect("nothing is wrong");
        }
        let seen = flood.seen().expect("the flood is over");
        assert!(seen.first_frame.elapsed().as_secs_f64() > 2.0 / seen.records_per_second);
    }

    #[test]
    fn what_was_not_logged_so_is_an_error() {
        let wrong = [
            ("a record is missing", record(2)),
            ("one comes twice", record(0)),
            ("one is cut", frame("flood message 00000001 abc\n")),
            ("one has another text", frame(&line(1).replace('k', "c"))),
            ("one has no number", frame(&line(1).replace("0001", "one!"))),
        ];
        for (what, frame) in wrong {
            let mut flood = Flood::of(3);
            flood.see(&record(0)).expect("the first is right");
            assert!(flood.see(&frame).is_err(), "{what}");
        }
    }
}
