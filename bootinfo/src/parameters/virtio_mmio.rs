//! `virtio_mmio.device=<size>@<base address>:<interrupt>[:<id>]`, as QEMU, Firecracker and others write it
//! for Linux (drivers/virtio/virtio_mmio.c).

use super::value::ValueError;

/// The physical addresses of virtio devices' registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioDevices {
    addresses: [u64; Self::MAX],
    len: usize,
}

impl MmioDevices {
    /// How many there can be.
    pub const MAX: usize = 8;
    /// No device.
    pub const NONE: Self = Self { addresses: [0; Self::MAX], len: 0 };

    /// Where the kernel can reach a device: above the PC's lowest memory, below 4 GiB.
    const REACHABLE: core::ops::Range<u64> = 1 << 20..1 << 32;

    /// The addresses.
    pub fn as_slice(&self) -> &[u64] {
        self.addresses.get(..self.len).unwrap_or_default()
    }

    /// Adds the device that `text` describes. Of its size and its interrupt nothing is used.
    pub(super) fn add(&mut self, text: &str) -> Result<(), ValueError> {
        let address = parse(text).ok_or(ValueError::VirtioMmio)?;
        *self.addresses.get_mut(self.len).ok_or(ValueError::VirtioMmio)? = address;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn of<const N: usize>(addresses: [u64; N]) -> Self {
        let mut devices = Self::NONE;
        devices.addresses[..N].copy_from_slice(&addresses);
        devices.len = N;
        devices
    }
}

fn parse(text: &str) -> Option<u64> {
    let (size, place) = text.split_once('@')?;
    let (address, interrupt) = place.split_once(':')?;
    number(size.trim_end_matches(['K', 'k', 'M', 'm']))?;
    interrupt.split(':').try_for_each(|field| number(field).map(|_| ()))?;
    number(address).filter(|address| MmioDevices::REACHABLE.contains(address) && address % 4 == 0)
}

/// A number, hexadecimal behind `0x`.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // Rust's parser takes a sign that nobody means.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, radix).ok().filter(|_| is_number)
}
