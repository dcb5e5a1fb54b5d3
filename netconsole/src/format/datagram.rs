//! A record's datagrams, each in its turn.

use super::log::LogRecord;
use super::output::Output;
use super::style::Style;
use super::{basic, extended, syslog};
use crate::settings::Format;

/// What [`write`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The payload's length in bytes.
    pub(super) len: usize,
    /// The offset to go on with; `None` where the record is done. It is larger than the offset before.
    pub(super) next: Option<usize>,
}

/// Writes the next datagram of `record` to the start of `to`, at most [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes. A `to`
/// that is shorter gets shorter datagrams; one that takes nothing at all ends the record.
///
/// `micros` is the time since boot at which the record was logged, in microseconds. `offset` is 0 for
/// the first datagram and [`Piece::next`] afterwards. Whether the ring overwrote the record meanwhile is
/// for the caller to ask, with [`LogRecord::is_intact`].
pub(super) fn write(
    style: &Style<'_>,
    record: &impl LogRecord,
    micros: u64,
    offset: usize,
    to: &mut [u8],
) -> Piece {
    let mut output = Output::new(to);
    let next = match style.format {
        Format::Basic => basic::write(style, record, micros, offset, &mut output),
        Format::Extended { release } => extended::write(style, release, record, micros, offset, &mut output),
        Format::Syslog => syslog::write(style, record, micros, offset, &mut output),
    };
    Piece { len: output.len(), next: next.filter(|&next| next > offset) }
}

/// Writes a text that is no record as a message of level 0 to the start of `to`, with the sequence number and time given, and
/// returns its length in bytes: for when nothing but constants can be relied on any more.
pub fn write_text(style: &Style<'_>, sequence: u64, micros: u64, text: &str, to: &mut [u8]) -> usize {
    let mut output = Output::new(to);
    match style.format {
        Format::Basic => {}
        Format::Extended { release } => {
            if release {
                output.bytes(style.release.as_bytes());
                output.byte(b',');
            }
            output.bytes(b"0,");
            output.decimal(sequence);
            output.byte(b',');
            output.decimal(micros);
            output.bytes(b",-;");
        }
        // RFC 5424: facility kern, severity emergency; no time, host or process is known.
        Format::Syslog => output.bytes(b"<0>1 - - netconsole - - - "),
    }
    output.bytes(text.as_bytes());
    output.byte(b'\n');
    output.len()
}
