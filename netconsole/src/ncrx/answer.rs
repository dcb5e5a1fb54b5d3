//! What a receiver's datagram says: `ncrx<ack>` and, each after a space, the numbers that it misses.

/// The longest answer in bytes.
const MAX_LEN: usize = 1000;

/// An answer that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer<'p> {
    /// The last record up to which all was received; 2^64 - 1: none.
    pub(super) acknowledged: u64,
    missing: &'p [u8],
}

impl<'p> Answer<'p> {
    /// Reads a datagram; `None` where it is no answer, or a longer one than receivers send. A line end or
    /// zero bytes after it do no harm.
    pub(super) fn parse(payload: &'p [u8]) -> Option<Self> {
        let mut text =
            payload.get(..payload.len().min(MAX_LEN)).filter(|text| text.len() == payload.len())?;
        while let Some((b'\n' | b'\r' | b' ' | 0, rest)) = text.split_last() {
            text = rest;
        }
        let text = text.strip_prefix(b"ncrx")?;
        let (acknowledged, missing) = split(text);
        Some(Self { acknowledged: decimal(acknowledged)?, missing })
    }

    /// Whether the receiver has nothing and misses nothing: it has not heard anything yet.
    pub(super) fn is_greeting(&self) -> bool {
        self.acknowledged == u64::MAX && self.missing().next().is_none()
    }

    /// The numbers that the receiver misses, up to the first word that is none.
    pub(super) fn missing(&self) -> impl Iterator<Item = u64> + use<'p> {
        let mut rest = self.missing;
        core::iter::from_fn(move || {
            let (word, behind) = split(rest);
            rest = behind;
            decimal(word)
        })
    }
}

/// The first word, and what follows its space.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (word, rest.get(1..).unwrap_or_default())
}

/// A number of decimal digits alone.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}
