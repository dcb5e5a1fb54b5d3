//! One of Realtek's gigabit controllers for the tests, written from the RTL8111B's datasheet and what public drivers say of later
//! chips, and independent of the driver: its numbers are spelled out. It can be told to lie.

use super::Rtl8168Memory;
use super::registers::Registers;
use crate::nic::Width;
use crate::nic::addresses::fake::{physical, pointer};
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

/// What differs between the chips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What it calls itself, in bits 30 to 20 of TCR.
    pub chip: u32,
    /// It has the PHY and the MAC on buses, an owner and a gate.
    pub has_buses: bool,
    /// RTL8125.
    pub is_8125: bool,
}

impl Kind {
    /// RTL8168DP.
    fn is_dp(self) -> bool {
        matches!(self.chip, 0x28a | 0x28b)
    }

    /// RTL8168EP: 0; FP: the bits that its firmware's registers have besides.
    fn ep(self) -> Option<u32> {
        match self.chip {
            0x500..=0x502 => Some(0),
            0x54a | 0x54b => Some(0x7f0 << 18),
            _ => None,
        }
    }
}

/// The firmware that manages the machine, where the chip has room for one.
#[derive(Default)]
pub struct Manager {
    pub is_there: bool,
    /// It does not look what it is told.
    pub is_deaf: bool,
    /// What it was told.
    pub heard: Vec<u32>,
    command: u32,
    /// It knows of a driver.
    pub has_driver: bool,
}

impl Manager {
    fn ring(&mut self) {
        assert!(self.is_there, "nobody is there");
        if !self.is_deaf {
            self.heard.push(self.command);
            self.has_driver = self.command == 5;
        }
    }
}

/// The chip's side of everything. What is `pub` may be set to be a lie.
pub struct Device {
    pub manager: Manager,
    pub kind: Kind,
    /// The registers, by offset.
    pub bytes: [u8; 256],
    pub mac: [u8; 6],
    pub never_resets: bool,
    /// What the bytes of everything read as.
    pub gone: Option<u8>,
    pub phy_is_silent: bool,
    /// The PHY's control register.
    pub phy_control: u32,
    /// Frames are sent when [`Device::send`] says so, not when it is told.
    pub is_slow: bool,
    /// It did not hear what it was told last.
    pub is_deaf: bool,
    /// The frames that were sent.
    pub sent: Vec<Vec<u8>>,
    pub notifications: usize,
    pub phy_writes: usize,
    pub accesses: u32,
    /// Where all that the driver gives it must lie.
    pub memory: Range<u64>,
    mac_bus: BTreeMap<u32, u32>,
    mac_address: u32,
    /// The descriptors that are looked at next.
    transmit: u64,
    receive: u64,
    is_locked: bool,
}

fn byte(address: u64) -> &'static AtomicU8 {
    // SAFETY: the model checks that what it accesses lies within the card's memory, which stays; what it writes the driver
    // accesses by atomics, and a transmit buffer that the chip has is not written.
    unsafe { &*pointer::<AtomicU8>(address) }
}

fn word(address: u64) -> &'static AtomicU32 {
    // SAFETY: as for bytes.
    unsafe { &*pointer::<AtomicU32>(address) }
}

fn double(address: u64) -> &'static AtomicU64 {
    // SAFETY: as for bytes.
    unsafe { &*pointer::<AtomicU64>(address) }
}

impl Device {
    /// An honest chip that somebody has left running. All that the driver gives it must lie in `memory`.
    fn new(kind: Kind, memory: Range<u64>) -> Self {
        let mut device = Self {
            manager: Manager::default(),
            kind,
            bytes: [0; 256],
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            never_resets: false,
            gone: None,
            phy_is_silent: false,
            phy_control: 0x1140,
            is_slow: false,
            is_deaf: false,
            sent: Vec::new(),
            notifications: 0,
            phy_writes: 0,
            accesses: 0,
            memory,
            mac_bus: BTreeMap::from([(0xe8de, 1 << 14 | 3), (0xeb58, 0x0f01)]),
            mac_address: 0,
            transmit: 5,
            receive: 3,
            is_locked: true,
        };
        device.reset();
        device.bytes[0x37] = 0x0c;
        device.set(0x20, 4, 0xdead_0000);
        device.set(0xe4, 4, 0xbeef_0000);
        device.set(0x3c, 2, 0xffff);
        device.set(0x44, 4, 0x3f);
        // VLAN tags out, checksums.
        device.set(0xe0, 2, 0x2060);
        if kind.has_buses {
            device.bytes[0xd3] = 0x80;
            device.set(0xf0, 4, 1 << 19 | 1 << 3);
        }
        if kind.is_dp() {
            device.set(0xd0, 4, 1 << 17 | 1);
        }
        if kind.ep().is_some() {
            // A driver before was talking to the firmware.
            device.bytes[0xf8..0xfa].fill(0x81);
        }
        device
    }

