//! A virtio network device for the tests, written from virtio 1.2 and independent of the driver: it
//! knows queues by the addresses it is given, and its numbers are the specification's, spelled out.
//! It can be told to lie.

use crate::nic::addresses::fake::pointer;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::SeqCst};
use virtio_drivers::Error;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// VIRTIO_NET_F_CSUM, MTU, MAC, MRG_RXBUF, STATUS, VIRTIO_F_EVENT_IDX, VERSION_1.
pub const USUAL_FEATURES: u64 = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 15 | 1 << 16 | 1 << 29 | 1 << 32;
pub const EVENT_IDX: u64 = 1 << 29;
pub const RX: usize = 0;
pub const TX: usize = 1;

/// Whether the driver wants to be interrupted for a buffer that it gets back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupt {
    Wanted,
    NotWanted,
}

/// What a descriptor says: address, length, flags.
type Part = (u64, u32, u16);

/// A queue, as the driver set it up.
#[derive(Clone, Copy)]
pub struct Queue {
    size: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    /// How far the available ring was read, and the used ring written.
    next: u16,
    used: u16,
}

fn half(address: u64) -> &'static AtomicU16 {
    // SAFETY: the model checks when a queue is set up that its rings lie within the card's memory, and
    // the tests never free that; the driver uses atomics too.
    unsafe { &*pointer::<AtomicU16>(address) }
}

fn word(address: u64) -> &'static AtomicU32 {
    // SAFETY: as in `half`.
    unsafe { &*pointer::<AtomicU32>(address) }
}

impl Queue {
    fn slot(&self, index: u16) -> u64 {
        u64::from(index % self.size)
    }

    fn available_index(&self) -> u16 {
        half(self.driver + 2).load(SeqCst)
    }

    /// How many buffers the driver has given that were not taken yet.
    pub fn waiting(&self) -> u16 {
        self.available_index().wrapping_sub(self.next)
    }

    /// The id of the next available buffer and its descriptors: address, length, flags without the one that
    /// says that there is another.
    fn take(&mut self) -> Option<(u16, Vec<Part>)> {
        if self.waiting() == 0 {
            return None;
        }
        let id = half(self.driver + 4 + 2 * self.slot(self.next)).load(SeqCst);
        self.next = self.next.wrapping_add(1);
        let (mut parts, mut next) = (Vec::new(), id);
        loop {
            assert!(next < self.size && parts.len() < usize::from(self.size), "no way around in a chain");
            let at = self.descriptors + 16 * u64::from(next);
            let address = u64::from(word(at).load(SeqCst)) | u64::from(word(at + 4).load(SeqCst)) << 32;
            let flags = half(at + 12).load(SeqCst);
            parts.push((address, word(at + 8).load(SeqCst), flags & !1));
            next = half(at + 14).load(SeqCst);
            if flags & 1 == 0 {
                return Some((id, parts));
            }
        }
    }

    /// Writes the element at `index` of the used ring.
    pub fn write_used(&self, index: u16, id: u32, length: u32) {
        let at = self.device + 4 + 8 * self.slot(index);
        word(at).store(id, SeqCst);
        word(at + 4).store(length, SeqCst);
    }

    pub fn set_used_index(&self, index: u16) {
        half(self.device + 2).store(index, SeqCst);
    }

    pub fn used_index(&self) -> u16 {
        half(self.device + 2).load(SeqCst)
    }

    /// Hands a buffer back as the specification says.
    fn give_back(&mut self, id: u16, length: u32, event_index: bool) -> Interrupt {
        self.write_used(self.used, id.into(), length);
        let old = self.used;
        self.used = old.wrapping_add(1);
        self.set_used_index(self.used);
        let wanted = if event_index {
            let used_event = half(self.driver + 4 + 2 * u64::from(self.size)).load(SeqCst);
            // 2.7.7.2: the index has just passed the event.
            used_event == old
        } else {
            half(self.driver).load(SeqCst) & 1 == 0
        };
        if wanted { Interrupt::Wanted } else { Interrupt::NotWanted }
    }

