//! What is a crash report: kernel records of level 0 and 1, in the basic format what they begin with; and what
//! follows shortly (Linux writes its call trace with level 4).

use std::time::Duration;

use crate::event::Record;
use crate::limits;
use crate::nanos::Nanos;

/// How the first line of a report begins where the format has no level.
const BEGINNINGS: [&str; 3] = ["Kernel panic", "BUG:", "Oops:"];
/// The facility of user space is above it.
const KERNEL: u8 = 0;

/// Follows one sender's records.
#[derive(Debug, Default)]
pub struct Watch {
    /// Zero: no report has come.
    until: Nanos,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// No part of a report.
    None,
    /// The first of a report.
    First,
    /// A further part.
    Further,
}

impl Watch {
    /// Judges a record received at this time.
    pub fn judge(&mut self, record: &Record, at: Duration) -> Part {
        let was_in_report = at < self.until.get();
        if is_sign(record) {
            self.until = at.saturating_add(limits::CRASH_REPORT).into();
            return if was_in_report { Part::Further } else { Part::First };
        }
        if was_in_report { Part::Further } else { Part::None }
    }
}

fn is_sign(record: &Record) -> bool {
    match record.level {
        Some(level) => level <= 1 && record.facility == Some(KERNEL),
        None => BEGINNINGS.iter().any(|beginning| record.text.starts_with(beginning)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{basic, extended};

    fn extended(datagram: &str) -> Record {
        let (header, body) = extended::parse(datagram.as_bytes()).expect("an extended datagram");
        extended::record(&header, body, false)
    }

    #[test]
    fn a_report_is_the_sign_and_what_follows_shortly() {
        let mut watch = Watch::default();
        let now = Duration::from_secs(100);
        assert_eq!(watch.judge(&extended("4,1,1,-;careful"), now), Part::None);
        assert_eq!(watch.judge(&extended("0,2,2,-;Kernel panic - not syncing: x"), now), Part::First);
        assert_eq!(watch.judge(&extended("4,3,3,-;Call Trace:"), now), Part::Further);
        assert_eq!(watch.judge(&extended("6,4,4,-;later"), now + limits::CRASH_REPORT), Part::None);
    }

    #[test]
    fn user_space_does_not_crash_the_kernel() {
        assert_eq!(Watch::default().judge(&extended("9,1,1,-;level 1"), Duration::ZERO), Part::None);
    }

    #[test]
    fn basic_text_is_known_by_its_beginning() {
        let record = |text: &str| basic::record(text.as_bytes());
        let judge = |text| Watch::default().judge(&record(text), Duration::ZERO);
        assert_eq!(judge("[    1.000000] Kernel panic - not syncing: x"), Part::First);
        assert_eq!(judge("[    1.000000] BUG: unable to handle page fault"), Part::First);
        assert_eq!(judge("[    1.000000] no Kernel panic"), Part::None);
    }
}
