//! Copies of the loader's strings, which may lie where the kernel will write later.

use crate::PhysicalMemory;
use netconsole::text::Text;

/// A string's end, the terminating zero, could not be reached: the memory ended before it. What could
/// be read is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unterminated;

/// Copies the string at `address`, up to its zero; what does not fit is left away.
pub(super) fn copy<const N: usize>(
    text: &mut Text<N>,
    memory: &dyn PhysicalMemory,
    address: u64,
) -> Result<(), Unterminated> {
    text.clear();
    // One by one: how long the string is shows only at its end, and behind that may be nothing.
    for offset in 0.. {
        let byte = address.checked_add(offset).and_then(|address| memory.read(address, 1));
        match byte.and_then(<[u8]>::first) {
            None => return Err(Unterminated),
            Some(0) => break,
            Some(_) if text.room() == 0 => break,
            Some(&byte) => text.push(byte),
        }
    }
    Ok(())
}

/// Replaces the text by a part of `bytes`: up to the first zero, and as much as fits.
pub(super) fn set<const N: usize>(text: &mut Text<N>, bytes: &[u8]) {
    text.clear();
    text.extend(bytes.split(|&byte| byte == 0).next().unwrap_or_default());
}

/// Takes out each backslash before a quotation mark, an apostrophe or a backslash.
pub(super) fn unescape<const N: usize>(text: &mut Text<N>) {
    let escaped = *text;
    text.clear();
    let mut bytes = escaped.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let meant = match (byte, bytes.peek()) {
            (b'\\', Some(b'"' | b'\'' | b'\\')) => bytes.next().unwrap_or(byte),
            _ => byte,
        };
        text.push(meant);
    }
}
