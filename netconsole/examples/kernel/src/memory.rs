//! Frames of memory, and what is mapped.

use crate::addresses::{self, ALL_MEMORY, DEVICES, FOUR_GIB, SCATTERED, at};
use crate::start_info::Region;
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::mapper::MapToError;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size2MiB,
    Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

const GIB: u64 = 1 << 30;

unsafe extern "C" {
    /// linker.ld has the image's end, a physical address, for this symbol's own.
    static image_end: u8;
}

/// Hands out frames: every other one, so that no two of them are neighbours. What a kernel does that has run for a
/// while is no better, and nothing here needs more than one frame in a row.
pub struct Frames {
    map: &'static [Region],
    next: u64,
}

// SAFETY: frames are of usable memory above the image, and each is handed out once.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let first = |region: &Region| self.next.max(region.start).next_multiple_of(Size4KiB::SIZE);
        let regions = self.map.iter().filter(|region| region.is_usable());
        let frame =
            regions.filter(|region| first(region) + Size4KiB::SIZE <= region.end()).map(first).min()?;
        self.next = frame + 2 * Size4KiB::SIZE;
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

/// The address space in the making.
pub struct AddressSpace {
    tables: OffsetPageTable<'static>,
    frames: Frames,
    next: u64,
}

impl AddressSpace {
    /// Maps what boot/boot.s has left: memory above 1 GiB, and the devices.
    ///
    /// # Safety
    ///
    /// To be called once, by the first processor, before there is a second.
    pub unsafe fn complete(map: &'static [Region]) -> Self {
        let root = at(Cr3::read().0.start_address().as_u64()).cast::<PageTable>();
        // SAFETY: the caller is alone and makes one of these, so that the tables have one owner; all memory that tables
        // are in is mapped from ALL_MEMORY on.
        let tables = unsafe { OffsetPageTable::new(&mut *root, VirtAddr::new(ALL_MEMORY)) };
        let frames = Frames { map, next: &raw const image_end as u64 };
        let mut new = Self { tables, frames, next: SCATTERED };
        let cached = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE;
        let memory = |region: &&Region| region.is_usable();
        for region in map.iter().filter(memory) {
            new.map_large(ALL_MEMORY, region.start.max(GIB), region.end(), cached);
        }
        let low_memory = map.iter().filter(memory).map(Region::end).filter(|end| *end <= FOUR_GIB).max();
        let first_device = low_memory.unwrap_or(FOUR_GIB).next_multiple_of(Size2MiB::SIZE);
        new.map_large(DEVICES, first_device, FOUR_GIB, cached | PageTableFlags::NO_CACHE);
        addresses::set_first_device(first_device);
        new
    }

    /// Maps physical addresses at a distance, in pages of 2 MiB.
    fn map_large(&mut self, distance: u64, start: u64, end: u64, flags: PageTableFlags) {
        for physical in (start & !(Size2MiB::SIZE - 1)..end).step_by(Size2MiB::SIZE as usize) {
            let page = Page::<Size2MiB>::containing_address(VirtAddr::new(distance + physical));
            let frame = PhysFrame::containing_address(PhysAddr::new(physical));
            // SAFETY: nobody has used these addresses, and no Rust object lies in the frame.
            match unsafe { self.tables.map_to(page, frame, flags, &mut self.frames) } {
                Ok(flush) => flush.flush(),
                // Two regions share it.
                Err(MapToError::PageAlreadyMapped(_)) => {}
                Err(error) => panic!("memory: {physical:#x} can't be mapped: {error:?}"),
            }
        }
    }

    /// A stack of this many pages, each in a frame that lies anywhere, over a page that is not mapped; its end.
    pub fn stack(&mut self, pages: u64) -> u64 {
        let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE;
        for _ in 0..pages {
            self.next += Size4KiB::SIZE;
            let page = Page::<Size4KiB>::containing_address(VirtAddr::new(self.next));
            let frame = self.frames.allocate_frame().expect("memory: no frame is left");
            // SAFETY: nobody has used these addresses, and the frame is the stack's own.
            unsafe { self.tables.map_to(page, frame, flags, &mut self.frames) }.expect("mapped once").flush();
        }
        self.next += Size4KiB::SIZE;
        self.next
    }
}
