//! ChaCha20-Poly1305 (RFC 8439, section 2.8) put together from its two halves. The crates' own combination
//! can panic as far as the compiler sees, and the panic path must not even contain a panic.

use super::TAG_LEN;
use chacha20::cipher::StreamCipher;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use poly1305::{Block, Poly1305};

/// A block of ChaCha20's key stream.
const BLOCK_LEN: usize = 64;

/// Encrypts `message` in place with `cipher` at its start, and returns the tag over it and `associated`.
/// `None` for a message of 256 GiB or more.
pub fn encrypt<C: StreamCipher>(
    mut cipher: C,
    associated: &[u8],
    message: &mut [u8],
) -> Option<[u8; TAG_LEN]> {
    let mac = authenticator(&mut cipher)?;
    cipher.try_apply_keystream(message).ok()?;
    tag(mac, associated, message)
}

/// Decrypts `message` in place where the tag is right; where it is not, leaves it alone and returns `None`.
pub fn decrypt<C: StreamCipher>(
    mut cipher: C,
    associated: &[u8],
    message: &mut [u8],
    expected: &[u8; TAG_LEN],
) -> Option<()> {
    let mac = authenticator(&mut cipher)?;
    let tag = tag(mac, associated, message)?;
    // Every byte is looked at, so that the time it takes says nothing.
    let difference = tag.iter().zip(expected).fold(0, |difference, (a, b)| difference | (a ^ b));
    if difference != 0 {
        return None;
    }
    cipher.try_apply_keystream(message).ok()
}

/// Poly1305 with a key of its own for each nonce: the first half of the key stream's first block. The
/// message gets the blocks from the second on.
fn authenticator(cipher: &mut impl StreamCipher) -> Option<Poly1305> {
    let mut block = [0; BLOCK_LEN];
    cipher.try_apply_keystream(&mut block).ok()?;
    let key: &[u8; 32] = block.first_chunk()?;
    Some(Poly1305::new(&(*key).into()))
}

fn tag(mut mac: Poly1305, associated: &[u8], message: &[u8]) -> Option<[u8; TAG_LEN]> {
    update_padded(&mut mac, associated);
    update_padded(&mut mac, message);
    let lengths = [u64::try_from(associated.len()).ok()?, u64::try_from(message.len()).ok()?];
    update_padded(&mut mac, lengths.map(u64::to_le_bytes).as_flattened());
    Some(mac.finalize().into())
}

/// Whole blocks, the last one filled with zeros.
fn update_padded(mac: &mut Poly1305, bytes: &[u8]) {
    for chunk in bytes.chunks(TAG_LEN) {
        let mut block = [0; TAG_LEN];
        for (to, from) in block.iter_mut().zip(chunk) {
            *to = *from;
        }
        mac.update(&[Block::from(block)]);
    }
}
