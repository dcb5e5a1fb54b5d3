//! Where the kernel holds addresses of its own. It is linked to one place and runs anywhere: to all of these 64-bit words
//! the way from there to here is added.
//!
//! They are kept as the distances between them, each as LEB128 (DWARF 5, section 7.6): seven bits in a byte, the lowest
//! first; the eighth bit says that more follow. Most are 8 or a little more, and take a byte.

/// Keeps the places, which are in the order of their addresses, each as its distance from the image's begin.
pub fn encode(places: &[u64], out: &mut impl Extend<u8>) {
    let mut last = 0;
    for &place in places {
        let mut distance = place.wrapping_sub(last);
        last = place;
        while distance >= 0x80 {
            out.extend([(distance & 0x7f) as u8 | 0x80]);
            distance >>= 7;
        }
        out.extend([distance as u8]);
    }
}

/// Adds `offset` to every word of `image` that `places` names. None where one lies outside or the last is cut off.
pub fn apply(places: &[u8], image: &mut [u8], offset: u64) -> Option<()> {
    let (mut at, mut distance, mut shift) = (0usize, 0usize, 0u32);
    for &byte in places {
        distance |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 != 0 {
            shift = shift.wrapping_add(7);
            continue;
        }
        at = at.checked_add(distance)?;
        let word = image.get_mut(at..)?.first_chunk_mut()?;
        *word = u64::from_le_bytes(*word).wrapping_add(offset).to_le_bytes();
        (distance, shift) = (0, 0);
    }
    (shift == 0).then_some(())
}
