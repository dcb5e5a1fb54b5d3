//! The split virtqueue (virtio 1.2, section 2.7), one buffer a descriptor, polled.
//!
//! The invariant that all `unsafe` here rests on, called OWNED below: a buffer whose entry in
//! `with_device` is false belongs to the driver; the device does not access it until it is published.
//! It holds because the device was reset before the queue was set up, and an entry becomes false
//! only when the device hands that buffer back.

use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// The size of each buffer in bytes: a virtio header, and an Ethernet frame of 1500 bytes with a VLAN tag.
pub(super) const BUFFER_SIZE: usize = 1536;

/// The most entries that a queue can have, and what a legacy device's has: over PCI the size is the
/// device's alone to choose (section 4.1.5.1.3.1), and this is what QEMU and its kin chose.
const ENTRIES: usize = 256;
/// The size of a legacy device's queue, in entries.
pub(super) const LEGACY_SIZE: u16 = ENTRIES as u16;

/// Section 2.7.5: the device writes the buffer.
const DESCRIPTOR_WRITE: u16 = 2;
/// Section 2.7.6: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;
/// Section 2.7.8: the device wants no notifications.
const NO_NOTIFY: u16 = 1;

/// Section 2.7.5, `struct virtq_desc`.
#[repr(C, align(16))]
struct Descriptor {
    address: AtomicU64,
    length: AtomicU32,
    flags: AtomicU16,
    next: AtomicU16,
}

/// Section 2.7.6, `struct virtq_avail`: from the driver to the device. `used_event` takes the place of
/// the entry after the queue's last.
#[repr(C, align(2))]
struct Available {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [AtomicU16; ENTRIES + 1],
}

/// Section 2.7.8, `struct virtq_used_elem`.
#[repr(C)]
struct UsedElement {
    id: AtomicU32,
    length: AtomicU32,
}

/// Section 2.7.8, `struct virtq_used`: from the device to the driver. Where it lies is where a legacy
/// device, which is told of the descriptors alone, looks for it (section 2.7.2).
///
/// `avail_event` takes the place of the element after the queue's last: the lower half of its `id`.
#[repr(C, align(4096))]
struct Used {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [UsedElement; ENTRIES + 1],
}

#[repr(C, align(64))]
struct Buffer(UnsafeCell<[u8; BUFFER_SIZE]>);

// SAFETY: a buffer is reached through `Virtqueue::buffer` alone, which takes the queue exclusively.
unsafe impl Sync for Buffer {}

/// [`Used`]'s alignment, for a legacy device.
pub(super) const LEGACY_ALIGNMENT: u32 = 4096;

// Section 2.7.2: where a legacy device, whose queue has all the entries, has the rings.
const _: () = {
    assert!(offset_of!(QueueMemory<1>, available) == 16 * ENTRIES);
    let end = 16 * ENTRIES + 6 + 2 * ENTRIES;
    assert!(offset_of!(QueueMemory<1>, used) == end.next_multiple_of(LEGACY_ALIGNMENT as usize));
};

/// What a queue with `N` buffers, a power of two, shares with the device. Every word that both sides
/// use is atomic. Physical addresses are those of the identity map.
#[repr(C, align(4096))]
pub(super) struct QueueMemory<const N: usize> {
    descriptors: [Descriptor; ENTRIES],
    available: Available,
    used: Used,
    buffers: [Buffer; N],
}

impl<const N: usize> QueueMemory<N> {
    pub(super) const fn new() -> Self {
        Self {
            descriptors: [const {
                Descriptor {
                    address: AtomicU64::new(0),
                    length: AtomicU32::new(0),
                    flags: AtomicU16::new(0),
                    next: AtomicU16::new(0),
                }
            }; _],
            available: Available {
                flags: AtomicU16::new(0),
                index: AtomicU16::new(0),
                ring: [const { AtomicU16::new(0) }; _],
            },
            used: Used {
                flags: AtomicU16::new(0),
                index: AtomicU16::new(0),
                ring: [const { UsedElement { id: AtomicU32::new(0), length: AtomicU32::new(0) } }; _],
            },
            buffers: [const { Buffer(UnsafeCell::new([0; BUFFER_SIZE])) }; N],
        }
    }
}

