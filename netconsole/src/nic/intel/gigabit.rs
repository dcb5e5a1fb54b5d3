//! The controller, polled: one ring each way, no offloads, no interrupts.

use super::chips::{Chip, Family};
use super::registers::*;
use super::ring::{GigabitMemory, ReceiveRing, TransmitRing};
use super::wait::{ABSENT, wait_for};
use super::{errata, phy, shared_phy};
use crate::nic::addresses::Offset;
use crate::nic::frame::{ETHERNET_HEADER, ETHERNET_MTU, TRANSMIT_SIZE, Taken};
use crate::nic::{Duplex, LinkMode, Nic, NicError, TransmitError, Waits};
use crate::wire::MacAddr;
use core::sync::atomic::{Ordering, fence};

/// How long the device may take to do what is waited for, in µs; the datasheets speak of a few milliseconds.
pub(super) const PATIENCE: u64 = 50_000;
/// How long rings take to empty, in µs: sending, and each step of receiving.
const EMPTYING: u64 = 250;
/// How many bytes the frame has, without an end, that pushes all others out.
const PUSHING: usize = 512;

/// An Intel gigabit card with `TX` transmit and `RX` receive descriptors.
pub struct Gigabit<R: Registers, const TX: usize, const RX: usize> {
    registers: R,
    waits: Waits,
    chip: Chip,
    transmit: TransmitRing<TX>,
    /// The transmit tail that the device was told last.
    told: usize,
    receive: ReceiveRing<RX>,
    /// How many receive buffers the device has not been told that it has back.
    untold: usize,
    own_mac: MacAddr,
    mac: MacAddr,
    /// How many frames the full ring has refused one after the other, modulo 256: each time it is 0 the
    /// device is asked whether it still runs. Always asking would be an access to it, in a VM an exit,
    /// for each turn of the caller's waiting.
    refused: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It was not started, or it does not run any more.
    Broken,
}

impl<R: Registers, const TX: usize, const RX: usize> Gigabit<R, TX, RX> {
    /// A card that [`restart`](Nic::restart) will bring up. `own_mac` is taken where it has no usable
    /// address, and the device finds `memory` by `offset`. Touches nothing of the device.
    pub(super) fn new(
        registers: R,
        waits: Waits,
        chip: Chip,
        own_mac: MacAddr,
        offset: Offset,
        memory: &'static mut GigabitMemory<TX, RX>,
    ) -> Self {
        let (transmit, receive) = memory.rings(offset, chip.family.formats());
        Self {
            registers,
            waits,
            chip,
            transmit,
            told: 0,
            receive,
            untold: 0,
            own_mac,
            mac: own_mac,
            refused: 0,
            state: State::Broken,
        }
    }

    /// Section 14.3 to 14.5.
    fn bring_up(&mut self) -> Result<(), NicError> {
        self.reset()?;
        self.mac = self.find_mac();
        self.set_up_link();
        self.set_up_phy();
        self.transmit.reset();
        self.receive.reset();
        self.start_receiving()?;
        self.start_sending()
    }

    /// Stops the device, whatever it was doing, and has it forget where its rings were.
    fn reset(&mut self) -> Result<(), NicError> {
        let (waits, family) = (self.waits, self.chip.family);
        if self.registers.read(STATUS) == ABSENT {
            return Err(NicError::Absent);
        }
        self.registers.write(IMC, u32::MAX);
        self.registers.write(RCTL, 0);
        self.registers.write(TCTL, 0);
        if family.must_be_emptied() {
            self.empty_rings();
        }
        let registers = &mut self.registers;
        if !family.is_pci() {
            errata::change(registers, CTRL, 0, CTRL_MASTER_DISABLE);
            // Where it does not stop, the reset stops it.
            let is_still = |status| status & STATUS_MASTER_ENABLED == 0;
            let _ = wait_for(waits, registers, STATUS, is_still, PATIENCE);
        }
        errata::before_reset(registers, family);
        if family.has_software_flag() {
            shared_phy::take_flag(waits, registers);
        }
        errata::change(registers, CTRL, 0, CTRL_RESET);
        waits.pause(family.reset_pause());
        wait_for(waits, registers, CTRL, |ctrl| ctrl & CTRL_RESET == 0, PATIENCE)
            .ok_or(NicError::ResetTimeout)?;
        if family.has_software_flag() {
            shared_phy::give_flag_back(registers);
        }
        registers.write(IMC, u32::MAX);
        let _ = registers.read(ICR);
        registers.write(RFCTL, 0);
        errata::after_reset(registers, family);
        Ok(())
    }

