//! How an event is written: as text or as JSON.

use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

    /// Writes that records were lost in this output.
    pub fn write_lost(self, to: &mut Vec<u8>, stamp: &mut Stamp, count: u64, reason: &str) {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let sender = Rc::new(Identity { address, name: Identity::SELF.into(), named: true });
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let heard = Heard { sender, at, event: Event::Lost { count, reason: reason.to_owned() } };
        self.with_prefix(false).write(to, stamp, at, &heard, &Translation::default());
    }
}
