//! The split virtqueue (virtio 1.2, section 2.7), polled.
//!
//! The invariant OWNED that its only `unsafe` rests on: a buffer whose entry in `with_device` is false belongs to the
//! driver; the device does not access it until it is published. It holds because the device was reset before the
//! queue was set up, and an entry becomes false only when the device hands that buffer back.

use super::queue_memory::{
    BUFFER_SIZE, Descriptor, Layout, OVERFLOW_DESCRIPTORS, OVERFLOW_SIZE, QueueMemory, Rings,
};
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
    /// What does not fit into a buffer goes to the physical address `overflow`, and is lost.
    FromDevice {
        overflow: u64,
    },
}

impl Direction {
    /// How many descriptors a modern device's buffer takes.
    pub(super) const fn descriptors(self) -> u16 {
        match self {
            Self::ToDevice => 1,
            Self::FromDevice { .. } => 1 + OVERFLOW_DESCRIPTORS,
        }
    }
}

/// Where in a legacy device's buffer the header begins and ends: it is in a descriptor of its own (section 2.7.4.3).
pub(super) type LegacyHeader = (u16, u16);

/// The driver's side of a queue, of which at most `N` buffers are in use at once.
pub(super) struct Virtqueue<const N: usize> {
    memory: &'static QueueMemory<N>,
    offset: Offset,
    direction: Direction,
    layout: Layout,
    rings: Rings,
    /// Of a legacy device.
    header: Option<LegacyHeader>,
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
            layout: Layout::NONE,
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

    /// How many bytes the device may write for one buffer.
    pub(super) fn writable(&self) -> usize {
        match (self.direction, self.header) {
            (Direction::FromDevice { .. }, None) => {
                OVERFLOW_SIZE.wrapping_mul(OVERFLOW_DESCRIPTORS.into()).wrapping_add(BUFFER_SIZE)
            }
            _ => BUFFER_SIZE,
        }
    }

    /// Makes the queue new, of at most `most` entries, or of a legacy device's just as many; false where there is no room
    /// for it. The device must have been reset, so that it accesses none of the memory.
    pub(super) fn reset(&mut self, most: u32, header: Option<LegacyHeader>, event_index: bool) -> bool {
        let layout = match header {
            None => QueueMemory::<N>::modern(most, self.direction.descriptors()),
            Some(_) => u16::try_from(most).ok().and_then(QueueMemory::<N>::legacy),
        };
        let Some((layout, rings)) = layout.and_then(|layout| Some((layout, self.memory.rings(&layout)?)))
        else {
            return false;
        };
        (self.layout, self.rings, self.header) = (layout, rings, header);
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

    /// Fills in what stays the same of a buffer's descriptors.
    fn describe(&self, id: u16) {
        let at = self.physical(self.layout.buffer(id));
        let second = self.further_descriptor(id, 1);
        match (self.header, self.direction) {
            (Some((begin, end)), direction) => {
                let write = if direction == Direction::ToDevice { 0 } else { Descriptor::WRITE };
                self.set_descriptor(id, at.wrapping_add(begin.into()), write | Descriptor::HAS_NEXT, second);
                self.set_length(id, end.saturating_sub(begin).into());
                self.set_descriptor(second, at.wrapping_add(end.into()), write, 0);
            }
            (None, Direction::ToDevice) => self.set_descriptor(id, at, 0, 0),
            (None, Direction::FromDevice { overflow }) => {
                self.set_descriptor(id, at, Descriptor::WRITE | Descriptor::HAS_NEXT, second);
                for number in 1..=OVERFLOW_DESCRIPTORS {
                    let descriptor = self.further_descriptor(id, number);
                    let next = self.further_descriptor(id, number.wrapping_add(1));
                    let has_next = if number < OVERFLOW_DESCRIPTORS { Descriptor::HAS_NEXT } else { 0 };
                    self.set_descriptor(descriptor, overflow, Descriptor::WRITE | has_next, next);
                    self.set_length(descriptor, OVERFLOW_SIZE);
                }
            }
        }
    }

    /// The `number`th descriptor of a buffer behind its first, which has the buffer's own number.
    const fn further_descriptor(&self, id: u16, number: u16) -> u16 {
        self.layout.count().wrapping_mul(number).wrapping_add(id)
    }

    fn set_descriptor(&self, number: u16, address: u64, flags: u16, next: u16) {
        if let Some(descriptor) = self.rings.descriptors.get(usize::from(number)) {
            descriptor.address.store(address, Ordering::Relaxed);
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
            Some((_, end)) => {
                self.set_length(self.further_descriptor(id, 1), length.saturating_sub(end.into()));
            }
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
