//! The guest's memory, which QEMU shares as files: mapped here, it is the same pages.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};

/// A piece of it: "Memory region description" of the vhost-user protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub guest_address: u64,
    pub size: u64,
    /// Where QEMU has it, which is how it names the rings.
    pub user_address: u64,
    pub file_offset: u64,
}

/// All of it. Addresses are the guest's, and a panic tells where one is not in its memory.
#[derive(Default)]
pub struct Memory {
    regions: Vec<Region>,
    map: GuestMemoryMmap,
}

impl Memory {
    /// Maps the regions, of each of which there is the file.
    pub(crate) fn map(mut regions: Vec<(Region, File)>) -> io::Result<Self> {
        regions.sort_by_key(|(region, _)| region.guest_address);
        let (regions, ranges): (Vec<_>, Vec<_>) = regions
            .into_iter()
            .map(|(region, file)| {
                let file = FileOffset::new(file, region.file_offset);
                (region, (GuestAddress(region.guest_address), region.size as usize, Some(file)))
            })
            .unzip();
        let map = GuestMemoryMmap::from_ranges_with_files(ranges).map_err(io::Error::other)?;
        Ok(Self { regions, map })
    }

    /// The guest's address of what QEMU has at `address`.
    pub(crate) fn guest_address(&self, address: u64) -> Option<u64> {
        let inside =
            |region: &&Region| (region.user_address..region.user_address + region.size).contains(&address);
        self.regions.iter().find(inside).map(|region| address - region.user_address + region.guest_address)
    }

    /// Reads `N` bytes.
    pub fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.read_into(address, &mut bytes);
        bytes
    }

    /// Fills `bytes` from there.
    pub fn read_into(&self, address: u64, bytes: &mut [u8]) {
        self.map.read_slice(bytes, GuestAddress(address)).expect("an address in the guest's memory");
    }

    /// Writes `bytes` there.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.map.write_slice(bytes, GuestAddress(address)).expect("an address in the guest's memory");
    }

    /// A number that tells what else the guest has written: that is read after it.
    pub(crate) fn load(&self, address: u64) -> u16 {
        let number = self.map.load(GuestAddress(address), Ordering::Acquire);
        u16::from_le(number.expect("an address in the guest's memory"))
    }

    /// Writes a number that tells the guest what else was written before it.
    pub(crate) fn store(&self, address: u64, number: u16) {
        let stored = self.map.store(number.to_le(), GuestAddress(address), Ordering::Release);
        stored.expect("an address in the guest's memory");
    }
}
