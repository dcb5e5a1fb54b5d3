//! One target's log on its way by one card, in a panic: what has left, what goes out again, and when the receiver's
//! Ethernet address is asked for.
//!
//! A frame that has left is not one that was heard: the port of a switch may not forward for half a minute after a
//! card was reset. So what went out before anybody showed that he could hear it goes out again when somebody does,
//! once. All times are µs of one clock. Nothing here allocates, panics or waits.

use crate::format::Cursor;
use crate::wire::MacAddr;

/// How long the Ethernet address of a receiver is waited for when the link has come, before broadcast is used.
const ANSWER_TIMEOUT: u64 = 500_000;
/// The time between questions: the first ones, the next ones, and how many these are; all others.
const FIRST_QUESTIONS: (u32, u64) = (3, 200_000);
const NEXT_QUESTIONS: (u32, u64) = (13, 1_000_000);
const QUESTION_INTERVAL: u64 = 10_000_000;
/// What was sent at most so long before somebody was heard has come through the same port.
const SAME_MOMENT: u64 = 5_000_000;
/// How long after the log the report goes out again.
const REPEAT_AFTER: u64 = 1_000_000;
/// How often somebody may have the whole log sent again.
const LOG_INTERVAL: u64 = 10_000_000;

/// What a [`Leg`] begins with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The first record that is to go out.
    pub from: u64,
    /// From which record on all goes out again when somebody shows that he can hear.
    pub unheard_from: u64,
    /// When the first datagram went out that nobody has shown to have heard, if it was before the panic.
    pub first_sent: Option<u64>,
    /// Where frames go; broadcast where the receiver's address is to be asked for and not known.
    pub mac: MacAddr,
    /// There is somebody to be asked for that address.
    pub asks: bool,
    /// How often the report goes out again.
    pub repeats: u8,
}

/// One target's log on its way by one card. All zero where there is no target.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    cursor: Cursor,
    /// All before this record has left by a link that was up.
    left: u64,
    is_out: bool,
    repeats: u8,
    repeat_at: u64,
    unheard_from: Option<u64>,
    first_sent: Option<u64>,
    mac: MacAddr,
    asks: bool,
    is_answered: bool,
    questions: u32,
    ask_at: u64,
    /// Since when the link is up.
    link_since: Option<u64>,
    /// When somebody may have the whole log sent again.
    log_at: u64,
}

impl Leg {
    /// Without a target: nothing is sent. All zero, so that a static one takes no place in an image.
    pub const NONE: Self = Self {
        cursor: Cursor::at(0),
        left: 0,
        is_out: false,
        repeats: 0,
        repeat_at: 0,
        unheard_from: None,
        first_sent: None,
        mac: MacAddr([0; 6]),
        asks: false,
        is_answered: false,
        questions: 0,
        ask_at: 0,
        link_since: None,
        log_at: 0,
    };

    /// A log that has not begun to go out by this card.
    pub const fn new(start: Start) -> Self {
        let Start { from, unheard_from, first_sent, mac, asks, repeats } = start;
        Self {
            cursor: Cursor::at(from),
            left: from,
            repeats,
            unheard_from: Some(unheard_from),
            first_sent,
            mac,
            asks,
            ..Self::NONE
        }
    }

    /// Where frames go.
    pub const fn mac(&self) -> MacAddr {
        self.mac
    }

    /// The next datagram.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// All before this record has left.
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Whether the whole log has left at least once.
    pub const fn is_out(&self) -> bool {
        self.is_out
    }

    /// Whether it has, and nothing goes out again of which it is known already.
    pub fn is_finished(&self, end: u64) -> bool {
        self.is_out && self.repeats == 0 && self.left >= end
    }

    /// Tells since when the link is up, if it is; to be called before each of the next three.
    pub fn look_at_link(&mut self, link_since: Option<u64>) {
        if self.link_since != link_since {
            self.link_since = link_since;
            (self.is_answered, self.questions, self.ask_at) = (false, 0, 0);
        }
    }

    /// Whether a question for the receiver's Ethernet address is due; then it counts as asked. It goes on until it is
    /// answered: the answer also shows that the port forwards.
    pub fn asks_now(&mut self, now: u64) -> bool {
        let is_due = self.asks && !self.is_answered && self.link_since.is_some() && now >= self.ask_at;
        if is_due {
            self.questions = self.questions.saturating_add(1);
            let interval = match self.questions {
                asked if asked <= FIRST_QUESTIONS.0 => FIRST_QUESTIONS.1,
                asked if asked <= NEXT_QUESTIONS.0 => NEXT_QUESTIONS.1,
                _ => QUESTION_INTERVAL,
            };
            self.ask_at = now.saturating_add(interval);
        }
        is_due
    }

