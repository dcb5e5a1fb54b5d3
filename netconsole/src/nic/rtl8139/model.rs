//! An RTL8139 for the tests, written from its datasheet and independent of the driver: its numbers are the
//! datasheet's, spelled out. It can be told to lie.

use crate::nic::addresses::fake::{physical, pointer};
use crate::nic::rtl8139::Rtl8139Memory;
use crate::nic::{Ports, Width};
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};

pub const FIRST_PORT: u16 = 0xc000;

/// Memory below 4 GiB, as the kernel's is.
pub fn memory() -> &'static mut Rtl8139Memory {
    unsafe extern "C" {
        fn mmap(
            address: *mut u8,
            length: usize,
            protection: i32,
            flags: i32,
            file: i32,
            offset: i64,
        ) -> *mut u8;
    }
    // SAFETY: new memory, private, anonymous, in the first 2 GiB (Linux's mmap(2): PROT_READ and PROT_WRITE;
    // MAP_PRIVATE, MAP_ANONYMOUS and MAP_32BIT), which is zero and stays: valid for the type, and referred to by
    // nobody else.
    unsafe {
        let memory = mmap(null_mut(), size_of::<Rtl8139Memory>(), 3, 0x02 | 0x20 | 0x40, -1, 0);
        assert!(!memory.is_null() && memory.addr() < 1 << 32, "no memory below 4 GiB");
        &mut *memory.cast()
    }
}

fn byte(address: u64) -> &'static AtomicU8 {
    // SAFETY: the model checks that what it accesses lies within the card's memory, which stays; the driver reads
    // the ring by atomics, and a transmit buffer that the chip has is not written.
    unsafe { &*pointer::<AtomicU8>(address) }
}

/// The chip's side of everything. What is `pub` may be set to be a lie.
pub struct Device {
    /// The registers, by offset.
    pub bytes: [u8; 256],
    pub mac: [u8; 6],
    pub never_resets: bool,
    /// What the bytes of everything read as.
    pub gone: Option<u8>,
    pub link: bool,
    /// Frames are sent when [`Device::send`] says so, not at once.
    pub is_slow: bool,
    /// The frames that were sent.
    pub sent: Vec<Vec<u8>>,
    /// It has written what it should not have: what is in the ring may be anything.
    pub has_lied: bool,
    pub reads: u32,
    /// Where all that the driver gives it must lie.
    pub memory: Range<u64>,
    /// The descriptor that is sent next.
    next: usize,
    /// Where in the ring it writes.
    write: usize,
    is_locked: bool,
}

impl Device {
    /// An honest chip that some firmware has left running. All that the driver gives it must lie in `memory`.
    fn new(memory: Range<u64>) -> Self {
        let mut device = Self {
            bytes: [0; 256],
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            never_resets: false,
            gone: None,
            link: true,
            is_slow: false,
            sent: Vec::new(),
            has_lied: false,
            reads: 0,
            memory,
            next: 2,
            write: 100,
            is_locked: true,
        };
        device.bytes[0x37] = 0x0c;
        device.set(0x30, 4, 0xdead_0000);
        device.set(0x3c, 2, 0xffff);
        device
    }

    /// Tells no lies from here on.
    pub fn become_honest(&mut self) {
        *self = Self { bytes: self.bytes, ..Self::new(self.memory.clone()) };
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
        self.bytes.fill(0);
        self.bytes[..6].copy_from_slice(&self.mac);
        // BUFE; OWN of each descriptor; CAPR.
        self.bytes[0x37] = 1;
        (0..4).for_each(|number| self.set(0x10 + 4 * number, 4, 1 << 13));
        self.set(0x38, 2, 0xfff0);
        // 100 Mbit/s, full duplex, by negotiation.
        self.set(0x62, 2, 1 << 12);
        self.set(0x66, 2, 0x05e1);
        self.set(0x68, 2, 0x05e1);
        (self.next, self.write) = (0, 0);
    }

    fn assert_inside(&self, address: u64, length: u64) {
        assert!(self.memory.contains(&address) && address + length <= self.memory.end, "outside the memory");
    }

    /// Sends up to `count` frames. Returns how many there were.
    pub fn send(&mut self, count: usize) -> usize {
        for done in 0..count {
            let register = 0x10 + 4 * self.next;
            let status = self.get(register, 4);
            if status & 1 << 13 != 0 || self.bytes[0x37] & 4 == 0 || self.gone.is_some() {
                return done;
            }
            // The length in the register may be a lie of the chip's own by now.
            let (address, length) = (u64::from(self.get(register + 0x10, 4)), (status & 0x1fff).min(1792));
            self.assert_inside(address, length.into());
            assert_eq!(address % 4, 0, "the address of a buffer is a multiple of 4");
            self.sent.push((0..u64::from(length)).map(|at| byte(address + at).load(SeqCst)).collect());
            // OWN and TOK.
            self.set(register, 4, status | 1 << 13 | 1 << 15);
            self.next = (self.next + 1) % 4;
        }
        count
    }

    /// How far the driver has read.
    fn read(&self) -> usize {
        (self.get(0x38, 2) as usize + 16) % 8192
    }

