//! Datagrams that only the holders of a key can read or make: XChaCha20-Poly1305 around a message, as
//! doc/secure.md specifies it.
//!
//! A datagram is sealed in place, in the card's buffer. Nothing here allocates, panics or keeps state, so
//! the panic path seals what normal running seals.
//!
//! It knows nothing of `wire`, `nic`, `stack`, `ncrx` and `targets`.

#[cfg(feature = "seal")]
mod aead;
#[cfg_attr(not(feature = "seal"), path = "no_cipher.rs")]
mod cipher;
mod key;
mod keys;
#[cfg(all(test, not(loom), feature = "seal"))]
mod tests;

pub use key::{Key, Secrecy};
pub use keys::KeyStore;

use crate::ring::KeyId;
use core::fmt;

/// What a sealed datagram begins with. No text in UTF-8 does, so none is taken for one.
pub const MAGIC: [u8; 3] = [0xf5, b'N', b'C'];
/// The length of a tag in bytes (RFC 8439, section 2.8).
const TAG_LEN: usize = 16;
/// The length of a nonce in bytes.
const NONCE_LEN: usize = 24;
/// Magic number, kind, boot id, number.
pub const HEADER_LEN: usize = 4 + BootId::LEN + 8;
/// How many bytes longer a sealed datagram is than its message.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;
/// The longest message that [`Sealer::open`] takes, in bytes.
pub const MAX_INPUT: usize = crate::format::MAX_DATAGRAM;

/// The ncrx answer of a receiver that has heard nothing yet. The machine announces its newest record to it,
/// which tells the boot id.
const GREETING: &[u8] = b"ncrx18446744073709551615";

/// What a datagram carries. It is authenticated, so that none can be passed off as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A message of the log, from the machine that boots.
    Log = 1,
    /// A command or a request, to that machine.
    Input = 2,
}

/// What tells one boot's datagrams from any other's: it must never come again with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub [u8; Self::LEN]);

impl BootId {
    const LEN: usize = 16;
    /// What a greeting is sealed for: whoever makes it has not heard of the boot yet.
    const ANY: Self = Self([0; Self::LEN]);
}

/// A random number of the first of these sources that gives one, each being asked so many times: hardware may have none at
/// the moment, or never. `None` where no source gives one, which is no number. Panic-safe where `ask` is.
pub fn draw<S: Copy>(
    sources: impl IntoIterator<Item = S>,
    tries: usize,
    mut ask: impl FnMut(S) -> Option<u64>,
) -> Option<u64> {
    sources.into_iter().find_map(|source| (0..tries).find_map(|_| ask(source)))
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A datagram's number, which never comes again in a boot: normal running counts in one range, and each
/// start of the panic path has a range of its own, whatever became of the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(u64);

impl Number {
    const RANGE_BITS: u32 = 56;

    /// The number `count` of normal running; `None` beyond its range.
    fn counted(count: u64) -> Option<Self> {
        (count < 1 << Self::RANGE_BITS).then_some(Self(count))
    }

    /// The number of a datagram that the panic path's start `start`, from 1 on, makes at `ticks` of the time
    /// stamp counter, which has gone on since the last one. Panic-safe.
    pub fn of_panic(start: u8, ticks: u64) -> Self {
        Self(u64::from(start.max(1)) << Self::RANGE_BITS | ticks & ((1 << Self::RANGE_BITS) - 1))
    }
}

/// How a target's datagrams are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// No key was given: they go out as they are.
    Clear,
    /// They are sealed.
    Sealed(Sealer),
    /// The key could not be read, or memory is damaged and whether there was one is not known any more: nothing
    /// may go out.
    Lost,
    /// Nobody has said yet whether there is a key: nothing may go out.
    Undecided,
}