    /// Tells no lies from here on.
    pub fn become_honest(&mut self) {
        *self = Self::new(self.kind, self.memory.clone());
    }

    pub fn get(&self, register: usize, width: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(&self.bytes[register..register + width]);
        u32::from_le_bytes(bytes)
    }

    pub fn set(&mut self, register: usize, width: usize, value: u32) {
        self.bytes[register..register + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }

    fn reset(&mut self) {
        let kept = (self.get(0xd0, 4), self.get(0xf0, 4), self.get(0xe0, 2));
        let channel = [self.bytes[0xf8], self.bytes[0xf9]];
        self.bytes.fill(0);
        self.set(0xd0, 4, kept.0);
        self.bytes[0xf8..0xfa].copy_from_slice(&channel);
        self.set(0xf0, 4, kept.1);
        self.set(0xe0, 2, kept.2);
        self.bytes[..6].copy_from_slice(&self.mac);
        self.set(0x40, 4, self.kind.chip << 20 | 1 << 7);
        if self.kind.is_8125 {
            // Eight descriptors at once.
            self.set(0x44, 4, 8 << 27);
        }
        // 1000 Mbit/s, full duplex, a link.
        self.set(0x6c, 2, 0x13);
        (self.transmit, self.receive) = (0, 0);
    }

    pub fn mac_bus(&self, register: u32) -> u32 {
        self.mac_bus[&register]
    }

    fn assert_inside(&self, address: u64, length: u64) {
        assert!(self.memory.contains(&address) && address + length <= self.memory.end, "outside the memory");
    }

    fn ring(&self, register: usize) -> u64 {
        let ring = u64::from(self.get(register + 4, 4)) << 32 | u64::from(self.get(register, 4));
        assert_eq!(ring % 256, 0, "a ring's address");
        ring
    }

    /// Sends up to `count` frames. Returns how many there were.
    pub fn send(&mut self, count: usize) -> usize {
        for done in 0..count {
            if self.bytes[0x37] & 4 == 0 || self.gone.is_some() {
                return done;
            }
            let descriptor = self.ring(0x20) + 16 * self.transmit;
            self.assert_inside(descriptor, 16);
            let status = word(descriptor).load(SeqCst);
            if status & 1 << 31 == 0 {
                return done;
            }
            assert_eq!(status & 0x3fff_c000, 0x3000_0000, "a whole frame, and nothing else asked for");
            assert_eq!(word(descriptor + 4).load(SeqCst), 0, "no tag, no checksums");
            let (address, length) = (double(descriptor + 8).load(SeqCst), u64::from(status & 0x3fff));
            assert!((60..=1536).contains(&length), "{length}");
            self.assert_inside(address, length);
            self.sent.push((0..length).map(|at| byte(address + at).load(SeqCst)).collect());
            word(descriptor).store(status & !(1 << 31), SeqCst);
            self.transmit = if status & 1 << 30 != 0 { 0 } else { self.transmit + 1 };
        }
        count
    }

    /// Receives a frame off the cable. False where it has no buffer or does not listen.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        // FS, LS; with the check sequence.
        self.deliver_as(frame, 3 << 28 | (frame.len() as u32 + 4))
    }

    /// The same, with this in the descriptor, beside its mark of the ring's end.
    pub fn deliver_as(&mut self, frame: &[u8], status: u32) -> bool {
        // RCR: APM, AM, AB; the gate is open; it listens.
        let listens = self.bytes[0x37] & 8 != 0 && self.get(0x44, 4) & 0x3f == 0x0e && self.gone.is_none();
        if !listens || self.get(0xf0, 4) & 1 << 19 != 0 {
            return false;
        }
        assert_eq!((self.get(8, 4), self.get(12, 4)), (u32::MAX, u32::MAX), "every multicast address");
        assert_eq!(self.get(0xe0, 2) & 0x60, 0, "frames are left as they are");
        let interrupts = if self.kind.is_8125 { self.get(0x38, 4) } else { self.get(0x3c, 2) };
        assert_eq!(interrupts, 0, "a polled driver wants no interrupts");
        let descriptor = self.ring(0xe4) + 16 * self.receive;
        self.assert_inside(descriptor, 16);
        let given = word(descriptor).load(SeqCst);
        if given & 1 << 31 == 0 {
            return false;
        }
        let (address, length) = (double(descriptor + 8).load(SeqCst), u64::from(given & 0x3fff));
        assert_eq!((address % 8, length % 8), (0, 0));
        self.assert_inside(address, length);
        for (at, value) in (address..address + length).zip(frame.iter().copied().chain([0xcc; 4])) {
            byte(at).store(value, SeqCst);
        }
        word(descriptor).store(status & !(3 << 30) | given & 1 << 30, SeqCst);
        self.receive = if given & 1 << 30 != 0 { 0 } else { self.receive + 1 };
        true
    }