    /// Whether a datagram is to go out now; `report` is the report's first record, `end` the log's end.
    pub fn wants_to_send(&mut self, report: u64, end: u64, now: u64) -> bool {
        let Some(link_since) = self.link_since else { return false };
        if self.is_unresolved() && now < link_since.saturating_add(ANSWER_TIMEOUT) {
            return false;
        }
        if self.is_out && self.repeats > 0 && self.left >= end && now >= self.repeat_at {
            self.repeats = self.repeats.saturating_sub(1);
            self.repeat_at = now.saturating_add(REPEAT_AFTER);
            self.go_back(report);
        }
        self.cursor.sequence() < end
    }

    /// Datagrams were queued, up to this next one.
    pub fn queued(&mut self, next: Cursor, now: u64) {
        self.cursor = next;
        self.first_sent.get_or_insert(now);
    }

    /// The card has sent all that was queued, by a link that was up. True where the whole log is out by this, for the
    /// first time.
    pub fn frames_left(&mut self, end: u64, now: u64) -> bool {
        self.left = self.cursor.sequence();
        let is_out_now = !self.is_out && self.left >= end;
        if is_out_now {
            self.is_out = true;
            self.repeat_at = now.saturating_add(REPEAT_AFTER);
        }
        is_out_now
    }

    /// What was queued may not have left.
    pub fn frames_lost(&mut self) {
        self.cursor = Cursor::at(self.left);
    }

    /// The card has received a frame of another station that a switch has forwarded. What was sent long before then
    /// goes out again, but where an answer is waited for: nobody else shows that the receiver hears.
    pub fn heard_a_station(&mut self, now: u64) {
        if self.is_unresolved() {
            return;
        }
        let Some(from) = self.unheard_from.take() else { return };
        if self.first_sent.is_some_and(|sent| now.saturating_sub(sent) > SAME_MOMENT) {
            self.go_back(from);
        }
    }

    /// The receiver, or the gateway to it, has this address. What went out to all before goes out again, to it.
    pub fn heard_the_receiver(&mut self, mac: MacAddr, now: u64) {
        let was_unresolved = self.is_unresolved();
        (self.mac, self.is_answered) = (mac, true);
        if !was_unresolved {
            return self.heard_a_station(now);
        }
        if let Some(from) = self.unheard_from.take()
            && self.first_sent.is_some()
        {
            self.go_back(from);
        }
    }

    /// Somebody asks for the whole log. True where he gets it: not twice within ten seconds.
    pub fn asked_for_log(&mut self, now: u64) -> bool {
        let gets_it = now >= self.log_at;
        if gets_it {
            self.log_at = now.saturating_add(LOG_INTERVAL);
            self.go_back(0);
        }
        gets_it
    }

    const fn is_unresolved(&self) -> bool {
        self.asks && self.mac.is_multicast()
    }

