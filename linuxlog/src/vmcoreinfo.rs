//! VMCOREINFO: what a Linux says of its own structures, lines of `NAME=value` in a note
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst).

use crate::memory::{Memory, Unreadable};
use crate::text::{Text, printable};

/// The longest note that is read, in bytes. Linux's is a page at most.
const MAX_LEN: u64 = 64 << 10;
/// Bytes of one line; none that matters is as long.
const LINE: usize = 160;

/// Makes the struct, and what reads a line into it, from one list: a field, and the name that its line begins with.
macro_rules! numbers {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// What a Linux says of itself. A number that it does not export is `None`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct VmCoreInfo {
            /// Its release, `uname -r`.
            pub release: Text,
            /// Its build id in hexadecimal digits; empty before Linux 5.9.
            pub build_id: Text,
            $($(#[$doc])* pub $field: Option<u64>,)*
        }

        impl VmCoreInfo {
            const NOTHING: Self = Self { release: Text::new(), build_id: Text::new(), $($field: None,)* };

            fn set(&mut self, name: &[u8], value: &[u8]) {
                const fn bytes(name: &str) -> &[u8] {
                    name.as_bytes()
                }
                match name {
                    b"OSRELEASE" => self.release = printable(value),
                    b"BUILD-ID" => self.build_id = printable(value),
                    $(name if name == bytes($name) => self.$field = number(name, value),)*
                    _ => {}
                }
            }
        }
    };
}

