//! What is remembered of one boot of a sender: enough to tell what a record with an old number is. It was had
//! before, comes late, or belongs to another boot.
//!
//! The newest numbers have their fate (had or not) and a digest each, and so have the first: another boot of the
//! same machine differs there. Of those between, a few have their time: the farther back, the fewer. It takes the
//! same 450 bytes however long the boot lasts.

use std::hash::BuildHasher;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;

use crate::limits;

/// How far the times of two neighbours may contradict their order, in µs: processors' clocks differ a little, and
/// a writer may be interrupted after it took the time.
pub const CLOCK_SLACK: u64 = 10_000;
/// No digest: the number was not had.
const NONE: u16 = 0;
/// No digest of a number that was had, in another run.
const UNKNOWN: u16 = 1;
const WORD: u64 = u64::BITS as u64;
/// So far apart are the last two anchors at least.
const NEAR: u32 = 4;
/// Parts in which a gap between anchors is compared to its distance from the end.
const SCALE: u64 = 1 << 16;

/// A digest of a record's time, priority and text, as each repetition has them. Its fields are left out: they may
/// have changed by then.
pub fn digest(timestamp: u64, priority: u8, text: &[u8]) -> u16 {
    // Its seed is always the same.
    let hash = FixedState::with_seed(0).hash_one((timestamp, priority, text));
    let [low, high, ..] = hash.to_le_bytes();
    u16::from_le_bytes([low, high]).max(UNKNOWN + 1)
}

/// What a record with an old number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// Had before: its digest is the same.
    Same,
    /// Its time fits, and no digest of this number is left: had before, or of another boot that looks alike.
    Alike,
    /// It was given up, and its time fits.
    Late,
    /// It is of another boot.
    Foreign,
}

/// The place of one record in its boot (see `Boot::place_of`), in 32 bits, and its time, in 48: nine years of µs. Higher ones
/// count as the highest. There are many of them for each of very many senders.
#[derive(Clone, Copy, Debug)]
struct Anchor([u16; 5]);

impl Anchor {
    fn new(place: u32, timestamp: u64) -> Self {
        let word = |value: u64| {
            let [a, b, ..] = value.to_le_bytes();
            u16::from_le_bytes([a, b])
        };
        let (place, timestamp) = (u64::from(place), timestamp.min((1 << 48) - 1));
        Anchor([
            word(place),
            word(place >> 16),
            word(timestamp),
            word(timestamp >> 16),
            word(timestamp >> 32),
        ])
    }

    fn place(&self) -> u32 {
        let Anchor([low, high, ..]) = *self;
        u32::from(high) << 16 | u32::from(low)
    }

    fn timestamp(&self) -> u64 {
        let Anchor([.., low, middle, high]) = *self;
        u64::from(high) << 32 | u64::from(middle) << 16 | u64::from(low)
    }
}

/// Numbers that were given up, both included.
#[derive(Clone, Copy, Debug)]
struct Lost {
    first: u64,
    last: u64,
}

/// What is remembered of a boot.
#[derive(Debug)]
pub struct Boot {
    first: u64,
    next: u64,
    /// A bit for each of the last numbers: whether it was had.
    fates: [u64; limits::FATES / WORD as usize],
    digests: [u16; limits::DIGESTS],
    opening: [u16; limits::OPENING],
    /// Ordered by their numbers; the first is never dropped.
    anchors: ArrayVec<Anchor, { limits::ANCHORS }>,
    /// Wide gaps whose fates are no longer in `fates`, oldest first, where there were any.
    lost: Option<Box<ArrayVec<Lost, { limits::LOST }>>>,
}

impl Default for Boot {
    fn default() -> Self {
        Boot::new(0)
    }
}

impl Boot {
    /// Nothing was had yet; the first number is this one, or at most [`limits::FIRST_REACH`] before it, overtaken.
    pub fn new(first: u64) -> Self {
        Boot {
            first,
            next: first,
            fates: [0; _],
            digests: [NONE; _],
            opening: [NONE; _],
            anchors: ArrayVec::new(),
            lost: None,
        }
    }

    /// A boot of which all before this number was had, in another run, the last one at this time.
    pub fn resumed(next: u64, timestamp: u64) -> Self {
        let mut boot = Boot { fates: [u64::MAX; _], opening: [UNKNOWN; _], next, ..Boot::new(0) };
        if let Some(sequence) = next.checked_sub(1) {
            boot.anchors.push(Anchor::new(boot.place_of(sequence), timestamp));
        }
        boot
    }

