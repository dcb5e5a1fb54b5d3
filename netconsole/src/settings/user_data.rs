//! `netconsole.userdata=KEY=VALUE`: items for the messages of the targets that the `netconsole=` before it names.

use crate::text::Text;
use core::ops::Range;

/// The items of a command line, by the targets' places in it.
///
/// Invariant: each is its targets' first place and the place behind the last one, its length, all a byte each, and
/// `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserDataItems {
    items: Text<{ Self::CAPACITY }>,
    /// The targets of the `netconsole=` that was read last.
    targets: Range<u8>,
}

/// How many bytes come before each item.
const HEAD: usize = 3;

impl UserDataItems {
    /// Room for all items of a command line, in bytes; none without the feature `user-data`.
    const CAPACITY: usize = if cfg!(feature = "user-data") { 1024 } else { 0 };
    /// The longest item, in bytes.
    const MAX_ITEM: usize = 255;
    pub(super) const NONE: Self = Self { items: Text::new(), targets: 0..0 };

    /// What follows is for these targets.
    pub fn are_for(&mut self, targets: Range<usize>) {
        let place = |place| u8::try_from(place).unwrap_or(u8::MAX);
        self.targets = place(targets.start)..place(targets.end);
    }

    /// Takes `KEY=VALUE`, in which `\x20` is the byte of that number; false where it is none, or too much.
    pub fn add(&mut self, text: &str) -> bool {
        let mut item = Text::<{ Self::MAX_ITEM }>::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            let escaped = escaped(rest);
            item.push(escaped.unwrap_or(byte));
            rest = escaped.and_then(|_| rest.get(4..)).unwrap_or(behind);
        }
        let is_item = item.as_bytes().contains(&b'=')
            && !item.is_cut()
            && item.as_str().len() == item.len()
            && self.items.room() >= item.len().saturating_add(HEAD);
        if is_item {
            let len = u8::try_from(item.len()).unwrap_or(u8::MAX);
            self.items.extend(&[self.targets.start, self.targets.end, len]);
            self.items.extend(item.as_bytes());
        }
        is_item
    }

    /// Keys and values of the target of a place, in order.
    pub fn of(&self, place: usize) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.items.as_bytes();
        core::iter::from_fn(move || {
            let (&[first, end, len], behind) = rest.split_first_chunk()?;
            let (item, behind) = behind.split_at_checked(len.into())?;
            rest = behind;
            Some((usize::from(first)..usize::from(end), item))
        })
        .filter(move |(targets, _)| targets.contains(&place))
        .filter_map(|(_, item)| core::str::from_utf8(item).ok()?.split_once('='))
    }
}

/// The byte that a text begins with as `\x20`.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'\\', b'x', high, low, ..] = *text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