impl Protection {
    /// Why nothing may go out, where that is so.
    pub const fn silence(&self) -> Option<&'static str> {
        match self {
            Self::Clear | Self::Sealed(_) => None,
            Self::Lost => Some("netconsole.key can't be read"),
            Self::Undecided => Some("it is not decided whether there is a netconsole.key"),
        }
    }

    /// The part of a datagram's `payload` that its message is to be written to. Panic-safe.
    pub fn message<'p>(&self, payload: &'p mut [u8]) -> &'p mut [u8] {
        match self {
            Self::Clear => payload,
            Self::Sealed(_) => payload
                .split_at_mut_checked(HEADER_LEN)
                .and_then(|(_, rest)| rest.len().checked_sub(TAG_LEN).and_then(|len| rest.get_mut(..len)))
                .unwrap_or_default(),
            Self::Lost | Self::Undecided => &mut [],
        }
    }

    /// The message in a datagram of input: the payload itself where there is no key, else what was sealed for
    /// this boot, opened in `buffer`. `None` where it is refused. Panic-safe.
    pub fn input<'p>(
        &self,
        payload: &'p [u8],
        inputs: &mut Inputs,
        buffer: &'p mut [u8; MAX_INPUT],
    ) -> Option<&'p [u8]> {
        match self {
            Self::Clear => Some(payload),
            Self::Sealed(sealer) => {
                let len = sealer.open(payload, inputs, buffer).ok()?;
                buffer.get(..len)
            }
            Self::Lost | Self::Undecided => None,
        }
    }

    /// Protects the `len` bytes that were written to [`message`](Self::message), under a `number` where one
    /// is needed; returns the length of the whole payload. `None` where nothing may go out. Panic-safe.
    pub fn protect(
        &self,
        number: impl FnOnce() -> Option<Number>,
        payload: &mut [u8],
        len: usize,
    ) -> Option<usize> {
        match self {
            Self::Clear => Some(len),
            Self::Sealed(sealer) => sealer.seal(number()?, payload, len),
            Self::Lost | Self::Undecided => None,
        }
    }
}

/// A protection, and where the numbers of what is sealed come from.
#[derive(Clone, Copy)]
pub struct Sealing<'s> {
    /// How datagrams are protected.
    pub protection: &'s Protection,
    /// The numbers.
    pub numbers: Numbers<'s>,
}

/// Where the numbers of sealed datagrams come from.
#[derive(Clone, Copy)]
pub enum Numbers<'s> {
    /// Normal running counts.
    Counted(&'s KeyStore),
    /// The panic path takes them from the time stamp counter.
    Panic {
        /// Which of its starts, from 1 on, this is.
        start: u8,
        /// The time stamp counter.
        ticks: fn() -> u64,
    },
}

impl Numbers<'_> {
    /// The next number; `None` where there is none any more. Panic-safe.
    fn next(&self) -> Option<Number> {
        match self {
            Self::Counted(keys) => keys.next_number(),
            Self::Panic { start, ticks } => Some(Number::of_panic(*start, ticks())),
        }
    }
}

impl Sealing<'_> {
    /// Whether what goes out is another payload than the message. Panic-safe.
    pub fn seals(&self) -> bool {
        !matches!(self.protection, Protection::Clear)
    }

    /// Writes a message with `write`, which returns its length, and protects it; returns the length of the
    /// payload. `None` where nothing may go out. Panic-safe where `write` is.
    #[inline]
    pub fn fill(&self, payload: &mut [u8], write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        let len = write(self.protection.message(payload))?;
        self.protection.protect(|| self.numbers.next(), payload, len)
    }
}

/// The senders of input, and the highest number that was taken of each.
pub struct Inputs {
    senders: [(BootId, u64); Self::MAX],
    /// None up to this one is taken of a sender that is not among these.
    floor: u64,
}

impl Default for Inputs {
    fn default() -> Self {
        Self::new()
    }
}

impl Inputs {
    /// How many senders are told apart.
    pub const MAX: usize = 16;

    /// Nothing was taken yet.
    pub const fn new() -> Self {
        Self { senders: [(BootId([0; BootId::LEN]), 0); Self::MAX], floor: 0 }
    }

    /// Whether the number is higher than any that was taken of its sender; from then on it was. The sender
    /// not heard for longest, by its number, makes room for a new one. Panic-safe.
    fn take(&mut self, sender: BootId, number: u64) -> bool {
        let known = self.senders.iter().position(|(known, latest)| *known == sender && *latest != 0);
        let oldest = (0..).zip(&self.senders).min_by_key(|(_, (_, latest))| *latest).map(|(place, _)| place);
        let Some(place) = known.or(oldest) else { return false };
        let Some((slot, latest)) = self.senders.get_mut(place) else { return false };
        let least = if known.is_some() { *latest } else { self.floor.max(*latest) };
        if number <= least {
            return false;
        }
        if known.is_none() {
            self.floor = least;
        }
        (*slot, *latest) = (sender, number);
        true
    }
}

/// The key and the boot that it is used in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealer {
    key: Key,
    boot_id: BootId,
}

