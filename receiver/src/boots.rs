//! The boots of one sender: the present one, and beside it what may be another.
//!
//! A record that does not fit to the present boot is shown at once and opens another beside it. A second record
//! that continues that one, or 2 s of silence of the present boot, make it the present one: the sender rebooted. If
//! the present boot goes on instead, it was a stray. Where all that comes was had before, or may have been, it is not
//! shown: either the sender sends its whole log again, as the crash kernel of a Linux does whose netconsole had sent it,
//! or it has begun again with the same. The times tell: to the µs they are those of one boot alone. The boot before is remembered for a while: its last records may
//! come late, and two machines behind one address take turns.

use std::time::Duration;

use crate::event::Event;
use crate::holes::Patience;
use crate::limits;
use crate::order::{Arrival, Place, Received, Stream};
use crate::state::Numbered;

/// What is beside the present boot.
#[derive(Debug)]
enum Beside {
    /// It began with this number at this time; nothing has continued it yet.
    /// `is_later`: the clocks say that the sender was started again before it. `exact`: how many of its records were had
    /// by the present boot, beyond doubt.
    Opened { stream: Stream, sequence: u64, timestamp: u64, at: Duration, is_later: bool, exact: u8 },
    /// The boot before, replaced at this time.
    Before { stream: Stream, at: Duration },
}

impl Beside {
    fn stream(&self) -> &Stream {
        match self {
            Beside::Opened { stream, .. } | Beside::Before { stream, .. } => stream,
        }
    }

    fn stream_mut(&mut self) -> &mut Stream {
        match self {
            Beside::Opened { stream, .. } | Beside::Before { stream, .. } => stream,
        }
    }
}

/// Whose a datagram is.
enum Choice {
    Present(Place),
    Beside(Place),
    /// It continues what was opened beside, and may well be the present boot's again.
    Undecided(Place),
    /// It is the present boot's, which was sent again up to it.
    BehindRepetition,
    Neither(Place),
}

/// So many records exactly as they were had, and none that was another, are the same boot's.
const EXACT: u8 = 4;

/// The boots of one sender.
#[derive(Debug, Default)]
pub struct Boots {
    present: Stream,
    beside: Option<Box<Beside>>,
    /// How many numbers boots that are forgotten by now had held back, not yet taken.
    held_back: u64,
}

impl Boots {
    /// The present boot.
    pub fn present(&self) -> &Stream {
        &self.present
    }

    /// The present boot, to ask for what it misses.
    pub fn present_mut(&mut self) -> &mut Stream {
        &mut self.present
    }

    /// Goes on with the boot of another run.
    pub fn resume(numbered: &Numbered, at: Duration) -> Self {
        Boots { present: Stream::resume(numbered, at), ..Boots::default() }
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        let beside = self.beside.as_ref().map_or(0, |beside| beside.stream().held());
        self.present.held().saturating_add(beside)
    }

    /// How many numbers were passed over because the sender had held them back, since the last time this was asked.
    pub fn take_held_back(&mut self) -> u64 {
        let beside = self.beside.as_deref_mut().map_or(0, |beside| beside.stream_mut().take_held_back());
        let forgotten = std::mem::take(&mut self.held_back);
        self.present.take_held_back().saturating_add(beside).saturating_add(forgotten)
    }

    /// Whether time alone may change something, or something waits to be given out.
    pub fn is_waiting(&self) -> bool {
        self.beside.is_some() || self.present.is_waiting()
    }

    /// When time alone may change something next.
    pub fn due(&self, now: Duration, patience: Patience) -> Option<Duration> {
        if self.beside.is_some() { Some(now) } else { self.present.due(now, patience) }
    }