    pub fn set_flags(&self, flags: u16) {
        half(self.device).store(flags, SeqCst);
    }

    pub fn set_avail_event(&self, event: u16) {
        half(self.device + 4 + 8 * u64::from(self.size)).store(event, SeqCst);
    }
}

/// The device's side of everything. What is `pub` may be set to be a lie.
pub struct Device {
    pub features: u64,
    pub max_sizes: [u32; 2],
    /// struct virtio_net_config: MAC, status, max_virtqueue_pairs, MTU, speed, duplex.
    pub config: [u8; 17],
    pub generation: u32,
    /// The next N looks at its generation each find a changed configuration.
    pub restless: u32,
    /// It speaks virtio 0.9, and its queues are as long as `max_sizes` says.
    pub is_legacy: bool,
    pub never_resets: bool,
    /// How often the status is read until a reset is done, and how often it still will be.
    pub reset_reads: u32,
    reset_reads_left: u32,
    pub refuses_features: bool,
    /// It reads its cable only where at least this many bytes of receive buffers are posted, as Firecracker does.
    pub room_wanted: usize,
    /// The receive buffers that it has taken and not used yet: id, and address and length of each part.
    held: VecDeque<(u16, Vec<(u64, u32)>)>,
    /// Its queues are as long as `max_sizes` says, whatever the driver tells, as kvmtool's are.
    pub ignores_sizes: bool,
    /// It has written to a used ring what is not true, or said that it was reset when it was not, so that
    /// the two sides no longer agree on what is given and taken.
    pub lied: bool,
    pub status: u32,
    pub driver_features: u64,
    pub queues: [Option<Queue>; 2],
    pub notifications: [usize; 2],
    /// The frames that were sent.
    pub sent: Vec<Vec<u8>>,
    /// Where all that the driver gives it must lie.
    pub memory: Range<u64>,
    /// The status as the driver wrote it, which `status` may belie.
    written: u32,
    polls: u32,
}

impl Device {
    /// An honest device. All that the driver gives it must lie in `memory`.
    pub fn new(memory: Range<u64>) -> Self {
        Self {
            features: USUAL_FEATURES,
            max_sizes: [256; 2],
            config: [0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0, 1, 0, 0xdc, 0x05, 0xe8, 0x03, 0, 0, 1],
            generation: 0,
            restless: 0,
            is_legacy: false,
            never_resets: false,
            reset_reads: 0,
            reset_reads_left: 0,
            refuses_features: false,
            room_wanted: 0,
            held: VecDeque::new(),
            ignores_sizes: false,
            lied: false,
            status: 0,
            driver_features: 0,
            queues: [None; 2],
            notifications: [0; 2],
            sent: Vec::new(),
            memory,
            written: 0,
            polls: 0,
        }
    }

    /// Tells no lies from here on.
    pub fn become_honest(&mut self) {
        let memory = self.memory.clone();
        let (status, queues, is_legacy) = (self.status, self.queues, self.is_legacy);
        *self = Self { status, queues, is_legacy, ..Self::new(memory) };
    }

    fn has(&self, feature: u64) -> bool {
        self.driver_features & feature != 0
    }

    pub fn queue(&mut self, queue: usize) -> Option<&mut Queue> {
        self.queues[queue].as_mut()
    }

    fn assert_inside(&self, address: u64, length: u64) {
        assert!(self.memory.contains(&address) && address + length <= self.memory.end, "outside the memory");
    }

