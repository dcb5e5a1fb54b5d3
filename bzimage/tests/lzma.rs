//! The decompressor beside `lzma-rust2`, fed by its compressor, with whole streams and with damaged ones.

use lzma_rust2::{EncodeMode, LzmaOptions, LzmaReader, LzmaWriter, MfType};
use netconsole_bzimage::{lzma, stream};
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::{Read, Write};

/// How far back a match may lie, at the most.
const DICTIONARY: u32 = 1 << 20;

/// Text with repetitions near and far, of few values and of many; in 4-byte steps too.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        vec(any::<u8>(), 0..600),
        vec(0u8..4, 0..3000),
        vec((0u8..20).prop_map(|number| [0x48, 0x8b, number, 0]), 0..500).prop_map(|words| words.concat()),
        (any::<u8>(), 0usize..40_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    vec(part, 1..6).prop_map(|parts| [parts.concat(), parts.concat()].concat())
}

fn mode() -> impl Strategy<Value = (EncodeMode, MfType, u32)> {
    prop_oneof![
        Just((EncodeMode::Normal, MfType::Bt4, 273)),
        Just((EncodeMode::Normal, MfType::Hc4, 8)),
        Just((EncodeMode::Fast, MfType::Hc4, 32)),
    ]
}

fn pack(text: &[u8], (mode, finder, nice): (EncodeMode, MfType, u32)) -> Vec<u8> {
    let contexts = lzma::LITERAL_CONTEXT_BITS;
    let options = LzmaOptions::new(DICTIONARY, contexts, 0, 0, mode, nice, finder, 0);
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false).expect("good options");
    writer.write_all(text).expect("a vector takes all");
    writer.finish().expect("a vector takes all")
}

const SMALLEST: (EncodeMode, MfType, u32) = (EncodeMode::Normal, MfType::Bt4, 273);

/// What comes out, of that length, and what is left of the input.
fn unpack(packed: &[u8], length: usize) -> Option<(Vec<u8>, &[u8])> {
    let mut output = vec![0; length];
    let rest = lzma::decompress(packed, &mut output)?;
    Some((output, rest))
}

/// The same by `lzma-rust2`, which says nothing of the rest.
fn reference(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let contexts = lzma::LITERAL_CONTEXT_BITS;
    let mut reader = LzmaReader::new(packed, length as u64, contexts, 0, 0, DICTIONARY, None).ok()?;
    let mut output = Vec::new();
    reader.read_to_end(&mut output).ok()?;
    (output.len() == length).then_some(output)
}

proptest! {
    #[test]
    fn what_is_compressed_comes_out_again(text in text(), mode in mode(), behind in vec(any::<u8>(), 0..9)) {
        let packed = pack(&text, mode);
        prop_assert_eq!(reference(&packed, text.len()), Some(text.clone()));
        let with_rest = [packed, behind.clone()].concat();
        prop_assert_eq!(unpack(&with_rest, text.len()), Some((text, &behind[..])));
    }

    /// Bits flipped, bytes lost at the end: what is taken is what `lzma-rust2` makes of it.
    #[test]
    fn what_is_damaged(text in text(), flips in vec(any::<prop::sample::Index>(), 1..4), lost in 0usize..4) {
        let mut packed = pack(&text, SMALLEST);
        for flip in flips {
            // All of the first byte is lost on its way through the register.
            let bit = 8 + flip.index(packed.len() * 8 - 8);
            packed[bit / 8] ^= 1 << (bit % 8);
        }
        packed.truncate(packed.len().saturating_sub(lost));
        if let Some((unpacked, _)) = unpack(&packed, text.len()) {
            prop_assert_eq!(Some(unpacked), reference(&packed, text.len()));
        }
    }

    #[test]
    fn any_bytes(mut bytes in vec(any::<u8>(), 1..400), length in 0usize..5000) {
        bytes[0] = 0;
        if let Some((unpacked, _)) = unpack(&bytes, length) {
            prop_assert_eq!(Some(unpacked), reference(&bytes, length));
        }
    }

    #[test]
    fn what_is_cut_off_is_refused(text in vec(0u8..20, 1..300), at: prop::sample::Index) {
        let packed = pack(&text, SMALLEST);
        prop_assert_eq!(unpack(&packed[..at.index(packed.len())], text.len()), None);
    }
}

proptest! {
    // It takes its time.
    #![proptest_config(ProptestConfig::with_cases(30))]
    /// The checksum finds any bit, and any that lie within 32 of each other.
    #[test]
    fn what_is_damaged_is_found(text in text(), place: prop::sample::Index, flips in 1u32..) {
        let mut packed = pack(&text, SMALLEST);
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

/// More is not in it, and less ends before the stream does: the compressor's last bytes are not at their place.
#[test]
fn output_of_another_length_is_refused() {
    let mut packed = pack(b"netconsole, netconsole", SMALLEST);
    packed.extend(stream::checksum(&packed));
    for (room, good) in [(20, false), (21, false), (22, true), (23, false), (400, false)] {
        assert_eq!(stream::decompress(&packed, &mut vec![0; room]).is_some(), good, "{room}");
    }
}

/// A match where nothing is before it, a repetition likewise, a distance that says the end.
#[test]
fn a_match_before_the_begin_is_refused() {
    for byte in [0x80, 0xc0, 0xe0, 0xf8, 0xff] {
        assert_eq!(
            unpack(&[0, byte, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 100),
            None,
            "{byte:#x}"
        );
    }
}
