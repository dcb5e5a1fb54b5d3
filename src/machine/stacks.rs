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

    /// The address above the stack, where the stack pointer starts; a multiple of 16.
    pub fn end(&self) -> u64 {
        (self.memory.get().addr() + SIZE) as u64
    }

    fn place(&self, name: &'static str) -> Place {
        Place { guard: self.guard.as_ptr().addr() as u64, end: self.end(), name }
    }
}

/// The stack that `kernel_main` runs on. The most that was seen of it in use is 75 KiB: the
/// kernel lies on it while it is made (tests/qemu/stacks.rs looks).
pub type MainStack = Stack<{ 144 << 10 }>;

/// The main stack.
pub static MAIN: MainStack = Stack::new();
/// For every exception but the two below, until the panic path takes over.
pub static EXCEPTION: Stack<4096> = Stack::new();
/// For the double fault, which is how an overflow of the exception stack arrives.
pub static DOUBLE_FAULT: Stack<4096> = Stack::new();
/// For the non-maskable interrupt and the machine check, which come at any instruction.
pub static NMI: Stack<4096> = Stack::new();
/// For an NMI that is counted and comes back: it may come while a machine check is looked at, which may come back as well.
pub static COUNTED_NMI: Stack<4096> = Stack::new();
/// For interrupts, which only the timer is to send, and the NMI while the panic path runs.
pub static INTERRUPT: Stack<4096> = Stack::new();
/// For every exception while the panic path runs.
pub static PANIC_EXCEPTION: Stack<4096> = Stack::new();
/// The panic path's own, a fresh one for each of its starts.
pub static PANIC: [Stack<{ 20 << 10 }>; 4] = [const { Stack::new() }; 4];

/// Where a stack lies.
pub struct Place {
    /// The guard page's address, the lowest.
    pub guard: u64,
    /// The address above the stack.
    pub end: u64,
    /// What the stack is called in the crash report.
    pub name: &'static str,
}

/// Every stack.
pub fn places() -> [Place; 11] {
    let [panic, again, third, last] = &PANIC;
    [
        MAIN.place("main"),
        EXCEPTION.place("exception"),
        DOUBLE_FAULT.place("double fault"),
        NMI.place("NMI"),
        COUNTED_NMI.place("counted NMI"),
        INTERRUPT.place("interrupt"),
        PANIC_EXCEPTION.place("panic exception"),
        panic.place("panic"),
        again.place("panic"),
        third.place("panic"),
        last.place("panic"),
    ]
}

/// How much memory all stacks take, guards included, in bytes.
pub fn total_size() -> usize {
    places().iter().map(|place| (place.end - place.guard) as usize).sum()
}

/// Calls `function(argument)` on a fresh stack whose end is `end`, for good. Panic-safe.
pub fn run_on(end: u64, function: extern "C" fn(u64) -> !, argument: u64) -> ! {
    // SAFETY: `end` is the end of one of the stacks above, which nothing else runs on from here on;
    // RSP is then a multiple of 16 at the call, and RBP 0 ends a backtrace. Nothing comes back, so
    // what the old stack holds stays as it is.
    unsafe {
        core::arch::asm!(
            "mov rsp, {end}",
            "xor ebp, ebp",
            "call {function}",
            "ud2",
            end = in(reg) end,
            function = in(reg) function,
            in("rdi") argument,
            options(noreturn),
        )
    }
}
