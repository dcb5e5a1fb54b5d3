//! An Intel gigabit controller for the tests, written from the 8254x Software Developer's Manual and the
//! 82574 and I210 datasheets, and independent of the driver: its numbers are theirs, spelled out. It
//! can be told to lie.

mod chipset;
mod mac;

use chipset::Chipset;
pub use mac::Mac;

use super::registers::Registers;
use crate::nic::addresses::fake::pointer;
use crate::nic::waits::fake::now;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Where the registers of a ring begin; those of the other ring are laid out alike.
pub const RX: usize = 0x2800;
pub const TX: usize = 0x3800;
const LENGTH: usize = 0x08;
const HEAD: usize = 0x10;
const TAIL: usize = 0x18;
const CONTROL: usize = 0x28;

/// What differs between the chips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Which MAC it has.
    pub mac: Mac,
    /// EERD: shift of the address, and the bit that says done. None where it is not there.
    pub eerd: Option<(u32, u32)>,
    /// On PCI Express: there is a bus master to be disabled.
    pub is_express: bool,
    /// 82575 and later: queues must be enabled.
    pub has_queues: bool,
}

/// The device's side of everything. What is `pub` may be set to be a lie.
pub struct Device {
    pub kind: Kind,
    /// By offset, in words; what is not special just keeps what is written.
    pub words: Vec<u32>,
    /// What the chip reads its address from.
    pub eeprom: [u16; 3],
    /// It reads its address by itself.
    pub reads_eeprom: bool,
    pub eeprom_is_silent: bool,
    pub never_resets: bool,
    pub queues_never_start: bool,
    pub masters_forever: bool,
    pub phy_is_silent: bool,
    /// What everything reads as.
    pub gone: Option<u32>,
    pub link: bool,
    pub phy_control: u16,
    /// The PHY has agreed with the other end, which it does once it is told to.
    pub has_negotiated: bool,
    /// A software reset resets the PHY, which then waits to be told to negotiate (QEMU's 82576).
    pub resets_phy: bool,
    /// A reset leaves RFCTL as it was.
    pub keeps_rfctl: bool,
    /// How often a PHY in reset is read until it is out.
    pub phy_reset_reads: u32,
    /// How often a chip in reset is read until it is out.
    pub resets_for: u32,
    /// The accesses to the PHY, and the writes to the transmit tail.
    pub phy_accesses: usize,
    pub notifications: usize,
    /// The frames that were sent.
    pub sent: Vec<Vec<u8>>,
    /// It has written what it should not have: what is in the rings may be anything.
    pub has_lied: bool,
    /// Where all that the driver gives it must lie.
    pub memory: Range<u64>,
    /// For how many µs nobody accessed it after its last reset.
    pub left_alone: u64,
    /// PBA and PBS, or RXPBS and TXPBS, at the last reset.
    pub buffers: [u32; 2],
    /// What only a MAC in a chipset has.
    pub chipset: Chipset,
    /// The register of K1 on the way to the PHY.
    pub kumeran_k1: u32,
    reset_at: Option<u64>,
    reset_reads: u32,
    interrupts_are_off: bool,
    /// Since the driver's call began.
    pub reads: u32,
}

/// A word of a descriptor.
fn word(address: u64) -> &'static AtomicU64 {
    // SAFETY: the model checks that a ring lies within the card's memory before it is used, and the tests
    // never free that; the driver uses atomics too.
    unsafe { &*pointer::<AtomicU64>(address) }
}

impl Device {
    /// An honest device that some firmware has left running. All that the driver gives it must lie in
    /// `memory`.
    pub fn new(kind: Kind, memory: Range<u64>) -> Self {
        let mut device = Self {
            kind,
            words: vec![0; 0x4000],
            eeprom: [0x5452, 0x1200, 0x5634],
            reads_eeprom: true,
            eeprom_is_silent: false,
            never_resets: false,
            queues_never_start: false,
            masters_forever: false,
            phy_is_silent: false,
            gone: None,
            link: true,
            phy_control: 0x1140,
            has_negotiated: true,
            resets_phy: false,
            keeps_rfctl: false,
            phy_reset_reads: 0,
            resets_for: 3,
            phy_accesses: 0,
            notifications: 0,
            sent: Vec::new(),
            has_lied: false,
            memory,
            left_alone: 0,
            buffers: [0; 2],
            chipset: Chipset::default(),
            kumeran_k1: 0x000b,
            reset_at: None,
            reset_reads: 0,
            interrupts_are_off: false,
            reads: 0,
        };
        device.set(0x100, 0x8002);
        device.set(0x400, 0x0003_f0fa);
        // EXSTEN, and more.
        device.set(0x5008, 0x0001_8000);
        for (ring, address) in [(RX, 0xdead_0000), (TX, 0xbeef_0000)] {
            device.set(ring, address);
            device.set(ring + 4, 1);
            device.set(ring + LENGTH, 0x1000);
            device.set(ring + HEAD, 7);
            device.set(ring + TAIL, 99);
        }
        device.chipset.must_be_emptied = kind.mac.hangs();
        device
    }

