//! The x86-64 machine under the kernel: how it starts, its memory rights, exceptions, time, serial
//! port, and how it ends. Everything here may assume one CPU, ring 0, physical = virtual addresses.

pub mod access;
mod boot;
pub mod build;
pub mod clock;
pub mod cpu;
pub mod descriptors;
mod efi;
pub mod entropy;
pub mod exceptions;
pub mod features;
pub mod interrupts;
mod local_apic;
mod long_mode;
pub mod paging;
pub mod pci;
pub mod physical;
mod pic;
pub mod power;
pub mod rtc;
pub mod serial;
pub mod stacks;
pub mod timer;
pub mod watchdog;
