//! What is sent: the log with the report at its end, or, where writing that failed time and again, one fixed text.

use super::card::Card;
use super::line::Line;
use super::starts::{numbers, report_begins};
use crate::log::ring;
use crate::machine::clock;
use crate::memory;
use netconsole::format::Threshold;
use netconsole::format::{self, Style};
use netconsole::last_words::leg::Place;
use netconsole::nic::TransmitError;
use netconsole::plan::TargetPlan;
use netconsole::ring::Read;
use netconsole::seal::Sealing;
use netconsole::settings::{Format, RELEASE};
use netconsole::wire::Envelope;

/// What is sent.
#[derive(Clone, Copy)]
pub enum Load<'l> {
    /// The records of the log.
    Log,
    /// One text, put together from constants alone.
    Fixed(&'l Line),
}

impl Load<'_> {
    /// Behind the last record; a fixed text is record 0.
    pub fn end(&self) -> u64 {
        match self {
            Self::Log => ring().end(),
            Self::Fixed(_) => 1,
        }
    }

    /// The first record of the report.
    pub fn report(&self) -> u64 {
        match self {
            Self::Log => report_begins(),
            Self::Fixed(_) => 0,
        }
    }

    /// Queues datagrams from `place` on until the card has no room or there are no more; the next one's place.
    pub fn queue(
        &self,
        card: &mut Card,
        style: &Style<'_>,
        target: &TargetPlan,
        envelope: &Envelope,
        place: Place,
        now: u64,
    ) -> Result<Place, TransmitError> {
        match self {
            Self::Log => queue_records(card, style, &threshold(target, place.sequence), envelope, place, now),
            Self::Fixed(text) => {
                queue_text(card, target.format, envelope, text, now)?;
                Ok(Place::at(1))
            }
        }
    }
}

/// Which records go to the target where it is to have those from `begin` on: before the report only where they were asked
/// for, if it is to have that alone.
pub fn threshold(target: &TargetPlan, begin: u64) -> Threshold {
    let since = if target.only_report { report_begins().min(begin) } else { 0 };
    Threshold { limit: target.limit, since }
}

#[inline(never)]
fn queue_records(
    card: &mut Card,
    style: &Style<'_>,
    threshold: &Threshold,
    envelope: &Envelope,
    mut place: Place,
    now: u64,
) -> Result<Place, TransmitError> {
    let ring = ring();
    let timebase = clock::published();
    let protection = memory::KEYS.protection();
    let sealing = Sealing { protection: &protection, numbers: numbers() };
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
fn queue_text(
    card: &mut Card,
    format: Format,
    envelope: &Envelope,
    text: &Line,
    now: u64,
) -> Result<(), TransmitError> {
    let micros = clock::micros();
    let protection = memory::KEYS.protection();
    let sealing = Sealing { protection: &protection, numbers: numbers() };
    let mut datagram = Line::new("");
    match format {
        Format::Basic => {}
        Format::Extended { release } => {
            if release {
                datagram.text(RELEASE).text(",");
            }
            datagram.text("0,").decimal(ring().end()).text(",").decimal(micros).text(",-;");
        }
        // RFC 5424: facility kern, severity emergency; no time, host or process is known.
        Format::Syslog => _ = datagram.text("<0>1 - - netconsole - - - "),
    }
    datagram.text(text.as_str()).text("\n");
    card.transmit(now, &mut |frame| {
        let bytes = datagram.as_str().as_bytes();
        let len = envelope.write(frame, 0, |payload| {
            sealing.fill(payload, |message| {
                message.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
                Some(bytes.len())
            })
        });
        len.unwrap_or(0)
    })
}