    /// Tells no lies from here on.
    pub fn become_honest(&mut self) {
        *self = Self { words: std::mem::take(&mut self.words), ..Self::new(self.kind, self.memory.clone()) };
    }

    pub fn get(&self, register: usize) -> u32 {
        self.words[register / 4]
    }

    pub fn set(&mut self, register: usize, value: u32) {
        self.words[register / 4] = value;
    }

    /// The driver does something new: the reads that it may need for it are counted from here.
    pub fn begin_call(&mut self) {
        self.reads = 0;
    }

    fn base(&self, ring: usize) -> u64 {
        u64::from(self.get(ring)) | u64::from(self.get(ring + 4)) << 32
    }

    fn size(&self, ring: usize) -> u32 {
        self.get(ring + LENGTH) / 16
    }

    fn is_inside(&self, address: u64, length: u64) -> bool {
        self.memory.contains(&address) && address + length <= self.memory.end
    }

    /// Whether the ring runs, and lies where it may.
    fn runs(&self, ring: usize) -> bool {
        let enabled = self.get(if ring == RX { 0x100 } else { 0x400 }) & 2 != 0;
        let queue = !self.kind.has_queues || self.get(ring + CONTROL) & 1 << 25 != 0;
        let (base, length) = (self.base(ring), self.get(ring + LENGTH));
        let runs = enabled && queue && self.gone.is_none() && self.size(ring) > 0;
        if runs && !self.has_lied {
            assert!(self.interrupts_are_off, "a polled driver wants no interrupts");
            mac::assert_fixed(self);
            assert_eq!((base % 128, length % 128), (0, 0), "82575: both are multiples of 128");
            assert!(self.is_inside(base, length.into()), "the ring is not the driver's");
            assert!(self.get(ring + HEAD) < self.size(ring) && self.get(ring + TAIL) < self.size(ring));
        }
        runs && self.is_inside(base, length.into())
    }

    /// The descriptor at the head, if it is the device's: the address of its first word.
    fn descriptor(&self, ring: usize) -> Option<u64> {
        let head = self.get(ring + HEAD);
        (self.runs(ring) && head != self.get(ring + TAIL) && head < self.size(ring))
            .then(|| self.base(ring) + 16 * u64::from(head))
    }

    fn advance(&mut self, ring: usize) {
        let head = (self.get(ring + HEAD) + 1) % self.size(ring);
        self.set(ring + HEAD, head);
    }

    /// How many descriptors the device has.
    pub fn waiting(&self, ring: usize) -> u32 {
        let size = self.size(ring);
        if self.runs(ring) { (self.get(ring + TAIL) + size - self.get(ring + HEAD)) % size } else { 0 }
    }

    /// Sends up to `count` frames. Returns how many there were.
    pub fn send(&mut self, count: usize) -> usize {
        for done in 0..count {
            let Some(at) = self.descriptor(TX) else { return done };
            let (address, fields) = (word(at).load(SeqCst), word(at + 8).load(SeqCst));
            let length = fields & 0xffff;
            if !self.has_lied {
                // EOP, IFCS and RS; no offload, no delay, no other kind of descriptor; status clear. An advanced one has its
                // type, DEXT, and the payload's length.
                let expected = if self.kind.has_queues { 0x2b30 | length << 30 } else { 0x0b00 };
                assert_eq!(fields >> 16, expected, "length {length}");
                assert!(length > 0);
                assert!(self.is_inside(address, length), "outside the memory");
            }
            if self.is_inside(address, length) {
                // SAFETY: inside the card's memory, and the driver has given it away.
                let bytes = unsafe { std::slice::from_raw_parts(pointer::<u8>(address), length as usize) };
                self.sent.push(bytes.to_vec());
            }
            word(at + 8).store(fields | 1 << 32, SeqCst);
            self.advance(TX);
        }
        count
    }

