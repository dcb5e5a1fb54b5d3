//! What one start of the panic path sends.

/// Which report goes out, and by which start of the panic path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The sequence number of its first record, the same for all starts.
    pub first: u64,
    /// 1 for the first start; one more each time that the panic path failed in turn. Each has its own numbers of sealed
    /// datagrams.
    pub start: u8,
}
