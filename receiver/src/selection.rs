//! Which part of all that was received is wanted: `--since`, `--until-time`, `--host`, `--grep`.

use std::net::SocketAddr;
use std::time::Duration;

use regex::Regex;

use crate::event::{Event, Heard};
use crate::options::Options;
use crate::wanted::{Host, Moment};

/// The part that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    since: Option<Moment>,
    until: Option<Moment>,
    hosts: Vec<Host>,
    texts: Vec<Regex>,
}

impl Selection {
    /// As the options say.
    pub fn new(options: &Options) -> Self {
        let Options { since, until_time, host, grep, .. } = options;
        Selection { since: *since, until: *until_time, hosts: host.clone(), texts: grep.clone() }
    }

    /// Whether this time is.
    pub fn has_time(&self, at: Duration) -> bool {
        self.since.is_none_or(|since| at >= since.0) && self.until.is_none_or(|until| at < until.0)
    }

    /// Whether this machine is.
    pub fn has_host(&self, name: &str, address: Option<SocketAddr>) -> bool {
        let is_it = |host: &Host| match host {
            Host::Machine(machine) => address.is_some_and(|address| machine.has(address)),
            Host::Name(wanted) => wanted == name,
        };
        self.hosts.is_empty() || self.hosts.iter().any(is_it)
    }

    /// Whether this text is.
    pub fn has_text(&self, text: &str) -> bool {
        self.texts.is_empty() || self.texts.iter().any(|regex| regex.is_match(text))
    }

    /// Whether this is heard of at all.
    pub fn has(&self, heard: &Heard) -> bool {
        self.has_time(heard.at) && self.has_host(&heard.sender.name, Some(heard.sender.address))
    }

    /// Whether this is shown: where texts are asked for, records alone are.
    pub fn shows(&self, heard: &Heard) -> bool {
        match &heard.event {
            Event::Record { record, .. } => self.has_text(&record.text),
            _ => self.texts.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    use jiff::Timestamp;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;

    fn seconds(text: &str) -> Result<u64, String> {
        text.parse::<Moment>().map(|moment| moment.0.as_secs())
    }

    #[test]
    fn moments_in_all_their_forms() {
        assert_eq!(seconds("2026-11-24T21:22:23Z"), Ok(1_795_555_343));
        assert_eq!(seconds("2026-11-24T22:22:23+01:00"), Ok(1_795_555_343));
        assert_eq!(seconds("2026-11-24 21:22:23Z"), Ok(1_795_555_343));
        let local =
            TimeZone::system().to_timestamp(DateTime::constant(2026, 11, 24, 21, 22, 0, 0)).expect("a time");
        assert_eq!(seconds("2026-11-24 21:22"), Ok(local.as_second().cast_unsigned()));
        assert_eq!(seconds("2026-11-24"), seconds("2026-11-24 00:00"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        let ago = now - seconds("2h").expect("a span");
        assert!((7200 - 5..=7200 + 5).contains(&ago), "{ago}");
        assert_eq!(
            seconds("22:22"),
            seconds(&format!("{} 22:22", TimeZone::system().to_datetime(Timestamp::now()).date()))
        );
        for text in ["", "yesterday", "25:00", "2026-13-01"] {
            assert!(seconds(text).is_err_and(|error| error.starts_with("expected a time")), "{text}");
        }
        assert_eq!(seconds("1969-12-31T00:00:00Z"), Err("it is before 1970".to_owned()));
    }

    #[test]
    fn hosts_by_name_address_and_network() {
        let hosts = ["board7", "10.1.0.0/16", "fd00::5"].map(|text| text.parse().expect("anything is one"));
        let selection = Selection { hosts: hosts.to_vec(), ..Selection::default() };
        let has = |name: &str, address: &str| selection.has_host(name, address.parse().ok());
        assert!(has("board7", "192.0.2.1:6665") && has("x", "10.1.2.3:6665") && has("x", "[fd00::5]:6665"));
        assert!(!has("board", "10.2.0.1:6665"));
        assert!(Selection::default().has_host("x", None));
    }
}
