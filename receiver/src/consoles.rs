//! Lines that the wall sends to machines' consoles: a conversation with each, as [`Console`] has it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::console::{Console, LINE_BYTES};
use crate::question::Unsent;

/// Machines that are spoken with at once.
const MACHINES: usize = 16;
/// Lines that wait for one of them.
const LINES: usize = 16;

/// The conversations that are going on.
#[derive(Debug, Default)]
pub struct Consoles(Vec<(Console, VecDeque<Vec<u8>>)>);

impl Consoles {
    /// Takes a line for the machine at an address.
    pub fn add(&mut self, to: SocketAddr, line: Vec<u8>) -> Result<(), Unsent> {
        if line.len() > LINE_BYTES || line.contains(&b'\n') {
            return Err(Unsent::Unfit);
        }
        if !self.0.iter().any(|(console, _)| console.to() == to) {
            if self.0.len() >= MACHINES {
                return Err(Unsent::Full);
            }
            self.0.push((Console::new(to), VecDeque::new()));
        }
        let found = self.0.iter_mut().find(|(console, _)| console.to() == to);
        let Some((_, lines)) = found.filter(|(_, lines)| lines.len() < LINES) else {
            return Err(Unsent::Full);
        };
        lines.push_back(line);
        Ok(())
    }

    /// As [`Console::heard`].
    pub fn heard<'m>(&mut self, from: SocketAddr, message: &'m [u8]) -> &'m [u8] {
        self.0.iter_mut().fold(message, |message, (console, _)| console.heard(from, message))
    }

    /// Each conversation, the next line given to it where it is time. Those that are over are left.
    pub fn each(&mut self, now: Duration) -> impl Iterator<Item = &mut Console> {
        for (console, lines) in &mut self.0 {
            if !console.is_waiting()
                && let Some(line) = lines.pop_front()
            {
                console.take(Some(line), now);
            }
        }
        self.0.retain(|(console, _)| console.is_waiting());
        self.0.iter_mut().map(|(console, _)| console)
    }

    /// Whether time alone changes something.
    pub fn is_waiting(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_one_after_the_other_and_have_a_bound() {
        let now = Duration::from_secs(1);
        let to = |last: u8| SocketAddr::from(([10, 0, 0, last], 6665));
        let mut consoles = Consoles::default();
        assert_eq!(consoles.add(to(1), b"a\nb".to_vec()), Err(Unsent::Unfit));
        assert_eq!(consoles.add(to(1), vec![b'x'; 1001]), Err(Unsent::Unfit));
        assert!(!consoles.is_waiting());
        assert_eq!([b"ls", b"cd"].map(|line| consoles.add(to(1), line.to_vec())), [Ok(()), Ok(())]);
        let due: Vec<_> = consoles.each(now).map(|console| console.due(now).map(<[u8]>::to_vec)).collect();
        assert_eq!(due, [Some(b"ls".to_vec())]);
        consoles.each(now).for_each(|console| console.sent(now));
        assert_eq!(consoles.heard(to(1), b"x\nnetconsole# "), b"x\n");
        let later = now * 2;
        let due: Vec<_> =
            consoles.each(later).map(|console| console.due(later).map(<[u8]>::to_vec)).collect();
        assert_eq!(due, [Some(b"cd".to_vec())]);
        consoles.each(later).for_each(|console| console.sent(later));
        consoles.heard(to(1), b"netconsole# ");
        assert_eq!(consoles.each(later).count(), 0);
        assert!(!consoles.is_waiting());
        let full: Vec<_> = (0..17).map(|_| consoles.add(to(1), b"ls".to_vec())).collect();
        assert!(full.iter().take(16).all(Result::is_ok) && full.last() == Some(&Err(Unsent::Full)));
        let many: Vec<_> = (2..18).map(|last| consoles.add(to(last), b"ls".to_vec())).collect();
        assert!(many.iter().take(15).all(Result::is_ok) && many.last() == Some(&Err(Unsent::Full)));
    }
}
