//! What became of a target's log: counted, and whether it was heard.

use core::fmt;

/// What a target has sent and lost since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records whose last datagram was queued.
    pub records: u64,
    /// Datagrams queued.
    pub datagrams: u64,
    /// Bytes of those datagrams.
    pub bytes: u64,
    /// Records that the ring had lost before they could be sent.
    pub lost: u64,
    /// Records that were not to be sent, because of their level.
    pub filtered: u64,
    /// Records that were sent again, because the link or the card had failed under them.
    pub repeated: u64,
    /// How often the card failed to take a datagram, which was sent later then.
    pub errors: u64,
}

/// One line: `records 12, datagrams 13, …`.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, datagrams, bytes, lost, filtered, repeated, errors } = self;
        write!(
            f,
            "records {records}, datagrams {datagrams}, bytes {bytes}, dropped: overwritten {lost}, by level {filtered}; \
             sent again {repeated}, transmit errors {errors}"
        )
    }
}

/// What shows that the log was heard, from nothing to certainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reception {
    /// Nothing does.
    Unheard,
    /// The target, its gateway or another station has been heard from, so that what went out can be heard.
    Heard,
    /// A receiver has acknowledged every record.
    Acknowledged,
}

/// What it means for a log that has gone out.
impl fmt::Display for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unheard => "nothing shows that the log was heard",
            Self::Heard => "the log has gone out",
            Self::Acknowledged => "the log has gone out and was acknowledged",
        })
    }
}