    /// Takes a datagram. What can be given out by now is appended to `out`.
    pub fn accept(&mut self, received: Received<'_>, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let now = received.at;
        self.weigh(&received, out);
        match self.choose(&received) {
            Choice::BehindRepetition => {
                self.come_again(received.header.sequence, now, out);
                let place = self.present.judge(&received);
                self.present.accept(received, place, out)
            }
            Choice::Undecided(place) => match self.beside.as_deref_mut() {
                Some(Beside::Opened { stream, .. }) if !stream.is_full() => {
                    stream.accept(received, place, out);
                    Arrival::Opened
                }
                _ => {
                    self.replace(now, out);
                    self.present.accept(received, place, out)
                }
            },
            Choice::Present(place) => self.present.accept(received, place, out),
            Choice::Neither(place) => {
                self.close(now, out);
                self.present.begin(now, out);
                self.open(received, place, out)
            }
            Choice::Beside(place) => match self.beside.as_deref_mut() {
                Some(Beside::Before { stream, .. }) => stream.accept(received, place, out),
                Some(Beside::Opened { stream, sequence, .. }) if *sequence == received.header.sequence => {
                    stream.accept(received, place, out)
                }
                _ => {
                    self.replace(now, out);
                    self.present.accept(received, place, out)
                }
            },
        }
    }

    /// Gives out what is in order, gives up what nobody waits for any longer, and decides what is beside.
    pub fn release(&mut self, now: Duration, patience: Patience, out: &mut Vec<(Duration, Event)>) {
        let heard_at = self.present.heard_at();
        match self.beside.as_deref_mut() {
            Some(Beside::Opened { stream, at, .. }) if now >= until(stream, *at) => {
                if heard_at > *at {
                    self.close(now, out)
                } else {
                    self.decide(now, out)
                }
            }
            Some(Beside::Before { stream, at }) => {
                let until = stream.heard_at().max(*at).saturating_add(limits::BOOT_WAIT);
                stream.release(now, Patience::without_asking(patience.again), out);
                if now >= until {
                    self.close(now, out);
                } else if stream.heard_at() >= heard_at.saturating_add(limits::BOOT_WAIT) {
                    // It goes on after all, and what had replaced it does not.
                    std::mem::swap(&mut self.present, stream);
                    stream.retire();
                    *at = now;
                }
            }
            _ => {}
        }
        self.present.release(now, patience, out);
    }