    /// The next buffer that the driver has given: id, and address and length of each part. Whatever the device
    /// has said, it lies inside the memory; it is of use as long as the device has told the truth.
    fn take(&mut self, queue: usize) -> Option<(u16, Vec<(u64, u32)>)> {
        let is_legacy = self.is_legacy;
        let taking = self.queue(queue)?;
        let more_than_fits = taking.waiting() > taking.size;
        let (id, parts) = taking.take()?;
        for &(address, length, _) in &parts {
            self.assert_inside(address, length.into());
        }
        let is_usable = match (parts.as_slice(), queue == TX) {
            // 5.1.6.2: a header to be sent, or 5.1.6.3.1: room for what is received where nothing is merged or
            // offloaded.
            (&[(_, length, 0)], true) => !is_legacy && length > 12,
            (parts, false) if !is_legacy => {
                parts.iter().all(|part| part.2 == 2) && parts.iter().map(|part| part.1).sum::<u32>() >= 1526
            }
            // 2.7.4.3 and 5.1.6.1: the header alone, without num_buffers.
            (&[(_, 10, 0), (_, length, 0)], true) => is_legacy && length > 0,
            (&[(_, 10, 2), (_, length, 2)], false) => is_legacy && length >= 1514,
            _ => false,
        } && !more_than_fits;
        assert!(is_usable || self.lied, "{parts:?}, more than fits: {more_than_fits}");
        is_usable.then(|| (id, parts.into_iter().map(|(address, length, _)| (address, length)).collect()))
    }

    fn header_length(&self) -> usize {
        if self.is_legacy { 10 } else { 12 }
    }

    fn give_back(&mut self, queue: usize, id: u16, length: u32) {
        let event_index = self.has(EVENT_IDX);
        let interrupt = self.queue(queue).expect("a queue").give_back(id, length, event_index);
        assert!(self.lied || interrupt == Interrupt::NotWanted, "a polled driver wants no interrupts");
    }

    /// Takes up to `count` buffers to send. Returns how many there were.
    pub fn send(&mut self, count: usize) -> usize {
        for done in 0..count {
            let Some((id, parts)) = self.take(TX) else { return done };
            let mut bytes = Vec::new();
            for (address, length) in parts {
                // SAFETY: inside the card's memory, and the driver has given it away.
                bytes.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(pointer::<u8>(address), length as usize)
                });
            }
            let (header, frame) = bytes.split_at(self.header_length());
            assert!(header.iter().all(|&byte| byte == 0));
            self.sent.push(frame.to_vec());
            self.give_back(TX, id, 0);
        }
        count
    }

    /// Receives a frame off the cable. False when there is no buffer for it.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        loop {
            let room: u32 = self.held.iter().flat_map(|(_, parts)| parts).map(|part| part.1).sum();
            if room as usize >= self.room_wanted.max(1) {
                break;
            }
            let Some(buffer) = self.take(RX) else { return false };
            self.held.push_back(buffer);
        }
        let Some((id, parts)) = self.held.pop_front() else { return false };
        let mut bytes = vec![0; 10];
        if !self.is_legacy {
            bytes.extend([1, 0]);
        }
        bytes.extend(frame);
        let mut rest = bytes.as_slice();
        for (address, length) in parts {
            let (now, later) = rest.split_at(rest.len().min(length as usize));
            // SAFETY: inside the card's memory, and the driver has given it away.
            unsafe {
                let buffer = pointer::<u8>(address);
                buffer.copy_from_nonoverlapping(now.as_ptr(), now.len());
            }
            rest = later;
        }
        assert!(rest.is_empty(), "a frame that does not fit");
        self.give_back(RX, id, bytes.len() as u32);
        true
    }

    /// Asks to be told of the next buffer in `queue`, and goes to sleep.
    pub fn ask_for_notification(&mut self, queue: usize) {
        let event_index = self.has(EVENT_IDX);
        if let Some(queue) = self.queue(queue) {
            if event_index { queue.set_avail_event(queue.next) } else { queue.set_flags(0) }
        }
    }

    /// Asks not to be told of buffers in `queue`.
    pub fn decline_notifications(&mut self, queue: usize) {
        let event_index = self.has(EVENT_IDX);
        if let Some(queue) = self.queue(queue) {
            // With EVENT_IDX by an event that has just passed: it stays behind.
            if event_index { queue.set_avail_event(queue.next.wrapping_sub(1)) } else { queue.set_flags(1) }
        }
    }
}

