//! Memory that the CPU encrypts: AMD's SME (AMD64 Architecture Programmer's Manual, volume 2, section 7.10). A bit in a page
//! table's entry says that what is read through it is to be decrypted.

/// CPUID leaf 0x8000001F, EAX: the CPU has SME.
const HAS_SME: u32 = 1;
/// The same leaf, EBX: which bit of an entry it is.
const BIT: u32 = 0x3f;
/// MSR SYSCFG: it was turned on, and stays on until a reset.
const IS_ON: u64 = 1 << 23;
/// The bits that the entry of a page of 2 MiB has for an address.
const ADDRESS_BITS: core::ops::Range<u32> = 21..52;

/// Where encrypted memory is mapped to: out of the way of all that is mapped as it lies there. Four levels of page tables
/// reach as far again.
const PLACE: u64 = 1 << 46;

/// Whether memory is read as it lies there, or decrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    mask: u64,
}

impl Encryption {
    /// Memory is read as it lies there.
    pub const NONE: Self = Self { mask: 0 };

    /// What a CPU can decrypt, by EAX and EBX of its CPUID leaf 0x8000001F, and its MSR SYSCFG, which is asked for only where
    /// that leaf says that the CPU has SME. [`NONE`](Self::NONE) where it is not turned on.
    pub fn of(eax: u32, ebx: u32, syscfg: impl FnOnce() -> u64) -> Self {
        let bit = ebx & BIT;
        if eax & HAS_SME == 0 || !ADDRESS_BITS.contains(&bit) || syscfg() & IS_ON == 0 {
            return Self::NONE;
        }
        Self { mask: 1_u64.unbounded_shl(bit) }
    }

    /// The bit of a page table's entry, Linux's `sme_mask`; 0 where memory is read as it lies there.
    pub const fn mask(self) -> u64 {
        self.mask
    }

    /// The one with this mask.
    pub const fn with_mask(mask: u64) -> Self {
        Self { mask }
    }

    /// The virtual address by which a physical one is read; `None` where nothing of the `len` bytes from there on may be.
    pub fn place(self, address: u64, len: u64) -> Option<u64> {
        let end = address.checked_add(len)?;
        match self {
            Self::NONE => (end <= PLACE << 1).then_some(address),
            _ => (end <= PLACE).then_some(address | PLACE),
        }
    }

    /// What a page table's entry has for the page at this virtual address: the physical address, and the bit.
    pub const fn entry(self, place: u64) -> u64 {
        match self.mask {
            0 => place,
            mask => place & !PLACE | mask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cpu_that_has_it_turned_on_decrypts() {
        // EAX with SEV too, EBX with the bits of addresses that it takes.
        let of = |eax, ebx, syscfg| Encryption::of(eax, ebx, || syscfg).mask();
        assert_eq!(of(0x1_000f, 5 << 6 | 51, 0x0080_0000), 1 << 51);
        assert_eq!(of(1, 47, u64::MAX), 1 << 47);
        assert_eq!(of(1, 47, 0xff7f_ffff), 0, "it is not turned on");
        for bit in [0, 20, 52, 63] {
            assert_eq!(of(1, bit, u64::MAX), 0, "no bit of an address: {bit}");
        }
        // The register is not there where CPUID does not say so: reading it would fault.
        assert_eq!(Encryption::of(0xe, 47, || unreachable!()), Encryption::NONE);
    }

    #[test]
    fn an_entry_has_the_physical_address_and_the_bit() {
        let sme = Encryption::with_mask(1 << 47);
        let place = sme.place(0x1_2345_6789, 8).expect("it is in reach");
        assert_eq!(place, 0x4001_2345_6789);
        assert_eq!(sme.entry(place & !0x1f_ffff), 1 << 47 | 0x1_2340_0000);
        assert_eq!(Encryption::NONE.place(0x1_2345_6789, 8), Some(0x1_2345_6789));
        assert_eq!(Encryption::NONE.entry(0x1_2340_0000), 0x1_2340_0000);
    }

    #[test]
    fn what_four_levels_do_not_reach_has_no_place() {
        let sme = Encryption::with_mask(1 << 51);
        for (encryption, end) in [(Encryption::NONE, 1 << 47), (sme, 1 << 46)] {
            assert!(encryption.place(end - 8, 8).is_some());
            assert_eq!(encryption.place(end - 7, 8), None);
            assert_eq!(encryption.place(u64::MAX, 8), None);
        }
    }
}
