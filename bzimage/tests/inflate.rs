//! The decompressor beside `miniz_oxide`, fed by it and by `zopfli`, with whole streams and with damaged ones.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use netconsole_bzimage::inflate::inflate;
use netconsole_bzimage::stream;
use proptest::collection::vec;
use proptest::prelude::*;

/// Text with repetitions near and far, of few values and of many.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        vec(any::<u8>(), 0..600),
        vec(0u8..4, 0..3000),
        (any::<u8>(), 0usize..40_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    vec(part, 1..6).prop_map(|parts| [parts.concat(), parts.concat()].concat())
}

/// What comes out with so much room, and what is left of the input.
fn unpack(packed: &[u8], room: usize) -> Option<(Vec<u8>, &[u8])> {
    let mut output = vec![0; room];
    let (rest, length) = inflate(packed, &mut output)?;
    output.truncate(length);
    Some((output, rest))
}

proptest! {
    #[test]
    fn what_miniz_oxide_compresses(text in text(), level in 0u8..=10, behind in vec(any::<u8>(), 0..9)) {
        let packed = [compress_to_vec(&text, level), behind.clone()].concat();
        prop_assert_eq!(unpack(&packed, text.len()), Some((text.clone(), &behind[..])));
        if let Some(room) = text.len().checked_sub(1) {
            prop_assert_eq!(unpack(&packed, room), None);
        }
    }

    /// Bits flipped, bytes lost at the end: where miniz_oxide finds the stream good, what comes out is the same.
    #[test]
    fn what_is_damaged(text in text(), level in 0u8..=10, flips in vec(any::<prop::sample::Index>(), 1..4), lost in 0usize..4) {
        let mut packed = compress_to_vec(&text, level);
        for flip in flips {
            let bit = flip.index(packed.len() * 8);
            packed[bit / 8] ^= 1 << (bit % 8);
        }
        packed.truncate(packed.len().saturating_sub(lost));
        const ROOM: usize = 1 << 20;
        if let Ok(expected) = decompress_to_vec_with_limit(&packed, ROOM) {
            let unpacked = unpack(&packed, ROOM);
            prop_assert_eq!(unpacked.map(|(unpacked, _)| unpacked), Some(expected));
        } else {
            // Whether it is refused or not, it does not panic.
            unpack(&packed, ROOM);
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(expected) = decompress_to_vec_with_limit(&bytes, 1 << 20) {
            prop_assert_eq!(unpack(&bytes, 1 << 20).map(|(unpacked, _)| unpacked), Some(expected));
        } else {
            unpack(&bytes, 1 << 20);
        }
    }

    /// The checksum finds any bit, and any that lie within 32 of each other.
    #[test]
    fn what_is_damaged_is_found(text in text(), place: prop::sample::Index, flips in 1u32..) {
        let mut packed = compress_to_vec(&text, 6);
        packed.extend(stream::checksum(&packed));
        let mut output = vec![0; text.len()];
        prop_assert!(stream::decompress(&packed, &mut output).is_some_and(<[u8]>::is_empty));
        prop_assert_eq!(&output, &text);
        let place = place.index(packed.len().saturating_sub(4).max(1));
        for (byte, flips) in packed[place..].iter_mut().zip(flips.to_le_bytes()) {
            *byte ^= flips;
        }
        prop_assert!(stream::decompress(&packed, &mut output).is_none());
    }
}

proptest! {
    // It takes its time.
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn what_zopfli_compresses(text in vec(prop_oneof![0u8..4, any::<u8>()], 0..6000)) {
        let text = text.repeat(2);
        let mut packed = Vec::new();
        zopfli::compress(zopfli::Options::default(), zopfli::Format::Deflate, &*text, &mut packed)?;
        prop_assert_eq!(unpack(&packed, text.len()), Some((text, &[][..])));
    }
}

#[test]
fn output_that_is_too_long_or_too_short_is_refused() {
    let mut packed = compress_to_vec(b"netconsole", 6);
    packed.extend(stream::checksum(&packed));
    for (room, good) in [(9, false), (10, true), (11, false)] {
        assert_eq!(stream::decompress(&packed, &mut vec![0; room]).is_some(), good, "{room}");
    }
}

/// Lengths that name more codes than there are, a repetition of nothing, a distance before the begin, a block of the
/// reserved type: none of them is taken for something else.
#[test]
fn what_the_format_forbids_is_refused() {
    for (what, bytes) in [
        ("reserved type", &[0b111][..]),
        ("stored, lengths that differ", &[0b001, 1, 0, 0, 0, 0x55]),
        ("stored, cut", &[0b001, 2, 0, 0xfd, 0xff, 0x55]),
        // Fixed: length 3 (symbol 257, 0000001), distance 1 (00000), with nothing before.
        ("distance before the begin", &[0b0000_0011, 0b0000_0010, 0, 0]),
        // Dynamic: all 19 lengths are 1.
        ("too many codes", &[0b1110_0101, 0b0010_1111, 0x49, 0x92, 0x24, 0x49, 0x92, 0x24, 0x49, 0x92]),
    ] {
        assert_eq!(unpack(bytes, 100), None, "{what}");
    }
}