    /// Empties the rings of a device that says that it must be, else the reset would hang it until its power is taken away.
    /// Done with a ring of the driver's own: who had the device before may have lost the other.
    fn empty_rings(&mut self) {
        errata::change(&mut self.registers, FEXTNVM11, 0, FEXTNVM11_NO_MULTIPLE_READS);
        if !self.must_be_emptied() || self.registers.read(TDLEN) == 0 {
            return;
        }
        // Somebody may have stopped it.
        errata::change(&mut self.registers, CTRL, CTRL_MASTER_DISABLE, 0);
        self.transmit.reset();
        set_ring::<R, TX>(&mut self.registers, [TDBAL, TDBAH, TDLEN, TDH, TDT], self.transmit.address());
        self.registers.write(TCTL, TCTL_ENABLE);
        self.transmit.publish_without_end(PUSHING);
        self.write_tail(TDT, self.transmit.tail());
        self.waits.pause(EMPTYING);
        if self.must_be_emptied() {
            self.receive.reset();
            set_ring::<R, RX>(&mut self.registers, [RDBAL, RDBAH, RDLEN, RDH, RDT], self.receive.address());
            errata::change(&mut self.registers, RXDCTL, RXDCTL_THRESHOLDS, RXDCTL_FLUSH);
            // For a moment, so that it counts.
            self.registers.write(RCTL, RCTL_ENABLE);
            self.write_tail(RDT, self.receive.tail());
            self.waits.pause(EMPTYING);
            self.registers.write(RCTL, 0);
        }
        self.registers.write(TCTL, 0);
    }

    /// A device that is gone says nothing.
    fn must_be_emptied(&self) -> bool {
        let status = self.registers.ring_status();
        status != ABSENT && status & RINGS_MUST_BE_EMPTIED != 0
    }

    /// Has the PHY negotiate. The MAC in a chipset shares it with the firmware.
    fn set_up_phy(&mut self) {
        let (waits, registers, family) = (self.waits, &mut self.registers, self.chip.family);
        let Some(address) = family.phy_address() else { return };
        if family.has_software_flag() {
            shared_phy::take_flag(waits, registers);
        }
        if family.has_ultra_low_power() {
            shared_phy::leave_ultra_low_power(waits, registers, address);
        }
        if family.is_chipset() {
            shared_phy::stop_saving(waits, registers, family);
            phy::wake_shared(waits, registers, address);
        } else {
            phy::wake(waits, registers, address);
        }
        if family.has_software_flag() {
            shared_phy::give_flag_back(registers);
        }
    }

    /// The address that the device has read from its EEPROM after the reset, else what the EEPROM says,
    /// else the driver's own, which the device is then told.
    fn find_mac(&mut self) -> MacAddr {
        if let Some(high) =
            wait_for(self.waits, &self.registers, RAH0, |high| high & RAH_VALID != 0, PATIENCE)
        {
            let [a, b, c, d] = self.registers.read(RAL0).to_le_bytes();
            let [e, f, ..] = high.to_le_bytes();
            let mac = MacAddr([a, b, c, d, e, f]);
            if mac.is_unicast() {
                return mac;
            }
        }
        let mac = self.mac_in_eeprom().filter(|mac| mac.is_unicast()).unwrap_or(self.own_mac);
        let MacAddr([a, b, c, d, e, f]) = mac;
        self.registers.write(RAL0, u32::from_le_bytes([a, b, c, d]));
        self.registers.write(RAH0, u32::from_le_bytes([e, f, 0, 0]) | RAH_VALID);
        mac
    }

