//! What is on its way to a thread: a queue with a bound. When it is full the newest are refused, or waited with.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room.
    Full,
    /// The thread has ended.
    Gone,
}

/// What the thread gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// The oldest of what waited.
    Some(T),
    /// Nothing came in time.
    Nothing,
    /// Nothing comes any more.
    End,
}

/// What waits, and who waits for it.
pub struct Queue<T> {
    most: usize,
    state: Mutex<State<T>>,
    came: Condvar,
    left: Condvar,
}

struct State<T> {
    loads: VecDeque<Load<T>>,
    /// Of all that waits, and of what the thread is at.
    waiting: Waiting,
    at: Waiting,
    /// How many were put in, and how many of them the thread has taken out and done.
    put: u64,
    done: u64,
    /// How many the thread is at.
    taken: u64,
    is_ended: bool,
    is_gone: bool,
    is_failing: bool,
    /// Whether the thread waits for something, and how many wait for room: to wake nobody is a system call, too.
    is_awaited: bool,
    without_room: usize,
}

struct Load<T> {
    what: T,
    size: Waiting,
}

/// How much waits, what the thread is at included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In bytes.
    pub bytes: usize,
    /// In records.
    pub records: u64,
}

impl<T> Queue<T> {
    /// A queue of at most this many bytes. What is larger alone is taken when nothing else waits.
    pub fn new(most: usize) -> Self {
        let state = State {
            loads: VecDeque::new(),
            waiting: Waiting::default(),
            at: Waiting::default(),
            put: 0,
            done: 0,
            taken: 0,
            is_ended: false,
            is_gone: false,
            is_failing: false,
            is_awaited: false,
            without_room: 0,
        };
        Queue { most, state: Mutex::new(state), came: Condvar::new(), left: Condvar::new() }
    }

    /// Puts something in. Where there is no room and `waits`, it waits for it, unless the thread says that it fails.
    /// What is refused is given back.
    pub fn offer(&self, what: T, size: Waiting, waits: bool) -> Result<(), (Refused, T)> {
        let mut state = self.lock();
        loop {
            if state.is_gone || state.is_ended {
                return Err((Refused::Gone, what));
            }
            let bytes = state.waiting.bytes;
            if bytes == 0 || bytes.saturating_add(size.bytes) <= self.most {
                break;
            }
            if !waits || state.is_failing {
                return Err((Refused::Full, what));
            }
            state.without_room = state.without_room.saturating_add(1);
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.without_room = state.without_room.saturating_sub(1);
        }
        state.waiting.add(size);
        state.loads.push_back(Load { what, size });
        state.put = state.put.saturating_add(1);
        let is_awaited = state.is_awaited;
        // Who is woken is to find the lock free.
        drop(state);
        if is_awaited {
            self.came.notify_one();
        }
        Ok(())
    }

    /// For the thread: the next one, waited for at most so long. The one before is done.
    pub fn next(&self, most: Option<Duration>) -> Next<T> {
        let until = most.and_then(|most| Instant::now().checked_add(most));
        let mut state = self.lock();
        let done = std::mem::take(&mut state.at);
        state.waiting.remove(done);
        state.done = state.done.saturating_add(std::mem::take(&mut state.taken));
        if state.without_room > 0 {
            self.left.notify_all();
        }
        loop {
            if let Some(Load { what, size }) = state.loads.pop_front() {
                (state.at, state.taken) = (size, 1);
                return Next::Some(what);
            }
            if state.is_ended {
                return Next::End;
            }
            let Some(state_now) = self.wait(state, until) else { return Next::Nothing };
            state = state_now;
        }
    }

