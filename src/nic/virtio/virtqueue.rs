//! The split virtqueue (virtio 1.2, section 2.7), polled.
//!
//! A queue's parts lie where its size puts them ([`Layout`]), since a legacy device dictates the size. Rings and
//! buffers share one piece of memory, [`QueueMemory`]. The invariants that all `unsafe` here rests on:
//! - APART: a layout's parts lie within the memory and overlap nowhere. What is in the rings is accessed as
//!   atomics alone, in [`Virtqueue::atomic`].
//! - OWNED: a buffer whose entry in `with_device` is false belongs to the driver; the device does not access
//!   it until it is published. It holds because the device was reset before the queue was set up, and an
//!   entry becomes false only when the device hands that buffer back.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// The size of each buffer in bytes: a virtio header, and an Ethernet frame of 1500 bytes with a VLAN tag.
pub(super) const BUFFER_SIZE: usize = 1536;
/// The alignment of buffers: a cache line.
const BUFFER_ALIGNMENT: usize = 64;

/// Section 2.7.2: what a legacy device's used ring, and its queue as a whole, are aligned to.
pub(super) const LEGACY_ALIGNMENT: u32 = 4096;
/// The most entries that a queue can have: what a legacy device dictates (section 4.1.5.1.3.1) is 256 in QEMU
/// and its kin unless told otherwise, and 1024 at the most.
pub(super) const MAX_SIZE: u16 = 1024;

/// Section 2.7.5, `struct virtq_desc`: bytes, and offsets in it.
mod descriptor {
    pub const LENGTH_OF_ONE: usize = 16;
    pub const ADDRESS: usize = 0;
    pub const LENGTH: usize = 8;
    pub const FLAGS: usize = 12;
    pub const NEXT: usize = 14;
    /// The buffer goes on in the descriptor that `NEXT` names.
    pub const HAS_NEXT: u16 = 1;
    /// The device writes the buffer.
    pub const WRITE: u16 = 2;
}

/// Sections 2.7.6 and 2.7.8, `struct virtq_avail` and `virtq_used`: offsets.
mod ring {
    pub const FLAGS: usize = 0;
    pub const INDEX: usize = 2;
    pub const ENTRIES: usize = 4;
    /// Of the available ring, an id each.
    pub const AVAILABLE_ENTRY: usize = 2;
    /// Of the used ring, `struct virtq_used_elem`: id and length.
    pub const USED_ELEMENT: usize = 8;
    pub const USED_LENGTH: usize = 4;
    /// Behind the last entry: `used_event`, or `avail_event`.
    pub const EVENT: usize = 2;
}
/// Section 2.7.6: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;
/// Section 2.7.8: the device wants no notifications.
const NO_NOTIFY: u16 = 1;

/// Where the parts of a queue lie in its memory, in bytes: where a legacy device has them (section 2.7.2), which
/// serves others as well. The descriptors are at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// How many entries the queue has, a power of two.
    size: u16,
    available: usize,
    used: usize,
    /// Where the buffers are: behind the rings, or, where there is more room, behind the descriptors that are in
    /// use, which are few of a large table's.
    buffers: usize,
    /// How many buffers there are.
    count: u16,
}

impl Layout {
    /// The layout of a queue of `size` entries with up to `buffers` buffers of `descriptors` descriptors each, in
    /// `room` bytes; `None` where there is none.
    const fn new(size: u16, buffers: u16, descriptors: u16, room: usize) -> Option<Self> {
        if !size.is_power_of_two() || size > MAX_SIZE {
            return None;
        }
        let most = size / descriptors;
        let most = if most < buffers { most } else { buffers };
        // No overflow: each of these is below 64 KiB.
        let available = descriptor::LENGTH_OF_ONE * size as usize;
        let available_end = available + ring::ENTRIES + ring::AVAILABLE_ENTRY * size as usize + ring::EVENT;
        let used = available_end.next_multiple_of(LEGACY_ALIGNMENT as usize);
        let used_end = used + ring::ENTRIES + ring::USED_ELEMENT * size as usize + ring::EVENT;
        if used_end > room || most == 0 {
            return None;
        }
        let inside =
            (descriptor::LENGTH_OF_ONE * (most * descriptors) as usize).next_multiple_of(BUFFER_ALIGNMENT);
        let behind = used_end.next_multiple_of(BUFFER_ALIGNMENT);
        let (inside_room, behind_room) = (available.saturating_sub(inside), room.saturating_sub(behind));
        let (buffers, room) =
            if inside_room > behind_room { (inside, inside_room) } else { (behind, behind_room) };
        let fit = room / BUFFER_SIZE;
        let count = if fit < most as usize { fit as u16 } else { most };
        if count == 0 { None } else { Some(Self { size, available, used, buffers, count }) }
    }

