//! What `--since`, `--until-time` and `--host` take.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::names::Machine;

/// A moment, since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

impl FromStr for Moment {
    type Err = String;

    /// With a zone, or in this host's; a time alone is today's, a span is before now.
    fn from_str(text: &str) -> Result<Self, String> {
        let zone = TimeZone::system();
        let zoned = |civil: DateTime| zone.to_timestamp(civil).ok();
        let midnight = |date: Date| date.to_datetime(Time::midnight());
        let today = |time: Time| zone.to_datetime(Timestamp::now()).date().to_datetime(time);
        let before = |span: Duration| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.saturating_sub(span)
        };
        // A time is the last: of a date with a time jiff takes that part.
        let stamp = (text.parse::<Timestamp>().ok())
            .or_else(|| text.parse::<DateTime>().ok().and_then(zoned))
            .or_else(|| text.parse::<Date>().ok().map(midnight).and_then(zoned))
            .or_else(|| text.parse::<Time>().ok().filter(|_| text.contains(':')).map(today).and_then(zoned));
        if let Some(stamp) = stamp {
            return Duration::try_from(stamp.as_duration())
                .map(Moment)
                .map_err(|_| "it is before 1970".to_owned());
        }
        humantime::parse_duration(text).map(|span| Moment(before(span))).map_err(|_| {
            "expected a time: 2026-11-24T21:22:23Z, '2026-11-24 22:22', 22:22 (today), or 2h (before now)"
                .to_owned()
        })
    }
}

/// One of the machines that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// By address, port, network or MAC address.
    Machine(Machine),
    /// By name.
    Name(String),
}

impl FromStr for Host {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Host::Name(text.to_owned()), Host::Machine))
    }
}
