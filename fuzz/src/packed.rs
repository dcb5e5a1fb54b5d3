//! A packed kernel, damaged or not.

use netconsole_bzimage::compression::{compress, decompress};
use netconsole_bzimage::model::Model;
use netconsole_bzimage::stream;
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

    let packed = [bytes, &stream::checksum(bytes)].concat();
    for room in [ROOM, bytes.len() % ROOM] {
        let image = &mut output[..room];
        stream::unpack(&packed, image, model, room / 2, 2 * ROOM as u32, 0x1000);
    }
}