    /// Where the entry of an index is in a ring whose entries have `bytes` bytes.
    fn entry(&self, index: u16, bytes: usize) -> usize {
        let slot = usize::from(index & self.size.wrapping_sub(1));
        slot.wrapping_mul(bytes).wrapping_add(ring::ENTRIES)
    }

    /// Where the event is behind the last entry of such a ring.
    fn event(&self, bytes: usize) -> usize {
        usize::from(self.size).wrapping_mul(bytes).wrapping_add(ring::ENTRIES)
    }
}

#[repr(C, align(64))]
struct Buffer([u8; BUFFER_SIZE]);

/// The rings of a queue of 64 entries, the most that a modern device's has here, in bytes.
const MODERN_RINGS: usize = (4096_usize + 6 + 8 * 64).next_multiple_of(BUFFER_ALIGNMENT);

#[repr(C, align(4096))]
struct Room<const N: usize> {
    rings: [u8; MODERN_RINGS],
    buffers: [Buffer; N],
}

/// What a queue with up to `N` buffers, a power of two, shares with the device: room for the layout of a modern
/// device's, which has `N` entries, or a legacy one's. Physical addresses are those of the identity map.
#[repr(transparent)]
pub(super) struct QueueMemory<const N: usize>(UnsafeCell<Room<N>>);

// SAFETY: the cell is reached through a `Virtqueue` alone, which has the memory for itself.
unsafe impl<const N: usize> Sync for QueueMemory<N> {}

impl<const N: usize> QueueMemory<N> {
    /// Whether a legacy device's queue finds room whatever its size is.
    pub(super) const SERVES_LEGACY: bool =
        Layout::new(MAX_SIZE, Virtqueue::<N>::BUFFERS, 2, size_of::<Self>()).is_some();

    const MODERN: Layout = {
        let buffers = Virtqueue::<N>::BUFFERS;
        match Layout::new(buffers, buffers, 1, size_of::<Self>()) {
            Some(layout) if layout.count == buffers => layout,
            _ => panic!("too little room for the queue of a modern device"),
        }
    };

    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Room {
            rings: [0; MODERN_RINGS],
            buffers: [const { Buffer([0; BUFFER_SIZE]) }; N],
        }))
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

/// How a legacy device's queue differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LegacyQueue {
    /// How many entries it has.
    pub size: u16,
    /// Where in a buffer the header begins and ends: it is in a descriptor of its own (section 2.7.4.3).
    pub header: (u16, u16),
}

/// The driver's side of a queue, of which at most `N` buffers are in use at once.
pub(super) struct Virtqueue<const N: usize> {
    memory: &'static QueueMemory<N>,
    direction: Direction,
    layout: Layout,
    /// Of a legacy device.
    header: Option<(u16, u16)>,
    /// VIRTIO_F_EVENT_IDX (section 2.7.7, 2.7.10) was negotiated.
    event_index: bool,
    /// Which buffers are with the device: OWNED above. True for those beyond the layout's count.
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
    /// How many buffers there are at the most, and entries in the queue of a modern device.
    pub(super) const BUFFERS: u16 = {
        assert!(N.is_power_of_two() && N <= MAX_SIZE as usize);
        N as u16
    };

