//! What a split virtqueue shares with the device (virtio 1.2, section 2.7): rings and buffers in one piece of memory.
//!
//! The rings lie where the queue's size puts them ([`Layout`]), since a legacy device dictates that. The invariant
//! APART, that `unsafe` rests on: a layout's parts lie within the memory and overlap nowhere; descriptors and rings are
//! made of atomics alone.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// The size of each buffer in bytes: a virtio header, and an Ethernet frame of 1500 bytes with a VLAN tag.
pub(super) const BUFFER_SIZE: usize = 1536;
/// The alignment of buffers, and of a modern device's used ring: a cache line.
const BUFFER_ALIGNMENT: usize = 64;

/// How many further descriptors a received frame may go on in behind its buffer, all of one piece of memory that nobody
/// reads. No frame here is that long, but Firecracker reads none before there is room for 65,562 bytes.
pub(super) const OVERFLOW_DESCRIPTORS: u16 = 3;
/// The size of that memory in bytes: with a buffer it is a page.
pub(super) const OVERFLOW_SIZE: usize = 4096 - BUFFER_SIZE;

/// Section 2.7.2: what a legacy device's used ring, and its queue as a whole, are aligned to.
pub(super) const LEGACY_ALIGNMENT: u32 = 4096;
/// The most entries that a queue has here: what a legacy device dictates (section 4.1.5.1.3.1), and any other would
/// like best, is 256 in QEMU and its kin unless told otherwise, and 1024 at the most.
pub(super) const MAX_SIZE: u16 = 1024;

/// Section 2.7.5, `struct virtq_desc`.
#[repr(C)]
pub(super) struct Descriptor {
    pub address: AtomicU64,
    pub length: AtomicU32,
    pub flags: AtomicU16,
    pub next: AtomicU16,
}

impl Descriptor {
    /// The buffer goes on in the descriptor that `next` names.
    pub const HAS_NEXT: u16 = 1;
    /// The device writes the buffer.
    pub const WRITE: u16 = 2;
}

/// Section 2.7.8, `struct virtq_used_elem`.
#[repr(C)]
pub(super) struct UsedElement {
    pub id: AtomicU32,
    pub length: AtomicU32,
}

/// Sections 2.7.6 and 2.7.8, `struct virtq_avail` and `virtq_used`.
pub(super) struct Ring<E: 'static> {
    pub flags: &'static AtomicU16,
    pub index: &'static AtomicU16,
    entries: &'static [E],
    /// Behind the last entry: `used_event`, or `avail_event`.
    pub event: &'static AtomicU16,
}

#[expect(clippy::arithmetic_side_effects, reason = "a ring of at most MAX_SIZE entries is below 64 KiB")]
impl<E> Ring<E> {
    /// The bytes of a ring of `size` entries, and where in it the entries and the event are.
    const fn bytes(size: u16) -> usize {
        Self::event_offset(size) + size_of::<AtomicU16>()
    }

    const ENTRIES: usize = 2 * size_of::<AtomicU16>();

    const fn event_offset(size: u16) -> usize {
        Self::ENTRIES + size_of::<E>() * size as usize
    }

    /// The entry of an index, which counts on and on.
    #[inline(always)]
    pub fn entry(&self, index: u16) -> Option<&'static E> {
        self.entries.get(usize::from(index) & self.entries.len().wrapping_sub(1))
    }
}

/// The rings of a queue.
pub(super) struct Rings {
    pub descriptors: &'static [Descriptor],
    pub available: Ring<AtomicU16>,
    pub used: Ring<UsedElement>,
}

impl Rings {
    /// Of a queue that was not set up yet.
    pub const NONE: Self = Self {
        descriptors: &[],
        available: Ring { flags: &NOWHERE, index: &NOWHERE, entries: &[], event: &NOWHERE },
        used: Ring { flags: &NOWHERE, index: &NOWHERE, entries: &[], event: &NOWHERE },
    };
}

static NOWHERE: AtomicU16 = AtomicU16::new(0);

/// Where the parts of a queue lie in its memory, in bytes: in the order that a legacy device has them in (section 2.7.2).
/// The descriptors are at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
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
    /// Of a queue that was not set up yet.
    pub(super) const NONE: Self = Self { size: 0, available: 0, used: 0, buffers: 0, count: 0 };

    /// The layout of a queue of `size` entries with up to `buffers` buffers of `descriptors` descriptors each, in
    /// `room` bytes; `None` where there is none. The used ring is aligned to `alignment`.
    #[expect(clippy::arithmetic_side_effects, reason = "each part is below 64 KiB")]
    const fn new(size: u16, buffers: u16, descriptors: u16, alignment: usize, room: usize) -> Option<Self> {
        if !size.is_power_of_two() || size > MAX_SIZE {
            return None;
        }
        let Some(most) = size.checked_div(descriptors) else { return None };
        let most = if most < buffers { most } else { buffers };
        let available = size_of::<Descriptor>() * size as usize;
        let available_end = available + Ring::<AtomicU16>::bytes(size);
        let used = available_end.next_multiple_of(alignment);
        let used_end = used + Ring::<UsedElement>::bytes(size);
        if used_end > room || most == 0 {
            return None;
        }
        let inside =
            (size_of::<Descriptor>() * (most * descriptors) as usize).next_multiple_of(BUFFER_ALIGNMENT);
        let behind = used_end.next_multiple_of(BUFFER_ALIGNMENT);
        let (inside_room, behind_room) = (available.saturating_sub(inside), room.saturating_sub(behind));
        let (buffers, room) =
            if inside_room > behind_room { (inside, inside_room) } else { (behind, behind_room) };
        let fit = room / BUFFER_SIZE;
        let count = if fit < most as usize { fit as u16 } else { most };
        if count == 0 { None } else { Some(Self { size, available, used, buffers, count }) }
    }

    /// How many entries the queue has.
    pub(super) const fn size(&self) -> u16 {
        self.size
    }

    /// How many buffers there are.
    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    /// Where the descriptors, the available ring and the used ring are.
    pub(super) const fn rings(&self) -> [usize; 3] {
        [0, self.available, self.used]
    }

    /// Where a buffer is.
    #[inline(always)]
    pub(super) fn buffer(&self, id: u16) -> usize {
        usize::from(id).wrapping_mul(BUFFER_SIZE).wrapping_add(self.buffers)
    }
}