    /// Section 5.6.1: words 0 to 2. The second port has the address that differs in the last bit.
    fn mac_in_eeprom(&mut self) -> Option<MacAddr> {
        let [a, b] = self.read_eeprom(0)?.to_le_bytes();
        let [c, d] = self.read_eeprom(1)?.to_le_bytes();
        let [e, f] = self.read_eeprom(2)?.to_le_bytes();
        let is_second = self.registers.read(STATUS) & STATUS_SECOND_PORT != 0;
        Some(MacAddr([a, b, c, d, e, f ^ u8::from(is_second)]))
    }

    fn read_eeprom(&mut self, word: u32) -> Option<u16> {
        let read = self.chip.family.eeprom_read()?;
        self.registers.write(EERD, word.unbounded_shl(read.address_shift) | EERD_START);
        let value = wait_for(self.waits, &self.registers, EERD, |eerd| eerd & read.done != 0, PATIENCE)?;
        let [_, _, low, high] = value.to_le_bytes();
        Some(u16::from_le_bytes([low, high]))
    }

    /// The link as the PHY negotiates it, no flow control, VLAN tags left in the frames.
    fn set_up_link(&mut self) {
        let is_pci = self.chip.family.is_pci();
        let cleared = CTRL_MASTER_DISABLE
            | CTRL_FORCE_SPEED
            | CTRL_FORCE_DUPLEX
            | CTRL_RECEIVE_FLOW_CONTROL
            | CTRL_TRANSMIT_FLOW_CONTROL
            | CTRL_VLAN_MODE
            | CTRL_PHY_RESET
            | if is_pci { CTRL_LINK_RESET | CTRL_INVERT_LOSS } else { 0 };
        let set = CTRL_SET_LINK_UP | if is_pci { CTRL_AUTO_SPEED } else { 0 };
        let ctrl = self.registers.read(CTRL);
        self.registers.write(CTRL, ctrl & !cleared | set);
    }

    /// Section 14.4.
    fn start_receiving(&mut self) -> Result<(), NicError> {
        set_ring::<R, RX>(&mut self.registers, [RDBAL, RDBAH, RDLEN, RDH, RDT], self.receive.address());
        if self.chip.family.has_queues() {
            self.registers.write(SRRCTL, SRRCTL_2_KIB | SRRCTL_ADVANCED);
            start_queue(self.waits, &mut self.registers, RXDCTL).ok_or(NicError::NoQueue(0))?;
        }
        let rctl = RCTL_ENABLE | RCTL_MULTICAST_PROMISCUOUS | RCTL_BROADCAST | RCTL_STRIP_CRC;
        self.registers.write(RCTL, rctl);
        self.tell_received();
        Ok(())
    }

    /// Section 14.5.
    fn start_sending(&mut self) -> Result<(), NicError> {
        self.told = self.transmit.tail();
        set_ring::<R, TX>(&mut self.registers, [TDBAL, TDBAH, TDLEN, TDH, TDT], self.transmit.address());
        if self.chip.family.has_queues() {
            start_queue(self.waits, &mut self.registers, TXDCTL).ok_or(NicError::NoQueue(1))?;
        }
        if self.chip.family.is_pci() {
            self.registers.write(TIPG, TIPG_COPPER);
        }
        let tctl = self.registers.read(TCTL) & !TCTL_COLLISIONS;
        self.registers.write(TCTL, tctl | TCTL_USUAL_COLLISIONS | TCTL_ENABLE | TCTL_PAD_SHORT);
        if self.runs() { Ok(()) } else { Err(NicError::Absent) }
    }

    /// Makes a register of a ring's tail follow what was put in the ring.
    fn write_tail(&mut self, register: usize, tail: usize) {
        // The descriptors are in memory before the device is told of them.
        fence(Ordering::Release);
        // A place in a ring of at most 4096 descriptors.
        self.registers.write(register, u32::try_from(tail).unwrap_or(0));
    }

    fn tell_received(&mut self) {
        self.untold = 0;
        self.write_tail(RDT, self.receive.tail());
    }

