//! A kernel's payload, packed and stored: both come out whole, and neither does damaged. And the file of it.

use netconsole_bzimage::branches::make_absolute;
use netconsole_bzimage::compression::compress;
use netconsole_bzimage::model::Model;
use netconsole_bzimage::relocations;
use netconsole_bzimage::stored::Packed;
use netconsole_bzimage::stream::{self, Header, PACKED, STORED};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The same for all tests, whatever the others have left in it.
fn model() -> MutexGuard<'static, Model> {
    static MODEL: Mutex<Model> = Mutex::new(Model::ZEROS);
    MODEL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the tests have it stored.
const STORED_AT: usize = 40_000;

/// The payload with this kernel, half of which is code, and the same stored.
fn pack(image: &[u8], places: &[u64]) -> (Vec<u8>, Vec<u8>) {
    let text_size = image.len() / 2;
    let mut filtered = image.to_vec();
    make_absolute(&mut filtered[..text_size], image.len() as u32);
    let mut packed = vec![0; 2 * image.len() + 100];
    let size = compress(&mut filtered, text_size, &mut model(), &mut packed).expect("there is room");
    let mut kept = Vec::new();
    relocations::encode(places, &mut kept);
    let stored = [image, &kept].concat();
    let header = Header {
        text_size: text_size as u32,
        reach: image.len() as u32,
        image_size: image.len() as u32,
        stored_at: STORED_AT as u32,
        stored_size: stored.len() as u32,
        stored_sum: stream::checksum(&stored),
    };
    let checked = [&header.bytes(), &packed[..size], &kept].concat();
    (payload(PACKED, &checked), stored)
}

fn payload(kind: stream::Kind, checked: &[u8]) -> Vec<u8> {
    [&kind, checked, &stream::checksum(checked).to_le_bytes()].concat()
}

/// As who loads it makes it (Documentation/arch/x86/boot.rst): one sector of setup behind the first, 64 bytes of program,
/// the payload, and what fills up 16 bytes.
fn bzimage(payload: &[u8]) -> Vec<u8> {
    const SETUP: usize = 2 * 512;
    let mut file = vec![0; SETUP + 64];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x248..0x24c].copy_from_slice(&64_u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    file[SETUP..].fill(0x90);
    file.extend(payload);
    file.resize(file.len().next_multiple_of(16), 0);
    let units = ((file.len() - SETUP) / 16) as u32;
    file[0x1f4..0x1f8].copy_from_slice(&units.to_le_bytes());
    file
}

fn store(file: &[u8]) -> Option<Vec<u8>> {
    let packed = Packed::read(file)?;
    let mut stored = vec![0xa5; packed.stored_len()?];
    packed.store(&mut model(), &mut stored)?;
    Some(stored)
}