    /// Writes anything into a receive descriptor.
    pub fn scribble(&mut self, place: u64, status: u32) {
        let ring = u64::from(self.get(0xe8, 4)) << 32 | u64::from(self.get(0xe4, 4));
        if self.memory.contains(&ring) {
            word(ring + 16 * (place % 8)).store(status, SeqCst);
        }
    }

    /// Clears OWN of any transmit descriptor.
    pub fn forget(&mut self, place: u64) {
        let ring = u64::from(self.get(0x24, 4)) << 32 | u64::from(self.get(0x20, 4));
        if self.memory.contains(&ring) {
            word(ring + 16 * (place % 16)).fetch_and(!(1 << 31), SeqCst);
        }
    }

    fn access(&mut self) {
        self.accesses += 1;
        assert!(self.accesses < 200_000, "an endless wait");
    }

    fn read(&mut self, register: usize, width: usize) -> u32 {
        self.access();
        if let Some(value) = self.gone {
            return u32::from_le_bytes([value; 4]) >> (32 - 8 * width);
        }
        match (register, width) {
            (0xb0, 4) if self.kind.has_buses => self.mac_bus.get(&self.mac_address).copied().unwrap_or(0),
            _ => self.get(register, width),
        }
    }

    /// The PHY's register by this way: reading sets the flag once it is there, writing clears it.
    fn phy(&mut self, register: usize, name: u32, value: u32) {
        if self.phy_is_silent {
            return;
        }
        let is_control = name == 0;
        if value & 1 << 31 == 0 {
            let answer = if is_control { self.phy_control } else { 0 };
            self.set(register, 4, 1 << 31 | answer);
        } else {
            self.phy_writes += 1;
            assert!(is_control, "another register of the PHY");
            self.phy_control = value & 0xffff;
            self.set(register, 4, value & !(1 << 31));
        }
    }

    /// An extended register: reading sets the flag once it is there, writing clears it.
    fn extended(&mut self, access: u32) {
        let (writes, bytes, register) = (access >> 31 != 0, access >> 12 & 0xf, access & 0xfff);
        assert_eq!(bytes, if writes { 1 } else { 0xf });
        let place = access & 0x7fff_0000;
        let data = self.get(0x70, 4);
        match (self.kind.ep(), register, writes) {
            (None, 0xe8, true) => {
                assert_eq!(place, 0, "a register of the chip itself");
                self.manager.command = data & 0xff;
            }
            (Some(ep), ..) => {
                assert_eq!(place, ep | 2 << 16, "a register of the firmware");
                match (register, writes) {
                    (0x180, true) => self.manager.command = data & 0xff,
                    (0x30, true) => {
                        assert_eq!(data, 0x41, "its neighbours stay");
                        self.manager.ring();
                    }
                    (0x30, false) => self.set(0x70, 4, 0x40),
                    (0x124, false) => self.set(0x70, 4, u32::from(self.manager.has_driver) | 0x10),
                    (0x128, false) => self.set(0x70, 4, u32::from(self.manager.is_there) | 0x10),
                    other => panic!("{other:x?}"),
                }
            }
            other => panic!("{other:x?}"),
        }
        self.set(0x74, 4, if writes { access & !(1 << 31) } else { access | 1 << 31 });
    }

    /// A register of the firmware of an RTL8168DP.
    fn managed(&mut self, access: u32) {
        let (writes, bytes, register) = (access >> 31 != 0, access >> 12 & 0xf, access & 0xfff);
        assert_eq!(bytes, if writes { 1 } else { 0xf });
        if writes {
            assert_eq!((register, self.get(0xb0, 4)), (0x30, 1));
            self.manager.ring();
        } else {
            assert_eq!(register, if self.kind.chip == 0x28b { 0xb8 } else { 0x10 });
            let state = u32::from(self.manager.is_there) << 15 | u32::from(self.manager.has_driver) << 11;
            self.set(0xb0, 4, state | 1);
        }
        self.set(0xb4, 4, if writes { access & !(1 << 31) } else { access | 1 << 31 });
    }

