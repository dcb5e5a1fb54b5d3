//! The words for what is no record: on the screen, in JSON, in sinks, and by that on the wall.

use crate::event::{Event, Heard};

/// What is said of an event; nothing of a record, nor of a report whose like did not come before.
pub fn words(heard: &Heard) -> Option<String> {
    let sender = &heard.sender;
    Some(match &heard.event {
        Event::Record { .. } => return None,
        // Its lines are there.
        Event::Report(report) => {
            let repetition = report.repetition()?;
            format!("the same {} came before: {repetition} (id {})", report.kind, report.id())
        }
        Event::Missing { first, last, count } => missing(*first, *last, *count),
        Event::Skipped { first, last, count } => {
            let numbers = counted(*count, "number");
            let range = if first == last { first.to_string() } else { format!("{first}–{last}") };
            format!("{numbers} skipped: held back by the sender's level, or lost ({range})")
        }
        Event::Joined { sequence } => {
            format!("joined at record {sequence}, what was before was not received")
        }
        Event::Moved { before } => format!("comes from {} by now, not from {before}", sender.address),
        Event::Rebooted => "rebooted".to_owned(),
        Event::Stray { sequence } => format!("record {sequence} was a stray: nothing continues it"),
        Event::Dropped { count } => {
            let datagrams = counted(*count, "datagram");
            format!("{datagrams} dropped by this host: its socket's buffer was full")
        }
        Event::Lost { count, reason } => format!("{} lost here: {reason}", counted(*count, "record")),
        Event::Crash { kind } if kind.is_crash() => format!("crash report from {}", sender.name),
        Event::Crash { kind } => format!("report from {}: {kind}", sender.name),
    })
}

fn missing(first: u64, last: u64, count: u64) -> String {
    let records = counted(count, "record");
    let width = last.saturating_sub(first).saturating_add(1);
    match (first == last, count == width) {
        (true, _) => format!("1 record missing ({first})"),
        (false, true) => format!("{records} missing ({first}–{last})"),
        (false, false) => format!("{records} missing (of {first}–{last})"),
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