/// The device broke the rules of the used ring; nothing more that it says there is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceFault;

/// Who writes the queue's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToDevice,
    FromDevice,
}

/// The driver's side of a queue, of which at most `N` entries are in use at once.
pub(super) struct Virtqueue<const N: usize> {
    memory: &'static QueueMemory<N>,
    direction: Direction,
    /// How many entries the rings have, a power of two, `N` or more.
    size: u16,
    /// VIRTIO_F_EVENT_IDX (section 2.7.7, 2.7.10) was negotiated.
    event_index: bool,
    /// Which buffers are with the device: OWNED above.
    with_device: [bool; N],
    /// The buffers that are with nobody, the first `idle_count`.
    idle: [u16; N],
    idle_count: usize,
    /// The indices count entries and wrap at 65536 (sections 2.7.6, 2.7.8).
    available_index: u16,
    used_index: u16,
    /// The available index when the device was last notified, or need not be.
    announced: u16,
}

impl<const N: usize> Virtqueue<N> {
    /// How many buffers there are.
    pub(super) const BUFFERS: u16 = {
        assert!(N.is_power_of_two() && N <= ENTRIES);
        N as u16
    };

    /// A queue that can't be used before [`reset`](Self::reset).
    pub(super) fn new(memory: &'static mut QueueMemory<N>, direction: Direction) -> Self {
        Self {
            memory,
            direction,
            size: Self::BUFFERS,
            event_index: false,
            with_device: [true; N],
            idle: [0; N],
            idle_count: 0,
            available_index: 0,
            used_index: 0,
            announced: 0,
        }
    }

    /// How many entries the queue has.
    pub(super) const fn size(&self) -> u16 {
        self.size
    }

    /// The physical addresses of the descriptors, the available ring and the used ring.
    pub(super) fn addresses(&self) -> [u64; 3] {
        [
            physical(&raw const self.memory.descriptors),
            physical(&raw const self.memory.available),
            physical(&raw const self.memory.used),
        ]
    }

