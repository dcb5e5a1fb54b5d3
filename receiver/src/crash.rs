//! Crash reports: where one begins, what belongs to it, and where it ends. A report is one CPU's or task's, where the
//! records tell who said them (`caller`), so that several that are said at once stay apart.

mod frames;
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
    /// So many records may come before the one that says the kind.
    before_kind: u64,
    is_ended: bool,
    /// When its first record was received, and the sender's time of it.
    began: (Duration, Option<u64>),
    /// The same of its last record.
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
                open.push(Open::of(caller, at, record.timestamp));
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
            close(&mut reports.0, over, |open| open.is_silent(now));
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
    fn of(caller: Option<&str>, at: Duration, timestamp: Option<u64>) -> Self {
        Open {
            caller: caller.map(CompactString::from),
            helpers: SmallVec::new(),
            kind: None,
            title: String::new(),
            text: Text::default(),
            records: 0,
            before_kind: 0,
            is_ended: false,
            began: (at, timestamp),
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

    /// Whether nothing has come for long, by the clock here.
    fn is_silent(&self, at: Duration) -> bool {
        at >= self.at.saturating_add(limits::CRASH_REPORT)
    }

    /// Whether it is over before a record of this time: nothing has come for long, by the clock here or the sender's, it
    /// has reached a limit, or the sender's time has gone back, as it has rebooted.
    fn is_over(&self, at: Duration, timestamp: Option<u64>) -> bool {
        let between = |from: u64, to: u64| Duration::from_micros(to.saturating_sub(from));
        let last = self.timestamp.zip(timestamp);
        let is_silent = last.is_some_and(|(last, now)| between(last, now) >= limits::CRASH_REPORT);
        let is_back = last.is_some_and(|(last, now)| between(now, last) >= limits::CRASH_REPORT);
        // A slow console delays what is received, so the sender's time counts where it is known.
        let (began_at, began) = self.began;
        let passed = match began.zip(timestamp) {
            Some((began, now)) => between(began, now),
            None => at.saturating_sub(began_at),
        };
        let is_long = passed >= limits::CRASH_REPORT_MOST || self.records >= limits::REPORT_RECORDS;
        self.is_silent(at) || is_silent || is_back || is_long
    }

    /// Whether this record of the same caller is no part of it.
    fn is_left(&self, record: &Record, sign: Option<Sign>) -> bool {
        let Some(kind) = self.kind else {
            return !matches!(sign, Some(Sign::Of(_))) && self.records >= self.before_kind;
        };
        match sign {
            None => self.is_ended && !kind::is_tail(kind, &record.text),
            Some(Sign::Rule) => self.is_ended || kind::is_left_at_rule(kind, &record.text),
            Some(Sign::Of(Kind::Panic)) => false,
            Some(Sign::Of(new)) => self.is_ended || kind::is_another(kind, new, &record.text),
        }
    }

    fn add(&mut self, record: &Record, at: Duration, sign: Option<Sign>) -> Part {
        if self.records == 0 {
            self.before_kind = kind::records_before_kind(&record.text);
        }
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
            // Many a banner has such a line: it alone is no sign of a crash.
            (None, Some(Sign::Rule)) if kind::is_double_rule(kind::bare(&record.text)) => Part::None,
            _ => Part::Further,
        };
        self.is_ended |= self.kind.is_some_and(|kind| kind::is_end(kind, &record.text));
        part
    }

    /// A rule alone is none.
    fn into_report(mut self) -> Option<Report> {
        let Open { kind, records, at, .. } = self;
        let (title, text) = (std::mem::take(&mut self.title), self.text.take());
        kind.map(|kind| {
            let frames = frames::frames(&text);
            let id = frames::id(kind, &frames, &title);
            Report { kind, title, text, id, frames, repeated: 0, records, at }
        })
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
        extended::record(&header, header.extras.clone(), body, false)
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

    /// Where its kind has no last line and the machine logs on without a pause, by the sender's time or ours.
    #[test]
    fn a_report_ends_on_a_machine_that_is_never_silent() {
        for (step, is_timed) in [(1, true), (1_000_000, true), (1_000_000, false)] {
            let (mut watch, mut over, mut parts) = (Watch::default(), Vec::new(), 0);
            for number in 0..10_000u64 {
                let text =
                    if number == 0 { "INFO: task a:7 blocked for more than 122 seconds." } else { "x" };
                let datagram = format!("4,{number},{},-;{text}", number * step);
                let mut record = extended(&datagram);
                record.timestamp = record.timestamp.filter(|_| is_timed);
                let at = Duration::from_micros(if is_timed { 0 } else { number * step });
                parts += u64::from(watch.judge(&record, at, &mut over) != Part::None);
            }
            let most = if step == 1 { limits::REPORT_RECORDS } else { 10 };
            assert!(watch.0.is_none() && over.len() == 1);
            assert_eq!((parts, over[0].records), (most, most), "{step} {is_timed}");
        }
    }

    #[test]
    fn what_is_said_after_a_reboot_is_no_part() {
        let (mut watch, mut over, now) = (Watch::default(), Vec::new(), Duration::ZERO);
        let mut judge = |datagram| watch.judge(&extended(datagram), now, &mut over);
        assert_eq!(judge("4,1,90000010,-;Kernel panic - not syncing: x"), Part::First(Kind::Panic));
        // Another CPU's clock may differ.
        assert_eq!(judge("4,2,90000000,-;x"), Part::Further);
        assert_eq!(judge("4,0,0,-;Linux version 6.12.0"), Part::None);
        assert_eq!(over.len(), 1);
    }

    /// It may be the frame of a banner, and a `WARN()` may say something before the line that begins with WARNING.
    #[test]
    fn a_rule_alone_is_no_report() {
        let cut = "4,1,10,-;------------[ cut here ]------------";
        let double = format!("4,1,10,-;{}", "=".repeat(66));
        for (rule, part, most) in [(cut, Part::Further, 7), (double.as_str(), Part::None, 0)] {
            let (mut watch, mut over) = (Watch::default(), Vec::new());
            let mut judge = |datagram: &str| watch.judge(&extended(datagram), Duration::ZERO, &mut over);
            assert_eq!(judge(rule), part);
            let parts = (0..100).filter(|_| judge("4,2,20,-;refcount_t: underflow") != Part::None).count();
            assert_eq!(parts, most);
            assert!(watch.0.is_none() && over.is_empty());
        }
        let (mut watch, mut over) = (Watch::default(), Vec::new());
        let warning = "4,3,30,-;WARNING: CPU: 0 PID: 1 at lib/refcount.c:28";
        for datagram in [cut, "4,2,20,-;refcount_t: underflow", warning] {
            watch.judge(&extended(datagram), Duration::ZERO, &mut over);
        }
        watch.finish(&mut over);
        assert_eq!((over.len(), over[0].kind, over[0].records), (1, Kind::Warning, 3));
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
