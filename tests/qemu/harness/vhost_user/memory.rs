//! The guest's memory, as QEMU shares it: files, which are read and written as such. What the guest's CPU sees are
//! the same pages.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

/// A piece of it: "Memory region description" of the vhost-user protocol.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    pub guest_address: u64,
    pub size: u64,
    /// Where QEMU has it, which is how it names the rings.
    pub user_address: u64,
    pub file_offset: u64,
}

#[derive(Default)]
pub struct Memory(Vec<(Region, File)>);

impl Memory {
    /// Takes over the descriptors `files`, one a region.
    pub fn new(regions: Vec<Region>, files: Vec<RawFd>) -> io::Result<Self> {
        let open = |(region, fd): (Region, RawFd)| {
            // A file of our own for the same memory, and so no need to believe that the number is one.
            let file = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{fd}"))?;
            nix::unistd::close(fd)?;
            Ok((region, file))
        };
        regions.into_iter().zip(files).map(open).collect::<io::Result<_>>().map(Self)
    }

    /// The guest's address of what QEMU has at `address`.
    pub fn guest_address(&self, address: u64) -> Option<u64> {
        let inside = |(region, _): &&(Region, File)| {
            (region.user_address..region.user_address + region.size).contains(&address)
        };
        self.0.iter().find(inside).map(|(region, _)| address - region.user_address + region.guest_address)
    }

    fn place(&self, address: u64, length: usize) -> (&File, u64) {
        let inside = |(region, _): &&(Region, File)| {
            let end = region.guest_address + region.size;
            (region.guest_address..end).contains(&address) && end - address >= length as u64
        };
        let (region, file) = self.0.iter().find(inside).expect("an address in the guest's memory");
        (file, address - region.guest_address + region.file_offset)
    }

    pub fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.read_into(address, &mut bytes);
        bytes
    }

    pub fn read_into(&self, address: u64, bytes: &mut [u8]) {
        let (file, offset) = self.place(address, bytes.len());
        file.read_exact_at(bytes, offset).expect("the guest's memory can be read");
    }

    pub fn write(&self, address: u64, bytes: &[u8]) {
        let (file, offset) = self.place(address, bytes.len());
        file.write_all_at(bytes, offset).expect("the guest's memory can be written");
    }
}