    fn go_back(&mut self, sequence: u64) {
        if sequence < self.cursor.sequence() {
            self.cursor = Cursor::at(sequence);
        }
        self.left = self.left.min(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const END: u64 = 100;
    const REPORT: u64 = 90;
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    const START: Start =
        Start { from: 40, unheard_from: 40, first_sent: None, mac: MAC, asks: true, repeats: 0 };

    /// A leg whose link is up since time 0.
    fn leg(start: Start) -> Leg {
        let mut leg = Leg::new(start);
        leg.look_at_link(Some(0));
        leg
    }

    /// Sends what there is to send; from where on, if there is anything.
    fn send(leg: &mut Leg, now: u64) -> Option<u64> {
        let from = leg.cursor().sequence();
        leg.wants_to_send(REPORT, END, now).then(|| {
            let from = from.min(leg.cursor().sequence());
            leg.queued(Cursor::at(END), now);
            leg.frames_left(END, now);
            from
        })
    }

    #[test]
    fn without_a_link_nothing_is_sent() {
        let mut leg = Leg::new(START);
        assert!(!leg.wants_to_send(REPORT, END, 0) && !leg.asks_now(0));
        leg.look_at_link(Some(60 * SECOND));
        assert_eq!(send(&mut leg, 60 * SECOND), Some(40));
        assert!(leg.is_out() && leg.is_finished(END));
    }

    #[test]
    fn what_was_lost_goes_again() {
        let mut leg = leg(START);
        assert!(leg.wants_to_send(REPORT, END, 0));
        leg.queued(Cursor::at(60), 0);
        assert!(!leg.frames_left(END, 0));
        leg.queued(Cursor::amid(80, 7), 0);
        leg.frames_lost();
        assert_eq!((leg.left(), leg.cursor()), (60, Cursor::at(60)));
        leg.queued(Cursor::at(END), 0);
        assert!(!leg.is_out());
        assert!(leg.frames_left(END, 0));
        assert!(!leg.frames_left(END, 0), "only the first time");
    }

    #[test]
    fn the_report_is_repeated() {
        let mut leg = leg(Start { repeats: 2, ..START });
        assert_eq!(send(&mut leg, 0), Some(40));
        assert_eq!(send(&mut leg, SECOND - 1), None);
        assert!(leg.is_out() && !leg.is_finished(END));
        assert_eq!(send(&mut leg, SECOND), Some(REPORT));
        assert_eq!(send(&mut leg, 2 * SECOND), Some(REPORT));
        assert!(leg.is_finished(END));
        assert_eq!(send(&mut leg, 9 * SECOND), None);
    }

    /// Half a minute of silence: all comes again from where it began, once.
    #[test]
    fn what_nobody_heard_goes_again_once() {
        let mut leg = leg(START);
        assert_eq!(send(&mut leg, 0), Some(40));
        leg.heard_a_station(30 * SECOND);
        assert_eq!(send(&mut leg, 30 * SECOND), Some(40));
        leg.heard_a_station(60 * SECOND);
        leg.heard_the_receiver(MAC, 60 * SECOND);
        assert_eq!(send(&mut leg, 60 * SECOND), None);
    }

    #[test]
    fn what_was_heard_at_once_does_not() {
        let mut leg = leg(START);
        assert_eq!(send(&mut leg, 0), Some(40));
        leg.heard_a_station(5 * SECOND);
        assert_eq!(send(&mut leg, 5 * SECOND), None);
        leg.heard_a_station(30 * SECOND);
        assert_eq!(send(&mut leg, 30 * SECOND), None);
    }

    /// What went out unheard before the panic counts from then on.
    #[test]
    fn what_nobody_heard_before_goes_from_its_beginning() {
        let mut leg = leg(Start { unheard_from: 0, first_sent: Some(0), ..START });
        leg.look_at_link(Some(20 * SECOND));
        assert_eq!(send(&mut leg, 20 * SECOND), Some(40));
        leg.heard_a_station(21 * SECOND);
        assert_eq!(send(&mut leg, 21 * SECOND), Some(0));
    }

    #[test]
    fn a_receiver_that_answers_gets_it_alone() {
        let start = Start { mac: MacAddr::BROADCAST, ..START };
        let mut first = leg(start);
        assert!(first.asks_now(0));
        assert_eq!(send(&mut first, 0), None, "the answer is waited for");
        first.heard_the_receiver(MAC, 1000);
        assert_eq!((send(&mut first, 1000), first.mac()), (Some(40), MAC));
        assert!(!first.asks_now(SECOND));

        let mut late = leg(start);
        assert_eq!(send(&mut late, ANSWER_TIMEOUT), Some(40));
        assert_eq!(late.mac(), MacAddr::BROADCAST);
        late.heard_a_station(30 * SECOND);
        assert_eq!(send(&mut late, 30 * SECOND), None, "that was not the receiver");
        late.heard_the_receiver(MAC, 31 * SECOND);
        assert_eq!((send(&mut late, 31 * SECOND), late.mac()), (Some(40), MAC));
        late.heard_the_receiver(MAC, 32 * SECOND);
        assert_eq!(send(&mut late, 32 * SECOND), None);
    }

    #[test]
    fn questions_become_rarer_and_go_on() {
        let mut leg = leg(START);
        let asked: Vec<u64> =
            (0..400).map(|tenth| tenth * 100_000).filter(|&now| leg.asks_now(now)).collect();
        let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[..3], [200_000; 3]);
        assert_eq!(gaps[3..13], [SECOND; 10]);
        assert!(gaps.len() > 14 && gaps[13..].iter().all(|&gap| gap == 10 * SECOND), "{gaps:?}");
        // By another cable perhaps.
        leg.heard_the_receiver(MAC, 40 * SECOND);
        assert!(!leg.asks_now(90 * SECOND));
        leg.look_at_link(None);
        leg.look_at_link(Some(91 * SECOND));
        assert!(leg.asks_now(91 * SECOND));
        let mut silent = Leg::new(Start { asks: false, ..START });
        silent.look_at_link(Some(0));
        assert!(!silent.asks_now(0));
    }

    #[test]
    fn the_whole_log_is_sent_again_now_and_then() {
        let mut leg = leg(START);
        assert_eq!(send(&mut leg, 0), Some(40));
        assert!(leg.asked_for_log(SECOND));
        assert_eq!(send(&mut leg, SECOND), Some(0));
        assert!(!leg.asked_for_log(11 * SECOND - 1));
        assert_eq!(send(&mut leg, 11 * SECOND - 1), None);
        assert!(leg.asked_for_log(11 * SECOND));
        assert_eq!(send(&mut leg, 11 * SECOND), Some(0));
    }
}
