//! Which of a target's cards speaks where several are on the same network, so that nobody there gets every line
//! twice: one does, in the end the lowest one that is heard by the others.

use crate::plan::MAX_NICS;

/// Since when each card (the first index) hears each other card of this machine, in µs.
pub type Hearing = [[Option<u64>; MAX_NICS]; MAX_NICS];

/// Whether a card sends what the target gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// It does.
    Speaking,
    /// Not before this time in µs: until then it listens whether another card is on the same network.
    Listening { until: u64 },
    /// Not as long as this card does on the same network.
    Quiet { behind: usize },
}

/// How long a card listens before it speaks beside another one, in µs: longer than that one needs to send the
/// line that this one is about to.
pub(super) const LISTEN: u64 = 1_000_000;

/// How long a card goes on speaking that hears a higher one, which has not heard it yet, in µs.
const PATIENCE: u64 = 2_000_000;

/// What the card `own` does from `now` on; `voices` has those cards that could speak. A card falls quiet only behind
/// one that speaks, so never all do where the result takes effect before the next card is asked.
pub(super) fn next(
    own: usize,
    voice: Voice,
    voices: &[Option<Voice>; MAX_NICS],
    hearing: &Hearing,
    now: u64,
) -> Voice {
    let heard = |listener: usize, speaker: usize| -> Option<u64> { *hearing.get(listener)?.get(speaker)? };
    let gives_way_to = |other: usize, since: u64| match (other < own, heard(other, own)) {
        (true, _) => true,
        (false, Some(_)) => false,
        // It may be that nobody hears this one.
        (false, None) => voice != Voice::Speaking || now.saturating_sub(since) >= PATIENCE,
    };
    let speaking = voices.iter().enumerate().filter(|(_, voice)| **voice == Some(Voice::Speaking));
    let mut others =
        speaking.filter_map(|(other, _)| Some((other, heard(own, other).filter(|_| other != own)?)));
    match others.find(|&(other, since)| gives_way_to(other, since)) {
        Some((behind, _)) => Voice::Quiet { behind },
        None => match voice {
            Voice::Listening { until } if now < until => voice,
            _ => Voice::Speaking,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Voices = [Option<Voice>; MAX_NICS];

    const SPEAKING: Option<Voice> = Some(Voice::Speaking);

    /// Has every card decide once, as a target does.
    fn turn(voices: &mut Voices, hearing: &Hearing, now: u64) {
        for own in 0..MAX_NICS {
            if let Some(voice) = voices[own] {
                voices[own] = Some(next(own, voice, voices, hearing, now));
            }
        }
    }

    fn hearing(pairs: &[(usize, usize)]) -> Hearing {
        let mut hearing = Hearing::default();
        pairs.iter().for_each(|&(listener, speaker)| hearing[listener][speaker] = Some(10));
        hearing
    }

    fn quiet(behind: usize) -> Option<Voice> {
        Some(Voice::Quiet { behind })
    }

    #[test]
    fn of_two_that_hear_each_other_the_lower_speaks() {
        let mut voices = [SPEAKING, SPEAKING, None, None];
        turn(&mut voices, &hearing(&[(0, 1), (1, 0)]), 11);
        assert_eq!(voices, [SPEAKING, quiet(0), None, None]);
        // Its link goes, and comes back after the other took over.
        voices[0] = None;
        turn(&mut voices, &hearing(&[]), 12);
        assert_eq!(voices, [None, SPEAKING, None, None]);
        voices[0] = Some(Voice::Listening { until: 20 });
        turn(&mut voices, &hearing(&[(0, 1)]), 13);
        assert_eq!(voices, [quiet(1), SPEAKING, None, None], "it is not heard yet");
        turn(&mut voices, &hearing(&[(0, 1), (1, 0)]), 14);
        assert_eq!(voices, [SPEAKING, quiet(0), None, None]);
    }

    #[test]
    fn one_that_nobody_hears_gives_way_in_the_end() {
        let mut voices = [SPEAKING, SPEAKING, None, None];
        let hearing = hearing(&[(0, 1)]);
        turn(&mut voices, &hearing, 11);
        assert_eq!(voices, [SPEAKING, SPEAKING, None, None]);
        turn(&mut voices, &hearing, 10 + PATIENCE);
        assert_eq!(voices, [quiet(1), SPEAKING, None, None]);
    }

    #[test]
    fn one_that_hears_nobody_speaks_once_it_has_listened() {
        let mut voices = [SPEAKING, Some(Voice::Listening { until: 20 }), None, None];
        turn(&mut voices, &hearing(&[]), 19);
        assert_eq!(voices[1], Some(Voice::Listening { until: 20 }));
        turn(&mut voices, &hearing(&[]), 20);
        assert_eq!(voices[1], SPEAKING);
    }

    proptest! {
        /// Whatever is heard, each card speaks or hears one that does.
        #[test]
        fn never_all_are_quiet(
            heard in any::<[[bool; MAX_NICS]; MAX_NICS]>(),
            alive in any::<[bool; MAX_NICS]>(),
            turns in 1usize..6,
        ) {
            let hearing = heard.map(|row| row.map(|heard| heard.then_some(0)));
            let mut voices = alive.map(|alive| alive.then_some(Voice::Speaking));
            for number in 0..turns {
                turn(&mut voices, &hearing, PATIENCE * number as u64);
            }
            prop_assert_eq!(voices.contains(&SPEAKING), alive.contains(&true));
        }
    }
}