    /// For the thread: a further one, waited for until then at most. The ones before are not done yet.
    pub fn also(&self, until: Instant) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(Load { what, size }) = state.loads.pop_front() {
                state.at.add(size);
                state.taken = state.taken.saturating_add(1);
                return Some(what);
            }
            if state.is_ended {
                return None;
            }
            state = self.wait(state, Some(until))?;
        }
    }

    /// For the thread: rests, unless the end comes before. Who waits for room is told that the thread fails.
    pub fn rest(&self, time: Duration) {
        let until = Instant::now().checked_add(time);
        let mut state = self.lock();
        state.is_failing = true;
        self.left.notify_all();
        while !state.is_ended {
            let Some(state_now) = self.wait(state, until) else { return };
            state = state_now;
        }
    }

    /// For the thread: it no longer fails.
    pub fn recovered(&self) {
        self.lock().is_failing = false;
    }

    /// For the thread: it ends. Returns how many records are left.
    pub fn leave(&self) -> u64 {
        let mut state = self.lock();
        state.is_gone = true;
        state.loads.clear();
        let left = std::mem::take(&mut state.waiting).records;
        state.at = Waiting::default();
        self.left.notify_all();
        left
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.lock().is_ended = true;
        self.came.notify_all();
    }

    /// Whether it was ended.
    pub fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// Whether the thread has ended.
    pub fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// What waits.
    pub fn waiting(&self) -> Waiting {
        self.lock().waiting
    }

    /// How many were put in so far.
    pub fn put(&self) -> u64 {
        self.lock().put
    }

    /// Whether the thread is done with the first `count` of them, or has ended.
    pub fn has_done(&self, count: u64) -> bool {
        let state = self.lock();
        state.is_gone || state.done >= count
    }

    /// Waits at most so long for the thread to end; whether it has.
    pub fn wait_gone(&self, most: Duration) -> bool {
        let state = self.lock();
        let waited = self.left.wait_timeout_while(state, most, |state| !state.is_gone);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_gone
    }

    /// Until something comes; `None` after that time.
    fn wait<'s>(
        &self,
        mut state: MutexGuard<'s, State<T>>,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'s, State<T>>> {
        let rest = match until {
            Some(until) => Some(until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())?),
            None => None,
        };
        state.is_awaited = true;
        let mut state = match rest {
            Some(rest) => self.came.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0,
            None => self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.is_awaited = false;
        Some(state)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, other: Waiting) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.records = self.records.saturating_add(other.records);
    }

    fn remove(&mut self, other: Waiting) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.records = self.records.saturating_sub(other.records);
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    fn size(bytes: usize) -> Waiting {
        Waiting { bytes, records: 1 }
    }

    /// What the thread is at counts until it asks for the next.
    #[test]
    fn what_has_no_room_is_refused() {
        let queue = Queue::new(10);
        assert_eq!(queue.offer("large", size(99), false), Ok(()));
        assert_eq!(queue.offer("small", size(1), false), Err((Refused::Full, "small")));
        assert_eq!(queue.next(None), Next::Some("large"));
        assert_eq!(queue.offer("small", size(1), false), Err((Refused::Full, "small")));
        assert_eq!(queue.next(Some(Duration::ZERO)), Next::Nothing);
        assert_eq!([6, 4].map(|bytes| queue.offer("small", size(bytes), false)), [Ok(()), Ok(())]);
        assert_eq!(queue.offer("small", size(1), false), Err((Refused::Full, "small")));
        queue.end();
        assert_eq!(queue.waiting(), Waiting { bytes: 10, records: 2 });
        assert_eq!([queue.next(None), queue.next(None)], [Next::Some("small"), Next::Some("small")]);
        assert_eq!((queue.next(None), queue.is_gone(), queue.leave()), (Next::End, false, 0));
        assert_eq!(queue.offer("late", size(1), true), Err((Refused::Gone, "late")));
    }

    /// What is taken besides counts until all of it is done.
    #[test]
    fn several_are_taken_together() {
        let queue = Queue::new(10);
        let soon = Instant::now();
        (1..=3).for_each(|number| assert_eq!(queue.offer(number, size(3), false), Ok(())));
        assert_eq!((queue.next(None), queue.also(soon)), (Next::Some(1), Some(2)));
        assert_eq!(queue.waiting(), Waiting { bytes: 9, records: 3 });
        assert_eq!(queue.next(None), Next::Some(3));
        assert_eq!(queue.waiting(), Waiting { bytes: 3, records: 1 });
        assert!(queue.has_done(2) && !queue.has_done(3));
        assert_eq!(queue.also(soon), None);
        queue.end();
        assert_eq!(queue.also(soon + Duration::from_secs(600)), None);
        assert_eq!((queue.leave(), queue.waiting()), (1, Waiting::default()));
    }

    /// Who waits for room gets it when there is some, and goes on when the thread fails or ends.
    #[test]
    fn room_is_waited_for_unless_there_will_be_none() {
        let queue = Arc::new(Queue::new(1));
        let offer = |number: u32| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.offer(number, size(1), true))
        };
        assert_eq!(queue.offer(0, size(1), true), Ok(()));
        let second = offer(1);
        assert_eq!(queue.next(None), Next::Some(0));
        assert_eq!(queue.next(None), Next::Some(1));
        assert_eq!(second.join().expect("no panic"), Ok(()));
        let refused = offer(2);
        queue.rest(Duration::ZERO);
        assert_eq!(refused.join().expect("no panic"), Err((Refused::Full, 2)));
        queue.recovered();
        let refused = offer(3);
        assert_eq!(queue.leave(), 1);
        assert_eq!(refused.join().expect("no panic"), Err((Refused::Gone, 3)));
    }

    /// The end comes also to a thread that rests.
    #[test]
    fn the_end_is_not_slept_through() {
        let queue = Arc::new(Queue::<()>::new(1));
        let ending = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            ending.rest(Duration::from_secs(600));
            ending.leave()
        });
        assert!(!queue.wait_gone(Duration::from_millis(1)));
        queue.end();
        assert!(queue.wait_gone(Duration::from_secs(600)));
        assert_eq!(thread.join().expect("no panic"), 0);
    }
}
