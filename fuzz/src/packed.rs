//! A packed kernel, damaged or not.

use netconsole_bzimage::compression::{compress, decompress};
use netconsole_bzimage::model::Model;
use netconsole_bzimage::relocations;
use netconsole_bzimage::stream::{self, Header, STORED};
use std::sync::{Mutex, PoisonError};

/// What a stream is unpacked to, in bytes, and how many of them are code.
const ROOM: usize = 4096;
const CODE: usize = ROOM / 2;

/// What is taken is what the compressor makes of it, to the last bit; what it makes of any bytes comes out again; and what
/// was unpacked is moved and filtered without harm, whatever it is.
pub fn check(bytes: &[u8]) {
    static MODEL: Mutex<Model> = Mutex::new(Model::ZEROS);
    let model = &mut *MODEL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut output = [0; ROOM];
    if let Some(rest) = decompress(bytes, &mut output, CODE, model) {
        let mut again = vec![0; 2 * ROOM];
        let size = compress(&mut output.clone(), CODE, model, &mut again).expect("there is room");
        assert_eq!(&bytes[..bytes.len() - rest.len()], &again[..size]);
    }
    let mut packed = vec![0; 2 * bytes.len() + 100];
    let size = compress(&mut bytes.to_vec(), bytes.len() / 2, model, &mut packed).expect("there is room");
    let mut unpacked = vec![0; bytes.len()];
    let rest = decompress(&packed[..size], &mut unpacked, bytes.len() / 2, model);
    assert!(rest.is_some_and(<[u8]>::is_empty) && unpacked == bytes);

    for room in [ROOM, bytes.len() % ROOM] {
        unpack(bytes, &mut output[..room], model);
    }
}

/// As a payload with right checksums, with its kernel packed and stored: the same bytes.
fn unpack(bytes: &[u8], image: &mut [u8], model: &mut Model) {
    let size = image.len() as u32;
    let header = Header {
        text_size: size / 2,
        reach: 2 * ROOM as u32,
        image_size: size,
        stored_at: 0,
        stored_size: bytes.len() as u32,
        stored_sum: stream::checksum(bytes),
    };
    let checked = [&header.bytes(), bytes].concat();
    let payload = [&STORED, &checked[..], &stream::checksum(&checked).to_le_bytes()].concat();
    let places = stream::unpack(&payload, image, model);
    places.and_then(|places| relocations::apply(places, image, 0x1000));
    let places = stream::take(&payload, bytes, image);
    assert_eq!(places.is_some(), bytes.len() >= image.len());
    places.and_then(|places| relocations::apply(places, image, 0x1000));
}