impl Sealer {
    /// `boot_id` must never have been used with this key before.
    pub fn new(key: Key, boot_id: BootId) -> Self {
        Self { key, boot_id }
    }

    /// The boot that it is used in.
    pub fn boot_id(&self) -> BootId {
        self.boot_id
    }

    /// What tells this key from others in the log ring, whose memory outlives the boot: the first bytes of a key stream
    /// under a nonce that no datagram has. It reveals no more of the key than any sealed datagram
    /// does: whoever guesses a key can test the guess.
    fn key_id(&self) -> Option<KeyId> {
        const NONCE: [u8; NONCE_LEN] = *b"netconsole: id of a key.";
        Some(KeyId::new(u64::from_le_bytes(cipher::stream(&self.key, &NONCE)?)))
    }

    /// Seals the message of `len` bytes at `payload[HEADER_LEN..]` in place, and returns the datagram's
    /// length, [`OVERHEAD`] more. `None` where `payload` is too short. Panic-safe.
    fn seal(&self, number: Number, payload: &mut [u8], len: usize) -> Option<usize> {
        let header = header(Kind::Log, self.boot_id, number.0);
        let (to_header, rest) = payload.split_first_chunk_mut::<HEADER_LEN>()?;
        let (message, rest) = rest.split_at_mut_checked(len)?;
        let to_tag = rest.first_chunk_mut::<TAG_LEN>()?;
        *to_tag = cipher::encrypt(&self.key, &nonce(&header), &header, message)?;
        *to_header = header;
        len.checked_add(OVERHEAD)
    }

    /// Opens a datagram of input into `message` and returns its length. It must have been made for this
    /// very boot, or be a greeting, and its number must be higher than the last one that `inputs` has of its
    /// sender. Panic-safe.
    pub fn open(
        &self,
        datagram: &[u8],
        inputs: &mut Inputs,
        message: &mut [u8; MAX_INPUT],
    ) -> Result<usize, OpenError> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(OpenError::NotSealed)?;
        let (text, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(OpenError::NotSealed)?;
        let [a, b, c, kind, ..] = *header;
        if [a, b, c] != MAGIC || kind != Kind::Input as u8 {
            return Err(OpenError::NotSealed);
        }
        let message = message.get_mut(..text.len()).ok_or(OpenError::TooLong)?;
        for (to, from) in message.iter_mut().zip(text) {
            *to = *from;
        }
        let mut open_for = |boot_id: BootId| {
            let mut associated = [0; HEADER_LEN + BootId::LEN];
            for (to, from) in associated.iter_mut().zip(header.iter().chain(&boot_id.0)) {
                *to = *from;
            }
            cipher::decrypt(&self.key, &nonce(header), &associated, message, tag)
        };
        if open_for(self.boot_id).is_none() {
            // What is not for this boot may have been recorded: of that nothing but a greeting is taken.
            let is_greeting =
                text.len() == GREETING.len() && open_for(BootId::ANY).is_some() && message == GREETING;
            is_greeting.then_some(()).ok_or(OpenError::Forged)?;
        }
        let number = header.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let sender = header.get(4..).and_then(<[u8]>::first_chunk).ok_or(OpenError::NotSealed)?;
        if inputs.take(BootId(*sender), number) { Ok(text.len()) } else { Err(OpenError::Replayed) }
    }
}

/// Why input is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It is not sealed, or not as input.
    NotSealed,
    /// Its message is longer than [`MAX_INPUT`].
    TooLong,
    /// It was made with another key, for another boot, or changed on the way.
    Forged,
    /// It, or a later one, was taken before.
    Replayed,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSealed => "it is not sealed",
            Self::TooLong => "it is too long",
            Self::Forged => "it is not from a holder of the key, or for another boot",
            Self::Replayed => "it is a repetition",
        })
    }
}

impl core::error::Error for OpenError {}

/// The nonce is boot id and number: all of the header that follows the kind.
fn nonce(header: &[u8; HEADER_LEN]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    for (to, from) in nonce.iter_mut().zip(header.iter().skip(4)) {
        *to = *from;
    }
    nonce
}

fn header(kind: Kind, BootId(boot_id): BootId, number: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let fields = MAGIC.into_iter().chain([kind as u8]).chain(boot_id).chain(number.to_be_bytes());
    for (to, from) in header.iter_mut().zip(fields) {
        *to = from;
    }
    header
}
