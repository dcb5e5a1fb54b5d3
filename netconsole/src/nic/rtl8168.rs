//! Realtek's gigabit controllers on PCI Express: RTL8111 and RTL8168 in all their versions, RTL8101 to RTL8106 for 100 Mbit/s, and the
//! RTL8125 for 2.5 Gbit/s, polled. No QEMU has one, and the driver was not tried on a card: the log says so.
//!
//! The trust model: the chip may write the descriptors and the receive buffers at any time and in any way. What the driver believes
//! is in its own memory: which descriptors are with the chip and how long the buffers are. What the chip writes is read once and
//! checked against that.

pub mod chips;
mod management;
#[cfg(test)]
mod model;
mod phy;
mod registers;
mod ring;
#[cfg(test)]
mod tests;

pub use registers::Registers;
pub use ring::Rtl8168Memory;

use super::addresses::Offset;
use super::frame::{ETHERNET_HEADER, ETHERNET_MTU, TRANSMIT_SIZE, Taken, fill_up};
use super::mmio::Window;
use super::pci::{Bar, ConfigurationAccess, PciDevice};
use super::{Access, BusAddress, Duplex, LinkMode, Nic, NicError, Ports, TransmitError, Waits, Width};
use crate::wire::MacAddr;
use chips::{Chip, FIRST_DP, Family};
use core::sync::atomic::{Ordering, fence};
use management::Management;
use registers::*;
use ring::{RECEIVES, ReceiveRing, TransmitRing};

/// The longest frame that is received, with its VLAN tag and check sequence.
const LONGEST_FRAME: u32 = 1536;
/// How long the chip may take to come out of reset, in µs; drivers wait for up to 100 ms.
const RESET_PATIENCE: u64 = 100_000;
/// What a register of a byte reads as where the chip has gone.
const GONE: u32 = 0xff;

/// The registers as a BAR holds them: in memory where the firmware gave them an address there, else in I/O space.
pub struct Bars(Place);

enum Place {
    /// BAR 2, or BAR 1 of older chips.
    Memory(Window),
    /// BAR 0.
    Io {
        /// The machine's I/O space.
        ports: &'static dyn Ports,
        /// The first port of 256, all of which exist.
        first: u16,
    },
}

impl Registers for Bars {
    fn read(&self, register: u16, width: Width) -> u32 {
        let offset = usize::from(register);
        match (&self.0, width) {
            (Place::Io { ports, first }, _) => ports.read(first.wrapping_add(register), width),
            (Place::Memory(window), Width::Byte) => window.read::<u8>(offset).unwrap_or(u8::MAX).into(),
            (Place::Memory(window), Width::Half) => window.read::<u16>(offset).unwrap_or(u16::MAX).into(),
            (Place::Memory(window), Width::Word) => window.read(offset).unwrap_or(u32::MAX),
        }
    }

    fn write(&mut self, register: u16, width: Width, value: u32) {
        let offset = usize::from(register);
        let [low, high, ..] = value.to_le_bytes();
        let _ = match (&self.0, width) {
            (Place::Io { ports, first }, _) => {
                ports.write(first.wrapping_add(register), width, value);
                Some(())
            }
            (Place::Memory(window), Width::Byte) => window.write(offset, low),
            (Place::Memory(window), Width::Half) => window.write(offset, u16::from_le_bytes([low, high])),
            (Place::Memory(window), Width::Word) => window.write(offset, value),
        };
    }
}

/// One of Realtek's gigabit controllers.
pub struct Rtl8168<R: Registers> {
    registers: R,
    waits: Waits,
    chip: Chip,
    /// Known once the chip has said what it is.
    family: Family,
    transmit: TransmitRing,
    /// Frames were queued since the chip was told last.
    is_untold: bool,
    receive: ReceiveRing,
    own_mac: MacAddr,
    mac: MacAddr,
    /// How many frames the full ring has refused one after the other, modulo 256: each time it is 0 the chip is looked at.
    refused: u8,
    state: State,
}

/// One of Realtek's gigabit controllers on the PCI bus. In a panic it is the same driver, started again beside the one that the crash
/// interrupted, of which nothing is read. The chip is reset first, so that it forgets the old rings.
pub type Rtl8168Nic = Rtl8168<Bars>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It was not started, or it does not run any more.
    Broken,
}

impl Rtl8168Nic {
    /// The card `device`, which has this `chip`, with its registers enabled; [`restart`](Nic::restart) resets it and brings it up. A
    /// card without an address of its own gets one that is made from its place on the PCI bus. Panic-safe.
    pub fn open<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        waits: Waits,
        device: &PciDevice,
        chip: Chip,
        memory: &'static mut Rtl8168Memory,
    ) -> Result<Self, NicError> {
        let window = |bar: &Option<Bar>| Window::new(*bar, 0, LENGTH, &access.addresses);
        let registers = if let Some(window) = device.bars.iter().find_map(window) {
            device.enable(config);
            Bars(Place::Memory(window))
        } else {
            let ports = device.bars.iter().find_map(|bar| match bar {
                Some(Bar::Io { port, length: LENGTH.. }) => u16::try_from(*port).ok(),
                _ => None,
            });
            let first = ports.ok_or(NicError::NoRegisters("memory"))?;
            device.enable_io(config);
            Bars(Place::Io { ports: access.ports, first })
        };
        let offset = access.addresses.offset_of(memory)?;
        let own_mac = BusAddress::Pci(device.function).own_address(access.identity);
        Ok(Self::new(registers, waits, chip, own_mac, offset, memory))
    }
}

