//! What a vmxnet3 and its driver share, as VMware's vmxnet3_defs.h lays it out; its names are in brackets.

use super::registers::QUEUE_STOPPED;
use crate::nic::addresses::Offset;
use crate::nic::frame::{RECEIVE_SIZE, ReceiveBuffer, TRANSMIT_SIZE};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many descriptors a ring has: the least that the card takes (VMXNET3_RING_SIZE_ALIGN).
pub const RING: usize = 32;
/// How many frames the card may be given to send at once.
pub const TRANSMIT_BUFFERS: usize = 16;
/// How many frames the card may receive before it is polled.
pub const RECEIVE_BUFFERS: usize = 8;

/// A descriptor of any of the four rings.
#[repr(C, align(16))]
pub struct Descriptor {
    /// The address of a buffer, or what an answer is about.
    pub first: AtomicU64,
    /// Length, flags, and whose turn it is.
    pub second: AtomicU64,
}

impl Descriptor {
    /// Fills it for the other side.
    pub fn set(&self, first: u64, second: u64) {
        self.first.store(first, Ordering::Relaxed);
        // Release: with the turn the address is there, and what the buffer holds.
        self.second.store(second, Ordering::Release);
    }
}

/// A ring, which the card wants at a multiple of 512 bytes.
#[repr(C, align(512))]
pub struct Ring([Descriptor; RING]);

impl Ring {
    const fn new() -> Self {
        Self([const { Descriptor { first: AtomicU64::new(0), second: AtomicU64::new(0) } }; RING])
    }

    /// The descriptor at `place`.
    pub fn at(&self, place: usize) -> Option<&Descriptor> {
        self.0.get(place)
    }

    /// All zero, so that no descriptor belongs to the first turn.
    pub fn clear(&self) {
        self.0.iter().for_each(|descriptor| descriptor.set(0, 0));
    }
}

/// A place in a ring, and the turn: each time the end is reached the other of two begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Below [`RING`].
    pub index: usize,
    /// As descriptors have it, 1 or 0.
    pub turn: u64,
}

impl Place {
    /// The first descriptor in the first turn.
    pub const FIRST: Self = Self { index: 0, turn: 1 };

    /// Goes on by one.
    pub fn advance(&mut self) {
        self.index = self.index.wrapping_add(1) % RING;
        if self.index == 0 {
            self.turn ^= 1;
        }
    }
}

/// How a queue is told of (Vmxnet3_TxQueueDesc, Vmxnet3_RxQueueDesc): 256 bytes each.
#[repr(C, align(128))]
pub struct Queue {
    control: [AtomicU64; 2],
    /// A queue that sends has one ring here and then one for copies of headers, of no size; one that receives has two, the
    /// second of no size.
    rings: [AtomicU64; 2],
    done: AtomicU64,
    own: [AtomicU64; 2],
    ring_sizes: [AtomicU32; 2],
    done_size: AtomicU32,
    own_size: AtomicU32,
    /// The number of its interrupt.
    interrupt: AtomicU64,
    stopped: AtomicU32,
    error: AtomicU32,
    counters: [AtomicU64; 21],
}

impl Queue {
    const fn new() -> Self {
        Self {
            control: [const { AtomicU64::new(0) }; 2],
            rings: [const { AtomicU64::new(0) }; 2],
            done: AtomicU64::new(0),
            own: [const { AtomicU64::new(0) }; 2],
            ring_sizes: [const { AtomicU32::new(0) }; 2],
            done_size: AtomicU32::new(0),
            own_size: AtomicU32::new(0),
            interrupt: AtomicU64::new(0),
            stopped: AtomicU32::new(0),
            error: AtomicU32::new(0),
            counters: [const { AtomicU64::new(0) }; 21],
        }
    }

