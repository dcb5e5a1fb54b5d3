//! The DHCP client (RFC 2131, section 4.4). It knows no card: the [`Stack`](super::Stack) sends its [`Question`]s, hands
//! it the servers' [`Answer`]s, and does what its [`Event`]s say.
//!
//! A server may be slow, and behind a relay. So one try has one transaction id, however often it is sent, and an answer
//! to a try that was given up still counts.

mod message;
mod option;

pub(super) use message::{Answer, Lease, Question};
pub(super) use option::Told;

use super::random::Random;
use crate::wire::MacAddr;
use core::net::Ipv4Addr;
use message::Kind;
use smoltcp::wire::DhcpMessageType;

const SECOND: u64 = 1_000_000;
/// How long the first answer is waited for, doubled from try to try (RFC 2131, section 4.1) …
const FIRST_WAIT: u64 = 4 * SECOND;
/// … up to this.
const LONGEST_WAIT: u64 = 64 * SECOND;
/// How often an offered address is asked for before other offers are looked for (section 3.1, step 5).
const REQUESTS: u32 = 4;
/// After this many searches without an answer, answers are asked for by broadcast: there are bridges that let no others
/// through to a station without an address.
const BROADCAST_AFTER: u32 = 2;
/// The shortest time between two attempts to renew a lease (section 4.4.5).
const LEAST_RENEWAL_WAIT: u64 = 60 * SECOND;
/// The lease time of a server that names none, and the shortest that is believed, in seconds; a renewal is not asked for
/// before half of that.
const DEFAULT_LEASE: u32 = 3600;
const LEAST_LEASE: u32 = 10;
const LEAST_RENEWAL: u32 = LEAST_LEASE / 2;
/// A lease that never ends (section 3.3).
const INFINITE: u32 = u32::MAX;
/// The longest host name in bytes, as in Linux.
const HOSTNAME_MAX: usize = 64;
/// How long no server is looked for after an address was declined (section 3.1, step 5).
const DECLINE_WAIT: u64 = 10 * SECOND;
/// How many tries are open to answers.
const OPEN: usize = 4;

/// What became of the lease.
#[expect(clippy::large_enum_variant, reason = "without a heap there is nothing to put a lease aside in")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A server gives or renews one.
    Leased(Lease),
    /// It is over, and no server renewed it.
    Expired,
    /// A server says that the address is not this machine's.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Looks for servers.
    Selecting,
    /// Asks for what one of them offered.
    Requesting,
    /// Has a lease.
    Bound,
    /// Tells the server that gave it that another station has that address.
    Declining,
    /// Asks the server that gave it for more time …
    Renewing,
    /// … and then any server.
    Rebinding,
}

/// The client.
pub(super) struct Client<'a> {
    mac: MacAddr,
    hostname: Option<&'a [u8]>,
    random: Random,
    state: State,
    /// What was asked for last, or is leased.
    wanted: Option<Lease>,
    /// The address that was declined last.
    declined: Option<Ipv4Addr>,
    /// The transaction ids to which answers count, the newest first.
    open: [Option<u32>; OPEN],
    /// When it began to look for servers, and the seconds from then to the last search.
    began_at: u64,
    secs: u16,
    /// Whether servers are asked to answer by broadcast.
    broadcast: bool,
    /// How often the question was sent, when last, and when it is due again.
    sent: u32,
    asked_at: u64,
    ask_at: u64,
    /// Refusals in a row.
    refusals: u32,
    renew_at: u64,
    rebind_at: u64,
    expires_at: u64,
}

impl<'a> Client<'a> {
    /// A client that begins at once. `hostname` is told to the server (option 12) unless it is empty or longer than 64
    /// bytes.
    pub(super) fn new(mac: MacAddr, hostname: Option<&'a str>, seed: u64, now: u64) -> Self {
        let mut client = Self {
            mac,
            hostname: hostname.map(str::as_bytes).filter(|name| (1..=HOSTNAME_MAX).contains(&name.len())),
            random: Random(seed),
            state: State::Selecting,
            wanted: None,
            declined: None,
            open: [None; OPEN],
            began_at: now,
            secs: 0,
            broadcast: false,
            sent: 0,
            asked_at: now,
            ask_at: now,
            refusals: 0,
            renew_at: u64::MAX,
            rebind_at: u64::MAX,
            expires_at: u64::MAX,
        };
        client.restart(now);
        client
    }

