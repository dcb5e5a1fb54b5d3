//! Access to a device's registers in I/O space, which the machine has and the library's host has not.

#[cfg(test)]
pub(crate) mod fake;

/// How many bytes one access takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Half,
    /// 32 bits.
    Word,
}

/// The machine's I/O space, by its `in` and `out` instructions. The drivers here name only ports that a
/// BAR of their device decodes. Implementations carry no state and do not panic: the panic path uses them.
pub trait Ports: Sync {
    /// Reads from a port; the bits above the width are 0.
    fn read(&self, port: u16, width: Width) -> u32;

    /// Writes to a port, the value's lower bits where the width is less.
    fn write(&self, port: u16, width: Width, value: u32);
}