numbers! {
    /// Where the kernel's text begins, virtual.
    stext = "SYMBOL(_stext)",
    /// The names of the kernel's symbols, packed, virtual.
    kallsyms_names = "SYMBOL(kallsyms_names)",
    /// How many they are, 32 bits.
    kallsyms_num_syms = "SYMBOL(kallsyms_num_syms)",
    /// The texts that the bytes of packed names stand for.
    kallsyms_token_table = "SYMBOL(kallsyms_token_table)",
    /// Their offsets, 16 bits each.
    kallsyms_token_index = "SYMBOL(kallsyms_token_index)",
    /// The symbols' addresses, as offsets of 32 bits.
    kallsyms_offsets = "SYMBOL(kallsyms_offsets)",
    /// What these are from; where it is not exported, each is from its own place.
    kallsyms_relative_base = "SYMBOL(kallsyms_relative_base)",
    /// The kernel's top page table, virtual.
    init_top_pgt = "SYMBOL(init_top_pgt)",
    /// The same by its older name.
    swapper_pg_dir = "SYMBOL(swapper_pg_dir)",
    /// Physical address of what is mapped at the start of the kernel's own mapping; may be negative.
    phys_base = "NUMBER(phys_base)",
    /// Whether page tables have five levels.
    five_levels = "NUMBER(pgtable_l5_enabled)",
    /// The length of the kernel's own mapping in bytes.
    kernel_image_size = "NUMBER(KERNEL_IMAGE_SIZE)",
    /// By how much the kernel was moved from where it was linked to.
    kernel_offset = "KERNELOFFSET",
    /// The bit of a page table's entry that marks memory as encrypted; 0 where there is none.
    sme_mask = "NUMBER(sme_mask)",
    /// When it crashed, in seconds since 1970.
    crash_time = "CRASHTIME",
    /// The pointer to the lockless ring, virtual.
    prb = "SYMBOL(prb)",
    /// The lockless ring that Linux begins with, virtual.
    prb_static = "SYMBOL(printk_rb_static)",
    /// Offset of the descriptor ring in `struct printk_ringbuffer`.
    ringbuffer_desc_ring = "OFFSET(printk_ringbuffer.desc_ring)",
    /// Offset of the text ring in `struct printk_ringbuffer`.
    ringbuffer_text_ring = "OFFSET(printk_ringbuffer.text_data_ring)",
    /// Offset of the count of descriptors' logarithm in `struct prb_desc_ring`.
    desc_ring_count_bits = "OFFSET(prb_desc_ring.count_bits)",
    /// Offset of the pointer to the descriptors.
    desc_ring_descs = "OFFSET(prb_desc_ring.descs)",
    /// Offset of the pointer to the records' data.
    desc_ring_infos = "OFFSET(prb_desc_ring.infos)",
    /// Offset of the newest descriptor's id.
    desc_ring_head_id = "OFFSET(prb_desc_ring.head_id)",
    /// Offset of the oldest descriptor's id.
    desc_ring_tail_id = "OFFSET(prb_desc_ring.tail_id)",
    /// Size of `struct prb_desc`.
    desc_size = "SIZE(prb_desc)",
    /// Offset of a descriptor's state.
    desc_state_var = "OFFSET(prb_desc.state_var)",
    /// Offset of where a descriptor's text lies.
    desc_text_blk_lpos = "OFFSET(prb_desc.text_blk_lpos)",
    /// Offset of a block's begin in `struct prb_data_blk_lpos`.
    lpos_begin = "OFFSET(prb_data_blk_lpos.begin)",
    /// Offset of the next block's begin.
    lpos_next = "OFFSET(prb_data_blk_lpos.next)",
    /// Size of `struct printk_info`.
    info_size = "SIZE(printk_info)",
    /// Offset of a record's sequence number.
    info_seq = "OFFSET(printk_info.seq)",
    /// Offset of a record's time in ns.
    info_ts_nsec = "OFFSET(printk_info.ts_nsec)",
    /// Offset of the text's length.
    info_text_len = "OFFSET(printk_info.text_len)",
    /// Offset of who logged it.
    info_caller_id = "OFFSET(printk_info.caller_id)",
    /// Offset of the names of subsystem and device.
    info_dev_info = "OFFSET(printk_info.dev_info)",
    /// Offset of the subsystem's name in `struct dev_printk_info`.
    dev_info_subsystem = "OFFSET(dev_printk_info.subsystem)",
    /// The subsystem's longest name in bytes, with its zero.
    subsystem_len = "LENGTH(printk_info_subsystem)",
    /// Offset of the device's name.
    dev_info_device = "OFFSET(dev_printk_info.device)",
    /// The device's longest name in bytes, with its zero.
    device_len = "LENGTH(printk_info_device)",
    /// Offset of the text ring's size's logarithm in `struct prb_data_ring`.
    data_ring_size_bits = "OFFSET(prb_data_ring.size_bits)",
    /// Offset of the pointer to the texts.
    data_ring_data = "OFFSET(prb_data_ring.data)",
    /// The pointer to the log of kernels before 5.10, virtual.
    log_buf = "SYMBOL(log_buf)",
    /// Its length in bytes, 32 bits.
    log_buf_len = "SYMBOL(log_buf_len)",
    /// The oldest record's offset in it, 32 bits.
    log_first_idx = "SYMBOL(log_first_idx)",
    /// That record's number, 64 bits; no Linux that is known exports it.
    log_first_seq = "SYMBOL(log_first_seq)",
    /// The offset behind the newest record, 32 bits.
    log_next_idx = "SYMBOL(log_next_idx)",
    /// Size of `struct printk_log`.
    printk_log_size = "SIZE(printk_log)",
    /// Offset of its time in ns.
    printk_log_ts_nsec = "OFFSET(printk_log.ts_nsec)",
    /// Offset of its whole length.
    printk_log_len = "OFFSET(printk_log.len)",
    /// Offset of its text's length.
    printk_log_text_len = "OFFSET(printk_log.text_len)",
    /// Offset of its dictionary's length.
    printk_log_dict_len = "OFFSET(printk_log.dict_len)",
}

impl VmCoreInfo {
    /// Reads a note's `len` bytes from the physical address `at` on. Lines that are not understood are passed over.
    pub(crate) fn read(memory: &impl Memory, at: u64, len: u64) -> Result<Self, Unreadable> {
        let mut info = Self::NOTHING;
        let mut line = [0; LINE];
        let mut used = 0;
        let end = at.saturating_add(len.min(MAX_LEN));
        let mut place = at;
        while place < end {
            let mut chunk = [0; 64];
            let left = usize::try_from(end.saturating_sub(place)).unwrap_or(usize::MAX).min(chunk.len());
            let chunk = chunk.get_mut(..left).unwrap_or_default();
            memory.read(place, chunk)?;
            place = place.saturating_add(left as u64);
            for &byte in chunk.iter() {
                if byte == b'\n' {
                    info.take_line(line.get(..used).unwrap_or_default());
                    used = 0;
                } else if let Some(slot) = line.get_mut(used) {
                    *slot = byte;
                    used = used.saturating_add(1);
                }
            }
        }
        Ok(info)
    }