    /// Tells the card of the rings at these physical addresses.
    fn tell(&self, ring: u64, done: u64) {
        let Self { control, rings, done: answers, own, ring_sizes, done_size, own_size, interrupt, .. } =
            self;
        control.iter().chain(own).chain([interrupt]).for_each(|word| word.store(0, Ordering::Relaxed));
        let [first, second] = rings;
        first.store(ring, Ordering::Relaxed);
        second.store(0, Ordering::Relaxed);
        answers.store(done, Ordering::Relaxed);
        let [first, second] = ring_sizes;
        first.store(RING as u32, Ordering::Relaxed);
        second.store(0, Ordering::Relaxed);
        done_size.store(RING as u32, Ordering::Relaxed);
        own_size.store(0, Ordering::Relaxed);
        self.stopped.store(0, Ordering::Relaxed);
    }
}

/// The number by which the card knows the memory (VMXNET3_REV1_MAGIC).
const MAGIC: u32 = 0xbabe_fee1;
/// Which driver this is; nobody looks at it but in a log.
const DRIVER_VERSION: u32 = 1;
/// Of 64 bits, and as network boot programs call themselves (VMXNET3_GOS_BITS_64, VMXNET3_GOS_TYPE_PXE).
const GUEST: u32 = 2 | 5 << 2;
/// Of one interrupt (IntrConf.numIntrs).
const ONE_INTERRUPT: u32 = 1 << 8;
/// None of them (VMXNET3_IC_DISABLE_ALL).
const NO_INTERRUPT: u32 = 1;
/// A frame in one buffer; one queue each way (MiscConf.maxNumRxSG, numTxQueues, numRxQueues).
const QUEUES: u32 = 1 | 1 << 16 | 1 << 24;
/// Frames to the card's own address, to all of multicast, and to everybody (VMXNET3_RXM_UCAST, _BCAST, _ALL_MULTI).
const RECEIVE_MODE: u32 = 1 << 0 | 1 << 2 | 1 << 3;

/// Where all the rest is (Vmxnet3_DriverShared).
#[repr(C, align(64))]
pub struct Shared {
    magic: AtomicU32,
    reserved: AtomicU32,
    driver_version: AtomicU32,
    guest: AtomicU32,
    revision: AtomicU32,
    ring_revision: AtomicU32,
    /// Nothing is done to frames: no VLAN tag taken out, no frames joined.
    features: AtomicU64,
    own: AtomicU64,
    queues: AtomicU64,
    own_length: AtomicU32,
    queues_length: AtomicU32,
    mtu: AtomicU32,
    queue_counts: AtomicU32,
    reserved_too: [AtomicU32; 4],
    /// Automatic masks, how many interrupts there are, and each one's moderation.
    interrupts: [AtomicU32; 7],
    interrupt_control: AtomicU32,
    reserved_then: [AtomicU32; 2],
    receive_mode: AtomicU32,
    multicast_length: AtomicU32,
    multicast: AtomicU64,
    /// A bit a VLAN.
    vlans: [AtomicU32; 128],
    /// Of receive side scaling, wake-up and a plug-in: none.
    further: [AtomicU64; 6],
    /// What has happened, written by the card.
    events: AtomicU32,
    reserved_last: [AtomicU32; 5],
}

impl Shared {
    const fn new() -> Self {
        Self {
            magic: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            driver_version: AtomicU32::new(0),
            guest: AtomicU32::new(0),
            revision: AtomicU32::new(0),
            ring_revision: AtomicU32::new(0),
            features: AtomicU64::new(0),
            own: AtomicU64::new(0),
            queues: AtomicU64::new(0),
            own_length: AtomicU32::new(0),
            queues_length: AtomicU32::new(0),
            mtu: AtomicU32::new(0),
            queue_counts: AtomicU32::new(0),
            reserved_too: [const { AtomicU32::new(0) }; 4],
            interrupts: [const { AtomicU32::new(0) }; 7],
            interrupt_control: AtomicU32::new(0),
            reserved_then: [const { AtomicU32::new(0) }; 2],
            receive_mode: AtomicU32::new(0),
            multicast_length: AtomicU32::new(0),
            multicast: AtomicU64::new(0),
            vlans: [const { AtomicU32::new(0) }; 128],
            further: [const { AtomicU64::new(0) }; 6],
            events: AtomicU32::new(0),
            reserved_last: [const { AtomicU32::new(0) }; 5],
        }
    }
}

