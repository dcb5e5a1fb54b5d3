//! In place of the cipher where the crate was built without `seal`: nothing can be sealed, and nothing opened, so that with a
//! key nothing goes out and nothing is taken in.

use super::{Key, NONCE_LEN, TAG_LEN};

/// None.
pub(super) fn stream(_key: &Key, _nonce: &[u8; NONCE_LEN]) -> Option<[u8; 8]> {
    None
}

/// None.
pub(super) fn encrypt(
    _key: &Key,
    _nonce: &[u8; NONCE_LEN],
    _associated: &[u8],
    _message: &mut [u8],
) -> Option<[u8; TAG_LEN]> {
    None
}

/// None.
pub(super) fn decrypt(
    _key: &Key,
    _nonce: &[u8; NONCE_LEN],
    _associated: &[u8],
    _message: &mut [u8],
    _tag: &[u8; TAG_LEN],
) -> Option<()> {
    None
}
