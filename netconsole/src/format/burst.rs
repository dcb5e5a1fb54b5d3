//! A burst: many records that are a plain line each, queued one after the other with nothing in between.

use crate::format::Lines;
use crate::nic::{Nic, TransmitError};
use crate::wire::Envelope;

/// Where a burst is.
pub(crate) struct Burst {
    /// The next record.
    pub sequence: u64,
    /// IPv4's identification of the next datagram.
    pub identification: u16,
    /// How many records it may still take.
    pub left: u64,
    /// How many bytes its datagrams have.
    pub bytes: u64,
}

impl Burst {
    /// Queues datagrams until this burst is over, or the next record is none for `lines`.
    #[inline(always)]
    pub(crate) fn queue<N: Nic>(
        &mut self,
        nic: &mut N,
        mut lines: Lines<'_, '_>,
        envelope: &Envelope,
    ) -> Result<(), TransmitError> {
        nic.transmit_all(
            #[inline(always)]
            |frame| {
                let burst = &mut *self;
                if burst.left == 0 {
                    return None;
                }
                let mut payload_len = 0;
                let frame_len = envelope.write_summed(
                    frame,
                    burst.identification,
                    #[inline(always)]
                    |payload| {
                        let (len, sum) = lines.write(burst.sequence, payload)?;
                        payload_len = len;
                        Some((len, sum))
                    },
                )?;
                burst.step(payload_len);
                Some(frame_len)
            },
        )
    }

    /// One more record went into a datagram of `len` bytes.
    #[inline(always)]
    fn step(&mut self, len: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.identification = self.identification.wrapping_add(1);
        self.left = self.left.wrapping_sub(1);
        self.bytes = self.bytes.wrapping_add(len as u64);
    }
}