    /// Receives a frame off the cable. False where the ring is full or it does not listen.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        // ROK; with the check sequence.
        self.deliver_as(frame, 1 | (frame.len() as u32 + 4) << 16)
    }

    /// The same, with this as its header.
    pub fn deliver_as(&mut self, frame: &[u8], header: u32) -> bool {
        let used = (self.write + 8192 - self.read()) % 8192;
        let stored = (frame.len() + 8).next_multiple_of(4);
        if self.bytes[0x37] & 8 == 0 || self.gone.is_some() || used + stored >= 8192 {
            return false;
        }
        if !self.has_lied {
            // RCR: APM, AM, AB, WRAP; 8 KiB; nothing that is damaged, too short or another's.
            assert_eq!(self.get(0x44, 4) & 0x18bf, 0x8e);
            assert_eq!((self.get(8, 4), self.get(12, 4)), (u32::MAX, u32::MAX), "every multicast address");
            assert_eq!(self.get(0x3c, 2), 0, "a polled driver wants no interrupts");
        }
        let ring = u64::from(self.get(0x30, 4));
        self.assert_inside(ring, 8192 + 16 + 4096);
        let bytes = header.to_le_bytes().into_iter().chain(frame.iter().copied()).chain([0xcc; 4]);
        for (at, value) in (ring + self.write as u64..).zip(bytes) {
            byte(at).store(value, SeqCst);
        }
        self.write = (self.write + stored) % 8192;
        self.bytes[0x37] &= !1;
        true
    }

    /// Overwrites a byte of the ring.
    pub fn scribble(&mut self, at: u64, value: u8) {
        self.has_lied = true;
        let ring = u64::from(self.get(0x30, 4));
        if self.memory.contains(&ring) {
            byte(ring + at % 8192).store(value, SeqCst);
        }
    }
}

/// The chip as its driver reaches it.
pub struct Model(Mutex<Device>);

impl Model {
    /// A chip, and its driver's memory.
    pub fn new() -> (&'static Self, &'static mut Rtl8139Memory) {
        let memory = memory();
        let start = physical(&raw const *memory);
        let device = Device::new(start..start + size_of::<Rtl8139Memory>() as u64);
        (Box::leak(Box::new(Self(Mutex::new(device)))), memory)
    }

    pub fn device(&self) -> MutexGuard<'_, Device> {
        // A test that fails poisons it.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn bytes(width: Width) -> usize {
    match width {
        Width::Byte => 1,
        Width::Half => 2,
        Width::Word => 4,
    }
}

impl Ports for Model {
    fn read(&self, port: u16, width: Width) -> u32 {
        let mut device = self.device();
        device.reads += 1;
        assert!(device.reads < 2_000_000, "an endless wait");
        let (register, width) = (usize::from(port - FIRST_PORT), bytes(width));
        if let Some(value) = device.gone {
            return u32::from_le_bytes([value; 4]) >> (32 - 8 * width);
        }
        match (register, width) {
            // MSR: no link.
            (0x58, 1) => device.get(0x58, 1) & !4 | u32::from(!device.link) << 2,
            _ => device.get(register, width),
        }
    }

    fn write(&self, port: u16, width: Width, value: u32) {
        let mut device = self.device();
        let (register, width) = (usize::from(port - FIRST_PORT), bytes(width));
        if device.gone.is_some() {
            return;
        }
        match (register, width) {
            (0x37, 1) if value & 0x10 != 0 => {
                if !device.never_resets {
                    device.reset();
                } else {
                    device.bytes[0x37] = 0x10;
                }
            }
            (0x37, 1) => {
                let empty = device.bytes[0x37] & 1;
                device.bytes[0x37] = value as u8 | empty;
            }
            // TSD: the driver gives the buffer away.
            (0x10 | 0x14 | 0x18 | 0x1c, 4) => {
                assert_eq!(value & !0x003f_1fff, 0, "only a threshold and a length");
                // It fills nothing up, and sends no more than 1792 bytes.
                assert!((60..=1792).contains(&(value & 0x1fff)), "{value:#x}");
                device.set(register, 4, value);
                if !device.is_slow {
                    device.send(usize::MAX);
                }
            }
            (0x20 | 0x24 | 0x28 | 0x2c | 0x30, 4) => device.set(register, 4, value),
            (0x38, 2) => {
                device.set(0x38, 2, value);
                if device.read() == device.write {
                    device.bytes[0x37] |= 1;
                }
            }
            // ISR: ones clear.
            (0x3e, 2) => {
                let left = device.get(0x3e, 2) & !value;
                device.set(0x3e, 2, left);
            }
            (0x40, 4) | (0x44, 4) => {
                assert_eq!(device.bytes[0x37] & 0xc, 0xc, "the configurations count while it runs");
                device.set(register, 4, value);
            }
            (0x08 | 0x0c, 4) => device.set(register, 4, value),
            (0x50, 1) => device.is_locked = value & 0xc0 != 0xc0,
            (0x00 | 0x04, 4) => {
                assert!(!device.is_locked, "the address is locked");
                device.set(register, 4, value);
            }
            access => panic!("wrote {access:x?}"),
        }
    }
}
