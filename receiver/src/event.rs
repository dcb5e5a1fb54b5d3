//! What the ordering gives to the outputs: records, and what is to be said about them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use compact_str::CompactString;
use serde::Serialize;

use crate::report::{Kind, Report};

/// Who sent it.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The present address and source port, IPv4 as IPv4 also where it came through an IPv6 socket.
    pub address: SocketAddr,
    /// The name that was given or said, else the address; with the port that it was first heard from where another
    /// sender of the address has that name. Most are short, and take no memory of their own.
    pub name: CompactString,
    /// Whether the name was given or said.
    pub named: bool,
}

impl Identity {
    /// The sender of what is said of the receiver itself has this name.
    pub const SELF: &str = "receiver";
}

/// The format of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The text as a console shows it.
    Basic,
    /// With level, sequence and time.
    Extended,
    /// RFC 5424, RFC 3164 and its dialects.
    Syslog,
    /// A JSON object.
    Json,
}

impl Format {
    /// As JSON and the sinks call it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Basic => "basic",
            Format::Extended => "extended",
            Format::Syslog => "syslog",
            Format::Json => "json",
        }
    }
}

/// A field's key and its value. Most are short, and take no memory of their own.
pub type Field = (CompactString, CompactString);

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The format that it came in.
    pub format: Format,
    /// 0 (emergency) to 7 (debug); the basic format has one only with `console_msg_format=syslog`.
    pub level: Option<u8>,
    /// 0 is the kernel, 1 user space; as with the level.
    pub facility: Option<u8>,
    /// The sender's number of the record (syslog: its `sequenceId`).
    pub sequence: Option<u64>,
    /// Microseconds since the sender's boot.
    pub timestamp: Option<u64>,
    /// The time, host name and application of a syslog or JSON message, as they came.
    pub origin: Option<Box<Origin>>,
    /// The kernel's release, where the sender prepends it.
    pub release: Option<String>,
    /// The message, raw: for a terminal it goes through [`crate::escape::harmless`].
    pub text: String,
    /// User and system data, syslog's structured data.
    pub fields: Vec<Field>,
    /// How many records directly before it were held back by the sender's level.
    pub held: u64,
    /// A part is missing; the text has `…` in its place.
    pub incomplete: bool,
    /// It is a further piece of a line.
    pub continues: Continues,
}

/// Which record another one continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Continues {
    /// None.
    #[default]
    Nothing,
    /// One before it.
    Unknown,
    /// This one.
    Record {
        /// Its number.
        sequence: u64,
        /// Its time, in microseconds since the sender's boot.
        timestamp: Option<u64>,
    },
}

/// Where a syslog or JSON message says that it comes from; `None` where it does not, or says `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The time, as it came.
    pub time: Option<String>,
    /// Host name.
    pub host: Option<String>,
    /// Application name; the tag of RFC 3164.
    pub application: Option<String>,
    /// The number of its process.
    pub process: Option<String>,
    /// RFC 5424's MSGID, the kind of message; from the netconsole kernel the module that logged.
    pub message_id: Option<String>,
}

impl Record {
    /// A record of which nothing but its text is known.
    pub fn of(format: Format, text: String) -> Self {
        Record {
            format,
            level: None,
            facility: None,
            sequence: None,
            timestamp: None,
            origin: None,
            release: None,
            text,
            fields: Vec::new(),
            held: 0,
            incomplete: false,
            continues: Continues::Nothing,
        }
    }

    /// Marks that its end is missing.
    pub fn cut(mut self) -> Self {
        self.text.push('…');
        self.incomplete = true;
        self
    }

    /// The value of a field.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Roughly the memory that it takes.
    pub fn size(&self) -> usize {
        let fields = self.fields.iter().map(|(key, value)| key.len() + value.len() + size_of::<Field>());
        size_of::<Record>() + self.text.len() + fields.sum::<usize>()
    }
}

/// Something that the outputs show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record, in its place.
    Record {
        /// The record.
        record: Record,
        /// It is part of a crash report.
        crash: bool,
        /// It came after it had been reported missing, out of its place.
        late: bool,
        /// It does not continue the sender's log, and is shown at once: another boot, or a stray.
        beside: bool,
    },
    /// Records that were lost on the way.
    Missing {
        /// The first number of the gap.
        first: u64,
        /// The last number of the gap.
        last: u64,
        /// How many records are missing; fewer than the gap is wide where message ids show that the others
        /// were never sent.
        count: u64,
    },
    /// Numbers that did not come, of a sender that does not tell which its level holds back.
    Skipped {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
        /// How many.
        count: u64,
    },
    /// The sender was first heard in the middle of its log.
    Joined {
        /// The first number heard.
        sequence: u64,
    },
    /// The sender goes on from another address or port.
    Moved {
        /// The one before.
        before: SocketAddr,
    },
    /// The sender started again.
    Rebooted,
    /// The record that did not continue the sender's log is continued by nothing.
    Stray {
        /// Its number.
        sequence: u64,
    },
    /// A record says that there is a crash report, or another one: it follows.
    Crash {
        /// What it is about.
        kind: Kind,
    },
    /// A report is over: all of it.
    Report(Box<Report>),
    /// This host dropped datagrams, of whichever senders: its socket's buffer was full. The identity is the socket's.
    Dropped {
        /// How many.
        count: u64,
    },
    /// An output lost records: this is said in it alone, in their place.
    Lost {
        /// How many.
        count: u64,
        /// Why.
        reason: String,
    },
}

/// An event, whose it is and when it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whose.
    pub sender: Rc<Identity>,
    /// Since the Unix epoch; of a record, when its last datagram came.
    pub at: Duration,
    /// What.
    pub event: Event,
}
