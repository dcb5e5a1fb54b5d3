//! Realtek's RTL8139, 10 and 100 Mbit/s, polled, as the datasheet of the RTL8139C and D describes it.
//!
//! The chip is given 32-bit addresses: the card's memory must lie below 4 GiB. It sends from four buffers in turn,
//! and writes what it receives one frame behind the other into a ring of 8 KiB.
//!
//! The trust model: the chip may write the receive ring at any time and in any way. What the driver believes is in
//! its own memory: which buffers are with the chip, and where in the ring the next frame begins. A frame's header
//! is read once and checked; where it can't be, the place of the next frame is lost, and only a restart helps.

use super::addresses::Offset;
use super::frame::{ETHERNET_HEADER, ETHERNET_MTU, SHORTEST_FRAME, TRANSMIT_SIZE, fill_up};
use super::pci::{Bar, ConfigurationAccess, PciDevice};
use super::{Access, BusAddress, Duplex, LinkMode, Nic, NicError, Ports, TransmitError, Waits, Width};
use crate::wire::MacAddr;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use registers::*;

#[cfg(test)]
mod model;
mod registers;
#[cfg(test)]
mod tests;

/// Whether a function with these ids is an RTL8139.
pub fn drives(ids: (u16, u16)) -> bool {
    ids == (0x10ec, 0x8139)
}

/// How many bytes are in the chip before it begins to send, in units of 32 from bit 16 on.
const TRANSMIT_THRESHOLD: u32 = 8 << 16;
/// Bursts of 1024 bytes over PCI, the usual gap between frames.
const TRANSMIT_CONFIGURATION: u32 = 6 << 8 | 3 << 24;
/// Frames to the chip's own address, to multicast and broadcast; the last frame of the ring goes on behind its end
/// (bit 7); bursts of 1024 bytes; 8 KiB; a frame is stored when it is whole.
const RECEIVE_CONFIGURATION: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7 | 6 << 8 | 7 << 13;

/// The ring is read word by word.
const WORD: usize = size_of::<u32>();
const HEADER: usize = 4;
const CHECK_SEQUENCE: usize = 4;
/// The lengths of the frames that the chip stores.
const FRAMES: core::ops::RangeInclusive<usize> = ETHERNET_HEADER..=4096;

const TRANSMIT_BUFFERS: usize = 4;
const RING_SIZE: usize = 8192;
/// The chip wants 16 bytes more, and stores a frame that begins before the ring's end behind it as a whole: up to
/// what its status calls too long, 4 KiB.
const RING_WORDS: usize = (RING_SIZE + 16 + 4096) / size_of::<u32>();

/// How long the chip may take to come out of reset, in µs; chips take microseconds.
const RESET_PATIENCE: u64 = 50_000;
/// What a register of a byte reads as where the chip has gone.
const GONE: u32 = 0xff;

/// What one card shares with its driver, and room for one received frame.
#[repr(C, align(64))]
pub struct Rtl8139Memory {
    /// The chip writes it at any time, so its words are atomic.
    ring: [AtomicU32; RING_WORDS],
    transmit: [[u8; TRANSMIT_SIZE]; TRANSMIT_BUFFERS],
    received: [u8; TRANSMIT_SIZE],
}

impl Rtl8139Memory {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self {
            ring: [const { AtomicU32::new(0) }; RING_WORDS],
            transmit: [[0; TRANSMIT_SIZE]; TRANSMIT_BUFFERS],
            received: [0; TRANSMIT_SIZE],
        }
    }
}

/// An RTL8139.
pub struct Rtl8139 {
    ports: &'static dyn Ports,
    waits: Waits,
    /// By which the chip finds the memory.
    offset: Offset,
    /// The first port of 256, all of which exist.
    first: u16,
    /// Shared with the chip, which writes it.
    ring: &'static [AtomicU32; RING_WORDS],
    transmit: &'static mut [[u8; TRANSMIT_SIZE]; TRANSMIT_BUFFERS],
    /// A received frame is copied here before anything looks at it: the chip can't change it then, and has its place
    /// in the ring back at once.
    received: &'static mut [u8; TRANSMIT_SIZE],
    own_mac: MacAddr,
    mac: MacAddr,
    /// The buffer that is filled next.
    next: usize,
    /// How many buffers before it are with the chip.
    outstanding: usize,
    /// Where in the ring the next frame begins, in bytes.
    place: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It was not started, or it does not run any more, or has said what can't be.
    Broken,
}

