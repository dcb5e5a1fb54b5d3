//! The split virtqueue (virtio 1.2, section 2.7), polled.
//!
//! The invariant OWNED that its only `unsafe` rests on: a buffer whose entry in `with_device` is false belongs to the
//! driver; the device does not access it until it is published. It holds because the device was reset before the
//! queue was set up, and an entry becomes false only when the device hands that buffer back.

use super::queue_memory::{BUFFER_SIZE, Descriptor, Layout, QueueMemory, Rings};
use crate::nic::addresses::Offset;
use core::sync::atomic::{Ordering, fence};

/// Section 2.7.6: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;
/// Section 2.7.8: the device wants no notifications.
const NO_NOTIFY: u16 = 1;

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
    offset: Offset,
    direction: Direction,
    layout: Layout,
    rings: Rings,
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
    /// A queue that can't be used before [`reset`](Self::reset).
    pub(super) fn new(memory: &'static mut QueueMemory<N>, offset: Offset, direction: Direction) -> Self {
        Self {
            memory,
            offset,
            direction,
            layout: QueueMemory::<N>::MODERN,
            rings: Rings::NONE,
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
        self.layout.size()
    }

    /// How many buffers there are.
    pub(super) const fn buffers(&self) -> u16 {
        self.layout.count()
    }

    /// The physical addresses of the descriptors, the available ring and the used ring.
    pub(super) fn addresses(&self) -> [u64; 3] {
        self.layout.rings().map(|place| self.physical(place))
    }

    /// The physical address of what is there in the queue's memory.
    fn physical(&self, place: usize) -> u64 {
        self.offset.physical(self.memory.place(place))
    }

    /// Makes the queue new: a modern device's, or this one of a legacy device; false where there is no room for that
    /// one. The device must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self, legacy: Option<LegacyQueue>, event_index: bool) -> bool {
        let layout = match legacy {
            None => Some(QueueMemory::<N>::MODERN),
            Some(queue) => QueueMemory::<N>::legacy(queue.size),
        };
        let Some((layout, rings)) = layout.and_then(|layout| Some((layout, self.memory.rings(&layout)?)))
        else {
            return false;
        };
        (self.layout, self.rings, self.header) = (layout, rings, legacy.map(|queue| queue.header));
        self.event_index = event_index;
        (self.available_index, self.used_index, self.announced) = (0, 0, 0);
        self.idle_count = 0;
        self.with_device = [true; N];
        for id in (0..self.buffers()).rev() {
            if let Some(with_device) = self.with_device.get_mut(usize::from(id)) {
                *with_device = false;
                self.put_idle(id);
                self.describe(id);
            }
        }
        let Rings { available, used, .. } = &self.rings;
        // With EVENT_IDX the flag must be 0 (section 2.7.7.1), and used_event says it.
        available.flags.store(if event_index { 0 } else { NO_INTERRUPT }, Ordering::Relaxed);
        available.index.store(0, Ordering::Relaxed);
        self.set_used_event(u16::MAX);
        for word in [used.flags, used.index, used.event] {
            word.store(0, Ordering::Relaxed);
        }
        true
    }

    /// Fills in what stays the same of a buffer's descriptor, or both of them.
    fn describe(&self, id: u16) {
        let write = match self.direction {
            Direction::ToDevice => 0,
            Direction::FromDevice => Descriptor::WRITE,
        };
        let at = self.layout.buffer(id);
        match self.header {
            None => self.set_descriptor(id, at, write, 0),
            Some((begin, end)) => {
                let data = self.data_descriptor(id);
                let (begin, end) = (usize::from(begin), usize::from(end));
                self.set_descriptor(id, at.wrapping_add(begin), write | Descriptor::HAS_NEXT, data);
                self.set_length(id, end.saturating_sub(begin));
                self.set_descriptor(data, at.wrapping_add(end), write, 0);
            }
        }
    }

    /// The second descriptor of a legacy device's buffer.
    const fn data_descriptor(&self, id: u16) -> u16 {
        self.layout.count().wrapping_add(id)
    }

    fn set_descriptor(&self, number: u16, buffer: usize, flags: u16, next: u16) {
        if let Some(descriptor) = self.rings.descriptors.get(usize::from(number)) {
            descriptor.address.store(self.physical(buffer), Ordering::Relaxed);
            descriptor.flags.store(flags, Ordering::Relaxed);
            descriptor.next.store(next, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn set_length(&self, number: u16, length: usize) {
        if let (Some(descriptor), Ok(length)) =
            (self.rings.descriptors.get(usize::from(number)), u32::try_from(length))
        {
            descriptor.length.store(length, Ordering::Relaxed);
        }
    }

    /// Section 2.7.7: the device is to interrupt when the used index passes `event`.
    fn set_used_event(&self, event: u16) {
        self.rings.available.event.store(event, Ordering::Relaxed);
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
    #[inline(always)]
    pub(super) fn buffer(&mut self, id: u16) -> Option<&mut [u8; BUFFER_SIZE]> {
        if *self.with_device.get(usize::from(id))? {
            return None;
        }
        // SAFETY: APART, since the entry is false only for the buffers that the layout counts; OWNED, and `&mut self`
        // makes this the only reference.
        Some(unsafe { &mut *self.memory.buffer(&self.layout, id) })
    }

    /// Gives the first `length` bytes of a buffer to the device, a legacy device's from the header on. It may see it
    /// at once, but is not told. A buffer that is with the device already stays as it is.
    #[inline(always)]
    pub(super) fn publish(&mut self, id: u16, length: usize) {
        let available = &self.rings.available;
        let (Some(entry), Some(with_device @ false)) =
            (available.entry(self.available_index), self.with_device.get_mut(usize::from(id)))
        else {
            return;
        };
        *with_device = true;
        let length = length.min(BUFFER_SIZE);
        match self.header {
            None => self.set_length(id, length),
            Some((_, end)) => self.set_length(self.data_descriptor(id), length.saturating_sub(end.into())),
        }
        entry.store(id, Ordering::Relaxed);
        self.available_index = self.available_index.wrapping_add(1);
        // Release: the device sees the entry, the descriptor and the buffer before the index (2.7.13.2).
        available.index.store(self.available_index, Ordering::Release);
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
        let used = &self.rings.used;
        if self.event_index {
            // Section 2.7.10: told when the index passes avail_event, on a circle of 65536.
            let event = used.event.load(Ordering::Relaxed);
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            used.flags.load(Ordering::Relaxed) & NO_NOTIFY == 0
        }
    }

    /// Takes the next buffer that the device is done with, and how many of its bytes from the first on it says that
    /// it has written.
    #[inline(always)]
    pub(super) fn take_used(&mut self) -> Result<Option<(u16, u32)>, DeviceFault> {
        let used = &self.rings.used;
        // Acquire: what the device wrote before it set the index is read after it.
        let waiting = used.index.load(Ordering::Acquire).wrapping_sub(self.used_index);
        if waiting == 0 {
            return Ok(None);
        }
        // An index that ran back looks like one far ahead.
        if waiting > self.outstanding() {
            return Err(DeviceFault);
        }
        let element = used.entry(self.used_index).ok_or(DeviceFault)?;
        let (id, written) = (element.id.load(Ordering::Relaxed), element.length.load(Ordering::Relaxed));
        let id = u16::try_from(id).map_err(|_| DeviceFault)?;
        // A legacy device's header does not begin where the buffer does.
        let length = self.header.map_or(written, |(begin, _)| written.saturating_add(begin.into()));
        match self.with_device.get_mut(usize::from(id)).filter(|_| id < self.layout.count()) {
            Some(with_device @ true) => *with_device = false,
            _ => return Err(DeviceFault),
        }
        // An event that has just passed keeps interrupts off; the flag does where there are no events.
        self.set_used_event(self.used_index);
        self.used_index = self.used_index.wrapping_add(1);
        Ok(Some((id, length)))
    }
}
