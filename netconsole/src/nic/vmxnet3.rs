//! VMware's vmxnet3, as ESXi, Workstation and QEMU have it, polled. Its interface is that of VMware's public header
//! vmxnet3_defs.h.
//!
//! The card is told once, in memory, where its rings are, and of each frame by the ring's tail. It answers by rings of its own. The
//! descriptors of a turn through a ring have one bit alike, and those of the next one the other, so that neither side reads a
//! register to find out what is new.

use super::addresses::Offset;
use super::frame::{ETHERNET_HEADER, ETHERNET_MTU, TRANSMIT_SIZE, Taken, fill_up};
use super::mmio::Window;
use super::pci::{ConfigurationAccess, PciDevice};
use super::{Access, BusAddress, Duplex, LinkMode, Nic, NicError, TransmitError};
use crate::wire::MacAddr;
use core::sync::atomic::{Ordering, fence};
use memory::{Description, Place, RECEIVE_BUFFERS};
use registers::*;
use rings::{ReceiveRing, TransmitRing};

mod memory;
#[cfg(test)]
mod model;
mod registers;
mod rings;
#[cfg(test)]
mod tests;

pub use memory::Vmxnet3Memory;
pub use registers::Registers;

/// Whether a function with these ids is a vmxnet3.
pub fn drives(ids: (u16, u16)) -> bool {
    ids == (0x15ad, 0x07b0)
}

/// What a device that does not answer reads as.
const ABSENT: u32 = u32::MAX;

/// The registers as BAR 0 and BAR 1 hold them.
pub struct MemoryBars {
    rings: Window,
    device: Window,
}

impl MemoryBars {
    fn window(&self, part: Part) -> Window {
        match part {
            Part::Rings => self.rings,
            Part::Device => self.device,
        }
    }
}

impl Registers for MemoryBars {
    fn read(&self, register: Register) -> u32 {
        let (part, offset) = register.place();
        self.window(part).read(offset).unwrap_or(ABSENT)
    }

    fn write(&mut self, register: Register, value: u32) {
        let (part, offset) = register.place();
        let _ = self.window(part).write(offset, value);
    }
}

/// A vmxnet3.
pub struct Vmxnet3<R: Registers> {
    registers: R,
    description: Description,
    transmit: TransmitRing,
    /// The transmit tail that the card was told last.
    told: Place,
    receive: ReceiveRing,
    own_mac: MacAddr,
    mac: MacAddr,
    /// How many frames the full ring has refused one after the other, modulo 256: each time it is 0 the card is asked whether it
    /// still runs. Always asking would be an exit for each turn of the caller's waiting.
    refused: u8,
    state: State,
}

/// A vmxnet3 on the PCI bus. In a panic it is the same driver, started again beside the one that the crash interrupted, of which
/// nothing is read. The card is reset first, so that it forgets the old rings.
pub type Vmxnet3Nic = Vmxnet3<MemoryBars>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It was not started, or it does not run any more, or has said what can't be.
    Broken,
}

impl Vmxnet3Nic {
    /// The card `device`, with its memory enabled; [`restart`](Nic::restart) resets it and brings it up. A card without
    /// an address of its own gets one that is made from its place on the PCI bus. Panic-safe.
    pub fn open<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        device: &PciDevice,
        memory: &'static mut Vmxnet3Memory,
    ) -> Result<Self, NicError> {
        let [bar0, bar1, ..] = device.bars;
        let window =
            |bar| Window::new(bar, 0, PART_LENGTH, &access.addresses).ok_or(NicError::NoRegisters("memory"));
        let registers = MemoryBars { rings: window(bar0)?, device: window(bar1)? };
        let offset = access.addresses.offset_of(memory)?;
        device.enable(config);
        let own_mac = BusAddress::Pci(device.function).own_address(access.identity);
        Ok(Self::new(registers, own_mac, offset, memory))
    }
}

impl<R: Registers> Vmxnet3<R> {
    /// A card that [`restart`](Nic::restart) will bring up. `own_mac` is taken where it has no usable address, and the card
    /// finds `memory` by `offset`. Touches nothing of the card.
    fn new(registers: R, own_mac: MacAddr, offset: Offset, memory: &'static mut Vmxnet3Memory) -> Self {
        let Vmxnet3Memory {
            transmit,
            transmit_done,
            receive,
            receive_done,
            queues,
            shared,
            receive_buffers,
            transmit_buffers,
            received,
        } = memory;
        let (transmit, transmit_done) = (&*transmit, &*transmit_done);
        let (receive, receive_done) = (&*receive, &*receive_done);
        let rings = [transmit, transmit_done, receive, receive_done].map(|ring| offset.physical(ring));
        Self {
            registers,
            description: Description::new(shared, queues, rings, offset),
            transmit: TransmitRing {
                ring: transmit,
                done: transmit_done,
                buffers: transmit_buffers,
                offset,
                tail: Place::FIRST,
                outstanding: 0,
                due: Place::FIRST,
            },
            told: Place::FIRST,
            receive: ReceiveRing {
                ring: receive,
                done: receive_done,
                buffers: receive_buffers,
                offset,
                received,
                tail: Place::FIRST,
                due: Place::FIRST,
            },
            own_mac,
            mac: own_mac,
            refused: 0,
            state: State::Broken,
        }
    }

    /// Gives the card a command; its answer.
    fn command(&mut self, command: u32) -> u32 {
        self.registers.write(Register::Command, command);
        self.registers.read(Register::Command)
    }

