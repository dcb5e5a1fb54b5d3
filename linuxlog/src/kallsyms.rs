//! The names of the dead kernel's functions (kernel/kallsyms.c, scripts/kallsyms.c), exported since Linux 6.0.
//!
//! Symbols are sorted by address. A name is a length and that many bytes, each of which stands for a text (a token);
//! the first letter is the symbol's type, as in nm(1). Where each 256th name begins the markers say, which are not
//! exported: they lie before the texts of the tokens, in some kernels with three bytes for each symbol between, and count
//! only where names end where the next marker says.

use crate::memory::Memory;
use crate::text::{Text, is_printable};
use crate::vmcoreinfo::VmCoreInfo;
use crate::window::Window;
use core::fmt;

/// Symbols from marker to marker.
const BLOCK: u64 = 256;
/// Symbols that are believed, symbols at one address, and bytes of a packed name or a token that are looked at.
const MAX_SYMBOLS: u64 = 1 << 20;
const MAX_ALIASES: u64 = 64;
const MAX_LEN: u64 = 512;

/// A place in a function, as Linux prints it: `name+0x3/0x29`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The function's name.
    pub name: Text,
    /// How far behind its begin the place is, in bytes.
    pub offset: u64,
    /// Its length: where the next symbol begins, in bytes.
    pub size: u64,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, offset, size } = self;
        write!(f, "{name}+{offset:#x}/{size:#x}")
    }
}

/// What symbols' addresses are counted from.
enum Base {
    /// Each from where its offset lies (Linux 7).
    Own,
    /// From this address.
    Address(u64),
    /// Those below 0 downwards from this address less 1; the others are not addresses but per-CPU offsets (before
    /// Linux 6.15).
    Below(u64),
}

/// Where all is.
pub(crate) struct Kallsyms {
    count: u64,
    names: u64,
    markers: u64,
    token_table: u64,
    token_index: u64,
    offsets: u64,
    base: Base,
}

/// What an address belongs to.
pub(crate) enum Owner {
    Function(Symbol),
    /// Data, or nothing.
    Other,
}

impl Kallsyms {
    /// `None` where the kernel does not export it, or it can't be read.
    pub fn find<M: Memory>(window: &mut Window<'_, M>, info: &VmCoreInfo) -> Option<Self> {
        let count = window.number(info.kallsyms_num_syms?, 4)?;
        let last = count.checked_sub(1).filter(|_| count <= MAX_SYMBOLS)?;
        let (token_table, offsets) = (info.kallsyms_token_table?, info.kallsyms_offsets?);
        let names = info.kallsyms_names?;
        let markers = Self::markers(window, names, token_table, count)?;
        let base = match info.kallsyms_relative_base {
            None => Base::Own,
            Some(base) => {
                let base = window.number(base, 8)?;
                let last = window.number(offsets.checked_add(last.checked_mul(4)?)?, 4)?;
                if last >> 31 == 0 { Base::Address(base) } else { Base::Below(base) }
            }
        };
        let token_index = info.kallsyms_token_index?;
        Some(Self { count, names, markers, token_table, token_index, offsets, base })
    }

    /// Where the markers begin: the first is 0, the second the end of the first block's names.
    fn markers<M: Memory>(
        window: &mut Window<'_, M>,
        names: u64,
        token_table: u64,
        count: u64,
    ) -> Option<u64> {
        let mut end = names;
        for _ in 0..count.min(BLOCK) {
            let (begin, len) = Self::packed(window, end)?;
            end = begin.checked_add(len)?;
        }
        let second = end.checked_sub(names)?;
        let size = count.div_ceil(BLOCK).checked_mul(4)?;
        let sequences = token_table.checked_sub(count.checked_mul(3)?)? & !7;
        // All is aligned to 8 before Linux 7, and to 4 since.
        [token_table, sequences].into_iter().find_map(|end| {
            let at = end.checked_sub(size)?;
            [at, at & !7].into_iter().find(|&at| {
                let next = at.checked_add(4);
                window.number(at, 4) == Some(0)
                    && (count <= BLOCK || next.and_then(|next| window.number(next, 4)) == Some(second))
            })
        })
    }

