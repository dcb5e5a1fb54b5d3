//! XChaCha20-Poly1305 under a key and a nonce.

use super::{Key, NONCE_LEN, TAG_LEN, aead};
use chacha20::XChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

fn cipher(key: &Key, nonce: &[u8; NONCE_LEN]) -> XChaCha20 {
    XChaCha20::new(&key.0.into(), &(*nonce).into())
}

/// The first bytes of the key stream.
pub(super) fn stream(key: &Key, nonce: &[u8; NONCE_LEN]) -> Option<[u8; 8]> {
    let mut stream = [0; 8];
    cipher(key, nonce).try_apply_keystream(&mut stream).ok()?;
    Some(stream)
}

/// Encrypts `message` in place, and returns the tag over it and `associated`.
pub(super) fn encrypt(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    message: &mut [u8],
) -> Option<[u8; TAG_LEN]> {
    aead::encrypt(cipher(key, nonce), associated, message)
}

/// Decrypts `message` in place where the tag is right; where it is not, leaves it alone and returns `None`.
pub(super) fn decrypt(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    message: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Option<()> {
    aead::decrypt(cipher(key, nonce), associated, message, tag)
}
