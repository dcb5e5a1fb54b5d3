//! Which record another one continues. Linux flags a record with `c` where a line was printed in pieces and the next
//! piece could not be added to the first, because another CPU logged in between (older kernels: `+` for all but the
//! first). With PRINTK_CALLER it continues the last record of its caller.

use arrayvec::ArrayVec;

use crate::event::{Continues, Format, Record};
use crate::number::Number;

/// Callers that are remembered. Of those that log at the same time there are hardly more.
const CALLERS: usize = 8;

/// Follows one sender's records.
#[derive(Debug, Default)]
pub struct Continued {
    /// The number of the record before.
    before: Number,
    /// Who logged last, the latest at the end. None is remembered of a sender that names none.
    callers: Option<Box<ArrayVec<Piece, CALLERS>>>,
}

/// A record that may be continued.
#[derive(Clone, Copy, Debug)]
struct Piece {
    caller: Caller,
    sequence: u64,
    timestamp: Option<u64>,
}

/// `T123`, a thread, or `C1`, a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    kind: u8,
    number: u32,
}

impl Continued {
    /// Finds which record this one continues, if it does; the mark of a missing piece is put where that did not come.
    pub fn follow(&mut self, record: &mut Record) {
        let Some(sequence) = record.sequence.filter(|_| record.format == Format::Extended) else { return };
        let caller = record.field("caller").and_then(caller);
        if record.continues == Continues::Unknown {
            let first = self.first(caller);
            let follows = self.before.get().is_some_and(|before| before.checked_add(1) == Some(sequence));
            match first {
                Some(Piece { sequence, timestamp, .. }) => {
                    record.continues = Continues::Record { sequence, timestamp }
                }
                None if caller.is_some() || !follows => {
                    record.text.insert(0, '…');
                    record.incomplete = true;
                }
                None => {}
            }
        }
        self.before = Number::new(sequence);
        if let Some(caller) = caller {
            self.remember(Piece { caller, sequence, timestamp: record.timestamp });
        }
    }

    /// Another boot began.
    pub fn clear(&mut self) {
        *self = Continued::default();
    }

    fn first(&self, caller: Option<Caller>) -> Option<Piece> {
        self.callers.as_ref()?.iter().find(|piece| Some(piece.caller) == caller).copied()
    }

    fn remember(&mut self, piece: Piece) {
        let callers = self.callers.get_or_insert_default();
        callers.retain(|known| known.caller != piece.caller);
        if callers.is_full() {
            callers.remove(0);
        }
        callers.push(piece);
    }
}

fn caller(text: &str) -> Option<Caller> {
    let (kind, number) = text.split_at_checked(1)?;
    let kind = *kind.as_bytes().first()?;
    Some(Caller { kind, number: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extended;

    /// What each record of a log continues: a number, nothing, or the mark of a missing piece.
    fn seen(headers: &[&str]) -> Vec<String> {
        let mut continued = Continued::default();
        let follow = |header: &&str| {
            let datagram = format!("{header};text\n");
            let (header, body) = extended::parse(datagram.as_bytes()).expect("a header");
            let mut record = extended::record(&header, header.extras.clone(), body, false);
            continued.follow(&mut record);
            match record.continues {
                Continues::Record { sequence, .. } => sequence.to_string(),
                Continues::Unknown if record.incomplete => record.text,
                Continues::Unknown => "?".to_owned(),
                Continues::Nothing => String::new(),
            }
        };
        headers.iter().map(follow).collect()
    }

    #[test]
    fn by_its_caller_behind_another_cpu() {
        let log = ["6,1,1,-,caller=T1", "6,2,1,-,caller=C2", "6,3,1,c,caller=T1", "6,4,1,c,caller=T1"];
        assert_eq!(seen(&log), ["", "", "1", "3"]);
        assert_eq!(seen(&["6,1,1,-,caller=T1", "6,2,1,c,caller=T2"]), ["", "…text"]);
    }

    #[test]
    fn without_callers_it_is_not_known_which() {
        assert_eq!(seen(&["6,1,1,-", "6,2,1,c", "6,3,1,+"]), ["", "?", "?"]);
        assert_eq!(
            seen(&["6,1,1,-", "6,3,1,c"]),
            ["", "…text"],
            "the piece before it may be what is missing"
        );
    }

    #[test]
    fn few_callers_are_remembered() {
        let mut log: Vec<_> = (0..9).map(|number| format!("6,{number},1,-,caller=T{number}")).collect();
        log.push("6,9,1,c,caller=T1".to_owned());
        log.push("6,10,1,c,caller=T0".to_owned());
        let log: Vec<_> = log.iter().map(String::as_str).collect();
        assert_eq!(seen(&log)[9..], ["1", "…text"]);
    }
}