    /// What has this address; `None` where that can't be read.
    pub fn owner<M: Memory>(&self, window: &mut Window<'_, M>, address: u64) -> Option<Owner> {
        let (mut low, mut high) = (0, self.count);
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            *(if self.address(window, middle)? <= address { &mut low } else { &mut high }) = middle;
        }
        let start = self.address(window, low)?;
        let Some(offset) = address.checked_sub(start) else { return Some(Owner::Other) };
        // Of several names the first.
        for _ in 0..MAX_ALIASES {
            let Some(before) = low.checked_sub(1) else { break };
            if self.address(window, before)? != start {
                break;
            }
            low = before;
        }
        let (kind, name) = self.name(window, low)?;
        // What lies between the text's end and the first data is nothing.
        let is_function = matches!(kind, b't' | b'T' | b'w' | b'W') && name.as_str() != "_etext";
        if !is_function || high >= self.count {
            return Some(Owner::Other);
        }
        let size = self.address(window, high)?.saturating_sub(start);
        Some(Owner::Function(Symbol { name, offset, size }))
    }

    fn address<M: Memory>(&self, window: &mut Window<'_, M>, number: u64) -> Option<u64> {
        let place = self.offsets.checked_add(number.checked_mul(4)?)?;
        let offset = u32::try_from(window.number(place, 4)?).ok()?;
        let signed = i64::from(offset.cast_signed());
        Some(match self.base {
            Base::Own => place.wrapping_add_signed(signed),
            Base::Below(base) if signed < 0 => base.wrapping_sub(1).wrapping_sub_signed(signed),
            Base::Address(base) => base.wrapping_add(offset.into()),
            Base::Below(_) => offset.into(),
        })
    }

    /// The type and the name of a symbol.
    fn name<M: Memory>(&self, window: &mut Window<'_, M>, number: u64) -> Option<(u8, Text)> {
        let first = number & !(BLOCK - 1);
        let end = first.checked_add(BLOCK)?;
        let mut at = self.marked(window, first)?;
        let mut found = None;
        for symbol in first..end.min(self.count) {
            let (begin, len) = Self::packed(window, at)?;
            if symbol == number {
                found = Some((begin, len));
            }
            at = begin.checked_add(len)?;
        }
        if end < self.count && self.marked(window, end)? != at {
            return None;
        }
        let (begin, len) = found?;
        self.unpack(window, begin, len)
    }

    /// Where a name begins that has a marker.
    fn marked<M: Memory>(&self, window: &mut Window<'_, M>, number: u64) -> Option<u64> {
        let marker = window.number(self.markers.checked_add((number / BLOCK).checked_mul(4)?)?, 4)?;
        self.names.checked_add(marker)
    }

    /// Where the bytes of the name at `at` are, and how many. A length of 128 or more takes two bytes.
    fn packed<M: Memory>(window: &mut Window<'_, M>, at: u64) -> Option<(u64, u64)> {
        let len = window.number(at, 1)?;
        let next = at.checked_add(1)?;
        if len < 0x80 {
            return Some((next, len));
        }
        Some((next.checked_add(1)?, len & 0x7f | window.number(next, 1)? << 7))
    }

    fn unpack<M: Memory>(&self, window: &mut Window<'_, M>, begin: u64, len: u64) -> Option<(u8, Text)> {
        let (mut kind, mut name) = (None, Text::new());
        for place in (begin..begin.checked_add(len)?).take(MAX_LEN as usize) {
            let token = window.number(place, 1)?;
            let index = window.number(self.token_index.checked_add(token.checked_mul(2)?)?, 2)?;
            let text = self.token_table.checked_add(index)?;
            for place in text..text.checked_add(MAX_LEN)? {
                let byte = window.byte(place)?;
                if byte == 0 {
                    break;
                }
                if kind.is_none() {
                    kind = Some(byte);
                } else if is_printable(&byte) && name.room() > 0 {
                    name.extend(&[byte]);
                } else {
                    return Some((kind?, name));
                }
            }
        }
        Some((kind?, name))
    }
}
