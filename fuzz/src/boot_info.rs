//! The boot protocols' structures.

use bootinfo::{BootInfo, PhysicalMemory};

/// Memory that begins at [`Memory::START`] and holds the input, over and over up to a page border, so that a
/// structure may point anywhere into it.
pub struct Memory<'a>(pub &'a [u8]);

impl Memory<'_> {
    /// Its lowest address.
    pub const START: u64 = 0x1_0000;
}

impl PhysicalMemory for Memory<'_> {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(Self::START)?).ok()?;
        self.0.get(offset..offset.checked_add(len)?)
    }
}

/// What the loaders leave in EAX, or what the structure itself has as its magic number.
const MAGICS: [u32; 6] = [0x2bad_b002, 0x36d7_6289, 0x336e_c578, 0x5372_6448, 0, 0x4946_4555];

/// The first byte chooses the protocol, the others are memory.
pub fn check(bytes: &[u8]) {
    let Some((&protocol, memory)) = bytes.split_first() else { return };
    let magic = MAGICS.get(usize::from(protocol) % 6).copied().unwrap_or_default();
    let boot = BootInfo::read(magic, Memory::START, &Memory(memory));
    assert!(!boot.command_line.as_bytes().contains(&0));
    let regions = boot.memory.regions();
    assert!(!regions.is_empty(), "there is always the memory that the kernel runs in");
    assert!(regions.iter().all(|region| region.len > 0 && region.start.checked_add(region.len).is_some()));
    assert!(regions.windows(2).all(|pair| pair[0].end() < pair[1].start), "{regions:?}");
    for problem in boot.problems.iter() {
        assert!(!problem.to_string().is_empty());
    }
}
