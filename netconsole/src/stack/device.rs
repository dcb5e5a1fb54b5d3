//! smoltcp's view of a card: one frame that came in, and room for one that goes out.
//!
//! smoltcp runs while the card lends a received frame, when the card can't be asked for a transmit
//! buffer. So what it sends lies in an [`Outbox`] until the frame has been handed back. smoltcp gets
//! no further frame and sends none before the outbox is empty: nothing is lost when the card is full.

use crate::nic::{Nic, TransmitError};
use crate::wire::{ethernet, ipv4};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// The longest frame that smoltcp takes or gives: the IP MTU of Ethernet and its header.
pub(super) const FRAME: usize = *MTU.end() + ethernet::HEADER_LEN;
/// The smallest and the largest IP MTU that is used, whatever the card says: what every IPv4 host
/// takes (RFC 791), and Ethernet's.
pub(super) const MTU: core::ops::RangeInclusive<usize> = ipv4::MIN_MTU..=ethernet::MTU;

/// Where a frame's addresses end and its type, or VLAN tag, begins.
const ADDRESSES_LEN: usize = 12;

/// A frame that waits for the card, without a VLAN tag.
pub(super) struct Outbox {
    frame: [u8; FRAME],
    len: usize,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { frame: [0; FRAME], len: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the frame that `build` writes, unless it is `None` or another one waits.
    pub(super) fn put(&mut self, build: impl FnOnce(&mut [u8]) -> Option<usize>) {
        if self.is_empty() {
            self.len = build(&mut self.frame).unwrap_or(0);
        }
    }

    /// Queues the waiting frame on the card, tagged for `vlan`; whether there was one. On an error it
    /// keeps waiting.
    pub(super) fn flush(&mut self, nic: &mut dyn Nic, vlan: Option<u16>) -> Result<bool, TransmitError> {
        if self.is_empty() {
            return Ok(false);
        }
        let frame = self.frame.get(..self.len).unwrap_or_default();
        nic.transmit(&mut |buffer| copy(frame, vlan, buffer).unwrap_or(0))?;
        self.len = 0;
        Ok(true)
    }
}

/// Copies a frame without a tag into the card's buffer, adds the tag and the padding.
fn copy(frame: &[u8], vlan: Option<u16>, buffer: &mut [u8]) -> Option<usize> {
    let Some(vlan) = vlan else {
        buffer.get_mut(..frame.len())?.copy_from_slice(frame);
        return ethernet::pad(buffer, frame.len());
    };
    let (addresses, rest) = frame.split_at_checked(ADDRESSES_LEN)?;
    let len = frame.len().checked_add(ethernet::TAG_LEN)?;
    let (to_addresses, to) = buffer.get_mut(..len)?.split_at_mut_checked(ADDRESSES_LEN)?;
    let (tag, to_rest) = to.split_first_chunk_mut()?;
    let [v0, v1] = ethernet::ether_type::VLAN.to_be_bytes();
    let [t0, t1] = vlan.to_be_bytes();
    to_addresses.copy_from_slice(addresses);
    *tag = [v0, v1, t0, t1];
    to_rest.copy_from_slice(rest);
    ethernet::pad(buffer, len)
}

/// Copies a tagged frame without its tag; `None` where it is too short or too long.
pub(super) fn untag<'b>(frame: &[u8], buffer: &'b mut [u8; FRAME]) -> Option<&'b [u8]> {
    let (addresses, tagged) = frame.split_at_checked(ADDRESSES_LEN)?;
    let rest = tagged.get(ethernet::TAG_LEN..)?;
    let untagged = buffer.get_mut(..ADDRESSES_LEN.checked_add(rest.len())?)?;
    let (to_addresses, to_rest) = untagged.split_at_mut_checked(ADDRESSES_LEN)?;
    to_addresses.copy_from_slice(addresses);
    to_rest.copy_from_slice(rest);
    Some(untagged)
}

/// The device that smoltcp is run on for one call.
pub(super) struct Port<'p> {
    /// The frame to take in, if any.
    pub(super) incoming: Option<&'p [u8]>,
    /// Where the answer goes.
    pub(super) outbox: &'p mut Outbox,
    /// The IP MTU in bytes.
    pub(super) mtu: usize,
    /// Called whenever smoltcp reads or writes a frame.
    pub(super) probe: fn(),
}

impl Device for Port<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t>
    where
        Self: 't;

    fn receive(&mut self, now: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let incoming = self.incoming.take()?;
        let probe = self.probe;
        Some((Incoming { frame: incoming, probe }, self.transmit(now)?))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        let probe = self.probe;
        let longest = self.mtu.saturating_add(ethernet::HEADER_LEN);
        self.outbox.is_empty().then_some(Outgoing { outbox: self.outbox, longest, probe })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu.saturating_add(ethernet::HEADER_LEN);
        capabilities
    }
}

pub(super) struct Incoming<'t> {
    frame: &'t [u8],
    probe: fn(),
}

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        (self.probe)();
        f(self.frame)
    }
}

pub(super) struct Outgoing<'t> {
    outbox: &'t mut Outbox,
    /// The longest frame that may be sent now, whatever smoltcp was told when it began.
    longest: usize,
    probe: fn(),
}

impl TxToken for Outgoing<'_> {
    /// smoltcp never asks for more than the card's MTU and the Ethernet header, which is [`FRAME`] at most.
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        (self.probe)();
        let Outbox { frame, len: waiting } = self.outbox;
        *waiting = if len <= self.longest.min(FRAME) { len } else { 0 };
        f(frame.get_mut(..len).unwrap_or_default())
    }
}
