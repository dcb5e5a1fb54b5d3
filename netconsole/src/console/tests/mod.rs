//! The console on a host whose network is one station.

mod commands;
mod fake_host;
mod linux;
mod remote;
mod tree;

use super::*;
use crate::format::SharedStyle;
use crate::network::{Conversation, Neighbor, NetworkError, Sent};
use crate::ring::{Audience, KeyId, Level, Ring, RingHeader, Timebase};
use crate::settings::DeviceName;
use crate::targets::table::TargetTable;
use crate::targets::user_data::UserData;
use crate::targets::{Common, LogFilter};
use crate::text::Text;
use crate::wire::MacAddr;
use core::fmt;
use core::net::IpAddr;
use core::sync::atomic::AtomicU64;
use fake_host::FakeHost;

/// Room for more than a thousand records.
const LOG_WORDS: usize = 1 << 15;

/// A session on such a host.
pub(super) struct Console {
    pub(super) host: Box<FakeHost>,
    pub(super) session: Box<Session>,
}

impl Console {
    pub(super) fn new() -> Self {
        Self { host: Box::new(FakeHost::new(LOG_WORDS)), session: Box::new(Session::new()) }
    }

    /// What a line shows.
    pub(super) fn run(&mut self, line: &str) -> String {
        let mut out = Text::<2000>::new();
        let mut shown = String::new();
        self.session.begin(line, &mut *self.host, &mut out);
        for _ in 0..200_000 {
            let progress = self.session.poll(&mut *self.host, &mut out);
            shown.push_str(out.as_str());
            out.clear();
            match progress {
                Progress::Idle | Progress::Done if self.session.is_idle() => return shown,
                Progress::Waiting => self.host.now += 1000,
                _ => {}
            }
        }
        panic!("'{line}' does not end: {shown}")
    }

    /// Each line must show the text beside it.
    pub(super) fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            assert_eq!(self.run(line), *expected, "{line}");
        }
    }
}
