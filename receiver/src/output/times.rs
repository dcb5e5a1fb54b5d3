//! When a line was received, as it begins.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::options::Time;

/// Writes times, of which one second has many.
#[derive(Debug)]
pub struct Times {
    form: Time,
    zone: TimeZone,
    second: u64,
    /// That second, up to the point.
    text: String,
    /// What is behind the digits.
    tail: String,
    /// When the first line was received.
    first: Option<Duration>,
}

impl Times {
    /// Times of this form.
    pub fn new(form: Time) -> Self {
        let zone = match form {
            Time::Local | Time::Rfc3339 => TimeZone::system(),
            Time::None | Time::Utc | Time::Relative => TimeZone::UTC,
        };
        Times { form, zone, second: 0, text: String::new(), tail: String::new(), first: None }
    }

    /// When the first line was received, where times are told since then.
    pub fn first(&self) -> Option<Duration> {
        self.first
    }

    /// The first line was received then.
    pub fn begin(&mut self, first: Duration) {
        self.first = Some(first);
    }

    /// Writes the time that begins a line, and a space.
    pub fn write(&mut self, to: &mut Vec<u8>, at: Duration) {
        let shown = match self.form {
            Time::None => return,
            Time::Relative => {
                let first = *self.first.get_or_insert(at);
                if at < first {
                    to.push(b'-');
                }
                at.abs_diff(first)
            }
            _ => at,
        };
        if self.text.is_empty() || self.second != shown.as_secs() {
            self.second = shown.as_secs();
            (self.text, self.tail) = self.second(shown.as_secs());
        }
        to.extend_from_slice(self.text.as_bytes());
        digits(to, shown.subsec_micros());
        to.extend_from_slice(self.tail.as_bytes());
    }

    fn second(&self, second: u64) -> (String, String) {
        let (before, after) = match self.form {
            Time::Relative => return (format!("{second:6}"), " ".to_owned()),
            Time::Rfc3339 => ("%Y-%m-%dT%H:%M:%S", "%:z "),
            Time::Utc => ("%Y-%m-%d %H:%M:%S", "Z "),
            Time::Local | Time::None => ("%Y-%m-%d %H:%M:%S", " "),
        };
        let at = Timestamp::from_second(i64::try_from(second).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        let at = at.to_zoned_datetime(self.zone.clone());
        (at.strftime(before).to_string(), at.strftime(after).to_string())
    }
}

/// A point and microseconds.
pub fn digits(to: &mut Vec<u8>, micros: u32) {
    let mut text = *b".000000";
    let mut rest = micros;
    for digit in text.iter_mut().skip(1).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    to.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(times: &mut Times, at: &[Duration]) -> String {
        let mut written = Vec::new();
        at.iter().for_each(|at| times.write(&mut written, *at));
        String::from_utf8(written).expect("text")
    }

    #[test]
    fn each_form_is_as_it_is_called() {
        let at = Duration::from_micros(1_795_555_343_000_789);
        let of = |form, zone: &str| {
            let zone = TimeZone::posix(zone).expect("a zone");
            let mut times = Times { zone, ..Times::new(form) };
            all(&mut times, &[at, at + Duration::from_millis(1500)])
        };
        assert_eq!(of(Time::None, "UTC0"), "");
        assert_eq!(of(Time::Utc, "UTC0"), "2026-11-24 21:22:23.000789Z 2026-11-24 21:22:24.500789Z ");
        assert_eq!(of(Time::Local, "CET-1"), "2026-11-24 22:22:23.000789 2026-11-24 22:22:24.500789 ");
        assert_eq!(
            of(Time::Rfc3339, "NST3:30"),
            "2026-11-24T17:52:23.000789-03:30 2026-11-24T17:52:24.500789-03:30 "
        );
        assert_eq!(of(Time::Relative, "UTC0"), "     0.000000      1.500000 ");
    }

    /// What is older than the first line.
    #[test]
    fn relative_times_may_be_below_zero() {
        let second = Duration::from_secs(1);
        assert_eq!(
            all(&mut Times::new(Time::Relative), &[second * 5, second * 3]),
            "     0.000000 -     2.000000 "
        );
    }
}