    /// A queue that can't be used before [`reset`](Self::reset).
    pub(super) fn new(memory: &'static mut QueueMemory<N>, direction: Direction) -> Self {
        Self {
            memory,
            direction,
            layout: QueueMemory::<N>::MODERN,
            header: None,
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
        self.layout.size
    }

    /// The physical addresses of the descriptors, the available ring and the used ring.
    pub(super) fn addresses(&self) -> [u64; 3] {
        [0, self.layout.available, self.layout.used].map(|offset| self.physical(offset))
    }

    fn physical(&self, offset: usize) -> u64 {
        (self.memory.0.get().expose_provenance() as u64).wrapping_add(offset as u64)
    }

    /// The word at `offset`, which lies in a descriptor or a ring. `A` is an atomic.
    fn atomic<A>(&self, offset: usize) -> Option<&'static A> {
        let is_inside = offset.checked_add(size_of::<A>())? <= size_of::<QueueMemory<N>>();
        let word = self.memory.0.get().cast::<u8>().wrapping_add(offset).cast::<A>();
        // SAFETY: inside the memory and aligned, as was checked; APART: both sides use atomics there, and no buffer
        // does. Any content is valid for an atomic integer.
        (is_inside && word.is_aligned()).then(|| unsafe { &*word })
    }

    fn set(&self, offset: usize, value: u16) {
        if let Some(word) = self.atomic::<AtomicU16>(offset) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Makes the queue new: a modern device's, or this one of a legacy device; false where there is no room for that
    /// one. The device must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self, legacy: Option<LegacyQueue>, event_index: bool) -> bool {
        let layout = match legacy {
            None => Some(QueueMemory::<N>::MODERN),
            Some(queue) => Layout::new(queue.size, Self::BUFFERS, 2, size_of::<QueueMemory<N>>()),
        };
        let Some(layout) = layout else { return false };
        (self.layout, self.header) = (layout, legacy.map(|queue| queue.header));
        self.event_index = event_index;
        (self.available_index, self.used_index, self.announced) = (0, 0, 0);
        self.idle_count = 0;
        self.with_device = [true; N];
        for id in (0..layout.count).rev() {
            if let Some(with_device) = self.with_device.get_mut(usize::from(id)) {
                *with_device = false;
                self.put_idle(id);
                self.describe(id);
            }
        }
        let Layout { available, used, .. } = layout;
        // With EVENT_IDX the flag must be 0 (section 2.7.7.1), and used_event says it.
        self.set(available.wrapping_add(ring::FLAGS), if event_index { 0 } else { NO_INTERRUPT });
        self.set(available.wrapping_add(ring::INDEX), 0);
        self.set_used_event(u16::MAX);
        self.set(used.wrapping_add(ring::FLAGS), 0);
        self.set(used.wrapping_add(ring::INDEX), 0);
        self.set(used.wrapping_add(layout.event(ring::USED_ELEMENT)), 0);
        true
    }

    /// Fills in what stays the same of a buffer's descriptor, or both of them.
    fn describe(&self, id: u16) {
        let write = match self.direction {
            Direction::ToDevice => 0,
            Direction::FromDevice => descriptor::WRITE,
        };
        let at = self.buffer_offset(id);
        match self.header {
            None => self.set_descriptor(id, at, write, 0),
            Some((begin, end)) => {
                let data = self.data_descriptor(id);
                let (begin, end) = (usize::from(begin), usize::from(end));
                self.set_descriptor(id, at.wrapping_add(begin), write | descriptor::HAS_NEXT, data);
                self.set_length(id, end.saturating_sub(begin));
                self.set_descriptor(data, at.wrapping_add(end), write, 0);
            }
        }
    }

    /// The second descriptor of a legacy device's buffer.
    const fn data_descriptor(&self, id: u16) -> u16 {
        self.layout.count.wrapping_add(id)
    }

    fn set_descriptor(&self, number: u16, buffer: usize, flags: u16, next: u16) {
        let at = descriptor_offset(number);
        if let Some(address) = self.atomic::<AtomicU64>(at.wrapping_add(descriptor::ADDRESS)) {
            address.store(self.physical(buffer), Ordering::Relaxed);
        }
        self.set(at.wrapping_add(descriptor::FLAGS), flags);
        self.set(at.wrapping_add(descriptor::NEXT), next);
    }

    fn set_length(&self, number: u16, length: usize) {
        let at = descriptor_offset(number).wrapping_add(descriptor::LENGTH);
        if let (Some(word), Ok(length)) = (self.atomic::<AtomicU32>(at), u32::try_from(length)) {
            word.store(length, Ordering::Relaxed);
        }
    }

    fn buffer_offset(&self, id: u16) -> usize {
        usize::from(id).wrapping_mul(BUFFER_SIZE).wrapping_add(self.layout.buffers)
    }

