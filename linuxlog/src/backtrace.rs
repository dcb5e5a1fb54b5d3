//! Where a CPU came from: what on its stack may be return addresses.

use crate::cpu::Registers;
use crate::kallsyms::{Kallsyms, Owner, Symbol};
use crate::memory::Memory;
use crate::translation::Translation;
use crate::vmcoreinfo::VmCoreInfo;
use crate::window::Window;
use core::fmt;
use core::ops::Range;

/// A stack's size in bytes, of which its end is a multiple (`THREAD_SIZE`); those of interrupts are no larger.
const STACK: u64 = 16 << 10;
/// The length of the kernel's own mapping in bytes where VMCOREINFO does not say it.
const KERNEL_IMAGE_SIZE: u64 = 1 << 30;

/// A word on a stack that lies in the kernel's text. It need not be of a call that is still going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnAddress {
    /// The address less KERNELOFFSET, as in the kernel's System.map.
    pub address: u64,
    /// The function, where the kernel exports its symbols.
    pub symbol: Option<Symbol>,
}

impl fmt::Display for ReturnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) => symbol.fmt(f),
            None => write!(f, "{:#018x}", self.address),
        }
    }
}

/// The return addresses on a stack, the newest call first; what [`Crash::backtrace`](crate::Crash::backtrace) gives.
pub struct Backtrace<'c, M> {
    stack: Window<'c, M>,
    symbols: Window<'c, M>,
    names: Option<Kallsyms>,
    text: Range<u64>,
    kernel_offset: u64,
    words: Range<u64>,
}

impl<'c, M: Memory> Backtrace<'c, M> {
    pub(crate) fn new(translation: &'c Translation<'c, M>, info: &VmCoreInfo, registers: &Registers) -> Self {
        let mut symbols = Window::new(translation);
        let names = Kallsyms::find(&mut symbols, info);
        let start = info.stext.unwrap_or(u64::MAX);
        let end = start.saturating_add(info.kernel_image_size.unwrap_or(KERNEL_IMAGE_SIZE));
        let rsp = registers.rsp;
        // In user mode it is the process' own.
        let is_kernel = registers.cs & 3 == 0;
        let stack_end = if is_kernel { rsp | (STACK - 1) } else { 0 };
        Self {
            stack: Window::new(translation),
            symbols,
            names,
            text: start..end,
            kernel_offset: info.kernel_offset.unwrap_or(0),
            words: rsp.checked_next_multiple_of(8).unwrap_or(rsp)..stack_end,
        }
    }
}

impl<M: Memory> Iterator for Backtrace<'_, M> {
    type Item = ReturnAddress;

    /// Reading ends at the stack's end, or where it can't be read.
    fn next(&mut self) -> Option<ReturnAddress> {
        while !self.words.is_empty() {
            let word = self.stack.number(self.words.start, 8)?;
            self.words.start = self.words.start.saturating_add(8);
            if !self.text.contains(&word) {
                continue;
            }
            // A function may end with a call: the function is that of the call.
            let call = word.wrapping_sub(1);
            let owner = self.names.as_ref().and_then(|names| names.owner(&mut self.symbols, call));
            let symbol = match owner {
                Some(Owner::Other) => continue,
                Some(Owner::Function(symbol)) => {
                    Some(Symbol { offset: symbol.offset.saturating_add(1), ..symbol })
                }
                None => None,
            };
            return Some(ReturnAddress { address: word.wrapping_sub(self.kernel_offset), symbol });
        }
        None
    }
}