impl<R: Registers> Rtl8168<R> {
    /// A card that [`restart`](Nic::restart) will bring up. `own_mac` is taken where it has no usable address, and the chip finds
    /// `memory` by `offset`. Touches nothing of the chip.
    fn new(
        registers: R,
        waits: Waits,
        chip: Chip,
        own_mac: MacAddr,
        offset: Offset,
        memory: &'static mut Rtl8168Memory,
    ) -> Self {
        let (transmit, receive) = memory.rings(offset);
        let family = chip.family(0);
        Self {
            registers,
            waits,
            chip,
            family,
            transmit,
            is_untold: false,
            receive,
            own_mac,
            mac: own_mac,
            refused: 0,
            state: State::Broken,
        }
    }

    fn bring_up(&mut self) -> Result<(), NicError> {
        let transmit = self.registers.read(TRANSMIT_CONFIGURATION, Width::Word);
        if transmit == u32::MAX || self.registers.read(COMMAND, Width::Byte) == GONE {
            return Err(NicError::Absent);
        }
        let version = (transmit & CHIP) >> 20;
        if !self.chip.is_8125 && version == FIRST_DP {
            return Err(NicError::Unknown("the first RTL8168DP"));
        }
        self.family = self.chip.family(version);
        let management = if self.chip.is_8125 { Management::None } else { Management::of(version) };
        self.silence();
        management.close_channel(self.waits, &mut self.registers);
        self.reset()?;
        self.silence();
        if self.family != Family::Classic {
            phy::take_over(self.waits, &mut self.registers);
            if self.family == Family::TwoAndAHalf {
                phy::change(&mut self.registers, MAC_FORMAT, MAC_FORMAT_OTHER, 0);
            }
            let gate = self.registers.read(GATE, Width::Word);
            self.registers.write(GATE, Width::Word, gate & !GATE_CLOSED);
        }
        management.announce(self.waits, &mut self.registers);
        self.registers.write(EEPROM_COMMAND, Width::Byte, EEPROM_CONFIGURE);
        self.set_mac();
        self.start();
        self.registers.write(EEPROM_COMMAND, Width::Byte, EEPROM_LOCKED);
        let phy_user = management.borrow_phy(&mut self.registers);
        phy::wake(self.waits, &mut self.registers, self.family);
        if let Some(user) = phy_user {
            self.registers.write(PHY_USER, Width::Word, user | PHY_USER_FIRMWARE);
        }
        if self.runs() { Ok(()) } else { Err(NicError::Absent) }
    }

    /// No interrupts, and nothing is let in.
    fn silence(&mut self) {
        let (mask, width) = match self.family {
            Family::TwoAndAHalf => (INTERRUPT_MASK_8125, Width::Word),
            _ => (INTERRUPT_MASK, Width::Half),
        };
        self.registers.write(mask, width, 0);
        let receive = self.registers.read(RECEIVE_CONFIGURATION, Width::Word);
        self.registers.write(RECEIVE_CONFIGURATION, Width::Word, receive & !ACCEPT_ANY);
    }

    /// Stops the chip, whatever it was doing, and has it forget where its rings were.
    fn reset(&mut self) -> Result<(), NicError> {
        self.registers.write(COMMAND, Width::Byte, COMMAND_RESET);
        let look = || match self.registers.read(COMMAND, Width::Byte) {
            GONE => Some(Err(NicError::Absent)),
            command => (command & COMMAND_RESET == 0).then_some(Ok(())),
        };
        self.waits.until(RESET_PATIENCE, look).unwrap_or(Err(NicError::ResetTimeout))
    }

    /// The address that the chip has read from its memory, or that the firmware gave it, else the driver's own, which the chip is
    /// then told.
    fn set_mac(&mut self) {
        let [a, b, c, d] = self.registers.read(ID, Width::Word).to_le_bytes();
        let [e, f, ..] = self.registers.read(ID + 4, Width::Word).to_le_bytes();
        let mac = MacAddr([a, b, c, d, e, f]);
        self.mac = mac;
        if !mac.is_unicast() {
            self.mac = self.own_mac;
            let MacAddr([a, b, c, d, e, f]) = self.own_mac;
            // The second half first: the chip takes both with the first.
            self.registers.write(ID + 4, Width::Word, u32::from_le_bytes([e, f, 0, 0]));
            self.registers.write(ID, Width::Word, u32::from_le_bytes([a, b, c, d]));
        }
    }

