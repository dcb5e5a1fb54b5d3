//! A log from before this one: that of a kernel which crashed, left in its memory. Its records have the sequence numbers
//! directly before this log's, and readers find them by the same calls.

/// Another kernel's log, as a [`Ring`](super::Ring) hands it on ([`Ring::following`](super::Ring::following)).
///
/// Every method is called from the panic path too: none may panic, wait or take a lock.
pub trait Past: Sync {
    /// The oldest record's sequence number.
    fn first(&self) -> u64;

    /// The record of a sequence number; `None` where it is lost.
    fn find(&self, sequence: u64) -> Option<PastRecord>;

    /// Copies the text of a record from byte `offset` on to all of `to`, which is not longer than what is left of it. What
    /// can't be read is filled with question marks.
    fn copy_text(&self, record: &PastRecord, offset: usize, to: &mut [u8]);

    /// Calls `item` with key and value of each item that the record has beside its text.
    fn fields(&self, record: &PastRecord, item: &mut dyn FnMut(&[u8], &[u8]));

    /// The release of the kernel that logged all this.
    fn release(&self) -> &str;

    /// How many boots ago that was; 0 where this kernel is the other one's crash kernel.
    fn boots_ago(&self) -> u8;
}

/// A record of another kernel's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRecord {
    /// Its number.
    pub sequence: u64,
    /// When it was logged, in µs by that kernel's clock.
    pub micros: u64,
    /// 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Who logged it: 0 is the kernel, 1 user space (RFC 5424, section 6.2.1).
    pub facility: u8,
    /// Whether it continues a line.
    pub continues: bool,
    /// Whether it goes to the targets, whatever their limits of levels are.
    pub goes: bool,
    /// The thread that logged it, or with the top bit set the CPU, where that is to be shown.
    pub caller: Option<u32>,
    /// The text's length in bytes.
    pub len: usize,
    /// Where the text is; means something to its log alone.
    pub text: u64,
}

/// What a ring knows of the log before it.
#[derive(Clone, Copy)]
pub(super) struct Before<'m> {
    pub log: &'m dyn Past,
    /// The number after its newest record's.
    pub end: u64,
    /// When it ended, in µs by its clock: this log's time goes on from there.
    pub micros: u64,
}
