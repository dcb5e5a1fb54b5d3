//! A few bytes as a number.

/// Up to 7 bytes as a little-endian word whose other bytes are 0; of more bytes, the result means nothing.
#[inline(always)]
pub(crate) fn partial_word(bytes: &[u8]) -> u64 {
    // Two chunks that overlap hold the same bytes where they do.
    let shift = |chunk: usize| bytes.len().wrapping_sub(chunk).wrapping_mul(8) as u32 & 63;
    if let (Some((&first, _)), Some((_, &last))) = (bytes.split_first_chunk(), bytes.split_last_chunk()) {
        u64::from(u32::from_le_bytes(first)) | u64::from(u32::from_le_bytes(last)) << shift(4)
    } else if let (Some((&first, _)), Some((_, &last))) =
        (bytes.split_first_chunk(), bytes.split_last_chunk())
    {
        u64::from(u16::from_le_bytes(first)) | u64::from(u16::from_le_bytes(last)) << shift(2)
    } else {
        bytes.first().map_or(0, |&byte| byte.into())
    }
}

#[cfg(test)]
mod tests {
    use super::partial_word;

    #[test]
    fn every_length_has_its_bytes_and_zeros() {
        let bytes = [1, 2, 3, 4, 5, 6, 7];
        for len in 0..=bytes.len() {
            let mut whole = [0; 8];
            whole[..len].copy_from_slice(&bytes[..len]);
            assert_eq!(partial_word(&bytes[..len]), u64::from_le_bytes(whole), "{len}");
        }
    }
}