    /// The next number was had.
    pub fn had(&mut self, timestamp: u64, digest: u16) {
        let sequence = self.next;
        self.next = sequence.saturating_add(1);
        self.remember(sequence, digest);
        let place = self.place_of(sequence);
        let anchor = Anchor::new(place, timestamp);
        if self.anchors.is_full() {
            // So close to the end an anchor for each number is not needed.
            let before = self.anchors.len().checked_sub(2).and_then(|index| self.anchors.get(index));
            let is_near = before.is_some_and(|before| place.saturating_sub(before.place()) <= NEAR);
            if let Some(last) = self.anchors.last_mut().filter(|_| is_near) {
                *last = anchor;
                return;
            }
            self.thin();
        }
        self.anchors.push(anchor);
    }

    /// The numbers before this one were given up.
    pub fn lost(&mut self, end: u64) {
        let Some(last) = end.checked_sub(1).filter(|last| *last >= self.next) else { return };
        let first = self.next.max(end.saturating_sub(limits::FATES as u64));
        for sequence in first..end {
            self.forget(sequence);
        }
        let lost = self.lost.get_or_insert_default();
        match lost.last_mut() {
            Some(before) if before.last.saturating_add(1) == self.next => before.last = last,
            _ => {
                if lost.is_full() {
                    lost.remove(0);
                }
                lost.push(Lost { first: self.next, last });
            }
        }
        self.next = end;
    }

    /// A number that was given up came after all.
    pub fn late(&mut self, sequence: u64, digest: u16) {
        if self.next.saturating_sub(sequence) <= limits::FATES as u64 {
            self.remember(sequence, digest);
        } else {
            self.remember_opening(sequence, digest);
        }
        let Some(all) = &mut self.lost else { return };
        let Some(index) = all.iter().position(|lost| lost.holds(sequence)) else { return };
        let lost = all.remove(index);
        let before = sequence.checked_sub(1).map(|last| Lost { last, ..lost });
        let after = Lost { first: sequence.saturating_add(1), ..lost };
        let parts = [before, Some(after)].into_iter().flatten().filter(|part| part.first <= part.last);
        for part in parts {
            // The list has room for one; of two, the wider gap is kept.
            if all.is_full() {
                let narrowest = (0..limits::LOST).min_by_key(|&index| all.get(index).map(Lost::width));
                all.remove(narrowest.unwrap_or(0));
            }
            all.push(part);
        }
    }

    /// What a record below the next number is.
    pub fn judge(&self, sequence: u64, timestamp: u64, digest: u16) -> Old {
        if self.is_before(sequence) {
            return Old::Foreign;
        }
        let fits = self.fits(sequence, timestamp);
        match (self.is_lost(sequence), self.digest_of(sequence)) {
            (true, _) if fits => Old::Late,
            (false, Some(known)) if known == digest => Old::Same,
            (false, None) if fits => Old::Alike,
            _ => Old::Foreign,
        }
    }

    /// Whether the record was had, as its digest shows, or that its time is known to the µs.
    pub fn had_exactly(&self, sequence: u64, timestamp: u64, digest: u16) -> bool {
        let place = self.place_of(sequence);
        let is_anchor = |anchor: &Anchor| anchor.place() == place && anchor.timestamp() == timestamp;
        self.digest_of(sequence) == Some(digest) || self.anchors.iter().any(is_anchor)
    }

    /// Whether the number is of the boot, and nothing is known but the time that tells its record from this one.
    pub fn may_have(&self, sequence: u64, digest: u16) -> bool {
        !self.is_before(sequence) && self.digest_of(sequence).is_none_or(|known| known == digest)
    }

    /// Whether the number, below the next, was given up, as far as is known.
    pub fn is_lost(&self, sequence: u64) -> bool {
        if self.next.saturating_sub(sequence) <= limits::FATES as u64 {
            !self.was_had(sequence)
        } else if let Some(opening) = self.opening_of(sequence) {
            opening == NONE
        } else {
            self.lost.iter().flat_map(|all| all.iter()).any(|lost| lost.holds(sequence))
        }
    }

    fn is_before(&self, sequence: u64) -> bool {
        sequence < self.first && self.first - sequence > limits::FIRST_REACH
    }

    /// Whether the number is one of the first, of which a digest is kept for good.
    pub fn is_opening(&self, sequence: u64) -> bool {
        sequence.checked_sub(self.first).is_some_and(|index| index < limits::OPENING as u64)
    }