/// What one card shares with its driver, and room for one received frame.
#[repr(C)]
pub struct Vmxnet3Memory {
    pub(super) transmit: Ring,
    pub(super) transmit_done: Ring,
    pub(super) receive: Ring,
    pub(super) receive_done: Ring,
    pub(super) queues: [Queue; 2],
    pub(super) shared: Shared,
    pub(super) receive_buffers: [ReceiveBuffer; RECEIVE_BUFFERS],
    pub(super) transmit_buffers: [[u8; TRANSMIT_SIZE]; TRANSMIT_BUFFERS],
    pub(super) received: [u8; RECEIVE_SIZE],
}

impl Vmxnet3Memory {
    /// The header's own numbers: what the card reads where.
    const IS_LAID_OUT: () = assert!(
        size_of::<Queue>() == 256
            && core::mem::offset_of!(Queue, stopped) == 80
            && core::mem::offset_of!(Shared, receive_mode) == 120
            && core::mem::offset_of!(Shared, events) == 696
    );

    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        let () = Self::IS_LAID_OUT;
        Self {
            transmit: Ring::new(),
            transmit_done: Ring::new(),
            receive: Ring::new(),
            receive_done: Ring::new(),
            queues: [const { Queue::new() }; 2],
            shared: Shared::new(),
            receive_buffers: [const { ReceiveBuffer::new() }; RECEIVE_BUFFERS],
            transmit_buffers: [[0; TRANSMIT_SIZE]; TRANSMIT_BUFFERS],
            received: [0; RECEIVE_SIZE],
        }
    }
}

/// What the card reads at its start, and what it writes beside the rings.
pub struct Description {
    shared: &'static Shared,
    queues: &'static [Queue; 2],
    /// The physical addresses of the four rings: sending and its answers, receiving and its answers.
    rings: [u64; 4],
    offset: Offset,
}

impl Description {
    /// The description of these rings.
    pub(super) const fn new(
        shared: &'static Shared,
        queues: &'static [Queue; 2],
        rings: [u64; 4],
        offset: Offset,
    ) -> Self {
        Self { shared, queues, rings, offset }
    }

    /// What has happened since it was noted as seen.
    pub(super) fn events(&self) -> u32 {
        self.shared.events.load(Ordering::Relaxed)
    }

    /// Whether the card has said, when asked, that it has given a queue up.
    pub(super) fn has_stopped(&self) -> bool {
        self.queues.iter().any(|queue| queue.stopped.load(Ordering::Relaxed) & QUEUE_STOPPED != 0)
    }

    /// Writes all of it, for a card that is reset; the physical address that the card is to be told.
    pub(super) fn write(&self, mtu: u32, revision: u32) -> u64 {
        let Self { shared, queues, rings: [transmit, transmit_done, receive, receive_done], offset } = self;
        let [sending, receiving] = queues;
        sending.tell(*transmit, *transmit_done);
        receiving.tell(*receive, *receive_done);
        let order = Ordering::Relaxed;
        shared.driver_version.store(DRIVER_VERSION, order);
        shared.guest.store(GUEST, order);
        shared.revision.store(revision, order);
        shared.ring_revision.store(revision, order);
        shared.features.store(0, order);
        shared.queues.store(offset.physical(*queues), order);
        shared.queues_length.store(size_of::<[Queue; 2]>() as u32, order);
        shared.mtu.store(mtu, order);
        shared.queue_counts.store(QUEUES, order);
        if let Some(counts) = shared.interrupts.first() {
            counts.store(ONE_INTERRUPT, order);
        }
        shared.interrupt_control.store(NO_INTERRUPT, order);
        shared.receive_mode.store(RECEIVE_MODE, order);
        // Whoever has a VLAN here looks at the tags himself.
        shared.vlans.iter().for_each(|vlans| vlans.store(u32::MAX, order));
        shared.events.store(0, order);
        // Release: with the number all of it is there.
        shared.magic.store(MAGIC, Ordering::Release);
        offset.physical(*shared)
    }
}