    /// Begins as if nothing were known: the network may be another one.
    pub(super) fn restart(&mut self, now: u64) {
        (self.wanted, self.declined) = (None, None);
        self.open = [None; OPEN];
        self.refusals = 0;
        self.broadcast = false;
        self.began_at = now;
        self.begin(State::Selecting, now);
    }

    /// Begins a new try.
    fn begin(&mut self, state: State, now: u64) {
        let xid = self.random.below(u32::MAX.into()) as u32; // below 2^32
        self.open.rotate_right(1);
        self.open[0] = Some(xid);
        self.state = state;
        self.sent = 0;
        self.ask_at = now;
    }

    /// Goes on to what the time has come for.
    pub(super) fn poll(&mut self, now: u64) -> Option<Event> {
        match self.state {
            State::Bound if self.renew_at <= now => self.begin(State::Renewing, now),
            State::Renewing if self.rebind_at <= now => self.begin(State::Rebinding, now),
            State::Rebinding if self.expires_at <= now => {
                self.began_at = now;
                self.begin(State::Selecting, now);
                return Some(Event::Expired);
            }
            State::Requesting if self.sent >= REQUESTS && self.ask_at <= now => {
                self.begin(State::Selecting, now);
            }
            _ => {}
        }
        None
    }

    /// The question that is due. [`asked`](Self::asked) is to be told once it is sent.
    pub(super) fn question(&self, now: u64) -> Option<Question<'a>> {
        if self.state == State::Bound || self.ask_at > now {
            return None;
        }
        let mut question = Question {
            kind: DhcpMessageType::Discover,
            xid: self.open[0]?,
            secs: self.secs,
            mac: self.mac,
            broadcast: self.broadcast,
            client: Ipv4Addr::UNSPECIFIED,
            requested: None,
            server: None,
            renews_with: None,
            hostname: self.hostname,
        };
        if self.state == State::Selecting {
            let seconds = now.saturating_sub(self.began_at) / SECOND;
            question.secs = u16::try_from(seconds).unwrap_or(u16::MAX);
            return Some(question);
        }
        let wanted = self.wanted?;
        question.kind = DhcpMessageType::Request;
        if self.state == State::Declining {
            (question.kind, question.broadcast) = (DhcpMessageType::Decline, false);
        }
        if matches!(self.state, State::Requesting | State::Declining) {
            (question.requested, question.server) = (Some(wanted.address), Some(wanted.server));
            return Some(question);
        }
        (question.client, question.broadcast) = (wanted.address, false);
        question.renews_with = (self.state == State::Renewing).then_some(wanted.server);
        Some(question)
    }

    /// The question was sent at `now`.
    pub(super) fn asked(&mut self, question: &Question<'_>, now: u64) {
        if self.state == State::Declining {
            // Nobody answers that.
            (self.wanted, self.open) = (None, [None; OPEN]);
            self.began_at = now.saturating_add(DECLINE_WAIT);
            return self.begin(State::Selecting, self.began_at);
        }
        self.secs = question.secs;
        let half_of_the_time_until = |end: u64| (end.saturating_sub(now) / 2).max(LEAST_RENEWAL_WAIT);
        let wait = match self.state {
            State::Renewing => half_of_the_time_until(self.rebind_at),
            State::Rebinding => half_of_the_time_until(self.expires_at),
            _ => self.wait(self.sent),
        };
        self.sent = self.sent.saturating_add(1);
        self.broadcast |= self.state == State::Selecting && self.sent >= BROADCAST_AFTER;
        self.asked_at = now;
        self.ask_at = now.saturating_add(wait);
    }

    /// The network shows that it is there: a switch that kept its port shut at first does not any more. What was asked
    /// some time ago did not get through then, and is asked at once.
    pub(super) fn network_is_there(&mut self, now: u64) {
        if self.state == State::Selecting && self.sent > 0 && now.saturating_sub(self.asked_at) >= FIRST_WAIT
        {
            (self.sent, self.ask_at) = (0, now);
        }
    }

    /// How long an answer is waited for after `before` attempts: 4 s, 8 s, … 64 s, each more or less by up to a
    /// second, so that the machines of a network that come up together do not ask together for ever.
    fn wait(&mut self, before: u32) -> u64 {
        let wait = FIRST_WAIT.saturating_mul(1 << before.min(8)).min(LONGEST_WAIT);
        wait.saturating_sub(SECOND).saturating_add(self.random.below(2 * SECOND))
    }

    /// Takes in a server's answer, which arrived at `now`.
    pub(super) fn hear(&mut self, answer: &Answer, now: u64) -> Option<Event> {
        if !self.open.contains(&Some(answer.xid)) {
            return None;
        }
        match (answer.kind, self.wanted) {
            (Kind::Offer(lease), _) if self.state == State::Selecting => {
                self.wanted = Some(lease);
                self.state = State::Requesting;
                // The request names the offer's transaction (section 4.4.1).
                let newest = self.open[0].replace(answer.xid);
                let same = self.open.iter_mut().skip(1).filter(|open| **open == Some(answer.xid));
                same.for_each(|open| *open = newest);
                (self.sent, self.ask_at) = (0, now);
                None
            }
            (Kind::Acknowledgement(lease), Some(wanted)) if self.may_come_from(lease.server, wanted) => {
                Some(Event::Leased(self.bind(lease, wanted, now)))
            }
            (Kind::Refusal(server), Some(wanted)) if self.may_come_from(server, wanted) => {
                self.wanted = None;
                self.refused(now);
                Some(Event::Refused)
            }
            _ => None,
        }
    }

    /// Only who was asked can answer; a server that is about to renew may be answered for by its twin.
    fn may_come_from(&self, server: Ipv4Addr, wanted: Lease) -> bool {
        self.state == State::Rebinding || self.state == State::Renewing || server == wanted.server
    }

    /// Takes a lease. What it does not tell is as it was offered, or as it was before.
    fn bind(&mut self, lease: Lease, wanted: Lease, now: u64) -> Lease {
        let told = lease.told.or(wanted.told);
        let lease = Lease { told, ..lease };
        self.wanted = Some(lease);
        self.open = [None; OPEN];
        self.refusals = 0;
        self.state = State::Bound;
        let seconds = told.lease.unwrap_or(DEFAULT_LEASE).max(LEAST_LEASE);
        let at = |seconds: u32| now.saturating_add(u64::from(seconds).saturating_mul(SECOND));
        (self.renew_at, self.rebind_at, self.expires_at) = match seconds {
            INFINITE => (u64::MAX, u64::MAX, u64::MAX),
            _ => {
                // Seven eighths and a half of the time, where nothing sensible is told (section 4.4.5).
                let told_before =
                    |time: Option<u32>, end| time.filter(|time| (LEAST_RENEWAL..end).contains(time));
                let rebind = told_before(told.rebind, seconds).unwrap_or(seconds.saturating_sub(seconds / 8));
                let renew = told_before(told.renew, rebind).unwrap_or(rebind.min(seconds / 2));
                (at(renew), at(rebind), at(seconds))
            }
        };
        lease
    }

    /// Another station has the leased address: it is given back, and another one asked for. False where this one was
    /// declined before: the server gives no other, and to go on declining would help nobody.
    pub(super) fn decline(&mut self, now: u64) -> bool {
        let Some(lease) = self.wanted.filter(|lease| self.declined != Some(lease.address)) else {
            return false;
        };
        self.declined = Some(lease.address);
        self.begin(State::Declining, now);
        true
    }

    /// Looks for servers again: at once, but not for ever if each time it ends in a refusal.
    fn refused(&mut self, now: u64) {
        let wait = self.refusals.checked_sub(1).map_or(0, |before| self.wait(before));
        self.refusals = self.refusals.saturating_add(1);
        self.began_at = now;
        self.begin(State::Selecting, now.saturating_add(wait));
    }

    /// When the lease is over, unless it is renewed before.
    pub(super) fn lease_ends(&self) -> u64 {
        self.expires_at
    }

    /// When [`poll`](Self::poll) or [`question`](Self::question) has something to do.
    pub(super) fn due(&self) -> u64 {
        match self.state {
            State::Selecting | State::Requesting | State::Declining => self.ask_at,
            State::Bound => self.renew_at,
            State::Renewing => self.ask_at.min(self.rebind_at),
            State::Rebinding => self.ask_at.min(self.expires_at),
        }
    }
}
