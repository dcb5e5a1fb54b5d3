//! The stacks, each with a guard page under it that paging.rs leaves unmapped: an overflow is a page
//! fault on another stack, never silent damage.

use core::cell::UnsafeCell;

/// The size of a guard, one page, in bytes.
pub const GUARD: usize = 4096;

/// A stack of `SIZE` bytes, growing down towards its guard page.
#[repr(C, align(4096))]
pub struct Stack<const SIZE: usize> {
    guard: [u8; GUARD],
    memory: UnsafeCell<[u8; SIZE]>,
}

// SAFETY: nothing in Rust reads or writes a stack through this type; it only reserves the addresses.
unsafe impl<const SIZE: usize> Sync for Stack<SIZE> {}

impl<const SIZE: usize> Stack<SIZE> {
    const fn new() -> Self {
        Self { guard: [0; GUARD], memory: UnsafeCell::new([0; SIZE]) }
    }

    /// The address of the guard page, which is the stack's lowest.
    pub fn guard(&self) -> u64 {
        self.guard.as_ptr().addr() as u64
    }

    /// The address above the stack, where the stack pointer starts; a multiple of 16.
    pub fn end(&self) -> u64 {
        (self.memory.get().addr() + SIZE) as u64
    }
}

/// The stack that `kernel_main` runs on.
pub type MainStack = Stack<{ 128 << 10 }>;

/// The main stack.
pub static MAIN: MainStack = Stack::new();
/// For every exception but the two below, and for `panic!` from them.
pub static EXCEPTION: Stack<{ 32 << 10 }> = Stack::new();
/// For the double fault, which is how an overflow of the exception stack arrives.
pub static DOUBLE_FAULT: Stack<{ 32 << 10 }> = Stack::new();
/// For the non-maskable interrupt and the machine check, which come at any instruction.
pub static NMI: Stack<{ 32 << 10 }> = Stack::new();
/// For interrupts from devices: the timer's few instructions.
pub static INTERRUPT: Stack<4096> = Stack::new();

/// Every stack's guard page and name.
pub fn guards() -> [(u64, &'static str); 5] {
    [
        (MAIN.guard(), "main"),
        (EXCEPTION.guard(), "exception"),
        (DOUBLE_FAULT.guard(), "double fault"),
        (NMI.guard(), "NMI"),
        (INTERRUPT.guard(), "interrupt"),
    ]
}