fn image() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        vec(any::<u8>(), 0..300),
        vec((0u8..20).prop_map(|number| [0xe8, number, 0, 0, 0]), 0..300).prop_map(|words| words.concat()),
        (any::<u8>(), 0usize..2000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    vec(part, 1..6).prop_map(|parts| [&[7; 100][..], &parts.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn packed_and_stored_the_same_comes_out(image in image(), signature in vec(any::<u8>(), 0..50)) {
        let (packed, stored) = pack(&image, &[8, 24]);
        let mut unpacked = vec![0xa5; image.len()];
        prop_assert_eq!(stream::unpack(&packed, &mut unpacked, &mut model()), Some(&[8, 16][..]));
        prop_assert_eq!(&unpacked, &image);
        prop_assert_eq!(stream::take(&packed, &stored, &mut unpacked), None, "it says that none is stored");

        // Made of the file, whose signature is not that of the new one.
        let file = bzimage(&packed);
        let new = store(&[&file[..], &signature].concat()).expect("it is a packed kernel");
        prop_assert_eq!(new.len(), 1024 + (STORED_AT + stored.len()).next_multiple_of(16));
        let units = u32::from_le_bytes(*new[0x1f4..].first_chunk().expect("4 bytes")) as usize;
        prop_assert_eq!(units * 16, new.len() - 1024);
        prop_assert_eq!(&new[1024 + STORED_AT..][..stored.len()], &stored);
        prop_assert!(new[file.len()..1024 + STORED_AT].iter().all(|&byte| byte == 0));
        let of_new = &new[1024 + 64..][..packed.len()];
        prop_assert_eq!((&of_new[..4], &of_new[4..]), (&STORED[..], &packed[4..]));
        unpacked.fill(0xa5);
        prop_assert_eq!(stream::take(of_new, &stored, &mut unpacked), Some(&[8, 16][..]));
        prop_assert_eq!(&unpacked, &image);
        prop_assert!(stream::unpack(of_new, &mut unpacked, &mut model()).is_some(), "it can be unpacked still");
        prop_assert_eq!(store(&new), None, "it is stored already");
    }

    /// The checksums find any bit, and any that lie within 32 of each other.
    #[test]
    fn what_is_damaged_is_found(image in image(), place: prop::sample::Index, flips in 1u32..) {
        let (packed, stored) = pack(&image, &[8]);
        let damage = |bytes: &[u8], from: usize| {
            let mut bytes = bytes.to_vec();
            let place = from + place.index(bytes.len() - from - 4);
            for (byte, flips) in bytes[place..].iter_mut().zip(flips.to_le_bytes()) {
                *byte ^= flips;
            }
            bytes
        };
        let mut unpacked = vec![0; image.len()];
        let of_kind = |kind| [kind, packed[4..].to_vec()].concat();
        prop_assert!(stream::take(&of_kind(STORED.to_vec()), &damage(&stored, 0), &mut unpacked).is_none());
        let damaged = damage(&packed, 4);
        prop_assert!(stream::unpack(&damaged, &mut unpacked, &mut model()).is_none());
        prop_assert!(Packed::read(&bzimage(&damaged)).is_none());
        prop_assert!(stream::unpack(&of_kind(b"else".to_vec()), &mut unpacked, &mut model()).is_some());
        prop_assert!(stream::take(&of_kind(b"else".to_vec()), &stored, &mut unpacked).is_none());
    }

    /// Nothing panics, whatever it is.
    #[test]
    fn any_file(bytes in vec(any::<u8>(), 0..200), header in vec(any::<u32>(), 6), cut in 0usize..1400) {
        let header: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
        let mut file = bzimage(&payload(PACKED, &[header, bytes.clone()].concat()));
        file.truncate(cut);
        if let Some(packed) = Packed::read(&file) {
            let mut into = vec![0; packed.stored_len().filter(|&len| len < 1 << 20).unwrap_or(2000)];
            prop_assert_eq!(packed.store(&mut model(), &mut into), None);
        }
        prop_assert!(Packed::read(&bytes).is_none());
    }
}

/// More is not in it, and less ends before the stream does: the compressor's last bytes are not at their place.
#[test]
fn an_image_of_another_length_is_refused() {
    let (packed, stored) = pack(b"netconsole, netconsole", &[]);
    let as_stored = [&STORED, &packed[4..]].concat();
    for (room, good) in [(1, false), (20, false), (21, false), (22, true), (23, false), (400, false)] {
        let mut image = vec![0; room];
        assert_eq!(stream::unpack(&packed, &mut image, &mut model()).is_some(), good, "{room}");
        assert_eq!(stream::take(&as_stored, &stored, &mut image).is_some(), room <= 22, "{room}");
    }
}

/// One that this library unpacks to something else, as another version's may be, is not stored.
#[test]
fn what_comes_out_otherwise_is_not_stored() {
    let (packed, _) = pack(&[7; 1000], &[8]);
    let (mut header, rest) = Header::split(&packed[4..]).expect("a header");
    let rest = &rest[..rest.len() - 4];
    let file = |header: &Header| bzimage(&payload(PACKED, &[&header.bytes(), rest].concat()));
    assert!(store(&file(&header)).is_some());
    header.stored_sum ^= 1;
    assert_eq!(store(&file(&header)), None);
    header.stored_sum ^= 1;
    header.stored_size += 1;
    assert_eq!(store(&file(&header)), None);
}

/// The check value that catalogues give for CRC-32/ISO-HDLC.
#[test]
fn the_checksum_is_crc_32() {
    assert_eq!(stream::checksum(b"123456789"), 0xcbf4_3926);
    assert_eq!(stream::checksum(b""), 0);
}
