//! How an event is written: as text or as JSON.

use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crate::event::{Event, Heard, Identity};
use crate::symbols::Translation;

use super::json;
use super::text::{self, Style};
use super::times::Times;

/// How an event is written.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// For a person.
    Text(Style),
    /// One object a line.
    Json,
}

/// What is kept from line to line.
#[derive(Debug)]
pub enum Stamp {
    /// Of a text.
    Text(Times),
    /// Of JSON.
    Json(json::Stamp),
}

impl Stamp {
    /// For this form.
    pub fn of(form: Form) -> Self {
        match form {
            Form::Text(style) => Stamp::Text(Times::new(style.time)),
            Form::Json => Stamp::Json(json::Stamp::default()),
        }
    }

    /// When the first line was received, where times are told since then.
    pub fn first(&self) -> Option<Duration> {
        match self {
            Stamp::Text(times) => times.first(),
            Stamp::Json(_) => None,
        }
    }

    /// Times are told since the same line as in another's.
    pub fn begin(&mut self, first: Option<Duration>) {
        if let (Stamp::Text(times), Some(first)) = (self, first) {
            times.begin(first);
        }
    }
}

impl Form {
    /// The same, its lines beginning with the sender's name or not.
    pub fn with_prefix(self, prefix: bool) -> Self {
        match self {
            Form::Text(style) => Form::Text(Style { prefix, ..style }),
            Form::Json => Form::Json,
        }
    }

    /// Writes an event that was received `at` that time of the system's clock.
    pub fn write(
        self,
        to: &mut Vec<u8>,
        stamp: &mut Stamp,
        at: Duration,
        heard: &Heard,
        translation: &Translation,
    ) {
        match (self, stamp) {
            (Form::Text(style), Stamp::Text(times)) => text::write(to, style, times, at, heard, translation),
            (_, Stamp::Json(stamp)) => json::write(to, stamp, at, heard, translation).unwrap_or_default(),
            // Each form has its own stamp.
            (Form::Json, Stamp::Text(_)) => {}
        }
    }

    /// Writes that records were lost in this output, the last of which was received `at` that time.
    pub fn write_lost(self, to: &mut Vec<u8>, stamp: &mut Stamp, at: Duration, count: u64, reason: &str) {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let sender = Rc::new(Identity { address, name: Identity::SELF.into(), named: true });
        let heard = Heard { sender, at, event: Event::Lost { count, reason: reason.to_owned() } };
        self.with_prefix(false).write(to, stamp, at, &heard, &Translation::default());
    }
}
