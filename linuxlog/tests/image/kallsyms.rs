//! Symbols and a stack in the memory of a real crash, where its note says that they are: the images have the log's pages
//! alone.

use super::Image;
use linuxlog::Crash;

const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Of the kernel's text, to the stack: in its data, as the idle process' is.
const STACK: u64 = 0x0310_0000;
/// Of a stack, to the stack pointer.
const USED: u64 = 16_384 - 512;

/// What a symbol's address is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Below a base, per-CPU offsets above 0: 6.12.
    PerCpu,
    /// The same, and three bytes for each symbol before the tokens: 6.1 to 6.3.
    Numbered,
    /// From a base: 6.15.
    Based,
    /// From the offset's own place: 7.2.
    Own,
}

/// A symbol: its address, its type and name.
pub type Symbol = (u64, String);

/// Functions of 64 bytes from `_stext` on, with others between: per-CPU ones before them, data behind.
pub fn symbols(stext: u64, layout: Layout) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    if matches!(layout, Layout::PerCpu | Layout::Numbered) {
        symbols.extend((0..300).map(|number| (number * 8, format!("Apercpu_{number}"))));
    }
    symbols.extend([(stext, "T_text".into()), (stext, "T_stext".into())]);
    symbols.extend((1..900).map(|number| {
        // Each fifth is long, so that its length takes two bytes.
        let long = if number % 5 == 0 { "_of_many_words".repeat(12) } else { String::new() };
        (stext + number * 64, format!("{}sys_{number}{long}", if number % 2 == 0 { 't' } else { 'W' }))
    }));
    let etext = stext + 900 * 64;
    symbols.extend([(etext, "T_etext".into()), (etext + 4096, "Dsys_data".into())]);
    symbols
}

impl Image {
    /// Puts these words where the crashed CPU's stack is, and returns the image with it.
    pub fn with_stack(mut self, core_header: u64, words: &[u64]) -> Self {
        let stext = self.info(core_header).stext.expect("it is exported");
        let rsp = (stext + STACK) / 16_384 * 16_384 + USED;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(core_header, rsp, &vec![0; 512]);
        self.put(core_header, rsp, &bytes);
        // The registers of the first CPU, which a name and what is before them precede.
        let old = Crash::open(&self, core_header).expect("it is whole").cpus().next().expect("it has a CPU");
        let old = old.registers.rsp.to_le_bytes();
        for address in self.addresses() {
            let page = self.page_mut(address);
            let Some(note) = page.windows(5).position(|name| name == b"CORE\0") else { continue };
            let at = note + 8 + 112 + 19 * 8;
            if page.get(at..at + 8) == Some(&old) {
                page[at..at + 8].copy_from_slice(&rsp.to_le_bytes());
            }
        }
        self
    }

    /// Puts symbols there.
    pub fn with_symbols(mut self, core_header: u64, layout: Layout, symbols: &[Symbol]) -> Self {
        let info = self.info(core_header);
        let at = |symbol: Option<u64>| symbol.expect("it is exported");
        let base = at(info.stext);
        let offsets_at = at(info.kallsyms_offsets);
        let offset = |(number, (address, _)): (usize, &Symbol)| {
            let offset = match layout {
                Layout::PerCpu | Layout::Numbered if *address < KERNEL_MAP => *address,
                Layout::PerCpu | Layout::Numbered => (base - 1).wrapping_sub(*address),
                Layout::Based => address - base,
                Layout::Own => address.wrapping_sub(offsets_at + number as u64 * 4),
            };
            (offset as u32).to_le_bytes()
        };
        let offsets: Vec<u8> = symbols.iter().enumerate().flat_map(offset).collect();
        let (mut names, mut markers) = (Vec::new(), Vec::new());
        for (number, (_, name)) in symbols.iter().enumerate() {
            if number % 256 == 0 {
                markers.extend((names.len() as u32).to_le_bytes());
            }
            // Token 1 is several letters.
            let packed = name.replace("sys_", "\u{1}");
            let len = packed.len();
            if len < 128 {
                names.push(len as u8);
            } else {
                names.extend([len as u8 | 0x80, (len >> 7) as u8]);
            }
            names.extend(packed.bytes());
        }
        let (mut table, mut index) = (Vec::new(), Vec::new());
        for token in 0..=255_u8 {
            index.extend((table.len() as u16).to_le_bytes());
            table.extend(if token == 1 { b"sys_".to_vec() } else { vec![token] });
            table.push(0);
        }
        // Aligned to 8 before Linux 7, which may leave a gap.
        if layout != Layout::Own {
            markers.resize(markers.len().next_multiple_of(8), 0);
        }
        if layout == Layout::Numbered {
            let sequences = (0..symbols.len() * 3).map(|number| number as u8 | 1);
            markers.extend(sequences);
            markers.resize(markers.len().next_multiple_of(8), 0);
        }
        let table_at = at(info.kallsyms_token_table);
        self.put(core_header, table_at - markers.len() as u64, &markers);
        self.put(core_header, at(info.kallsyms_names), &names);
        self.put(core_header, table_at, &table);
        self.put(core_header, at(info.kallsyms_token_index), &index);
        self.put(core_header, at(info.kallsyms_num_syms), &(symbols.len() as u32).to_le_bytes());
        self.put(core_header, offsets_at, &offsets);
        if let Some(place) = info.kallsyms_relative_base {
            self.put(core_header, place, &base.to_le_bytes());
        }
        self
    }

    fn info(&self, core_header: u64) -> linuxlog::VmCoreInfo {
        *Crash::open(self, core_header).expect("it is whole").info()
    }

    /// Puts bytes at an address of the kernel's own mapping.
    fn put(&mut self, core_header: u64, address: u64, bytes: &[u8]) {
        let phys_base = self.info(core_header).phys_base.expect("it is exported");
        for (address, byte) in (address..).zip(bytes) {
            let physical = address.wrapping_sub(KERNEL_MAP).wrapping_add(phys_base);
            let page = self.pages.entry(physical & !4095).or_insert_with(|| vec![0; 4096]);
            page[(physical % 4096) as usize] = *byte;
        }
    }
}
