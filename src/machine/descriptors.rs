//! GDT, TSS and IDT: every vector has an entry and runs on a stack of its own kind, because Rust's
//! precompiled code uses the red zone below the stack pointer.

use super::{exceptions, interrupts, stacks};
use x86_64::instructions::segmentation::{CS, SS, Segment};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::idt::{Entry, HandlerFunc};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

/// An interrupt descriptor table.
pub type DescriptorTable = [Entry<HandlerFunc>; 256];

static mut GDT: GlobalDescriptorTable = GlobalDescriptorTable::new();
static mut TSS: TaskStateSegment = TaskStateSegment::new();
static mut IDT: DescriptorTable = [Entry::missing(); 256];
/// The one that is in force while the panic path runs.
pub static mut PANIC_IDT: DescriptorTable = [Entry::missing(); 256];

/// Indices of the interrupt stack table, from 0.
const EXCEPTION: u16 = 0;
const DOUBLE_FAULT: u16 = 1;
const NMI: u16 = 2;
const INTERRUPT: u16 = 3;
const PANIC_EXCEPTION: u16 = 4;
const COUNTED_NMI: u16 = 5;

/// Vectors with a stack of their own (Intel SDM volume 3, table 6-1).
const VECTOR_NMI: usize = 2;
const VECTOR_DOUBLE_FAULT: usize = 8;
const VECTOR_MACHINE_CHECK: usize = 18;

/// Loads all tables for normal running. To be called once.
pub fn load() {
    // SAFETY: this runs once, on the only CPU, with interrupts off, and nothing else names these
    // statics, so the references are exclusive; the tables stay as they are from here on.
    let (gdt, tss, idt, panic_idt) = unsafe {
        (
            (&raw mut GDT).as_mut_unchecked(),
            (&raw mut TSS).as_mut_unchecked(),
            (&raw mut IDT).as_mut_unchecked(),
            (&raw mut PANIC_IDT).as_mut_unchecked(),
        )
    };
    for (index, end) in [
        (EXCEPTION, stacks::EXCEPTION.end()),
        (DOUBLE_FAULT, stacks::DOUBLE_FAULT.end()),
        (NMI, stacks::NMI.end()),
        (INTERRUPT, stacks::INTERRUPT.end()),
        (PANIC_EXCEPTION, stacks::PANIC_EXCEPTION.end()),
        (COUNTED_NMI, stacks::COUNTED_NMI.end()),
    ] {
        tss.interrupt_stack_table[usize::from(index)] = VirtAddr::new(end);
    }
    let code = gdt.append(Descriptor::kernel_code_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    // 64-bit code can do without one. But to QEMU none is a segment of 16 bits until the first `iretq`, and what it had
    // translated by then it translates once more.
    let stack = gdt.append(Descriptor::kernel_data_segment());
    gdt.load();
    // SAFETY: `code` is a 64-bit code segment, `stack` a writable data segment and `task` an available TSS of the table just
    // loaded.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(stack);
        load_tss(task);
    }
    for (vector, (entry, in_panic)) in idt.iter_mut().zip(panic_idt).enumerate() {
        let (address, stack) = match vector {
            interrupts::FIRST.. => (interrupts::entry_address(vector), INTERRUPT),
            VECTOR_NMI | VECTOR_MACHINE_CHECK => (exceptions::entry_address(vector), NMI),
            VECTOR_DOUBLE_FAULT => (exceptions::entry_address(vector), DOUBLE_FAULT),
            _ => (exceptions::entry_address(vector), EXCEPTION),
        };
        // The NMI that the panic path ignores must not run over an exception's registers.
        let panic_stack = if vector == VECTOR_NMI { INTERRUPT } else { PANIC_EXCEPTION };
        for (entry, address, stack) in
            [(entry, address, stack), (in_panic, exceptions::panic_entry_address(vector), panic_stack)]
        {
            // SAFETY: the address is an entry of boot/exceptions.s or interrupts.s, which keeps to the
            // CPU's convention for interrupts, and the index is one of the stacks set above.
            unsafe {
                entry
                    .set_handler_addr(VirtAddr::new(address))
                    .set_code_selector(code)
                    .set_privilege_level(PrivilegeLevel::Ring0)
                    .set_stack_index(stack);
            }
        }
    }
    load_idt(&raw const IDT);
}

/// From here on an NMI is counted, and no reason to panic.
pub fn count_nmis() {
    let mut entry = Entry::missing();
    // SAFETY: the address is an entry of boot/exceptions.s, and the index is one of the stacks set above, which no other vector
    // has. Nothing else names the table any more but the CPU.
    unsafe {
        entry
            .set_handler_addr(VirtAddr::new(exceptions::counting_entry_address()))
            .set_privilege_level(PrivilegeLevel::Ring0)
            .set_stack_index(COUNTED_NMI);
        let idt = &raw mut IDT;
        (*idt)[VECTOR_NMI] = entry;
    }
}

/// From here on every exception goes to the panic path's own entries. Panic-safe.
pub fn enter_panic() {
    load_idt(&raw const PANIC_IDT);
}

/// Takes the page fault's entry away and raises one: it can't be delivered, which is a double fault.
pub fn break_page_fault() -> ! {
    // SAFETY: nothing else names the static any more; the CPU reads the entry at the next page fault,
    // which is meant to fail.
    unsafe {
        let idt = &raw mut IDT;
        (*idt)[exceptions::PAGE_FAULT as usize] = Entry::missing();
        core::arch::asm!("mov qword ptr [{null}], 1", "ud2", null = in(reg) 0u64, options(noreturn))
    }
}

fn load_idt(table: *const DescriptorTable) {
    let pointer = DescriptorTablePointer {
        limit: (size_of::<DescriptorTable>() - 1) as u16,
        base: VirtAddr::new_truncate(table.addr() as u64),
    };
    // SAFETY: the table is one of the two statics; each is complete before it is first loaded.
    unsafe { lidt(&pointer) };
}
