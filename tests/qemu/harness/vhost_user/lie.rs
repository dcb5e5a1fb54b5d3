//! What a card may say that is not so.

use netconsole_vhost_user::{Memory, Queue};
use std::time::{Duration, Instant};

/// How long a card scribbles.
const SCRIBBLING: Duration = Duration::from_millis(300);

/// Each but one lasts until the driver resets the card: after a wrong word about a buffer nothing more happens in the
/// queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A buffer is given back that the card does not have.
    AnotherId,
    /// One that there is not.
    Id(u32),
    /// One is given back twice.
    Twice,
    /// This many bytes were written.
    Length(u32),
    /// More buffers were given back than the card has.
    IndexJumps,
    /// A buffer that was given back was not.
    IndexRunsBack,
    /// Buffers are taken and not given back.
    NeverCompletes,
    /// The same after each reset, until another lie is told.
    Hangs,
    /// The used ring changes all the time, flags and index too.
    ScribblesUsed,
    /// And what only the driver may write: the descriptors, the available ring.
    ScribblesAll,
}

/// A card that is honest but when it was told to lie.
#[derive(Default)]
pub struct Liar {
    lie: Option<(Lie, usize)>,
    /// When it began to scribble.
    since: Option<Instant>,
    random: u64,
}

impl Liar {
    /// Has it lie, about the queue of this number.
    pub fn tell(&mut self, lie: Lie, queue: usize) {
        (self.lie, self.since) = (Some((lie, queue)), None);
    }

    /// The driver has reset the card, which is over for the queue of this number.
    pub fn was_reset(&mut self, number: usize) {
        let still_scribbles = self.since.is_some_and(|since| since.elapsed() < SCRIBBLING);
        if !still_scribbles {
            self.lie = self.lie.filter(|(lie, about)| *about != number || *lie == Lie::Hangs);
        }
    }

    /// Lies about the queue of this number, where that is due; whether there was no honest word.
    pub fn lies(&mut self, number: usize, queue: &mut Queue, memory: &Memory) -> bool {
        let Some((lie, _)) = self.lie.filter(|(_, about)| *about == number) else { return false };
        match lie {
            Lie::NeverCompletes | Lie::Hangs => while queue.take(memory).is_some() {},
            Lie::ScribblesUsed => self.scribble(memory, &[queue.used_ring()]),
            Lie::ScribblesAll => {
                let [descriptors, available] = queue.driver_area();
                self.scribble(memory, &[queue.used_ring(), descriptors, available]);
            }
            Lie::IndexRunsBack => queue.set_index(memory, queue.given_back.wrapping_sub(1)),
            Lie::IndexJumps => queue.set_index(memory, queue.given_back.wrapping_add(queue.size)),
            Lie::AnotherId | Lie::Id(_) | Lie::Twice | Lie::Length(_) => {
                let Some((id, _)) = queue.take(memory) else { return false };
                let id = u32::from(id);
                match lie {
                    Lie::AnotherId => queue.give_back(memory, (id + 1) % u32::from(queue.size), 0),
                    Lie::Id(other) => queue.give_back(memory, other, 60),
                    Lie::Length(length) => queue.give_back(memory, id, length),
                    _ => {
                        queue.say(memory, id, 0);
                        queue.give_back(memory, id, 0);
                    }
                }
                self.lie = Some((Lie::NeverCompletes, number));
            }
        }
        true
    }

    /// Fills some places with any bytes.
    fn scribble(&mut self, memory: &Memory, places: &[(u64, usize)]) {
        if self.since.get_or_insert_with(Instant::now).elapsed() > SCRIBBLING {
            return;
        }
        for &(address, length) in places {
            let mut bytes = Vec::new();
            while bytes.len() < length {
                // Knuth's linear congruential generator; its lower half is not very random.
                self.random = self
                    .random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                bytes.extend_from_slice(&self.random.to_be_bytes()[..4]);
            }
            memory.write(address, &bytes[..length]);
        }
    }
}