impl Rtl8139 {
    /// The card `device`, whose ports are enabled; [`restart`](Nic::restart) resets it and brings it up. A card
    /// without an address of its own gets one that is made from its place on the PCI bus. Panic-safe.
    pub fn open<C: ConfigurationAccess>(
        config: &mut C,
        access: &Access,
        waits: Waits,
        device: &PciDevice,
        memory: &'static mut Rtl8139Memory,
    ) -> Result<Self, NicError> {
        const MISSING: NicError = NicError::NoRegisters("I/O");
        let [Some(Bar::Io { port, length: register::LENGTH.. }), ..] = device.bars else {
            return Err(MISSING);
        };
        let first = u16::try_from(port).map_err(|_| MISSING)?;
        // A BAR is as aligned as it is long: there are 256 ports from here on.
        device.enable_io(config);
        let own_mac = BusAddress::Pci(device.function).own_address(access.identity);
        let offset = access.addresses.offset_of(memory)?;
        let Rtl8139Memory { ring, transmit, received } = memory;
        Ok(Self {
            ports: access.ports,
            waits,
            offset,
            first,
            ring,
            transmit,
            received,
            own_mac,
            mac: own_mac,
            next: 0,
            outstanding: 0,
            place: 0,
            state: State::Broken,
        })
    }

    fn get(&self, register: u16, width: Width) -> u32 {
        self.ports.read(self.first.wrapping_add(register), width)
    }

    fn set(&mut self, register: u16, width: Width, value: u32) {
        self.ports.write(self.first.wrapping_add(register), width, value);
    }

    /// The 32 bits by which the chip finds what is there.
    fn physical<T>(&self, pointer: *const T) -> Result<u32, NicError> {
        u32::try_from(self.offset.physical(pointer)).map_err(|_| NicError::Unreachable)
    }

    fn bring_up(&mut self) -> Result<(), NicError> {
        self.reset()?;
        self.mac = self.find_mac();
        let buffers: [*const u8; TRANSMIT_BUFFERS] = self.transmit.each_ref().map(|buffer| buffer.as_ptr());
        for (number, buffer) in buffers.into_iter().enumerate() {
            let buffer = self.physical(buffer)?;
            self.set(register_of(register::TRANSMIT_ADDRESS, number), Width::Word, buffer);
        }
        self.set(register::RECEIVE_RING, Width::Word, self.physical(self.ring.as_ptr())?);
        (self.next, self.outstanding, self.place) = (0, 0, 0);
        // The configurations count only where the chip runs.
        self.set(register::COMMAND, Width::Byte, COMMAND_RUNS);
        self.set(register::TRANSMIT_CONFIGURATION, Width::Word, TRANSMIT_CONFIGURATION);
        self.set(register::RECEIVE_CONFIGURATION, Width::Word, RECEIVE_CONFIGURATION);
        for half in [register::MULTICAST, register::MULTICAST + 4] {
            self.set(half, Width::Word, u32::MAX);
        }
        if self.runs() { Ok(()) } else { Err(NicError::Absent) }
    }

    /// Stops the chip, whatever it was doing, and has it forget where its ring was. Interrupts are off then.
    fn reset(&mut self) -> Result<(), NicError> {
        self.set(register::COMMAND, Width::Byte, COMMAND_RESET);
        let look = || match self.get(register::COMMAND, Width::Byte) {
            GONE => Some(Err(NicError::Absent)),
            command => (command & COMMAND_RESET == 0).then_some(Ok(())),
        };
        self.waits.until(RESET_PATIENCE, look).unwrap_or(Err(NicError::ResetTimeout))
    }

    /// The address that the chip has read from its EEPROM, else the driver's own, which the chip is then told.
    fn find_mac(&mut self) -> MacAddr {
        let [a, b, c, d] = self.get(register::ID, Width::Word).to_le_bytes();
        let [e, f, ..] = self.get(register::ID + 4, Width::Word).to_le_bytes();
        let mac = MacAddr([a, b, c, d, e, f]);
        if mac.is_unicast() {
            return mac;
        }
        let MacAddr([a, b, c, d, e, f]) = self.own_mac;
        self.set(register::EEPROM_COMMAND, Width::Byte, EEPROM_CONFIGURE);
        self.set(register::ID, Width::Word, u32::from_le_bytes([a, b, c, d]));
        self.set(register::ID + 4, Width::Word, u32::from_le_bytes([e, f, 0, 0]));
        self.set(register::EEPROM_COMMAND, Width::Byte, EEPROM_LOCKED);
        self.own_mac
    }

    /// A chip that is gone reads as all ones or zeros; one that was reset by somebody else has stopped.
    fn runs(&self) -> bool {
        self.get(register::COMMAND, Width::Byte) & (COMMAND_RUNS | COMMAND_RESET) == COMMAND_RUNS
    }

    fn check(&mut self) {
        if !self.runs() {
            self.state = State::Broken;
        }
    }

    /// Takes back the buffers that the chip is done with.
    fn reclaim(&mut self) {
        while self.state == State::Running && self.outstanding > 0 {
            let oldest = self.next.wrapping_sub(self.outstanding) % TRANSMIT_BUFFERS;
            let status = self.get(register_of(register::TRANSMIT_STATUS, oldest), Width::Word);
            if status & TRANSMIT_ABORTED != 0 {
                self.state = State::Broken;
            } else if status & TRANSMIT_OWN == 0 || status & (TRANSMIT_OK | TRANSMIT_UNDERRUN) == 0 {
                return;
            } else {
                self.outstanding = self.outstanding.wrapping_sub(1);
            }
        }
    }

