//! What is sent: the log with the report at its end, or, where writing that failed time and again, one fixed text.

use super::card::Card;
use super::leg::Place;
use super::report::Report;
use crate::format::{self, Style, Threshold};
use crate::nic::TransmitError;
use crate::plan::TargetPlan;
use crate::platform::Platform;
use crate::ring::Read;
use crate::seal::{Numbers, Sealing};
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

    /// Queues datagrams from `place` on until the card has no room or there are no more; the next one's place.
    #[expect(clippy::too_many_arguments, reason = "the parts of a shipment, which lends its card meanwhile")]
    pub(super) fn queue<P: Platform>(
        &self,
        report: &Report,
        card: &mut Card,
        style: &Style<'_>,
        target: &TargetPlan,
        envelope: &Envelope,
        place: Place,
        now: u64,
    ) -> Result<Place, TransmitError> {
        match self {
            Self::Log => {
                let threshold = threshold(report, target, place.sequence);
                queue_records::<P>(report, card, style, &threshold, envelope, place, now)
            }
            Self::Fixed(text) => {
                queue_text::<P>(report, card, style, envelope, text, now)?;
                Ok(Place::at(1))
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
    card: &mut Card,
    style: &Style<'_>,
    threshold: &Threshold,
    envelope: &Envelope,
    mut place: Place,
    now: u64,
) -> Result<Place, TransmitError> {
    let ring = P::ring();
    let timebase = P::memory().timebase.read();
    let protection = P::memory().keys.protection();
    let sealing = Sealing { protection: &protection, numbers: numbers::<P>(report) };
    loop {
        let held = place.held.unwrap_or_else(|| threshold.held_before(ring, place.sequence, u64::MAX));
        let next_record = Place { held: Some(0), ..Place::at(place.sequence.saturating_add(1)) };
        let record = match ring.read(place.sequence) {
            // A record that was being written is sent with what it has, marked as cut.
            Read::Record(record) | Read::Unfinished(record) => record,
            Read::Withheld => {
                place = Place { held: Some(held.saturating_add(1)), ..next_record };
                continue;
            }
            Read::Lost { resume } => {
                place = Place { sequence: resume.max(next_record.sequence), ..next_record };
                continue;
            }
            Read::End => return Ok(place),
        };
        if !threshold.passes(&record) {
            place = Place { held: Some(held.saturating_add(1)), ..next_record };
            continue;
        }
        let style = Style { held, ..*style };
        let micros = ring.micros(&record, &timebase);
        let mut next = next_record;
        let [low, high, ..] = place.sequence.to_le_bytes();
        let queued = card.transmit(now, &mut |frame| {
            let len = envelope.write(frame, u16::from_le_bytes([low, high]), |payload| {
                sealing.fill(payload, |message| {
                    let piece = format::write_datagram(&style, &record, micros, place.offset, message);
                    if let Some(offset) = piece.next {
                        next = Place { offset, held: Some(held), ..place };
                    }
                    Some(piece.len)
                })
            });
            len.unwrap_or(0)
        });
        match queued {
            Ok(()) => place = next,
            Err(TransmitError::Full) => return Ok(place),
            Err(TransmitError::Broken) => return Err(TransmitError::Broken),
        }
    }
}

#[inline(never)]
fn queue_text<P: Platform>(
    report: &Report,
    card: &mut Card,
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