    /// Whether the time lies between those of the neighbours that are known.
    fn fits(&self, sequence: u64, timestamp: u64) -> bool {
        let place = self.place_of(sequence);
        let lower = self.anchors.iter().rev().find(|anchor| anchor.place() <= place);
        let upper = self.anchors.iter().find(|anchor| anchor.place() >= place);
        is_between(lower.map(Anchor::timestamp), timestamp, upper.map(Anchor::timestamp))
            && lower.is_none_or(|lower| lower.place() < place || lower.timestamp() == timestamp)
    }

    /// The place of a number among those of the boot: [`limits::FIRST_REACH`] is the first's, as some may have been overtaken by it.
    fn place_of(&self, sequence: u64) -> u32 {
        let place = sequence.saturating_add(limits::FIRST_REACH).saturating_sub(self.first);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn was_had(&self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        self.fates.get(word).is_some_and(|fates| fates & bit != 0)
    }

    fn digest_of(&self, sequence: u64) -> Option<u16> {
        let newest = (self.next.saturating_sub(sequence) <= limits::DIGESTS as u64)
            .then(|| self.digests.get(slot(sequence)).copied());
        newest.flatten().or(self.opening_of(sequence)).filter(|digest| *digest > UNKNOWN)
    }

    fn opening_of(&self, sequence: u64) -> Option<u16> {
        let index = sequence.checked_sub(self.first)?;
        self.opening.get(usize::try_from(index).ok()?).copied()
    }

    fn remember(&mut self, sequence: u64, digest: u16) {
        let (word, bit) = place(sequence);
        if let Some(fates) = self.fates.get_mut(word) {
            *fates |= bit;
        }
        if self.next.saturating_sub(sequence) <= limits::DIGESTS as u64
            && let Some(newest) = self.digests.get_mut(slot(sequence))
        {
            *newest = digest;
        }
        self.remember_opening(sequence, digest);
    }

    fn remember_opening(&mut self, sequence: u64, digest: u16) {
        let index = sequence.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(opening) = index.and_then(|index| self.opening.get_mut(index)) {
            *opening = digest;
        }
    }

    fn forget(&mut self, sequence: u64) {
        let (word, bit) = place(sequence);
        if let Some(fates) = self.fates.get_mut(word) {
            *fates &= !bit;
        }
        if let Some(newest) = self.digests.get_mut(slot(sequence)) {
            *newest = NONE;
        }
    }

    /// Drops the anchor that is missed least: its neighbours are close together, seen from the end.
    fn thin(&mut self) {
        let next = self.place_of(self.next);
        let gap = |index: usize| {
            let (before, after) = (self.anchors.get(index.checked_sub(1)?)?, self.anchors.get(index + 1)?);
            let distance = u64::from(next.saturating_sub(before.place()));
            let width = u64::from(after.place().saturating_sub(before.place()));
            Some(width.saturating_mul(SCALE) / distance.max(1))
        };
        let inner = 1..limits::ANCHORS - 1;
        let least = inner.min_by_key(|&index| gap(index).unwrap_or(u64::MAX));
        self.anchors.remove(least.unwrap_or(1));
    }
}

impl Lost {
    fn holds(&self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }

