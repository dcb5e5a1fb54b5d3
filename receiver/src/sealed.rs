//! Sealed datagrams (doc/secure.md): opening what a machine with `netconsole.key=` sends, and sealing answers.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305};

use crate::limits;

/// Magic number and kind: a message of the log, and input to the machine.
const LOG: [u8; 4] = [0xf5, b'N', b'C', 1];
const INPUT: [u8; 4] = [0xf5, b'N', b'C', 2];
/// The boot id that a greeting is sealed for: what it asks for is the machine's own.
const ANY_BOOT: BootId = [0; 16];
/// The ncrx answer of one that has heard nothing yet: the machine announces its newest record to it.
const GREETING: &[u8] = b"ncrx18446744073709551615";
/// The time between two greetings.
const GREET_AGAIN: Duration = Duration::from_secs(1);
/// Magic number and kind, boot id, number.
const HEADER: usize = 28;
const TAG: usize = 16;

/// What a machine draws at random at each boot.
pub type BootId = [u8; 16];

/// Opens and seals with one key.
pub struct Sealing {
    cipher: XChaCha20Poly1305,
    /// The boots heard, the one heard first in front.
    order: VecDeque<BootId>,
    boots: HashMap<BootId, Taken>,
    /// The boot that each address was last heard from.
    speakers: HashMap<SocketAddr, BootId>,
    /// What tells this receiver's input from any other's.
    own_id: BootId,
    last_number: u64,
    greeted_at: Option<Duration>,
}

/// The numbers that were taken of one boot, by their range: normal running counts in one, and each start of the
/// panic path has one of its own.
type Taken = HashMap<u8, Window>;

/// The numbers that were taken of one range.
#[derive(Debug, Default)]
struct Window {
    numbers: BTreeSet<u64>,
    /// None up to this one is taken any more.
    floor: Option<u64>,
}

/// Why a datagram is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is not sealed.
    Unsealed,
    /// It was sealed with another key, or changed on the way.
    Forged,
    /// It was taken before, or is too old to tell.
    Replayed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Unsealed => "not sealed",
            Refusal::Forged => "sealed with another key or changed on the way",
            Refusal::Replayed => "a repetition",
        })
    }
}

/// Why there is no key.
#[derive(Debug)]
pub enum KeyError {
    /// The file can't be read, or the system gives no random numbers.
    Io(io::Error),
    /// It does not hold a key.
    NoKey,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Io(error) => error.fmt(f),
            KeyError::NoKey => f.write_str("expected 64 hexadecimal digits, as in netconsole.key="),
        }
    }
}

impl From<io::Error> for KeyError {
    fn from(error: io::Error) -> Self {
        KeyError::Io(error)
    }
}

impl Sealing {
    /// With the key in a file: 64 hexadecimal digits.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let key = parse_key(fs::read_to_string(path)?.trim()).ok_or(KeyError::NoKey)?;
        let mut own_id = BootId::default();
        File::open("/dev/urandom")?.read_exact(&mut own_id)?;
        Ok(Sealing::new(&key, own_id))
    }

    /// With a key. `own_id` must never have been used with it before.
    pub fn new(key: &[u8; 32], own_id: BootId) -> Self {
        Sealing {
            cipher: XChaCha20Poly1305::new(key.into()),
            order: VecDeque::new(),
            boots: HashMap::new(),
            speakers: HashMap::new(),
            own_id,
            last_number: 0,
            greeted_at: None,
        }
    }

    /// The message in a datagram, if a holder of the key sealed it and it was not taken before.
    pub fn open(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (header, rest) = datagram.split_first_chunk::<HEADER>().ok_or(Refusal::Unsealed)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or(Refusal::Unsealed)?;
        let (kind, nonce) = header.split_first_chunk::<4>().ok_or(Refusal::Unsealed)?;
        let (boot, number) = nonce.split_first_chunk::<16>().ok_or(Refusal::Unsealed)?;
        if *kind != LOG {
            return Err(Refusal::Unsealed);
        }
        let mut message = text.to_vec();
        let nonce = nonce.try_into().map_err(|_| Refusal::Unsealed)?;
        self.cipher
            .decrypt_inout_detached(nonce, header, message.as_mut_slice().into(), &Tag::from(*tag))
            .map_err(|_| Refusal::Forged)?;
        let number = number.try_into().map(u64::from_be_bytes).map_err(|_| Refusal::Unsealed)?;
        if !self.boots.contains_key(boot) {
            self.make_room();
            self.order.push_back(*boot);
        }
        let [range, ..] = number.to_be_bytes();
        if !self.boots.entry(*boot).or_default().entry(range).or_default().take(number) {
            return Err(Refusal::Replayed);
        }
        if self.speakers.len() < limits::SPEAKERS || self.speakers.contains_key(&from) {
            self.speakers.insert(from, *boot);
        }
        Ok(message)
    }

    /// Seals input to the machine at an address; `None` where it has not been heard. `now` is the time since
    /// 1970, by which the machine tells what is new.
    pub fn seal(&mut self, to: SocketAddr, text: &[u8], now: Duration) -> Option<Vec<u8>> {
        let boot = *self.speakers.get(&to)?;
        self.seal_for(&boot, text, now)
    }

    /// What makes a machine that has not been heard say something; `None` where it is too early for another.
    pub fn greeting(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.greeted_at.is_some_and(|at| now < at.saturating_add(GREET_AGAIN)) {
            return None;
        }
        self.greeted_at = Some(now);
        self.seal_for(&ANY_BOOT, GREETING, now)
    }

    fn seal_for(&mut self, boot: &BootId, text: &[u8], now: Duration) -> Option<Vec<u8>> {
        let micros = u64::try_from(now.as_micros()).ok()?;
        self.last_number = micros.max(self.last_number.checked_add(1)?);
        let mut sealed = [&INPUT[..], &self.own_id, &self.last_number.to_be_bytes()].concat();
        let associated = [&sealed[..], boot].concat();
        let nonce = sealed.get(4..)?.try_into().ok()?;
        let mut message = text.to_vec();
        let tag =
            self.cipher.encrypt_inout_detached(nonce, &associated, message.as_mut_slice().into()).ok()?;
        sealed.extend(message);
        sealed.extend(tag);
        Some(sealed)
    }

    /// Forgets the boot that was heard first.
    fn make_room(&mut self) {
        if self.order.len() >= limits::BOOTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.boots.remove(&oldest);
            self.speakers.retain(|_, boot| *boot != oldest);
        }
    }
}