    fn start(&mut self) {
        self.transmit.reset();
        self.receive.reset();
        self.is_untold = false;
        let control = self.registers.read(FRAME_CONTROL, Width::Half);
        self.registers.write(FRAME_CONTROL, Width::Half, control & !FRAME_OFFLOADS);
        self.registers.write(RECEIVE_LIMIT, Width::Half, LONGEST_FRAME);
        for (register, address) in
            [(TRANSMIT_RING, self.transmit.address()), (RECEIVE_RING, self.receive.address())]
        {
            let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
            // The second half first: the chip takes both with the first.
            self.registers.write(register.wrapping_add(4), Width::Word, u32::from_le_bytes([e, f, g, h]));
            self.registers.write(register, Width::Word, u32::from_le_bytes([a, b, c, d]));
        }
        fence(Ordering::Release);
        // The configurations count only where the chip runs.
        self.registers.write(COMMAND, Width::Byte, COMMAND_RUNS);
        let transmit = self.registers.read(TRANSMIT_CONFIGURATION, Width::Word);
        self.registers.write(TRANSMIT_CONFIGURATION, Width::Word, transmit | TRANSMIT_USUAL);
        let receive = match self.family {
            Family::Classic => RECEIVE_WHOLE,
            Family::Bus => RECEIVE_WHOLE | RECEIVE_NOT_EARLY,
            Family::TwoAndAHalf => self.registers.read(RECEIVE_CONFIGURATION, Width::Word) & RECEIVE_FETCH,
        };
        for half in [MULTICAST + 4, MULTICAST] {
            self.registers.write(half, Width::Word, u32::MAX);
        }
        self.registers.write(RECEIVE_CONFIGURATION, Width::Word, receive | RECEIVE_BURST | ACCEPT);
    }

    /// A chip that is gone reads as all ones or zeros; one that was reset by somebody else has stopped.
    fn runs(&self) -> bool {
        self.registers.read(COMMAND, Width::Byte) & (COMMAND_RUNS | COMMAND_RESET) == COMMAND_RUNS
    }

    fn check(&mut self) {
        if !self.runs() {
            self.state = State::Broken;
        }
    }

    fn tell(&mut self) {
        self.is_untold = false;
        // The descriptors are in memory before the chip is told of them.
        fence(Ordering::Release);
        match self.family {
            Family::TwoAndAHalf => self.registers.write(POLL_8125, Width::Half, POLL_FIRST),
            _ => self.registers.write(POLL, Width::Byte, POLL_NORMAL),
        }
    }

    /// Takes back the buffers that the chip is done with. It is told again where some are left: a chip that has just come to the
    /// ring's end may not notice what it is told.
    fn reclaim(&mut self) {
        let before = self.transmit.outstanding();
        self.transmit.reclaim();
        let left = self.transmit.outstanding();
        if self.state == State::Running && left > 0 && left < before {
            self.tell();
        }
    }

    /// What the PHY says of the link, where the chip runs and there is one.
    fn link(&mut self) -> Option<u32> {
        if self.state == State::Running {
            self.check();
        }
        if self.state == State::Broken {
            return None;
        }
        let width = if self.family == Family::TwoAndAHalf { Width::Half } else { Width::Byte };
        Some(self.registers.read(PHY_STATUS, width)).filter(|status| status & PHY_LINK != 0)
    }
}

impl<R: Registers> Nic for Rtl8168<R> {
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
        let status = self.link()?;
        let speeds = [(PHY_2500, 2500), (PHY_1000, 1000), (PHY_100, 100), (PHY_10, 10)];
        let megabits = speeds.into_iter().find_map(|(bit, speed)| (status & bit != 0).then_some(speed))?;
        let is_full = status & PHY_FULL_DUPLEX != 0 || megabits >= 1000;
        Some(LinkMode { megabits, duplex: Some(if is_full { Duplex::Full } else { Duplex::Half }) })
    }

    fn link_has_changed(&mut self) -> bool {
        let (status, width) = match self.family {
            Family::TwoAndAHalf => (INTERRUPT_STATUS_8125, Width::Word),
            _ => (INTERRUPT_STATUS, Width::Half),
        };
        let causes = self.registers.read(status, width);
        // Written as 1, they are cleared.
        self.registers.write(status, width, causes);
        causes & INTERRUPT_LINK_CHANGED != 0
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        if self.state == State::Broken {
            return Err(TransmitError::Broken);
        }
        // Finished frames are taken back when no buffer is left, all at once.
        if self.transmit.buffer().is_none() {
            self.reclaim();
        }
        let Some(buffer) = self.transmit.buffer() else {
            if self.refused == 0 {
                self.check();
                if self.state == State::Running {
                    self.tell();
                }
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
        if length == 0 {
            return Ok(());
        }
        // Some versions do not do so.
        let length = fill_up(buffer, length);
        self.transmit.publish(length);
        self.is_untold = true;
        Ok(())
    }

    fn kick(&mut self) {
        if self.state == State::Running && self.is_untold {
            self.tell();
        }
    }

    fn is_drained(&mut self) -> bool {
        self.reclaim();
        self.state == State::Running && self.transmit.outstanding() == 0
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        if self.state == State::Broken {
            return false;
        }
        // Bounded, for the chip can fill the buffers as fast as they are given back.
        for _ in 0..RECEIVES {
            match self.receive.take() {
                Taken::Nothing => return false,
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
