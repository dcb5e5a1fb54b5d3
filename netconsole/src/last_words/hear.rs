//! What a card has received: questions for its addresses, which are answered, signs that somebody hears, and what
//! targets ask for.

use super::card::PanicCard;
use super::conversations::Conversations;
use super::leg::Leg;
use super::plan;
use crate::plan::{Plan, TargetPlan};
use crate::platform::Platform;
use crate::seal::{Inputs, MAX_INPUT};
use crate::settings::MAX_TARGETS;
use crate::wire::{Endpoint, MacAddr, arp, ethernet, ndp, udp};
use core::net::{IpAddr, Ipv4Addr};

/// What a frame says that its buffer is not needed for.
#[derive(Default)]
pub struct Heard {
    /// It came from another station, by a port that forwards.
    is_station: bool,
    vlan: Option<u16>,
    arp: Option<arp::Packet>,
    ndp: Option<ndp::Message>,
}

impl Heard {
    /// Takes in a frame that came to the card at `place` of the plan, of the address `mac`.
    #[expect(clippy::too_many_arguments, reason = "the parts of a shipment, which lends its card meanwhile")]
    pub fn take<P: Platform>(
        &mut self,
        bytes: &[u8],
        mac: MacAddr,
        plan: &Plan,
        place: usize,
        legs: &mut [Leg; MAX_TARGETS],
        conversations: &mut Conversations,
        inputs: &mut Inputs,
        now: u64,
    ) {
        let Some(frame) = ethernet::parse(bytes).filter(|frame| frame.source != mac) else { return };
        (self.is_station, self.vlan) = (frame.was_forwarded(), frame.vlan);
        self.arp = arp::parse(bytes);
        self.ndp = ndp::parse(bytes);
        let Some(received) = udp::parse(bytes) else { return };
        let mut buffer = [0; MAX_INPUT];
        let protection = P::memory().keys.protection();
        let Some(payload) = protection.input(received.payload, inputs, &mut buffer) else { return };
        let received = udp::Received { payload, ..received };
        let mut asks_for_log = payload.trim_ascii() == b"dmesg";
        for (number, target) in plan.targets().filter(|(_, target)| target.uses(place)) {
            if !plan::owns_source(plan, place, mac, target, now) {
                continue;
            }
            let Some(leg) = legs.get_mut(number) else { continue };
            let route = plan::route(plan, place, mac, target, leg);
            if target.may_ask && route.may_answer(&received) {
                conversations.hear::<P>(number, payload, now);
            }
            // One log for one question; several targets may have the same address.
            if asks_for_log && route.may_command(&received) {
                asks_for_log = !leg.asked_for_log(now);
            }
        }
    }

    /// Answers a question for an address, and tells the targets on the card who was heard.
    pub fn apply(
        self,
        card: &mut PanicCard,
        plan: &mut Plan,
        place: usize,
        legs: &mut [Leg; MAX_TARGETS],
        now: u64,
    ) {
        let mac = card.mac();
        if let Some(packet) = self.arp {
            plan.give_up(packet.sender_ip, place, self.vlan, now);
        }
        let mut is_answered = false;
        for (number, target) in plan.targets() {
            let Some(leg) = legs.get_mut(number) else { continue };
            if target.uses(place) && target.vlan == self.vlan {
                let own = plan::route(plan, place, mac, target, leg).own.ip;
                // Several targets may have the same source.
                if !is_answered && self.asks_for(own) && plan::owns_source(plan, place, mac, target, now) {
                    is_answered = true;
                    // Where there is no room, what asked will ask again.
                    _ = card.transmit(now, &mut |frame| self.answer(mac, frame).unwrap_or(0));
                }
                if let Some(hop) = self.address_of_hop(target) {
                    leg.heard_the_receiver(hop, now);
                }
            }
            if self.is_station {
                leg.heard_a_station(now);
            }
        }
    }

    fn asks_for(&self, own: IpAddr) -> bool {
        match (own, self.arp, self.ndp) {
            (IpAddr::V4(own), Some(packet), _) => {
                packet.operation == arp::Operation::Request
                    && packet.target_ip == own
                    && !own.is_unspecified()
            }
            (IpAddr::V6(own), _, Some(ndp::Message::Solicitation(question))) => question.target == own,
            _ => false,
        }
    }

    fn answer(&self, mac: MacAddr, frame: &mut [u8]) -> Option<usize> {
        match (self.arp, self.ndp) {
            (Some(packet), _) => packet.answer(mac)?.write(self.vlan, frame),
            (_, Some(ndp::Message::Solicitation(question))) => question.answer(mac, self.vlan, frame),
            _ => None,
        }
    }

    /// The Ethernet address of the target's next hop, where this tells it.
    fn address_of_hop(&self, target: &TargetPlan) -> Option<MacAddr> {
        let by_arp = self.arp.map(|packet| (IpAddr::V4(packet.sender_ip), packet.sender_mac));
        let by_ndp = self.ndp.and_then(|message| match message {
            ndp::Message::Solicitation(question) => {
                Some((IpAddr::V6(question.source.ip), question.source.mac))
            }
            ndp::Message::Advertisement(answer) => Some((IpAddr::V6(answer.target), answer.mac?)),
        });
        let (ip, mac) = by_arp.or(by_ndp)?;
        (target.next_hop == Some(ip)).then_some(mac)
    }
}

/// The question for the Ethernet address of a target's next hop.
pub struct Question {
    /// Who asks.
    pub own: Endpoint,
    /// The address is the asker's own. If not, it asks from none, as RFC 5227's probes do: who asks from an address
    /// claims it.
    pub owns_address: bool,
    /// Whose address is asked for.
    pub hop: IpAddr,
    /// In which VLAN.
    pub vlan: Option<u16>,
}

impl Question {
    /// Writes it as a whole frame and returns the frame's length.
    pub fn write(&self, frame: &mut [u8]) -> Option<usize> {
        match (self.own.ip, self.hop) {
            (IpAddr::V4(own), IpAddr::V4(hop)) => {
                let own = if self.owns_address { own } else { Ipv4Addr::UNSPECIFIED };
                arp::Packet::request(self.own.mac, own, hop).write(self.vlan, frame)
            }
            (IpAddr::V6(ip), IpAddr::V6(target)) => {
                ndp::Solicitation { source: ndp::Station { mac: self.own.mac, ip }, target }
                    .write(self.vlan, frame)
            }
            _ => None,
        }
    }
}