    fn write(&mut self, register: usize, width: usize, value: u32) {
        self.access();
        if self.gone.is_some() {
            return;
        }
        let is_8125 = self.kind.is_8125;
        match (register, width) {
            (0x37, 1) if value & 0x10 != 0 => {
                if self.never_resets {
                    self.bytes[0x37] = 0x10;
                } else {
                    self.reset();
                }
            }
            (0x37, 1) => self.bytes[0x37] = value as u8,
            (0x38, 1) if !is_8125 => {
                assert_eq!(value, 0x40, "the ring of normal priority");
                self.poll();
            }
            (0x90, 2) if is_8125 => {
                assert_eq!(value, 1, "the first ring");
                self.poll();
            }
            // IMR.
            (0x3c, 2) if !is_8125 => self.set(0x3c, 2, value),
            (0x38, 4) if is_8125 => self.set(0x38, 4, value),
            // ISR: ones clear.
            (0x3e, 2) if !is_8125 => self.set(0x3e, 2, self.get(0x3e, 2) & !value),
            (0x3c, 4) if is_8125 => self.set(0x3c, 4, self.get(0x3c, 4) & !value),
            (0x40, 4) => {
                assert_eq!(self.bytes[0x37] & 0xc, 0xc, "it counts while it runs");
                self.set(0x40, 4, value & !(0x7cf << 20) | self.kind.chip << 20);
            }
            (0x44, 4) => {
                if value & 0x3f != 0 {
                    assert_eq!(self.bytes[0x37] & 0xc, 0xc, "it counts while it runs");
                    assert!(!is_8125 || value >> 27 == 8, "it goes on fetching as many descriptors");
                }
                self.set(0x44, 4, value);
            }
            (0x50, 1) => self.is_locked = value & 0xc0 != 0xc0,
            (0x00 | 0x04, 4) => {
                assert!(!self.is_locked, "the address is locked");
                self.set(register, 4, value);
            }
            (0x20 | 0x24 | 0xe4 | 0xe8 | 0x08 | 0x0c, 4) => self.set(register, 4, value),
            (0xda | 0xe0, 2) => self.set(register, 2, value),
            (0x60, 4) if !self.kind.has_buses => {
                assert_eq!(self.get(0xd0, 4) & 1 << 17, 0, "the firmware has the PHY");
                self.phy(0x60, value >> 16 & 0x1f, value);
            }
            (0x70, 4) if self.kind.is_dp() || self.kind.ep().is_some() => self.set(0x70, 4, value),
            (0x74, 4) if self.kind.is_dp() || self.kind.ep().is_some() => self.extended(value),
            (0xb0 | 0xd0, 4) if self.kind.is_dp() => self.set(register, 4, value),
            (0xb4, 4) if self.kind.is_dp() => self.managed(value),
            (0xf8, 1) if self.kind.ep().is_some() => self.bytes[0xf8] = value as u8,
            (0xf9, 1) if self.kind.ep().is_some() => {
                if self.bytes[0xf9] & !(value as u8) & 1 != 0 {
                    self.bytes[0xfb] |= 0x20;
                }
                self.bytes[0xf9] = value as u8;
            }
            (0xfb, 1) if self.kind.ep().is_some() => self.bytes[0xfb] &= !(value as u8),
            (0xb8, 4) if self.kind.has_buses => {
                self.phy(0xb8, (value >> 15 & 0xfffe) - 0xa400, value);
            }
            (0xb0, 4) if self.kind.has_buses => {
                let address = value >> 15 & 0xfffe;
                if value & 1 << 31 == 0 {
                    self.mac_address = address;
                } else {
                    self.mac_bus.insert(address, value & 0xffff);
                    if address == 0xe8de {
                        self.bytes[0xd3] |= 2;
                    }
                }
            }
            (0xd3, 1) if self.kind.has_buses => self.bytes[0xd3] = value as u8,
            (0xf0, 4) if self.kind.has_buses => self.set(0xf0, 4, value),
            access => panic!("wrote {access:x?}"),
        }
    }

    fn poll(&mut self) {
        self.notifications += 1;
        if !self.is_slow && !std::mem::take(&mut self.is_deaf) {
            self.send(usize::MAX);
        }
    }
}

/// The chip as its driver reaches it.
#[derive(Clone)]
pub struct Model(Rc<RefCell<Device>>);

impl Model {
    /// A chip, and its driver's memory.
    pub fn new(kind: Kind) -> (Self, &'static mut Rtl8168Memory) {
        let memory = Box::leak(Box::new(Rtl8168Memory::new()));
        let start = physical(&raw const *memory);
        let device = Device::new(kind, start..start + size_of::<Rtl8168Memory>() as u64);
        (Self(Rc::new(RefCell::new(device))), memory)
    }

    pub fn device(&self) -> RefMut<'_, Device> {
        self.0.borrow_mut()
    }
}

fn bytes(width: Width) -> usize {
    match width {
        Width::Byte => 1,
        Width::Half => 2,
        Width::Word => 4,
    }
}

impl Registers for Model {
    fn read(&self, register: u16, width: Width) -> u32 {
        self.device().read(register.into(), bytes(width))
    }

    fn write(&mut self, register: u16, width: Width, value: u32) {
        self.device().write(register.into(), bytes(width), value);
    }
}
