//! A vmxnet3 for the tests, written from VMware's vmxnet3_defs.h and independent of the driver: its numbers are the header's,
//! spelled out. It can be told to lie.

use super::Vmxnet3Memory;
use super::registers::{Part, Register, Registers};
use crate::nic::addresses::fake::{physical, pointer};
use std::cell::{RefCell, RefMut};
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

/// A ring as the card sees it.
#[derive(Clone, Copy, Default)]
struct Ring {
    address: u64,
    size: u64,
    next: u64,
    turn: u64,
}

impl Ring {
    fn descriptor(&self) -> u64 {
        self.address + 16 * self.next
    }

    fn advance(&mut self) {
        self.next = (self.next + 1) % self.size;
        if self.next == 0 {
            self.turn ^= 1;
        }
    }
}

/// The device's side of everything. What is `pub` may be set to be a lie.
pub struct Device {
    /// What everything reads as.
    pub gone: Option<u32>,
    pub revisions: u32,
    pub permanent_mac: [u8; 6],
    /// Which it lets in.
    pub mac: [u8; 6],
    pub never_starts: bool,
    /// The answer to GET_LINK.
    pub link: u32,
    /// It has given its queue for sending up.
    pub is_stopped: bool,
    /// Frames are sent when [`Device::send`] says so, not when the tail is set.
    pub is_slow: bool,
    pub is_active: bool,
    /// The frames that were sent.
    pub sent: Vec<Vec<u8>>,
    pub notifications: usize,
    pub accesses: u32,
    /// Where all that the driver gives it must lie.
    pub memory: Range<u64>,
    low: u32,
    shared: u64,
    command: u32,
    mac_low: u32,
    transmit: Ring,
    transmit_done: Ring,
    receive: Ring,
    receive_done: Ring,
    transmit_tail: u64,
    receive_tail: u64,
}

