//! One input as several: each piece is a length of two bytes, little-endian, a byte that is the caller's, and
//! as many bytes as there are.

/// The pieces of an input, each with the byte in front of it.
pub fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [low, high, control, rest @ ..] = bytes else { return None };
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (piece, next) = rest.split_at(length);
        bytes = next;
        Some((*control, piece))
    })
}
