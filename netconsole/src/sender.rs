//! From a record to a frame: the format's datagram, sealed where there is a key, in its headers.

#![forbid(unsafe_code)]

use crate::format::{Cursor, Datagram, Log, Style, Threshold};
use crate::nic::{Nic, TransmitError};
use crate::seal::Sealing;
use crate::wire::Envelope;

/// Where records come from, how they look and where they go.
pub struct Sender<'s, L> {
    /// The log.
    pub log: &'s L,
    /// The format.
    pub style: Style<'s>,
    /// Which records go out.
    pub threshold: Threshold,
    /// The headers.
    pub envelope: &'s Envelope,
    /// Whether and how datagrams are sealed.
    pub sealing: Sealing<'s>,
}

impl<L: Log> Sender<'_, L> {
    /// Queues the datagram of `record` that begins at `cursor`. `Ok(None)`: nothing was queued, since the
    /// record was overwritten meanwhile.
    pub fn transmit<N: Nic + ?Sized>(
        &self,
        nic: &mut N,
        record: &L::Record,
        cursor: &Cursor,
        identification: u16,
    ) -> Result<Option<Datagram>, TransmitError> {
        let mut datagram = None;
        nic.transmit(&mut |frame: &mut [u8]| {
            let (written, frame_len) = self.fill(frame, record, cursor, identification);
            datagram = written;
            frame_len
        })?;
        Ok(datagram)
    }

    /// Writes any datagram of a record into `frame`; returns what it holds and the frame's length, 0 where it
    /// is not to go out.
    #[inline(never)]
    pub fn fill(
        &self,
        frame: &mut [u8],
        record: &L::Record,
        cursor: &Cursor,
        identification: u16,
    ) -> (Option<Datagram>, usize) {
        let mut datagram = None;
        let frame_len = self.envelope.write(frame, identification, |payload| {
            self.sealing.fill(payload, |message| {
                datagram = cursor.datagram(&self.style, self.log, record, message);
                datagram.map(|datagram| datagram.len)
            })
        });
        match frame_len {
            Some(len) => (datagram, len),
            None => (None, 0),
        }
    }
}
