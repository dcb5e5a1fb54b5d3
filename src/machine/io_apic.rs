//! The I/O APICs (Intel 82093AA datasheet, section 3.2): every line of theirs is held back. Nothing here asks for an
//! interrupt of them, and who ran before, firmware or a Linux that crashed, may have left lines open; a device that
//! nobody answers interrupts without an end.

use super::paging;
use core::ptr::with_exposed_provenance_mut;

/// Registers: which of the others the data register is, and that.
const SELECT: usize = 0x00;
const DATA: usize = 0x10;
/// Of the others: the highest line's number in bits 16 to 23, and the lower half of the first line's entry.
const VERSION: u32 = 0x01;
const FIRST_LINE: u32 = 0x10;
const MASKED: u32 = 1 << 16;
/// The most lines that one has.
const MAX_LINES: u32 = 240;

/// Holds back all lines of the one whose registers are at this physical address.
pub fn hold_back(address: u32) {
    if address == 0 || paging::is_own(address.into()) || !address.is_multiple_of(16) {
        return;
    }
    let [select, data] =
        [SELECT, DATA].map(|offset| with_exposed_provenance_mut::<u32>(address as usize + offset));
    let read = |register: u32| {
        // SAFETY: ACPI says that an I/O APIC is there: below 4 GiB, where all is mapped, outside the kernel, and aligned.
        unsafe {
            select.write_volatile(register);
            data.read_volatile()
        }
    };
    let version = read(VERSION);
    if version == u32::MAX {
        return;
    }
    let highest = (version >> 16 & 0xff).min(MAX_LINES - 1);
    for register in (FIRST_LINE..).step_by(2).take(highest as usize + 1) {
        let entry = read(register);
        if entry & MASKED == 0 {
            // SAFETY: as above; less interrupts come by this.
            unsafe { data.write_volatile(entry | MASKED) };
        }
    }
}
