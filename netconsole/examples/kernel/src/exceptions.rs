//! Exceptions become panics, and the non-maskable interrupt stops a processor. There are no other interrupts.

use core::arch::naked_asm;
use x86_64::instructions::segmentation::{CS, Segment};
use x86_64::structures::gdt::{DescriptorFlags, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::{PrivilegeLevel, VirtAddr};

static SEGMENTS: GlobalDescriptorTable<2> =
    GlobalDescriptorTable::from_raw_entries(&[0, DescriptorFlags::KERNEL_CODE64.bits()]);
static mut ENTRIES: InterruptDescriptorTable = InterruptDescriptorTable::new();

/// Makes the table of entries; at the non-maskable interrupt a processor goes to `stop`.
///
/// # Safety
///
/// To be called once, by the first processor, before anybody calls [`load`].
pub unsafe fn make(stop: extern "C" fn() -> !) {
    // SAFETY: the caller is alone. The entries do not return, so that they need not keep what they overwrite.
    unsafe {
        let entries = (&raw mut ENTRIES).as_mut_unchecked();
        entries.divide_error.set_handler_addr(address(entry::<0>));
        // The processor aligns the stack as a call does.
        entries.non_maskable_interrupt.set_handler_addr(address(stop));
        entries.invalid_opcode.set_handler_addr(address(entry::<6>));
        entries.double_fault.set_handler_addr(address(entry::<8>));
        entries.general_protection_fault.set_handler_addr(address(entry::<13>));
        entries.page_fault.set_handler_addr(address(entry::<14>));
    }
}

/// Has this processor use the tables.
pub fn load() {
    SEGMENTS.load();
    // SAFETY: `make` has made the entries, and nobody changes them any more. The first segment is the code segment.
    unsafe {
        CS::set_reg(SegmentSelector::new(1, PrivilegeLevel::Ring0));
        (&raw const ENTRIES).as_ref_unchecked().load();
    }
}

fn address(entry: extern "C" fn() -> !) -> VirtAddr {
    VirtAddr::from_ptr(entry as *const ())
}

/// Where the processor arrives. It has pushed an error code, for some exceptions, and the address of the instruction.
#[unsafe(naked)]
extern "C" fn entry<const VECTOR: u8>() -> ! {
    naked_asm!(
        "mov edi, {vector}",
        "mov rsi, [rsp]",
        "mov rdx, [rsp + 8]",
        "and rsp, -16",
        "call {exception}",
        vector = const VECTOR,
        exception = sym exception,
    )
}

extern "C" fn exception(vector: u64, first: u64, second: u64) -> ! {
    let instruction = if matches!(vector, 8 | 13 | 14) { second } else { first };
    panic!("exception {vector} at {instruction:#x}")
}