    /// A device that is gone reads as all ones or zeros; one that was reset by somebody else has stopped.
    fn runs(&self) -> bool {
        let tctl = self.registers.read(TCTL);
        tctl != ABSENT && tctl & TCTL_ENABLE != 0
    }

    fn check(&mut self) {
        if !self.runs() {
            self.state = State::Broken;
        }
    }
}

/// Tells the device where an empty ring of `N` descriptors is.
fn set_ring<R: Registers, const N: usize>(
    registers: &mut R,
    [low, high, length, head, tail]: [usize; 5],
    address: u64,
) {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    registers.write(low, u32::from_le_bytes([a, b, c, d]));
    registers.write(high, u32::from_le_bytes([e, f, g, h]));
    // Descriptors have 16 bytes, and there are at most 4096.
    registers.write(length, u32::try_from(N.wrapping_mul(16)).unwrap_or(0));
    registers.write(head, 0);
    registers.write(tail, 0);
}

/// 82575 and later: the ring's registers count once the queue runs, which the device confirms.
fn start_queue<R: Registers>(waits: Waits, registers: &mut R, register: usize) -> Option<()> {
    let control = registers.read(register);
    registers.write(register, control | DCTL_QUEUE_ENABLE);
    wait_for(waits, registers, register, |control| control & DCTL_QUEUE_ENABLE != 0, PATIENCE).map(drop)
}

impl<R: Registers, const TX: usize, const RX: usize> Nic for Gigabit<R, TX, RX> {
    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn mtu(&self) -> usize {
        ETHERNET_MTU.into()
    }

    fn link_is_up(&mut self) -> bool {
        if self.state == State::Running {
            self.check();
        }
        self.state == State::Running && self.registers.read(STATUS) & STATUS_LINK_UP != 0
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        if !self.link_is_up() {
            return None;
        }
        let status = self.registers.read(STATUS);
        let megabits = match status >> STATUS_SPEED_SHIFT & 0b11 {
            0b00 => 10,
            0b01 => 100,
            _ if self.chip.family == Family::TwoAndAHalf && status & STATUS_2500 != 0 => 2500,
            _ => 1000,
        };
        let duplex = if status & STATUS_FULL_DUPLEX != 0 { Duplex::Full } else { Duplex::Half };
        Some(LinkMode { megabits, duplex: Some(duplex) })
    }

    fn link_has_changed(&mut self) -> bool {
        // Causes are collected whether or not they are masked.
        self.registers.read(ICR) & ICR_LINK_CHANGED != 0
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        if self.state == State::Broken {
            return Err(TransmitError::Broken);
        }
        // Finished frames are taken back when no buffer is left, all at once.
        if self.transmit.buffer().is_none() {
            self.transmit.reclaim();
        }
        let Some(buffer) = self.transmit.buffer() else {
            if self.refused == 0 {
                self.check();
            }
            self.refused = self.refused.wrapping_add(1);
            return Err(if self.state == State::Running {
                TransmitError::Full
            } else {
                TransmitError::Broken
            });
        };
        self.refused = 0;
        let length = build(buffer).min(TRANSMIT_SIZE);
        if length > 0 {
            self.transmit.publish(length);
        }
        Ok(())
    }

    fn kick(&mut self) {
        let tail = self.transmit.tail();
        if self.state == State::Running && self.told != tail {
            self.told = tail;
            self.write_tail(TDT, tail);
        }
    }

    fn is_drained(&mut self) -> bool {
        self.transmit.reclaim();
        self.state == State::Running && self.transmit.outstanding() == 0
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        if self.state == State::Broken {
            return false;
        }
        // Bounded, for the device can fill the buffers as fast as they are given back.
        for _ in 0..RX {
            let taken = self.receive.take();
            if taken == Taken::Nothing {
                return false;
            }
            // Each time the tail is set costs an access to the device; it has the rest of the ring meanwhile.
            self.untold = self.untold.wrapping_add(1);
            if self.untold >= RX / 4 {
                self.tell_received();
            }
            match taken {
                Taken::Frame(length) if length >= ETHERNET_HEADER => {
                    take(self.receive.frame(length));
                    return true;
                }
                // Damaged, or shorter than an Ethernet header.
                _ => {}
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