    /// Gives out everything that is held, and names every gap.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        match self.beside.as_deref() {
            Some(Beside::Opened { at, .. }) if self.present.heard_at() <= *at => self.decide(now, out),
            _ => {}
        }
        self.close(now, out);
        self.present.finish(now, out);
    }

    /// First goes the boot that surely had the record, then the one that waits for it. Where both do, their clocks
    /// decide. Of an old number that merely looks alike, neither is sure.
    fn choose(&self, received: &Received<'_>) -> Choice {
        let present = self.present.judge(received);
        let Some(stream) = self.beside.as_deref().map(Beside::stream) else {
            return if present.is_possible() { Choice::Present(present) } else { Choice::Neither(present) };
        };
        let beside = stream.judge(received);
        if self.is_hidden() {
            let continues = beside.is_awaited() || beside == Place::Ahead;
            let is_old = present.is_undecided()
                || matches!(present, Place::Same(_) | Place::Hole)
                || self.present.may_be_disordered(received);
            match beside {
                Place::Same(_) => return Choice::Beside(beside),
                _ if continues && is_old => return Choice::Undecided(beside),
                _ if present.is_awaited() && self.exact() > 0 => return Choice::BehindRepetition,
                _ => {}
            }
        }
        match (present, beside) {
            (Place::Same(_), _) => Choice::Present(present),
            (_, Place::Same(_)) => Choice::Beside(beside),
            _ if present.is_awaited() && beside.is_awaited() => {
                if stream.contradiction(received) < self.present.contradiction(received) {
                    Choice::Beside(beside)
                } else {
                    Choice::Present(present)
                }
            }
            _ if present.is_awaited() => Choice::Present(present),
            _ if beside.is_awaited() => Choice::Beside(beside),
            _ if present.is_possible() => Choice::Present(present),
            _ if beside.is_possible() => Choice::Beside(beside),
            _ => Choice::Neither(present),
        }
    }

    /// Whether nothing is shown yet of what was opened beside.
    fn is_hidden(&self) -> bool {
        matches!(self.beside.as_deref(), Some(Beside::Opened { stream, .. }) if !stream.is_at_once())
    }

    /// How many records of what was opened beside and is not shown were the present boot's.
    fn exact(&self) -> u8 {
        match self.beside.as_deref() {
            Some(Beside::Opened { stream, exact, .. }) if !stream.is_at_once() => *exact,
            _ => 0,
        }
    }

    /// Notes what tells that the present boot is sent again.
    fn weigh(&mut self, received: &Received<'_>, out: &mut Vec<(Duration, Event)>) {
        if !self.is_hidden() || !self.present.had_exactly(received) {
            return;
        }
        if let Some(Beside::Opened { exact, .. }) = self.beside.as_deref_mut() {
            *exact = exact.saturating_add(1);
        }
        if self.exact() >= EXACT {
            self.come_again(received.header.sequence, received.at, out);
        }
    }

    /// What was opened beside was the present boot's log again, which has come to this number.
    fn come_again(&mut self, sequence: u64, now: Duration, out: &mut Vec<(Duration, Event)>) {
        if let Some(Beside::Opened { stream, .. }) = self.beside.take().map(|beside| *beside) {
            self.present.comes_again(stream, sequence, now, out);
        }
    }

    /// What was opened beside, with nothing more to come, is the present boot's log again, or another boot.
    fn decide(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        if self.exact() == 0 { self.replace(now, out) } else { self.close(now, out) }
    }

    /// Begins another boot beside the present one. Its record is shown at once, but where it was shown already.
    fn open(&mut self, received: Received<'_>, place: Place, out: &mut Vec<(Duration, Event)>) -> Arrival {
        let (sequence, timestamp, at) = (received.header.sequence, received.header.timestamp, received.at);
        let is_later = self.present.is_of_later_boot(&received);
        let mut stream = if place.is_undecided() { Stream::beside() } else { Stream::at_once() };
        let exact = u8::from(place.is_undecided() && self.present.had_exactly(&received));
        stream.accept(received, Place::Next, out);
        self.beside = Some(Box::new(Beside::Opened { stream, sequence, timestamp, at, is_later, exact }));
        Arrival::Opened
    }

    /// Ends what is beside: the boot before, a stray, or the present boot's log again.
    fn close(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        match self.beside.take().map(|beside| *beside) {
            Some(Beside::Before { mut stream, .. }) => {
                stream.finish(now, out);
                self.held_back = self.held_back.saturating_add(stream.take_held_back());
            }
            Some(Beside::Opened { stream, sequence, at, .. }) if stream.is_at_once() => {
                stream.remains(at, out);
                out.push((now, Event::Stray { sequence }));
            }
            // What was had is a duplicate.
            Some(Beside::Opened { stream, at, exact: 0, .. }) => self.present.remains_of(stream, at, out),
            Some(Beside::Opened { stream, .. }) => {
                let last = stream.end().saturating_sub(1);
                self.present.comes_again(stream, last, now, out);
            }
            None => {}
        }
    }

    /// What was opened beside becomes the present boot, and the present one the boot before.
    fn replace(&mut self, now: Duration, out: &mut Vec<(Duration, Event)>) {
        let Some(Beside::Opened { mut stream, sequence, timestamp, is_later, .. }) =
            self.beside.take().map(|beside| *beside)
        else {
            return;
        };
        self.present.finish(now, out);
        let (end, newest) = (self.present.end(), self.present.newest());
        if sequence > end && timestamp >= newest && !is_later {
            // The same boot, after a gap too wide to be waited for.
            let (first, last) = (end, sequence - 1);
            out.push((now, self.present.lack(first, last, last - first + 1)));
            (stream.repeats, stream.asked_in_vain) = (self.present.repeats, self.present.asked_in_vain);
        } else {
            out.push((now, Event::Rebooted));
            let joined = stream.joined().filter(|_| stream.is_at_once());
            out.extend(joined.map(|sequence| (now, Event::Joined { sequence })));
        }
        stream.settle();
        let mut before = std::mem::replace(&mut self.present, stream);
        before.retire();
        self.beside = Some(Box::new(Beside::Before { stream: before, at: now }));
    }
}

/// How long what was opened beside at this time is waited with.
fn until(stream: &Stream, at: Duration) -> Duration {
    if stream.is_at_once() {
        return at.saturating_add(limits::BOOT_WAIT);
    }
    stream.heard_at().saturating_add(limits::BOOT_WAIT).min(at.saturating_add(limits::AGAIN_WAIT))
}