/// The device as its driver reaches it; the test keeps the other handle.
#[derive(Clone)]
pub struct Model(pub Rc<RefCell<Device>>);

impl Transport for Model {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().features
    }

    fn write_driver_features(&mut self, features: u64) {
        let mut device = self.0.borrow_mut();
        assert_eq!(device.written & 8, 0, "features are chosen before FEATURES_OK");
        device.driver_features = features;
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.0.borrow().max_sizes[usize::from(queue)]
    }

    fn notify(&mut self, queue: u16) {
        let mut device = self.0.borrow_mut();
        assert_ne!(device.written & 4, 0, "3.1.1: no notification before DRIVER_OK");
        device.notifications[usize::from(queue)] += 1;
    }

    fn get_status(&self) -> DeviceStatus {
        let mut device = self.0.borrow_mut();
        device.polls += 1;
        assert!(device.polls < 1_000_000, "an endless wait");
        if device.reset_reads_left > 0 {
            device.reset_reads_left -= 1;
            if device.reset_reads_left == 0 {
                device.status = 0;
            }
        }
        DeviceStatus::from_bits_retain(device.status)
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut device = self.0.borrow_mut();
        device.polls = 0;
        let status = status.bits();
        device.written = status;
        if status != 0 {
            device.status = status & !(if device.refuses_features { 8 } else { 0 });
        } else if !device.never_resets {
            device.reset_reads_left = device.reset_reads;
            if device.reset_reads == 0 {
                device.status = 0;
            }
            device.driver_features = 0;
            device.queues = [None; 2];
            device.held.clear();
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        self.0.borrow().is_legacy
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: u64, driver: u64, used: u64) {
        let mut device = self.0.borrow_mut();
        let (is_legacy, most) = (device.is_legacy, device.max_sizes[usize::from(queue)]);
        let features_ok = if is_legacy { 0 } else { 8 };
        assert_eq!(device.written & 0x8c, features_ok, "queues are set up between FEATURES_OK and DRIVER_OK");
        assert!(size.is_power_of_two() && if is_legacy { size == most } else { size <= most });
        let size = if device.ignores_sizes { most } else { size };
        // 2.7: alignments and lengths.
        let bytes = u64::from(size);
        if is_legacy {
            // 2.7.2: the device knows the first address alone, as a page.
            assert_eq!(descriptors % 4096, 0);
            let end = descriptors + 16 * bytes + 6 + 2 * bytes;
            assert_eq!((driver, used), (descriptors + 16 * bytes, end.next_multiple_of(4096)));
        }
        for (address, alignment, length) in
            [(descriptors, 16, 16 * bytes), (driver, 2, 6 + 2 * bytes), (used, 4, 6 + 8 * bytes)]
        {
            assert_eq!(address % alignment, 0);
            device.assert_inside(address, length);
        }
        let size = size.try_into().expect("a size");
        let set_up = Queue { size, descriptors, driver, device: used, next: 0, used: 0 };
        assert_eq!((set_up.available_index(), set_up.used_index()), (0, 0), "both rings start at 0");
        device.queues[usize::from(queue)] = Some(set_up);
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.0.borrow().queues[usize::from(queue)].is_some()
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        let mut device = self.0.borrow_mut();
        if let Some(left) = device.restless.checked_sub(1) {
            device.restless = left;
            device.generation = device.generation.wrapping_add(1);
        }
        device.generation
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let device = self.0.borrow();
        let field = device.config.get(offset..offset + size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        T::read_from_bytes(field).map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<(), Error> {
        panic!("3.1.1: the driver has no reason to write the configuration");
    }
}