    fn bring_up(&mut self) -> Result<(), NicError> {
        self.agree(Register::Revision)?;
        self.agree(Register::RingRevision)?;
        // It is done when the register is written.
        self.registers.write(Register::Command, RESET);
        self.registers.write(Register::InterruptMask, 1);
        self.transmit.reset();
        self.receive.reset();
        self.told = self.transmit.tail;
        let [a, b, c, d, e, f, g, h] =
            self.description.write(ETHERNET_MTU.into(), FIRST_REVISION).to_le_bytes();
        self.registers.write(Register::SharedLow, u32::from_le_bytes([a, b, c, d]));
        self.registers.write(Register::SharedHigh, u32::from_le_bytes([e, f, g, h]));
        match self.command(ACTIVATE) {
            0 => {}
            ABSENT => return Err(NicError::Absent),
            _ => return Err(NicError::NotStarted),
        }
        self.set_mac();
        self.registers.write(Register::Command, UPDATE_RECEIVE_MODE);
        self.registers.write(Register::Command, UPDATE_VLANS);
        self.tell_received();
        Ok(())
    }

    /// Chooses the first revision of what `register` tells of.
    fn agree(&mut self, register: Register) -> Result<(), NicError> {
        match self.registers.read(register) {
            ABSENT => return Err(NicError::Absent),
            known if known & FIRST_REVISION == 0 => {
                return Err(NicError::MissingFeature("its first revision"));
            }
            _ => {}
        }
        self.registers.write(register, FIRST_REVISION);
        Ok(())
    }

    /// The address that the card was made with, else the driver's own. The card is told either, for whoever had it before may
    /// have given it another.
    fn set_mac(&mut self) {
        let [a, b, c, d] = self.command(GET_MAC_LOW).to_le_bytes();
        let [e, f, ..] = self.command(GET_MAC_HIGH).to_le_bytes();
        let mac = MacAddr([a, b, c, d, e, f]);
        self.mac = if mac.is_unicast() { mac } else { self.own_mac };
        let MacAddr([a, b, c, d, e, f]) = self.mac;
        self.registers.write(Register::MacLow, u32::from_le_bytes([a, b, c, d]));
        self.registers.write(Register::MacHigh, u32::from_le_bytes([e, f, 0, 0]));
    }

    /// Makes a register of a ring's tail follow what was put in the ring.
    fn write_tail(&mut self, register: Register, tail: Place) {
        // The descriptors are in memory before the card is told of them.
        fence(Ordering::Release);
        // A place in a ring of 32.
        self.registers.write(register, u32::try_from(tail.index).unwrap_or(0));
    }

    fn tell_received(&mut self) {
        self.write_tail(Register::ReceiveTail, self.receive.tail);
    }

    /// A card that is gone reads as all ones; one that has given a queue up says so.
    fn check(&mut self) {
        if self.command(GET_QUEUE_STATUS) == ABSENT || self.description.has_stopped() {
            self.state = State::Broken;
        }
    }

    fn reclaim(&mut self) {
        if self.transmit.reclaim().is_err() {
            self.state = State::Broken;
        }
    }

    /// The link, where the card runs and answers.
    fn link(&mut self) -> Option<u32> {
        if self.state == State::Broken {
            return None;
        }
        let link = self.command(GET_LINK);
        if link == ABSENT {
            self.state = State::Broken;
            return None;
        }
        (link & LINK_UP != 0).then_some(link)
    }
}

impl<R: Registers> Nic for Vmxnet3<R> {
    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn mtu(&self) -> usize {
        ETHERNET_MTU.into()
    }

    fn link_is_up(&mut self) -> bool {
        self.link().is_some()
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        let link = self.link()?;
        let megabits = link.unbounded_shr(LINK_SPEED_SHIFT);
        Some(LinkMode { megabits, duplex: Some(Duplex::Full) })
    }

    fn link_has_changed(&mut self) -> bool {
        let events = self.description.events();
        if events == 0 {
            return false;
        }
        self.registers.write(Register::Events, events);
        if events & EVENT_QUEUE_ERROR != 0 {
            self.state = State::Broken;
        }
        events & EVENT_LINK != 0
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        // Finished frames are taken back when no buffer is left, all at once.
        if self.transmit.is_full() {
            self.reclaim();
        }
        if self.state == State::Running && self.transmit.is_full() {
            if self.refused == 0 {
                self.check();
            }
            self.refused = self.refused.wrapping_add(1);
            if self.state == State::Running {
                return Err(TransmitError::Full);
            }
        }
        if self.state == State::Broken {
            return Err(TransmitError::Broken);
        }
        self.refused = 0;
        let Some(buffer) = self.transmit.buffer() else { return Err(TransmitError::Broken) };
        let length = build(buffer).min(TRANSMIT_SIZE);
        if length == 0 {
            return Ok(());
        }
        let length = fill_up(buffer, length);
        self.transmit.publish(length);
        Ok(())
    }

    fn kick(&mut self) {
        let tail = self.transmit.tail;
        if self.state == State::Running && self.told != tail {
            self.told = tail;
            self.write_tail(Register::TransmitTail, tail);
        }
    }

    fn is_drained(&mut self) -> bool {
        self.reclaim();
        self.state == State::Running && self.transmit.outstanding == 0
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        // Bounded, for the card can fill the buffers as fast as they are given back.
        for _ in 0..RECEIVE_BUFFERS {
            if self.state == State::Broken {
                return false;
            }
            match self.receive.take() {
                Ok(Taken::Nothing) => return false,
                Ok(Taken::Frame(length)) if length >= ETHERNET_HEADER => {
                    self.tell_received();
                    take(self.receive.frame(length));
                    return true;
                }
                // Damaged, or shorter than an Ethernet header.
                Ok(_) => self.tell_received(),
                Err(_) => self.state = State::Broken,
            }
        }
        false
    }

    fn restart(&mut self) -> Result<(), NicError> {
        self.state = State::Broken;
        self.bring_up()?;
        (self.state, self.refused) = (State::Running, 0);
        Ok(())
    }
}