    fn take_line(&mut self, line: &[u8]) {
        let mut parts = line.splitn(2, |&byte| byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            self.set(name, value);
        }
    }
}

/// The number of a line: addresses and offsets of symbols are hexadecimal, all others decimal, `0x` hexadecimal.
fn number(name: &[u8], value: &[u8]) -> Option<u64> {
    let value = core::str::from_utf8(value).ok()?;
    if let Some(digits) = value.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    if name.starts_with(b"SYMBOL(") || name == b"KERNELOFFSET" {
        return u64::from_str_radix(value, 16).ok();
    }
    // Negative numbers are two's complement, as in the kernel.
    value.parse().ok().or_else(|| value.parse::<i64>().ok().map(i64::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::{VmCoreInfo, number};
    use crate::{Memory, Unreadable};

    struct Note(&'static [u8]);

    impl Memory for Note {
        fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Unreadable> {
            let from = usize::try_from(address).ok().and_then(|at| self.0.get(at..at.checked_add(to.len())?));
            to.copy_from_slice(from.ok_or(Unreadable { address })?);
            Ok(())
        }
    }

    #[test]
    fn numbers_are_hexadecimal_for_symbols_and_decimal_else() {
        assert_eq!(number(b"SYMBOL(prb)", b"ffffffff8525c040"), Some(0xffff_ffff_8525_c040));
        assert_eq!(number(b"SIZE(prb_desc)", b"24"), Some(24));
        assert_eq!(number(b"NUMBER(phys_base)", b"-541065216"), Some((-541_065_216_i64).cast_unsigned()));
        assert_eq!(number(b"KERNELOFFSET", b"2600000"), Some(0x260_0000));
        assert_eq!(number(b"NUMBER(VMALLOC_START)", b"0xff6c"), Some(0xff6c));
        assert_eq!(number(b"SIZE(prb_desc)", b"24k"), None);
    }

    #[test]
    fn six_kernels_export_one_ring_or_the_other() {
        let kernels: [(&str, &'static [u8]); 6] = [
            ("4.15", include_bytes!("../tests/vmcoreinfo/4.15.txt")),
            ("5.4", include_bytes!("../tests/vmcoreinfo/5.4.txt")),
            ("5.10", include_bytes!("../tests/vmcoreinfo/5.10.txt")),
            ("6.1", include_bytes!("../tests/vmcoreinfo/6.1.txt")),
            ("6.12", include_bytes!("../tests/vmcoreinfo/6.12.txt")),
            ("7.2", include_bytes!("../tests/vmcoreinfo/7.2.txt")),
        ];
        for (release, text) in kernels {
            let info = VmCoreInfo::read(&Note(text), 0, text.len() as u64).expect("it is there");
            assert!(info.release.as_str().starts_with(release), "{release}: {}", info.release);
            let old = ["4.15", "5.4"].contains(&release);
            let legacy = [info.log_buf, info.log_buf_len, info.log_first_idx, info.log_next_idx];
            let lockless = [info.prb, info.desc_size, info.info_size, info.ringbuffer_text_ring];
            assert!(legacy.iter().all(|number| number.is_some() == old), "{release}");
            assert!(lockless.iter().all(|number| number.is_none() == old), "{release}");
            assert!(info.phys_base.and(info.init_top_pgt.or(info.swapper_pg_dir)).is_some(), "{release}");
        }
    }

    #[test]
    fn a_line_that_is_cut_or_strange_is_passed_over() {
        let text = b"OSRELEASE=6.1\x1b[2J\n=3\nSIZE(prb_desc)\nSIZE(prb_desc)=24\nCRASHTIME=17";
        let info = VmCoreInfo::read(&Note(text), 0, text.len() as u64).expect("it is there");
        assert_eq!((info.release.as_str(), info.desc_size, info.crash_time), ("6.1", Some(24), None));
        assert!(VmCoreInfo::read(&Note(text), 0, 4096).is_err());
    }
}