    /// Makes the queue new, a legacy device's or one that has as many entries as buffers. The device must
    /// have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self, is_legacy: bool, event_index: bool) {
        self.size = if is_legacy { LEGACY_SIZE } else { Self::BUFFERS };
        self.event_index = event_index;
        self.with_device = [false; N];
        (self.available_index, self.used_index, self.announced) = (0, 0, 0);
        self.idle_count = N;
        for (id, idle) in (0..Self::BUFFERS).rev().zip(self.idle.iter_mut()) {
            *idle = id;
        }
        let flags = match self.direction {
            Direction::ToDevice => 0,
            Direction::FromDevice => DESCRIPTOR_WRITE,
        };
        for (descriptor, buffer) in self.memory.descriptors.iter().zip(&self.memory.buffers) {
            descriptor.address.store(physical(buffer.0.get()), Ordering::Relaxed);
            descriptor.length.store(0, Ordering::Relaxed);
            descriptor.flags.store(flags, Ordering::Relaxed);
            descriptor.next.store(0, Ordering::Relaxed);
        }
        let Available { flags, index, .. } = &self.memory.available;
        // With EVENT_IDX the flag must be 0 (section 2.7.7.1), and used_event says it.
        flags.store(if event_index { 0 } else { NO_INTERRUPT }, Ordering::Relaxed);
        index.store(0, Ordering::Relaxed);
        self.set_used_event(u16::MAX);
        let Used { flags, index, ring } = &self.memory.used;
        flags.store(0, Ordering::Relaxed);
        index.store(0, Ordering::Relaxed);
        for element in ring {
            element.id.store(0, Ordering::Relaxed);
        }
    }

    /// Where the entry of an index is in the rings.
    fn slot(&self, index: u16) -> usize {
        usize::from(index & self.size.wrapping_sub(1))
    }

    /// Section 2.7.7: the device is to interrupt when the used index passes `event`.
    fn set_used_event(&self, event: u16) {
        if let Some(used_event) = self.memory.available.ring.get(usize::from(self.size)) {
            used_event.store(event, Ordering::Relaxed);
        }
    }

    /// Section 2.7.10: the device is to be notified when the available index passes it.
    fn avail_event(&self) -> u16 {
        let element = self.memory.used.ring.get(usize::from(self.size));
        let [low, high, ..] = element.map_or(0, |element| element.id.load(Ordering::Relaxed)).to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Takes a buffer that is with nobody.
    #[inline(always)]
    pub(super) fn take_idle(&mut self) -> Option<u16> {
        let count = self.idle_count.checked_sub(1)?;
        let id = *self.idle.get(count)?;
        self.idle_count = count;
        Some(id)
    }

    /// Gives back a buffer that [`take_idle`](Self::take_idle) or [`take_used`](Self::take_used) gave.
    pub(super) fn put_idle(&mut self, id: u16) {
        if let Some(idle) = self.idle.get_mut(self.idle_count) {
            *idle = id;
            self.idle_count = self.idle_count.wrapping_add(1);
        }
    }

    /// How many buffers are with the device.
    pub(super) const fn outstanding(&self) -> u16 {
        self.available_index.wrapping_sub(self.used_index)
    }

    /// A buffer that is not with the device.
    pub(super) fn buffer(&mut self, id: u16) -> Option<&mut [u8; BUFFER_SIZE]> {
        if *self.with_device.get(usize::from(id))? {
            return None;
        }
        let buffer = self.memory.buffers.get(usize::from(id))?;
        // SAFETY: OWNED, and `&mut self` makes this the only reference.
        Some(unsafe { &mut *buffer.0.get() })
    }

    /// Gives the first `length` bytes of a buffer to the device. It may see it at once, but is not
    /// told. A buffer that is with the device already stays as it is.
    #[inline(always)]
    pub(super) fn publish(&mut self, id: u16, length: usize) {
        let memory = self.memory;
        let slot = self.slot(self.available_index);
        let (Some(with_device @ false), Some(descriptor), Some(entry), Ok(length)) = (
            self.with_device.get_mut(usize::from(id)),
            memory.descriptors.get(usize::from(id)),
            memory.available.ring.get(slot),
            u32::try_from(length.min(BUFFER_SIZE)),
        ) else {
            return;
        };
        *with_device = true;
        descriptor.length.store(length, Ordering::Relaxed);
        entry.store(id, Ordering::Relaxed);
        self.available_index = self.available_index.wrapping_add(1);
        // Release: the device sees the entry, the descriptor and the buffer before the index (2.7.13.2).
        memory.available.index.store(self.available_index, Ordering::Release);
    }

    /// Whether the device is to be told of what was published since the last call (section 2.7.13.4).
    pub(super) fn needs_notification(&mut self) -> bool {
        let (new, old) = (self.available_index, self.announced);
        if new == old {
            return false;
        }
        self.announced = new;
        // The index must be visible before what the device wants is read: it may just be going to
        // sleep. Only a full barrier orders a store before a load.
        fence(Ordering::SeqCst);
        if self.event_index {
            // Section 2.7.10: told when the index passes avail_event, on a circle of 65536.
            let event = self.avail_event();
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.memory.used.flags.load(Ordering::Relaxed) & NO_NOTIFY == 0
        }
    }

    /// Takes the next buffer that the device is done with, and how many bytes it says it has written.
    pub(super) fn take_used(&mut self) -> Result<Option<(u16, u32)>, DeviceFault> {
        let used = &self.memory.used;
        // Acquire: what the device wrote before it set the index is read after it.
        let waiting = used.index.load(Ordering::Acquire).wrapping_sub(self.used_index);
        if waiting == 0 {
            return Ok(None);
        }
        // An index that ran back looks like one far ahead.
        if waiting > self.outstanding() {
            return Err(DeviceFault);
        }
        let element = used.ring.get(self.slot(self.used_index)).ok_or(DeviceFault)?;
        let id = u16::try_from(element.id.load(Ordering::Relaxed)).map_err(|_| DeviceFault)?;
        let length = element.length.load(Ordering::Relaxed);
        match self.with_device.get_mut(usize::from(id)) {
            Some(with_device @ true) => *with_device = false,
            _ => return Err(DeviceFault),
        }
        // An event that has just passed keeps interrupts off; the flag does where there are no events.
        self.set_used_event(self.used_index);
        self.used_index = self.used_index.wrapping_add(1);
        Ok(Some((id, length)))
    }
}

fn physical<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}
