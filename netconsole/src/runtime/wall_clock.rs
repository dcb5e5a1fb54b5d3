//! What time it is in the world, for the syslog format: by the real-time clock at the boot, and by the
//! NTP server that DHCP names, if any.

use super::card::Card;
use crate::network::Conversation;
use crate::wire::{Endpoint, sntp, udp};

/// The time from one question to the next without an answer, in µs.
const RETRY_INTERVAL: u64 = 16_000_000;
/// The time from an answer to the next question, in µs.
const ASK_INTERVAL: u64 = 3_600_000_000;
/// The source port of the questions.
const LOCAL_PORT: u16 = 50_123;

/// The time by the clock's time 0.
pub struct WallClock {
    ask_at: u64,
    question: Option<Question>,
}

/// A question under way.
struct Question {
    cookie: u64,
    server: Endpoint,
    asked_at: u64,
}

impl WallClock {
    /// Nobody was asked yet.
    pub const fn new() -> Self {
        Self { ask_at: 0, question: None }
    }

    /// Asks the NTP server that one of the cards was told, where it is time to, with a `cookie` that nobody can guess.
    pub fn poll(&mut self, cards: &mut [Option<Card>], cookie: u64, now: u64) {
        if now < self.ask_at {
            return;
        }
        for (number, card) in cards.iter_mut().enumerate() {
            let Some(card) = card else { continue };
            let Some(server) = card.ntp_server() else { continue };
            let Ok(neighbor) = card.neighbor(server.into(), false, now) else { continue };
            let Some(mac) = neighbor.mac else { return };
            let server = Endpoint { mac, ip: server.into(), port: sntp::PORT };
            let local = Endpoint { mac: card.mac(), ip: neighbor.source, port: LOCAL_PORT };
            let conversation = Conversation { local, remote: server, vlan: None, card: number };
            // A server could not open what is sealed.
            if card.send(&conversation, &sntp::request(cookie), None) {
                self.question = Some(Question { cookie, server, asked_at: now });
                self.ask_at = now.saturating_add(RETRY_INTERVAL);
            }
            return;
        }
    }

    /// When the clock was 0 by this datagram, which arrived at `now` µs, in µs since 1970; `None` where it
    /// is no answer to the question under way.
    pub fn take(&mut self, datagram: &udp::Received<'_>, now: u64) -> Option<u64> {
        if datagram.destination.port != LOCAL_PORT {
            return None;
        }
        let question = self.question.as_ref()?;
        let is_from_server =
            (datagram.source.ip, datagram.source.port) == (question.server.ip, question.server.port);
        let time = sntp::parse(datagram.payload, question.cookie).filter(|_| is_from_server)?;
        // Half the way there and back.
        let way = now.saturating_sub(question.asked_at) / 2;
        let epoch = time.checked_add(way)?.checked_sub(now)?;
        self.question = None;
        self.ask_at = now.saturating_add(ASK_INTERVAL);
        log::info!("clock: {} seconds since 1970 by NTP server {}", time / 1_000_000, datagram.source.ip);
        Some(epoch)
    }
}