fn byte(address: u64) -> &'static AtomicU8 {
    // SAFETY: the model checks that what it accesses lies within the card's memory, which stays; what it writes the driver
    // accesses by atomics, and a transmit buffer that the card has is not written.
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
    /// An honest card that somebody else has left running. All that the driver gives it must lie in `memory`.
    fn new(memory: Range<u64>) -> Self {
        Self {
            gone: None,
            revisions: 0b11,
            permanent_mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            mac: [0x02, 1, 2, 3, 4, 5],
            never_starts: false,
            link: 10_000 << 16 | 1,
            is_stopped: false,
            is_slow: false,
            is_active: true,
            sent: Vec::new(),
            notifications: 0,
            accesses: 0,
            memory,
            low: 0,
            shared: 0xdead_0000,
            command: 0,
            mac_low: 0,
            transmit: Ring::default(),
            transmit_done: Ring::default(),
            receive: Ring::default(),
            receive_done: Ring::default(),
            transmit_tail: 0,
            receive_tail: 0,
        }
    }

    /// Tells no lies from here on.
    pub fn become_honest(&mut self) {
        *self = Self::new(self.memory.clone());
    }

    fn assert_inside(&self, address: u64, length: u64) {
        assert!(self.memory.contains(&address) && address + length <= self.memory.end, "outside the memory");
    }

    fn read_ring(&self, address: u64, size: u64) -> Ring {
        let ring = Ring {
            address: double(address).load(SeqCst),
            size: word(size).load(SeqCst).into(),
            next: 0,
            turn: 1,
        };
        assert_eq!((ring.address % 512, ring.size % 32), (0, 0), "a ring's address and size");
        assert!(ring.size > 0);
        self.assert_inside(ring.address, 16 * ring.size);
        (0..2 * ring.size).for_each(|at| {
            let _ = double(ring.address + 8 * at).load(SeqCst);
        });
        ring
    }

    /// VMXNET3_CMD_ACTIVATE_DEV.
    fn activate(&mut self) {
        let shared = self.shared;
        self.assert_inside(shared, 720);
        let at = |offset| word(shared + offset).load(SeqCst);
        assert_eq!(at(0), 0xbabe_fee1, "magic");
        assert_eq!((at(16), at(20)), (1, 1), "the revisions that the driver knows");
        assert_eq!(double(shared + 24).load(SeqCst), 0, "no features");
        assert_eq!(at(52), 512, "two queues' descriptions");
        assert_eq!(at(56), 1500, "MTU");
        assert_eq!(at(60), 1 | 1 << 16 | 1 << 24, "a buffer a frame, a queue each way");
        assert_eq!(byte(shared + 81).load(SeqCst), 1, "one interrupt");
        assert_eq!(at(108), 1, "no interrupts");
        let queues = double(shared + 40).load(SeqCst);
        assert_eq!(queues % 128, 0);
        self.assert_inside(queues, 512);
        self.transmit = self.read_ring(queues + 16, queues + 56);
        assert_eq!(word(queues + 60).load(SeqCst), 0, "no ring of headers");
        self.transmit_done = self.read_ring(queues + 32, queues + 64);
        self.receive = self.read_ring(queues + 256 + 16, queues + 256 + 56);
        assert_eq!(word(queues + 256 + 60).load(SeqCst), 0, "no second ring");
        self.receive_done = self.read_ring(queues + 256 + 32, queues + 256 + 64);
        // Nothing of an older turn is taken for an answer.
        for ring in [self.transmit_done, self.receive_done] {
            (0..2 * ring.size).for_each(|at| assert_eq!(double(ring.address + 8 * at).load(SeqCst), 0));
        }
        (self.transmit_tail, self.receive_tail) = (0, 0);
        self.mac = self.permanent_mac;
        self.is_active = true;
    }

    /// Sends up to `count` frames. Returns how many there were.
    pub fn send(&mut self, count: usize) -> usize {
        for done in 0..count {
            if !self.is_active || self.gone.is_some() || self.transmit.next == self.transmit_tail {
                return done;
            }
            let descriptor = self.transmit.descriptor();
            let address = double(descriptor).load(SeqCst);
            let (flags, last) = (word(descriptor + 8).load(SeqCst), word(descriptor + 12).load(SeqCst));
            assert_eq!(
                u64::from(flags >> 14),
                self.transmit.turn,
                "the descriptor's turn, and nothing reserved"
            );
            assert_eq!(last, 1 << 12 | 1 << 13, "a whole frame, whose end is told");
            let length = u64::from(flags & 0x3fff);
            assert!((60..=1536).contains(&length), "{length}");
            self.assert_inside(address, length);
            self.sent.push((0..length).map(|at| byte(address + at).load(SeqCst)).collect());
            let index = self.transmit.next;
            self.transmit.advance();
            self.answer_transmit(index, 0);
        }
        count
    }

    /// Tells that the descriptor `index` is done, with these bits more in the answer's second half.
    pub fn answer_transmit(&mut self, index: u64, second: u64) {
        let (answer, turn) = (self.transmit_done.descriptor(), self.transmit_done.turn);
        double(answer).store(index, SeqCst);
        double(answer + 8).store(turn << 63 | second, SeqCst);
        self.transmit_done.advance();
    }

    /// Receives a frame off the cable. False where it has no buffer or does not listen.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        self.deliver_as(frame, 1 << 14 | 1 << 15, 3 << 56 | frame.len() as u64, 0)
    }

    /// The same, with this in the answer; it leaves out `skipped` buffers before.
    pub fn deliver_as(&mut self, frame: &[u8], first: u64, second: u64, skipped: u64) -> bool {
        for _ in 0..skipped {
            if self.receive.next != self.receive_tail {
                self.receive.advance();
            }
        }
        if !self.is_active || self.gone.is_some() || self.receive.next == self.receive_tail {
            return false;
        }
        let descriptor = self.receive.descriptor();
        let address = double(descriptor).load(SeqCst);
        let flags = word(descriptor + 8).load(SeqCst);
        assert_eq!(u64::from(flags >> 31), self.receive.turn, "the descriptor's turn");
        let length = u64::from(flags & 0x3fff);
        assert_eq!(flags & 0x7fff_c000, 0, "a buffer for a frame's begin");
        self.assert_inside(address, length);
        for (at, &value) in (address..address + length).zip(frame) {
            byte(at).store(value, SeqCst);
        }
        let index = self.receive.next;
        self.receive.advance();
        self.answer_receive(index | first, second);
        true
    }

    /// Tells of a received frame by these words.
    pub fn answer_receive(&mut self, first: u64, second: u64) {
        let (answer, turn) = (self.receive_done.descriptor(), self.receive_done.turn);
        double(answer).store(first, SeqCst);
        double(answer + 8).store(second & !(1 << 63) | turn << 63, SeqCst);
        self.receive_done.advance();
    }

    /// Sets events (VMXNET3_ECR_*) in the shared memory.
    pub fn notify(&mut self, events: u32) {
        word(self.shared + 696).fetch_or(events, SeqCst);
    }

    pub fn events(&self) -> u32 {
        word(self.shared + 696).load(SeqCst)
    }

    /// What is let in: the mode, and whether every VLAN is.
    pub fn receive_mode(&self) -> (u32, bool) {
        let all = (0..128).all(|at| word(self.shared + 136 + 4 * at).load(SeqCst) == u32::MAX);
        (word(self.shared + 120).load(SeqCst), all)
    }

    fn access(&mut self) {
        self.accesses += 1;
        assert!(self.accesses < 100_000, "an endless wait");
    }

    fn read(&mut self, part: Part, offset: usize) -> u32 {
        self.access();
        if let Some(value) = self.gone {
            return value;
        }
        let [a, b, c, d, e, f] = self.permanent_mac;
        match (part, offset) {
            (Part::Device, 0x00 | 0x08) => self.revisions,
            (Part::Device, 0x20) => match self.command {
                0xcafe_0000 => u32::from(!self.is_active),
                0xf00d_0002 => self.link,
                0xf00d_0003 => u32::from_le_bytes([a, b, c, d]),
                0xf00d_0004 => u32::from_le_bytes([e, f, 0, 0]),
                _ => 0,
            },
            access => panic!("read {access:x?}"),
        }
    }

    fn write(&mut self, part: Part, offset: usize, value: u32) {
        self.access();
        if self.gone.is_some() {
            return;
        }
        match (part, offset) {
            (Part::Rings, 0x000) => assert_eq!(value, 1, "a polled driver wants no interrupts"),
            (Part::Rings, 0x600) => {
                self.transmit_tail = value.into();
                self.notifications += 1;
                if !self.is_slow {
                    self.send(usize::MAX);
                }
            }
            (Part::Rings, 0x800) => self.receive_tail = value.into(),
            (Part::Device, 0x00 | 0x08) => assert_eq!(value, 1, "the first revision"),
            (Part::Device, 0x10) => self.low = value,
            (Part::Device, 0x18) => self.shared = u64::from(value) << 32 | u64::from(self.low),
            (Part::Device, 0x20) => {
                self.command = value;
                match value {
                    0xcafe_0000 if !self.never_starts => self.activate(),
                    0xcafe_0002 => (self.is_active, self.shared) = (false, 0),
                    0xf00d_0000 if self.is_active => {
                        let queues = double(self.shared + 40).load(SeqCst);
                        word(queues + 80).store(self.is_stopped.into(), SeqCst);
                    }
                    _ => {}
                }
            }
            (Part::Device, 0x28) => self.mac_low = value,
            (Part::Device, 0x30) => {
                let ([a, b, c, d], [e, f, ..]) = (self.mac_low.to_le_bytes(), value.to_le_bytes());
                self.mac = [a, b, c, d, e, f];
            }
            (Part::Device, 0x40) => _ = word(self.shared + 696).fetch_and(!value, SeqCst),
            access => panic!("wrote {access:x?}"),
        }
    }
}

/// The card as its driver reaches it.
#[derive(Clone)]
pub struct Model(Rc<RefCell<Device>>);

impl Model {
    /// A card, and its driver's memory.
    pub fn new() -> (Self, &'static mut Vmxnet3Memory) {
        let memory = Box::leak(Box::new(Vmxnet3Memory::new()));
        let start = physical(&raw const *memory);
        let device = Device::new(start..start + size_of::<Vmxnet3Memory>() as u64);
        (Self(Rc::new(RefCell::new(device))), memory)
    }

    pub fn device(&self) -> RefMut<'_, Device> {
        self.0.borrow_mut()
    }
}

impl Registers for Model {
    fn read(&self, register: Register) -> u32 {
        let (part, offset) = register.place();
        self.device().read(part, offset)
    }

    fn write(&mut self, register: Register, value: u32) {
        let (part, offset) = register.place();
        self.device().write(part, offset, value);
    }
}