    fn width(&self) -> u64 {
        self.last - self.first
    }
}

/// Whether a time lies between two others, of the records before and after. Where those contradict each other the
/// sender was reset in between, and either is enough.
pub fn is_between(before: Option<u64>, timestamp: u64, after: Option<u64>) -> bool {
    let is_after = before.is_none_or(|before| timestamp.saturating_add(CLOCK_SLACK) >= before);
    let is_before = after.is_none_or(|after| timestamp <= after.saturating_add(CLOCK_SLACK));
    let was_reset =
        before.zip(after).is_some_and(|(before, after)| before > after.saturating_add(CLOCK_SLACK));
    if was_reset { is_after || is_before } else { is_after && is_before }
}

/// Where a number has its fate.
fn place(sequence: u64) -> (usize, u64) {
    let index = sequence % limits::FATES as u64;
    (usize::try_from(index / WORD).unwrap_or(usize::MAX), 1 << (index % WORD))
}

/// Where a number has its digest.
fn slot(sequence: u64) -> usize {
    usize::try_from(sequence % limits::DIGESTS as u64).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record's time and digest, in a boot that is told by `seed`.
    fn record(seed: u64, sequence: u64) -> (u64, u16) {
        let timestamp = seed + sequence * 100_000;
        (timestamp, digest(timestamp, 6, b"text"))
    }

    /// A boot with the records `first..end` but for those lost.
    fn boot(seed: u64, first: u64, end: u64, is_lost: impl Fn(u64) -> bool) -> Boot {
        let mut boot = Boot::new(first);
        for sequence in first..end {
            let (timestamp, digest) = record(seed, sequence);
            if is_lost(sequence) { boot.lost(sequence + 1) } else { boot.had(timestamp, digest) }
        }
        boot
    }

    fn judge(boot: &Boot, seed: u64, sequence: u64) -> Old {
        let (timestamp, digest) = record(seed, sequence);
        boot.judge(sequence, timestamp, digest)
    }

    #[test]
    fn a_boot_is_remembered_in_512_bytes() {
        assert!(size_of::<Boot>() <= 512, "{}", size_of::<Boot>());
    }

    /// Seen from the end, two anchors are never farther from each other than four times the nearer one's distance.
    #[test]
    fn anchors_are_sparser_the_farther_back() {
        let mut boot = Boot::new(0);
        for sequence in 0..300_000u64 {
            boot.had(sequence, 1);
            for pair in boot.anchors.windows(2) {
                let (near, gap) =
                    (boot.place_of(boot.next) - pair[1].place(), pair[1].place() - pair[0].place());
                assert!(gap <= 4 * near, "{gap} at {near} before {sequence}");
            }
        }
        assert_eq!(boot.anchors.first().map(Anchor::place), Some(boot.place_of(0)));
    }

    #[test]
    fn what_was_lost_is_known_however_long_ago() {
        let mut boot = boot(0, 0, 20_000, |sequence| (100..9000).contains(&sequence));
        for sequence in [100, 5000, 8999] {
            assert_eq!(judge(&boot, 0, sequence), Old::Late);
            boot.late(sequence, record(0, sequence).1);
            assert_eq!(judge(&boot, 0, sequence), Old::Alike, "had now, and no digest is kept");
        }
        assert_eq!(
            [99, 5001, 9000].map(|sequence| judge(&boot, 0, sequence)),
            [Old::Alike, Old::Late, Old::Alike]
        );
    }

    #[test]
    fn only_a_little_before_the_first_number_is_of_the_boot() {
        let boot = boot(0, 1000, 1010, |_| false);
        assert_eq!(judge(&boot, 0, 1000 - limits::FIRST_REACH), Old::Late);
        assert_eq!(judge(&boot, 0, 1000 - limits::FIRST_REACH - 1), Old::Foreign);
    }

    #[test]
    fn between_a_reset_and_before_it_both_times_fit() {
        assert!(is_between(Some(50_000_000), 60_000_000, Some(100)));
        assert!(is_between(Some(50_000_000), 50, Some(100)));
        assert!(!is_between(Some(50_000_000), 20_000_000, Some(100)));
        assert!(is_between(Some(1000), 1500, Some(2000)) && !is_between(Some(100_000), 1500, Some(200_000)));
    }

    proptest! {
        /// A record of the boot is never foreign; one that was had is never late, one that was lost nothing else,
        /// as long as its fate is kept.
        #[test]
        fn a_boot_knows_its_own(
            first in prop_oneof![Just(0), 0u64..5000], length in 1u64..3000, lost in prop::collection::hash_set(0u64..3000, 0..300),
        ) {
            let is_lost = |sequence: u64| lost.contains(&(sequence - first));
            let boot = boot(7, first, first + length, is_lost);
            for sequence in first..first + length {
                let old = judge(&boot, 7, sequence);
                let is_kept = boot.next - sequence <= limits::FATES as u64;
                match (is_lost(sequence), is_kept) {
                    (true, true) => prop_assert_eq!(old, Old::Late),
                    (true, false) => prop_assert!(matches!(old, Old::Late | Old::Alike), "{:?}", old),
                    (false, _) => prop_assert!(matches!(old, Old::Same | Old::Alike), "{:?}", old),
                }
            }
        }

        /// The first and the newest records of another boot are foreign, if it differs by a microsecond.
        #[test]
        fn another_boot_is_foreign(length in 1u64..3000, seed in 1u64..1000) {
            let boot = boot(7, 0, length, |_| false);
            for sequence in (0..length).filter(|&sequence| {
                sequence < limits::OPENING as u64 || boot.next - sequence <= limits::DIGESTS as u64
            }) {
                let (timestamp, _) = record(7, sequence);
                // Never the same by chance: 16 bits are few for this number of trials.
                let other = boot.digest_of(sequence).map(|digest| digest ^ 1).unwrap_or(1);
                prop_assert_eq!(boot.judge(sequence, timestamp + seed, other), Old::Foreign);
            }
        }
    }
}