#[repr(C, align(64))]
struct Buffer([u8; BUFFER_SIZE]);

/// How many entries a modern device's queue may have with all the buffers in use: as many as QEMU, Firecracker, Cloud
/// Hypervisor and kvmtool give it.
const USUAL_SIZE: u16 = 256;
/// The rings of such a queue, in bytes.
const USUAL_RINGS: usize = (16_usize * 256 + 6 + 2 * 256).next_multiple_of(BUFFER_ALIGNMENT)
    + (6_usize + 8 * 256).next_multiple_of(BUFFER_ALIGNMENT);

#[repr(C, align(4096))]
struct Room<const N: usize> {
    rings: [u8; USUAL_RINGS],
    buffers: [Buffer; N],
}

/// Room for a queue with up to `N` buffers, a power of two, of a modern device or a legacy one.
#[repr(transparent)]
pub(super) struct QueueMemory<const N: usize>(UnsafeCell<Room<N>>);

// SAFETY: the cell is reached through a `Virtqueue` alone, which has the memory for itself.
unsafe impl<const N: usize> Sync for QueueMemory<N> {}

impl<const N: usize> QueueMemory<N> {
    /// How many buffers there are at the most.
    pub(super) const BUFFERS: u16 = {
        assert!(N.is_power_of_two() && N <= MAX_SIZE as usize);
        N as u16
    };

    /// Whether a legacy device's queue finds room whatever its size is.
    pub(super) const SERVES_LEGACY: bool = Self::legacy(MAX_SIZE).is_some();

    /// Whether all buffers are used in a modern device's queue of the usual size, each of `descriptors` descriptors.
    pub(super) const fn serves_modern(descriptors: u16) -> bool {
        matches!(Self::modern(USUAL_SIZE as u32, descriptors), Some(layout) if layout.count == Self::BUFFERS)
    }

    /// The layout of a modern device's queue, which may have up to `most` entries, `descriptors` of them a buffer. It has
    /// as many as it may, for kvmtool takes it so, whatever size it is told; and fewer only where there is no room.
    pub(super) const fn modern(most: u32, descriptors: u16) -> Option<Layout> {
        let mut size = MAX_SIZE;
        while size != 0 {
            if size as u32 <= most {
                let layout =
                    Layout::new(size, Self::BUFFERS, descriptors, BUFFER_ALIGNMENT, size_of::<Self>());
                if layout.is_some() {
                    return layout;
                }
            }
            size >>= 1;
        }
        None
    }

    /// The layout of a legacy device's queue of `size` entries, which takes two descriptors a buffer.
    pub(super) const fn legacy(size: u16) -> Option<Layout> {
        Layout::new(size, Self::BUFFERS, 2, LEGACY_ALIGNMENT as usize, size_of::<Self>())
    }

    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Room {
            rings: [0; USUAL_RINGS],
            buffers: [const { Buffer([0; BUFFER_SIZE]) }; N],
        }))
    }

    /// Where what is at `offset` lies.
    pub(super) fn place(&self, offset: usize) -> *const u8 {
        self.0.get().cast::<u8>().wrapping_add(offset)
    }

    /// The rings of a layout of this memory.
    pub(super) fn rings(&'static self, layout: &Layout) -> Option<Rings> {
        Some(Rings {
            descriptors: self.part(0, layout.size)?,
            available: self.ring(layout.available, layout.size)?,
            used: self.ring(layout.used, layout.size)?,
        })
    }

    fn ring<E>(&'static self, offset: usize, size: u16) -> Option<Ring<E>> {
        let [flags, index] = self.part(offset, 2)? else { return None };
        let entries = self.part(offset.checked_add(Ring::<E>::ENTRIES)?, size)?;
        let [event] = self.part(offset.checked_add(Ring::<E>::event_offset(size))?, 1)? else { return None };
        Some(Ring { flags, index, entries, event })
    }

    /// `count` items at `offset`, which lie in the descriptors or a ring. `A` consists of atomics.
    fn part<A>(&'static self, offset: usize, count: u16) -> Option<&'static [A]> {
        let count = usize::from(count);
        let end = offset.checked_add(count.checked_mul(size_of::<A>())?)?;
        let first = self.0.get().cast::<u8>().wrapping_add(offset).cast::<A>();
        let is_sound = end <= size_of::<Self>() && first.is_aligned();
        // SAFETY: inside the memory and aligned, as was checked; APART: both sides use atomics there, and no buffer
        // does. Any content is valid for an atomic integer.
        is_sound.then(|| unsafe { core::slice::from_raw_parts(first, count) })
    }

    /// Where a buffer of a layout of this memory is: within the memory (APART) where the layout counts it.
    #[inline(always)]
    pub(super) fn buffer(&self, layout: &Layout, id: u16) -> *mut [u8; BUFFER_SIZE] {
        self.0.get().cast::<u8>().wrapping_add(layout.buffer(id)).cast()
    }
}
