//! What is sent: the log with the report at its end, or, where writing that failed time and again, one fixed text.

use super::card::PanicCard;
use super::report::Report;
use crate::format::{self, Cursor, Next, RingLog, Style, Threshold, Unfinished};
use crate::nic::TransmitError;
use crate::plan::TargetPlan;
use crate::platform::Platform;
use crate::ring::Record;
use crate::seal::{Numbers, Sealing};
use crate::sender::Sender;
use crate::wire::Envelope;

/// What is sent.
#[derive(Clone, Copy)]
pub enum Load<'l> {
    /// The records of the log.
    Log,
    /// One text, put together from constants alone; it is sent as the next record would be.
    Fixed(&'l str),
}

impl Load<'_> {
    /// After the last record; a fixed text is record 0.
    pub(super) fn end<P: Platform>(&self) -> u64 {
        match self {
            Self::Log => P::ring().end(),
            Self::Fixed(_) => 1,
        }
    }

    /// The first record of the report.
    pub(super) fn report(&self, report: &Report) -> u64 {
        match self {
            Self::Log => report.first,
            Self::Fixed(_) => 0,
        }
    }

    /// Queues datagrams from `cursor` on until the card has no room or there are no more; where the next one is.
    #[expect(clippy::too_many_arguments, reason = "the parts of a shipment, which lends its card meanwhile")]
    pub(super) fn queue<P: Platform>(
        &self,
        report: &Report,
        card: &mut PanicCard,
        style: &Style<'_>,
        target: &TargetPlan,
        envelope: &Envelope,
        cursor: Cursor,
        now: u64,
    ) -> Result<Cursor, TransmitError> {
        match self {
            Self::Log => {
                let threshold = threshold(report, target, cursor.sequence());
                queue_records::<P>(report, card, style, &threshold, envelope, cursor, now)
            }
            Self::Fixed(text) => {
                queue_text::<P>(report, card, style, envelope, text, now)?;
                Ok(Cursor::at(1))
            }
        }
    }
}

/// Which records go to the target where it is to have those from `begin` on: before the report only where they were asked
/// for, if it is to have that alone.
pub(super) fn threshold(report: &Report, target: &TargetPlan, begin: u64) -> Threshold {
    let since = if target.only_report { report.first.min(begin) } else { 0 };
    Threshold { limit: target.limit, since }
}

#[inline(never)]
fn queue_records<P: Platform>(
    report: &Report,
    card: &mut PanicCard,
    style: &Style<'_>,
    threshold: &Threshold,
    envelope: &Envelope,
    mut cursor: Cursor,
    now: u64,
) -> Result<Cursor, TransmitError> {
    let timebase = P::memory().timebase.read();
    let log = RingLog::new(P::ring(), &timebase);
    let protection = P::memory().keys.protection();
    let sealing = Sealing { protection: &protection, numbers: numbers::<P>(report) };
    let sender = Sender { log: &log, style: *style, threshold: *threshold, envelope, sealing };
    let passes = |record: &Record<'_>| threshold.passes(record);
    cursor.count_held(&log, u64::MAX, passes);
    loop {
        // A record that was being written is sent with what it has, marked as cut.
        let record = match cursor.next(&log, Unfinished::Take, passes) {
            Next::Record(record) => record,
            Next::HeldBack | Next::Lost(_) => continue,
            Next::End => return Ok(cursor),
        };
        let [low, high, ..] = cursor.sequence().to_le_bytes();
        let identification = u16::from_le_bytes([low, high]);
        // One that another CPU has overwritten meanwhile is passed over.
        let mut next = cursor.after(1);
        let queued = card.transmit(now, &mut |frame| {
            let (datagram, len) = sender.fill(frame, &record, &cursor, identification);
            if let Some(datagram) = datagram {
                next = datagram.next;
            }
            len
        });
        match queued {
            Ok(()) => cursor = next,
            Err(TransmitError::Full) => return Ok(cursor),
            Err(TransmitError::Broken) => return Err(TransmitError::Broken),
        }
    }
}

#[inline(never)]
fn queue_text<P: Platform>(
    report: &Report,
    card: &mut PanicCard,
    style: &Style<'_>,
    envelope: &Envelope,
    text: &str,
    now: u64,
) -> Result<(), TransmitError> {
    let protection = P::memory().keys.protection();
    let sealing = Sealing { protection: &protection, numbers: numbers::<P>(report) };
    card.transmit(now, &mut |frame| {
        let len = envelope.write(frame, 0, |payload| {
            sealing
                .fill(payload, |message| Some(format::write_text(style, P::ring().end(), now, text, message)))
        });
        len.unwrap_or(0)
    })
}

/// The numbers of what this start of the panic path seals.
pub(super) fn numbers<P: Platform>(report: &Report) -> Numbers<'static> {
    Numbers::Panic { start: report.start, ticks: P::ticks }
}