    /// Copies the next frame out of the ring, as far as there is room, and gives its place back; how long it is
    /// without the check sequence.
    fn take(&mut self) -> Option<usize> {
        let words = self.ring.get(self.place / WORD..)?;
        let (header, words) = words.split_first()?;
        let header = header.load(Ordering::Acquire);
        let [_, _, low, high] = header.to_le_bytes();
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length == RECEIVED_UNFINISHED {
            return None;
        }
        let is_good = header & (RECEIVED_OK | RECEIVED_DAMAGED) == RECEIVED_OK;
        let frame = length.checked_sub(CHECK_SEQUENCE).filter(|frame| is_good && FRAMES.contains(frame));
        let Some(frame) = frame else {
            self.state = State::Broken;
            return None;
        };
        for (to, from) in self.received.chunks_exact_mut(size_of::<u32>()).zip(words).take(frame.div_ceil(4))
        {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_le_bytes());
        }
        self.place = self.place.wrapping_add(HEADER).wrapping_add(length).next_multiple_of(4) % RING_SIZE;
        // What was copied is read before the chip has its place back; a register of 16 bits that counts from -16.
        fence(Ordering::Release);
        let [low, high, ..] = self.place.wrapping_sub(16).to_le_bytes();
        self.set(register::READ_PLACE, Width::Half, u16::from_le_bytes([low, high]).into());
        Some(frame)
    }
}

/// The register of one of the four descriptors.
fn register_of(first: u16, number: usize) -> u16 {
    let [number, ..] = (number % TRANSMIT_BUFFERS).to_le_bytes();
    first.wrapping_add(u16::from(number).wrapping_mul(4))
}

impl Nic for Rtl8139 {
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
        self.state == State::Running && self.get(register::MEDIA_STATUS, Width::Byte) & MEDIA_NO_LINK == 0
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        if !self.link_is_up() {
            return None;
        }
        let is_10 = self.get(register::MEDIA_STATUS, Width::Byte) & MEDIA_10 != 0;
        let (megabits, ability) =
            if is_10 { (10, ABILITY_10_FULL_DUPLEX) } else { (100, ABILITY_100_FULL_DUPLEX) };
        let mode = self.get(register::MODE_CONTROL, Width::Half);
        let is_full = if mode & MODE_NEGOTIATE == 0 {
            mode & MODE_FULL_DUPLEX != 0
        } else {
            let both = self.get(register::ADVERTISED, Width::Half) & self.get(register::PARTNER, Width::Half);
            both & ability != 0
        };
        Some(LinkMode { megabits, duplex: Some(if is_full { Duplex::Full } else { Duplex::Half }) })
    }

    fn link_has_changed(&mut self) -> bool {
        let causes = self.get(register::INTERRUPT_STATUS, Width::Half);
        // Written as 1, they are cleared.
        self.set(register::INTERRUPT_STATUS, Width::Half, causes);
        causes & INTERRUPT_LINK_CHANGED != 0
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        if self.outstanding == TRANSMIT_BUFFERS {
            self.reclaim();
        }
        if self.state == State::Broken {
            return Err(TransmitError::Broken);
        }
        if self.outstanding == TRANSMIT_BUFFERS {
            self.check();
            return Err(if self.state == State::Running {
                TransmitError::Full
            } else {
                TransmitError::Broken
            });
        }
        let Some(buffer) = self.transmit.get_mut(self.next) else { return Err(TransmitError::Broken) };
        let length = build(buffer).min(TRANSMIT_SIZE);
        if length == 0 {
            return Ok(());
        }
        // The chip does not do so.
        let length = fill_up(buffer, length);
        // The frame is in memory before the chip is told of it. A length below 2^13 leaves the bit OWN off, which
        // gives the buffer to the chip.
        fence(Ordering::Release);
        let length = u32::try_from(length).unwrap_or(0);
        let status = register_of(register::TRANSMIT_STATUS, self.next);
        self.set(status, Width::Word, TRANSMIT_THRESHOLD | length);
        self.next = self.next.wrapping_add(1) % TRANSMIT_BUFFERS;
        self.outstanding = self.outstanding.wrapping_add(1);
        Ok(())
    }

    /// The chip was told of each frame.
    fn kick(&mut self) {}

    fn is_drained(&mut self) -> bool {
        self.reclaim();
        self.state == State::Running && self.outstanding == 0
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        // Bounded, for the chip can fill the ring as fast as it is emptied.
        for _ in 0..RING_SIZE / SHORTEST_FRAME {
            if self.state == State::Broken
                || self.get(register::COMMAND, Width::Byte) & COMMAND_BUFFER_EMPTY != 0
            {
                return false;
            }
            let Some(length) = self.take() else { return false };
            // A chip whose ring was full goes on only then.
            self.set(register::INTERRUPT_STATUS, Width::Half, INTERRUPT_OVERFLOW);
            // Longer ones nobody here can have asked for.
            if let Some(frame) = self.received.get(..length) {
                take(frame);
                return true;
            }
        }
        false
    }

    fn restart(&mut self) -> Result<(), NicError> {
        self.state = State::Broken;
        self.bring_up()?;
        self.state = State::Running;
        Ok(())
    }
}