    /// Receives a frame off the cable. False when there is no buffer for it.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        let length = frame.len() as u64;
        // DD and EOP.
        self.deliver_as(frame, if self.kind.has_queues { length << 32 | 3 } else { length | 3 << 32 })
    }

    /// The same, with this in the second word of the descriptor.
    pub fn deliver_as(&mut self, frame: &[u8], fields: u64) -> bool {
        let Some(at) = self.descriptor(RX) else { return false };
        let address = word(at).load(SeqCst);
        if !self.has_lied {
            assert_eq!(word(at + 8).load(SeqCst), 0, "the driver clears the status");
            assert!(self.is_inside(address, 2048), "RCTL allows to write 2048 bytes");
            if self.kind.has_queues {
                assert_eq!(
                    self.get(RX + 0x0c),
                    0x0200_0002,
                    "SRRCTL: advanced descriptors, one buffer, 2 KiB"
                );
            }
            // For NFS there are none.
            let filters = if self.kind.mac.is_chipset() { 0xc0 } else { 0 };
            assert_eq!(self.get(0x5008), filters, "RFCTL: no extended descriptors, no filters");
        }
        if self.is_inside(address, 2048) {
            assert!(frame.len() <= 2048);
            // SAFETY: inside the card's memory, and the driver has given it away.
            unsafe {
                let buffer = pointer::<u8>(address);
                buffer.copy_from_nonoverlapping(frame.as_ptr(), frame.len());
            }
        }
        if self.kind.has_queues {
            // RSS type and hash, packet type: the address is gone.
            word(at).store(0x1234_5678_0000_0021, SeqCst);
        }
        word(at + 8).store(fields, SeqCst);
        self.advance(RX);
        true
    }

    /// Overwrites a word of a ring that the driver has set up, whoever owns it.
    pub fn scribble(&mut self, ring: usize, half: u64, value: u64) {
        self.has_lied = true;
        let words = u64::from(self.size(ring)) * 2;
        if self.runs(ring) {
            word(self.base(ring) + 8 * (half % words)).store(value, SeqCst);
        }
    }

    fn reset(&mut self) {
        // PCI and what is no register stay, and mostly the PHY.
        let rfctl = self.get(0x5008);
        let buffers = if self.kind.mac == Mac::Ich8 { [0x1000, 0x1008] } else { [0x2404, 0x3404] };
        self.buffers = buffers.map(|register| self.get(register));
        self.words.fill(0);
        for &(register, value) in mac::defaults(self.kind.mac) {
            self.set(register, value);
        }
        // K1 is on after each.
        self.kumeran_k1 |= 2;
        if self.keeps_rfctl {
            self.set(0x5008, rfctl);
        }
        if self.resets_phy {
            (self.phy_control, self.has_negotiated) = (0x1140, false);
        }
        self.interrupts_are_off = false;
        if self.reads_eeprom {
            let [a, b, c] = self.eeprom.map(u32::from);
            self.set(0x5400, a | b << 16);
            self.set(0x5404, c | 1 << 31);
        }
    }

    /// Somebody accesses a register.
    fn is_touched(&mut self) {
        if let Some(reset_at) = self.reset_at.take() {
            self.left_alone = now() - reset_at;
        }
    }

    fn access_phy(&mut self, command: u32) {
        self.phy_accesses += 1;
        self.assert_has_flag();
        let address = command >> 21 & 31;
        let answer = match (command >> 26 & 3, command >> 16 & 31) {
            _ if self.phy_is_silent || !self.reaches_phy() => return self.set(0x20, command & !(1 << 28)),
            (operation, register) if self.kind.mac.is_chipset() && address == 1 => {
                let value = self.access_page(operation == 1, register, command as u16);
                command & 0xffff_0000 | u32::from(value)
            }
            _ if address != self.kind.mac.phy() => command | 1 << 30,
            (1, 0) if self.kind.mac.is_chipset() && command & 1 << 15 != 0 => {
                panic!("the firmware has set it up")
            }
            (1, 0) => {
                self.phy_control = command as u16;
                // Restart is done at once, and clears itself only with the reset's end in this model.
                self.has_negotiated |= self.phy_control & 0x1200 == 0x1200;
                command
            }
            // Status: what it can do; link and negotiation.
            (2, 1) => {
                let negotiated = u32::from(self.has_negotiated);
                command & 0xffff_0000 | 0x7949 | negotiated << 5 | negotiated << 2
            }
            (2, 0) => {
                let control = self.phy_control;
                if control & 1 << 15 != 0 {
                    match self.phy_reset_reads.checked_sub(1) {
                        Some(left) => self.phy_reset_reads = left,
                        None => self.phy_control = 0x1140,
                    }
                }
                command & 0xffff_0000 | u32::from(control)
            }
            operation => panic!("nothing else of the PHY is the driver's business: {operation:?}"),
        };
        self.set(0x20, answer | 1 << 28);
    }
}