impl Window {
    /// Whether the number is new; from then on it is not.
    fn take(&mut self, number: u64) -> bool {
        if self.floor.is_some_and(|floor| number <= floor) || !self.numbers.insert(number) {
            return false;
        }
        if self.numbers.len() > limits::NUMBERS {
            self.floor = self.numbers.pop_first();
        }
        true
    }
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != key.len() {
        return None;
    }
    for (octet, &[high, low]) in key.iter_mut().zip(pairs) {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *octet = digit(high)? << 4 | digit(low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = *b"an example key of thirty-two by.";
    const BOOT: BootId = *b"the sixteen byte";

    fn from() -> SocketAddr {
        "10.0.0.5:6665".parse().expect("an address")
    }

    fn sealed(boot: BootId, number: u64, text: &[u8]) -> Vec<u8> {
        let header = [&LOG[..], &boot, &number.to_be_bytes()].concat();
        let nonce = header[4..].try_into().expect("24 bytes");
        let mut message = text.to_vec();
        let cipher = XChaCha20Poly1305::new(&KEY.into());
        let tag = cipher.encrypt_inout_detached(nonce, &header, message.as_mut_slice().into());
        [&header[..], &message, &tag.expect("short")].concat()
    }

    #[test]
    fn a_message_is_taken_once() {
        let mut sealing = Sealing::new(&KEY, [1; 16]);
        for number in [5, 3, 0, 1 << 56, (1 << 56) + 9_000_000] {
            let datagram = sealed(BOOT, number, b"6,0,0,-;hello\n");
            assert_eq!(sealing.open(from(), &datagram), Ok(b"6,0,0,-;hello\n".to_vec()));
            assert_eq!(sealing.open(from(), &datagram), Err(Refusal::Replayed));
        }
        assert!(sealing.open(from(), &sealed([2; 16], 5, b"another boot")).is_ok());
    }

    #[test]
    fn what_is_changed_cut_or_in_the_clear_is_refused() {
        let mut sealing = Sealing::new(&KEY, [1; 16]);
        let datagram = sealed(BOOT, 5, b"hello");
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 1;
            assert!(sealing.open(from(), &changed).is_err(), "byte {at}");
            assert!(sealing.open(from(), &datagram[..at]).is_err(), "cut to {at}");
        }
        assert_eq!(sealing.open(from(), b"6,0,0,-;in the clear\n"), Err(Refusal::Unsealed));
        let mut other = Sealing::new(&[0; 32], [1; 16]);
        assert_eq!(other.open(from(), &datagram), Err(Refusal::Forged));
        assert!(sealing.open(from(), &datagram).is_ok(), "what was refused counts for nothing");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_not_taken_again() {
        let mut sealing = Sealing::new(&KEY, [1; 16]);
        let count = limits::NUMBERS as u64 + 10;
        for number in 0..count {
            assert!(sealing.open(from(), &sealed(BOOT, number, b"")).is_ok());
        }
        for number in 0..count {
            assert_eq!(sealing.open(from(), &sealed(BOOT, number, b"")), Err(Refusal::Replayed), "{number}");
        }
        // The panic path's range is another one, and comes after a full one.
        assert!(sealing.open(from(), &sealed(BOOT, 1 << 56, b"")).is_ok());
        for boot in 0..limits::BOOTS as u64 + 1 {
            let mut id = BootId::default();
            id[..8].copy_from_slice(&boot.to_le_bytes());
            assert!(sealing.open(from(), &sealed(id, 0, b"")).is_ok());
        }
        assert_eq!((sealing.boots.len(), sealing.order.len()), (limits::BOOTS, limits::BOOTS));
    }

    #[test]
    fn input_is_for_the_boot_that_was_heard_and_numbered_by_time() {
        let mut sealing = Sealing::new(&KEY, [1; 16]);
        assert_eq!(sealing.seal(from(), b"dmesg", Duration::from_secs(1)), None);
        sealing.open(from(), &sealed(BOOT, 0, b"")).expect("sealed with the key");
        let mut numbers = Vec::new();
        for now in [2, 2, 1, 3] {
            let input = sealing.seal(from(), b"dmesg", Duration::from_secs(now)).expect("heard");
            assert_eq!(input[..4], INPUT);
            assert_eq!(input.len(), HEADER + 5 + TAG);
            numbers.push(u64::from_be_bytes(input[20..28].try_into().expect("8 bytes")));
        }
        assert_eq!(numbers, [2_000_000, 2_000_001, 2_000_002, 3_000_000]);
    }

    #[test]
    fn a_key_is_64_digits() {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
        assert_eq!(parse_key(digits), Some(std::array::from_fn(|index| index as u8)));
        for wrong in ["", "00", &digits[1..], &digits.replace('A', "g"), &format!("{digits}00")] {
            assert_eq!(parse_key(wrong), None, "{wrong}");
        }
    }
}