    /// Section 2.7.7: the device is to interrupt when the used index passes `event`.
    fn set_used_event(&self, event: u16) {
        let Layout { available, .. } = self.layout;
        self.set(available.wrapping_add(self.layout.event(ring::AVAILABLE_ENTRY)), event);
    }

    /// Section 2.7.10: the device is to be notified when the available index passes it.
    fn avail_event(&self) -> u16 {
        let offset = self.layout.used.wrapping_add(self.layout.event(ring::USED_ELEMENT));
        self.atomic::<AtomicU16>(offset).map_or(0, |event| event.load(Ordering::Relaxed))
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
        let buffer = self.memory.0.get().cast::<u8>().wrapping_add(self.buffer_offset(id));
        // SAFETY: APART, since the entry is false only for the buffers that the layout counts, which lie within the
        // memory; OWNED, and `&mut self` makes this the only reference.
        Some(unsafe { &mut *buffer.cast() })
    }

    /// Gives the first `length` bytes of a buffer to the device, a legacy device's from the header on. It may see it
    /// at once, but is not told. A buffer that is with the device already stays as it is.
    #[inline(always)]
    pub(super) fn publish(&mut self, id: u16, length: usize) {
        let Layout { available, .. } = self.layout;
        let entry = available.wrapping_add(self.layout.entry(self.available_index, ring::AVAILABLE_ENTRY));
        let index = self.atomic::<AtomicU16>(available.wrapping_add(ring::INDEX));
        let (Some(index), Some(with_device @ false)) = (index, self.with_device.get_mut(usize::from(id)))
        else {
            return;
        };
        *with_device = true;
        let length = length.min(BUFFER_SIZE);
        match self.header {
            None => self.set_length(id, length),
            Some((_, end)) => self.set_length(self.data_descriptor(id), length.saturating_sub(end.into())),
        }
        self.set(entry, id);
        self.available_index = self.available_index.wrapping_add(1);
        // Release: the device sees the entry, the descriptor and the buffer before the index (2.7.13.2).
        index.store(self.available_index, Ordering::Release);
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
            let flags = self.atomic::<AtomicU16>(self.layout.used.wrapping_add(ring::FLAGS));
            flags.is_none_or(|flags| flags.load(Ordering::Relaxed) & NO_NOTIFY == 0)
        }
    }

    /// Takes the next buffer that the device is done with, and how many of its bytes from the first on it says that
    /// it has written.
    pub(super) fn take_used(&mut self) -> Result<Option<(u16, u32)>, DeviceFault> {
        let Layout { used, .. } = self.layout;
        let index = self.atomic::<AtomicU16>(used.wrapping_add(ring::INDEX)).ok_or(DeviceFault)?;
        // Acquire: what the device wrote before it set the index is read after it.
        let waiting = index.load(Ordering::Acquire).wrapping_sub(self.used_index);
        if waiting == 0 {
            return Ok(None);
        }
        // An index that ran back looks like one far ahead.
        if waiting > self.outstanding() {
            return Err(DeviceFault);
        }
        let element = used.wrapping_add(self.layout.entry(self.used_index, ring::USED_ELEMENT));
        let word = |offset| {
            let word = self.atomic::<AtomicU32>(element.wrapping_add(offset)).ok_or(DeviceFault)?;
            Ok(word.load(Ordering::Relaxed))
        };
        let (id, written) = (word(0)?, word(ring::USED_LENGTH)?);
        let id = u16::try_from(id).map_err(|_| DeviceFault)?;
        // A legacy device's header does not begin where the buffer does.
        let length = self.header.map_or(written, |(begin, _)| written.saturating_add(begin.into()));
        match self.with_device.get_mut(usize::from(id)).filter(|_| id < self.layout.count) {
            Some(with_device @ true) => *with_device = false,
            _ => return Err(DeviceFault),
        }
        // An event that has just passed keeps interrupts off; the flag does where there are no events.
        self.set_used_event(self.used_index);
        self.used_index = self.used_index.wrapping_add(1);
        Ok(Some((id, length)))
    }
}

fn descriptor_offset(number: u16) -> usize {
    usize::from(number).wrapping_mul(descriptor::LENGTH_OF_ONE)
}