/// The device as its driver reaches it; the test keeps the other handle.
#[derive(Clone)]
pub struct Model(pub Rc<RefCell<Device>>);

impl Registers for Model {
    fn read(&self, register: usize) -> u32 {
        let mut device = self.0.borrow_mut();
        device.reads += 1;
        device.is_touched();
        assert!(device.reads < 3_000_000, "an endless wait");
        if let Some(value) = device.gone {
            return value;
        }
        match register {
            // CTRL: RST clears itself.
            0x00 if device.get(0) & 1 << 26 != 0 && !device.never_resets => {
                match device.reset_reads.checked_sub(1) {
                    Some(left) => device.reset_reads = left,
                    None => device.words[0] &= !(1 << 26),
                }
                device.get(0)
            }
            0x18 | 0x5b54 => device.read_of_phy(register),
            // STATUS: link, second port as set, bus master.
            0x08 => {
                let is_master = device.kind.is_express && device.get(0) & 4 == 0 || device.masters_forever;
                let phy =
                    device.has_negotiated && device.phy_control & 1 << 11 == 0 && device.chipset.is_awake();
                let link = device.link && device.get(0) & 1 << 6 != 0 && phy;
                device.get(8) | u32::from(link) << 1 | u32::from(is_master) << 19
            }
            _ => device.get(register),
        }
    }

    fn write(&mut self, register: usize, value: u32) {
        let mut device = self.0.borrow_mut();
        if device.gone.is_some() {
            return;
        }
        device.is_touched();
        match register {
            0x00 if value & 1 << 26 != 0 => {
                assert!(device.get(0x100) & 2 == 0 && device.get(0x400) & 2 == 0, "stopped before a reset");
                device.assert_has_flag();
                device.assert_is_empty();
                device.reset_at = Some(now());
                if !device.never_resets {
                    device.reset();
                    device.reset_reads = device.resets_for;
                }
                device.set(0, 1 << 26);
            }
            // EERD.
            0x14 => {
                let (shift, done) = device.kind.eerd.expect("this chip has no such register");
                assert_eq!(value & 1, 1);
                let word = device.eeprom[(value >> shift) as usize];
                let answer = if device.eeprom_is_silent { 0 } else { u32::from(word) << 16 | done };
                device.set(0x14, answer);
            }
            0x00 => {
                device.power_phy(value);
                device.set(0, value);
            }
            0x20 => device.access_phy(value),
            0x34 => device.access_kumeran(value),
            0x100 => {
                device.receives_for_a_moment(value);
                device.set(register, value);
            }
            0x0f00 => {
                let refused = if device.chipset.firmware_has_flag { 1 << 5 } else { 0 };
                device.set(register, value & !refused);
            }
            0x5b50 if device.kind.mac.is_chipset() => device.tell_engine(value),
            0xd0 => panic!("a polled driver sets no interrupt mask"),
            0xd8 => device.interrupts_are_off = value == u32::MAX,
            0x2828 | 0x3828 => {
                let is_late = device.queues_never_start;
                device.set(register, if is_late { value & !(1 << 25) } else { value });
            }
            // The tails: 82575 and later ignore them until the queue runs.
            0x2818 | 0x3818 => {
                let is_on = device.get(register + 0x10) & 1 << 25 != 0;
                if !device.kind.has_queues || is_on {
                    device.set(register, value);
                }
                device.notifications += usize::from(register == 0x3818);
                device.is_told(register == 0x3818);
            }
            0x2808 | 0x3808 => {
                assert_eq!(value % 128, 0);
                device.set(register, value);
            }
            _ => device.set(register, value),
        }
    }

    fn ring_status(&self) -> u32 {
        self.0.borrow_mut().ring_status()
    }
}
