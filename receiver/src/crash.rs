//! Crash reports: where one begins, what belongs to it, and where it ends. A report is one CPU's or task's, where the
//! records tell who said them (`caller`), so that several that are said at once stay apart.

pub mod kind;

#[cfg(test)]
mod corpus;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::event::Record;
use crate::limits;
use crate::report::{Kind, Report};
use kind::Sign;

/// Reports that one sender may have at once.
const OPEN: usize = 8;
/// CPUs that add to another one's report.
const HELPERS: usize = 64;
/// Bytes of all reports that have not ended.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Follows one sender's records. Nothing is held but while there is a report.
#[derive(Debug, Default)]
pub struct Watch(Option<Box<Reports>>);

/// Those that have not ended. One pointer leads here: there are very many senders, and few have any.
#[derive(Debug, Default)]
struct Reports(Vec<Open>);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// No part of a report.
    None,
    /// It says what a report is about.
    First(Kind),
    /// A further part.
    Further,
}

/// A report that has not ended.
#[derive(Debug)]
struct Open {
    caller: Option<CompactString>,
    helpers: SmallVec<[CompactString; 1]>,
    kind: Option<Kind>,
    title: String,
    text: Text,
    records: u64,
    is_ended: bool,
    at: Duration,
    timestamp: Option<u64>,
}

/// A report's text so far, of which there is a limit for all.
#[derive(Debug, Default)]
struct Text {
    text: String,
    is_cut: bool,
}

impl Watch {
    /// Judges a record received at this time. Reports that are over are put into `over`.
    pub fn judge(&mut self, record: &Record, at: Duration, over: &mut Vec<Report>) -> Part {
        if !kind::is_of_kernel(record) {
            return Part::None;
        }
        let sign = kind::sign(record);
        if self.0.is_none() && sign.is_none() {
            return Part::None;
        }
        let part = self.follow(record, at, sign, over);
        self.0.take_if(|reports| reports.0.is_empty());
        part
    }

    fn follow(&mut self, record: &Record, at: Duration, sign: Option<Sign>, over: &mut Vec<Report>) -> Part {
        let Reports(open) = &mut **self.0.get_or_insert_default();
        let caller = record.field("caller");
        close(open, over, |open| open.is_over(at, record.timestamp));
        let mut found = open.iter().rposition(|open| open.is_of(caller));
        if found.is_none() && kind::is_of_another_cpu(&record.text) {
            found = open.len().checked_sub(1);
            if let Some(open) = open.last_mut()
                && open.helpers.len() < HELPERS
            {
                open.helpers.extend(caller.map(CompactString::from));
            }
        }
        let begins_another =
            found.and_then(|found| open.get(found)).is_some_and(|open| open.is_left(record, sign));
        if let (true, Some(found)) = (begins_another, found) {
            over.extend(open.remove(found).into_report());
        }
        let found = found.filter(|_| !begins_another);
        let index = match (found, sign) {
            (Some(found), _) => found,
            (None, None) => return Part::None,
            (None, Some(_)) => {
                if open.len() >= OPEN {
                    over.extend(open.remove(0).into_report());
                }
                open.push(Open::of(caller, at));
                open.len() - 1
            }
        };
        let Some(report) = open.get_mut(index) else { return Part::None };
        let part = report.add(record, at, sign);
        if report.kind == Some(Kind::Kasan) && report.is_ended {
            over.extend(open.remove(index).into_report());
        }
        part
    }

    /// Puts the reports of which nothing has come for long into `over`.
    pub fn tick(&mut self, now: Duration, over: &mut Vec<Report>) {
        if let Some(reports) = &mut self.0 {
            close(&mut reports.0, over, |open| open.is_over(now, None));
        }
        self.0.take_if(|reports| reports.0.is_empty());
    }

    /// Puts all into `over`: nothing more comes.
    pub fn finish(&mut self, over: &mut Vec<Report>) {
        self.0
            .take()
            .into_iter()
            .flat_map(|reports| reports.0)
            .for_each(|open| over.extend(open.into_report()));
    }

    /// When a report is over if nothing more comes.
    pub fn due(&self) -> Option<Duration> {
        let Reports(open) = &**self.0.as_ref()?;
        open.iter().map(|open| open.at.saturating_add(limits::CRASH_REPORT)).min()
    }
}

fn close(open: &mut Vec<Open>, over: &mut Vec<Report>, is_over: impl Fn(&Open) -> bool) {
    for open in open.extract_if(.., |open| is_over(open)) {
        over.extend(open.into_report());
    }
}

impl Open {
    fn of(caller: Option<&str>, at: Duration) -> Self {
        Open {
            caller: caller.map(CompactString::from),
            helpers: SmallVec::new(),
            kind: None,
            title: String::new(),
            text: Text::default(),
            records: 0,
            is_ended: false,
            at,
            timestamp: None,
        }
    }

    /// Whether what this caller says belongs to it.
    fn is_of(&self, caller: Option<&str>) -> bool {
        match (&self.caller, caller) {
            (Some(own), Some(caller)) => own == caller || self.helpers.iter().any(|helper| helper == caller),
            _ => true,
        }
    }

    /// Whether nothing has come for long, by the clock here or the sender's.
    fn is_over(&self, at: Duration, timestamp: Option<u64>) -> bool {
        let passed =
            self.timestamp.zip(timestamp).map(|(last, now)| Duration::from_micros(now.saturating_sub(last)));
        at >= self.at.saturating_add(limits::CRASH_REPORT)
            || passed.is_some_and(|passed| passed >= limits::CRASH_REPORT)
    }

