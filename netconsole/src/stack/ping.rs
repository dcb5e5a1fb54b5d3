//! Echo requests of our own. Their replies end here: smoltcp has nothing to do with them.

use super::pong::Pong;
use super::{Resolution, Stack};
use crate::nic::Nic;
use crate::wire::echo;
use core::net::IpAddr;

/// Tells our requests from those of other stations.
const IDENTIFIER: u16 = 0x4e43;

impl Stack<'_> {
    /// Sends an echo request to `target` once its Ethernet address is known: what is known of that, and
    /// whether the request was sent. To be called again until then.
    pub fn ping(
        &mut self,
        nic: &mut dyn Nic,
        source: IpAddr,
        target: IpAddr,
        sequence: u16,
        now: u64,
    ) -> (Resolution, bool) {
        let resolution = self.resolve(nic, source, target, now);
        let Resolution::Known(mac) = resolution else { return (resolution, false) };
        let request = echo::Request {
            source: (self.mac, source),
            destination: (mac, target),
            identifier: IDENTIFIER,
            sequence,
        };
        let sent = nic.transmit(&mut |frame| request.write(self.vlan, frame).unwrap_or(0)).is_ok();
        nic.kick();
        (resolution, sent)
    }

    /// When the reply to the newest request arrived, in µs, if that was this one.
    pub fn pong(&self, target: IpAddr, sequence: u16) -> Option<u64> {
        self.pong.filter(|pong| pong.source == target && pong.sequence == sequence).map(|pong| pong.at)
    }

    /// Looks at a frame that was for this station.
    pub(super) fn hear_pong(&mut self, frame: &[u8], now: u64) {
        if let Some(reply) = echo::parse(frame)
            && reply.identifier == IDENTIFIER
            && self.interface.has_ip_addr(reply.destination)
        {
            self.pong = Some(Pong { source: reply.source, sequence: reply.sequence, at: now });
        }
    }
}
