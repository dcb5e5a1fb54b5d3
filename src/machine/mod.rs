//! The x86-64 machine under the kernel: its memory rights, exceptions, time, ports, and how it ends. Everything here may
//! assume one CPU, ring 0, physical = virtual addresses.
//!
//! It knows nothing of `log`, `memory`, `kernel`, `crash` and `panic`: what it has to tell, its callers keep.

pub mod access;
pub mod build;
pub mod cache;
pub mod clock;
pub mod cpu;
pub mod descriptors;
pub mod efi;
pub mod entropy;
pub mod exceptions;
pub mod features;
pub mod firmware;
pub mod interrupts;
pub mod io_apic;
pub mod iommu;
mod local_apic;
pub mod long_mode;
pub mod machine_check;
pub mod nmi;
pub mod old_memory;
pub mod paging;
pub mod pci;
pub mod physical;
mod pic;
pub mod power;
pub mod rtc;
pub mod stacks;
pub mod timer;
pub mod trap;
pub mod uart;
pub mod watchdog;