    /// Whether this record of the same caller is no part of it.
    fn is_left(&self, record: &Record, sign: Option<Sign>) -> bool {
        let Some(kind) = self.kind else { return false };
        match sign {
            None => self.is_ended && !kind::is_tail(kind, &record.text),
            Some(Sign::Rule) => self.is_ended,
            Some(Sign::Of(Kind::Panic)) => false,
            Some(Sign::Of(new)) => self.is_ended || kind::is_another(kind, new, &record.text),
        }
    }

    fn add(&mut self, record: &Record, at: Duration, sign: Option<Sign>) -> Part {
        self.text.add(record);
        self.records = self.records.saturating_add(1);
        (self.at, self.timestamp) = (at, record.timestamp.or(self.timestamp));
        let part = match (self.kind, sign) {
            (None, Some(Sign::Of(kind))) => {
                (self.kind, self.title) = (Some(kind), kind::bare(&record.text).to_owned());
                Part::First(kind)
            }
            (Some(_), Some(Sign::Of(Kind::Panic))) => {
                (self.kind, self.is_ended) = (Some(Kind::Panic), false);
                Part::Further
            }
            _ => Part::Further,
        };
        self.is_ended |= self.kind.is_some_and(|kind| kind::is_end(kind, &record.text));
        part
    }

    /// A rule alone is none.
    fn into_report(mut self) -> Option<Report> {
        let Open { kind, records, at, .. } = self;
        let (title, text) = (std::mem::take(&mut self.title), self.text.take());
        kind.map(|kind| Report { kind, title, text, records, at })
    }
}

impl Text {
    fn add(&mut self, record: &Record) {
        let mut line = match record.timestamp {
            Some(micros) => format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000),
            None => String::new(),
        };
        line.push_str(&record.text);
        line.push('\n');
        let is_room = self.text.len().saturating_add(line.len()) <= limits::REPORT_BYTES
            && HELD.load(Ordering::Relaxed).saturating_add(line.len()) <= limits::REPORTS_BYTES;
        if is_room && !self.is_cut {
            HELD.fetch_add(line.len(), Ordering::Relaxed);
            self.text.push_str(&line);
        } else {
            self.is_cut = true;
        }
    }

    fn take(&mut self) -> String {
        HELD.fetch_sub(self.text.len(), Ordering::Relaxed);
        let mut text = std::mem::take(&mut self.text);
        if self.is_cut {
            text.push_str("…\n");
        }
        text
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        HELD.fetch_sub(self.text.len(), Ordering::Relaxed);
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
        let (mut watch, mut over) = (Watch::default(), Vec::new());
        let mut judge = |datagram: &str, at: u64| {
            let part = watch.judge(&extended(datagram), Duration::from_secs(at), &mut over);
            (part, over.drain(..).map(|report| report.text).collect::<Vec<_>>())
        };
        assert_eq!(judge("4,1,1,-;careful", 100), (Part::None, vec![]));
        assert_eq!(judge("0,2,2,-;Kernel panic - not syncing: x", 100), (Part::First(Kind::Panic), vec![]));
        assert_eq!(judge("4,3,3,-;Call Trace:", 101), (Part::Further, vec![]));
        let text = "[    0.000002] Kernel panic - not syncing: x\n[    0.000003] Call Trace:\n".to_owned();
        assert_eq!(judge("6,4,4,-;later", 103), (Part::None, vec![text]));
        assert!(watch.0.is_none());
    }

    /// By the sender's clock, too: a log that was held up comes at once.
    #[test]
    fn what_is_later_by_the_senders_clock_is_no_part() {
        let (mut watch, mut over, now) = (Watch::default(), Vec::new(), Duration::ZERO);
        assert_eq!(watch.judge(&extended("4,1,10,-;BUG: x"), now, &mut over), Part::First(Kind::Bug));
        assert_eq!(watch.judge(&extended("4,2,1999999,-;x"), now, &mut over), Part::Further);
        assert_eq!(watch.judge(&extended("4,3,4000000,-;x"), now, &mut over), Part::None);
        assert_eq!(over.len(), 1);
    }

    #[test]
    fn user_space_does_not_crash_the_kernel() {
        let judge = |datagram| Watch::default().judge(&extended(datagram), Duration::ZERO, &mut Vec::new());
        assert_eq!(judge("9,1,1,-;Kernel panic - not syncing: x"), Part::None);
        assert_eq!(judge("0,1,1,-;reboot: Restarting system"), Part::None);
    }

    #[test]
    fn basic_text_is_known_by_its_beginning() {
        let record = |text: &str| basic::record(text.as_bytes());
        let judge = |text| Watch::default().judge(&record(text), Duration::ZERO, &mut Vec::new());
        assert_eq!(judge("[    1.000000] Kernel panic - not syncing: x"), Part::First(Kind::Panic));
        assert_eq!(judge("[    1.000000] BUG: unable to handle page fault"), Part::First(Kind::Oops));
        assert_eq!(judge("[    1.000000] no Kernel panic"), Part::None);
    }

    /// What was told of all reports is given back with each.
    #[test]
    fn a_report_has_a_limit() {
        let mut over = Vec::new();
        let mut watch = Watch::default();
        watch.judge(&extended("4,1,10,-;BUG: x"), Duration::ZERO, &mut over);
        let long = extended(&format!("4,1,10,-;{}", "x".repeat(1 << 10)));
        (0..300).for_each(|_| assert_eq!(watch.judge(&long, Duration::ZERO, &mut over), Part::Further));
        assert_eq!(watch.due(), Some(limits::CRASH_REPORT));
        watch.tick(limits::CRASH_REPORT, &mut over);
        assert!(watch.0.is_none());
        let text = &over[0].text;
        assert!(
            text.len() <= limits::REPORT_BYTES + "…\n".len() && text.ends_with("\n…\n"),
            "{}",
            text.len()
        );
    }
}
