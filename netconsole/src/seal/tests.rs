//! Sealing and opening, against an independent implementation.

use super::*;
use crate::format::MAX_DATAGRAM;
use crate::ring::Audience;
use chacha20::cipher::KeyIvInit;
use chacha20::{ChaCha20, XChaCha20};
use orion::hazardous::aead::xchacha20poly1305 as independent;
use orion::hazardous::aead::xchacha20poly1305::XChaCha20Poly1305 as Independent;
use orion::hazardous::stream::xchacha20;
use proptest::prelude::*;

const KEY: Key = Key(*b"an example key of thirty-two by.");
const BOOT: BootId = BootId(*b"the sixteen byte");

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("digits")).collect()
}

fn sealed(number: Number, message: &[u8]) -> Vec<u8> {
    let protection = Protection::Sealed(Sealer::new(KEY, BOOT));
    let mut payload = vec![0xee; message.len() + OVERHEAD];
    protection.message(&mut payload).copy_from_slice(message);
    let len = protection.protect(|| Some(number), &mut payload, message.len()).expect("room");
    assert_eq!(len, payload.len());
    payload
}

/// Opens what is sealed by another implementation than the one that seals, by the layout in doc/secure.md.
fn opened(datagram: &[u8], key: &Key) -> Option<Vec<u8>> {
    let header = datagram.get(..28)?;
    let secret = independent::SecretKey::try_from(&key.0).expect("32 bytes");
    let nonce = independent::Nonce::try_from(&header[4..28]).expect("24 bytes");
    let mut message = vec![0; datagram.len().checked_sub(44)?];
    Independent::open(&secret, &nonce, &datagram[28..], Some(header), &mut message).ok()?;
    Some(message)
}

/// Input as a holder of the key makes it.
fn input(key: &Key, boot: BootId, sender: [u8; 16], number: u64, message: &[u8]) -> Vec<u8> {
    let header = header(Kind::Input, BootId(sender), number);
    let secret = independent::SecretKey::try_from(&key.0).expect("32 bytes");
    let nonce = independent::Nonce::try_from(&header[4..28]).expect("24 bytes");
    let associated = [&header[..], &boot.0].concat();
    let mut sealed = vec![0; message.len() + 16];
    Independent::seal(&secret, &nonce, message, Some(&associated), &mut sealed).expect("room");
    [&header[..], &sealed].concat()
}

fn open(datagram: &[u8], inputs: &mut Inputs) -> Result<Vec<u8>, OpenError> {
    let mut message = [0; MAX_INPUT];
    let len = Sealer::new(KEY, BOOT).open(datagram, inputs, &mut message)?;
    Ok(message[..len].to_vec())
}

/// RFC 8439, section 2.8.2, and draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn the_ciphers_are_the_standards() {
    let text =
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                 sunscreen would be it.";
    let key: [u8; 32] = core::array::from_fn(|index| 0x80 + index as u8);
    let associated = hex("50515253 c0c1c2c3c4c5c6c7");

    let nonce: [u8; 12] = hex("07000000 4041424344454647").try_into().expect("12 bytes");
    let cipher = || ChaCha20::new(&key.into(), &nonce.into());
    let mut message = text.to_vec();
    let tag = aead::encrypt(cipher(), &associated, &mut message).expect("short");
    assert_eq!(tag[..], hex("1ae10b594f09e26a7e902ecbd0600691")[..]);
    assert_eq!(message[..16], hex("d31a8d34648e60db7b86afbc53ef7ec2")[..]);
    assert_eq!(message[112..], hex("6116")[..]);
    let sealed = message.clone();
    assert_eq!(aead::decrypt(cipher(), b"other", &mut message, &tag), None);
    assert_eq!(message, sealed, "left alone");
    assert_eq!(aead::decrypt(cipher(), &associated, &mut message, &tag), Some(()));
    assert_eq!(message, text);

    let nonce: [u8; 24] =
        hex("404142434445464748494a4b4c4d4e4f5051525354555657").try_into().expect("24 bytes");
    let cipher = XChaCha20::new(&key.into(), &nonce.into());
    let tag = aead::encrypt(cipher, &associated, &mut message).expect("short");
    assert_eq!(tag[..], hex("c0875924c1c7987947deafd8780acf49")[..]);
    assert_eq!(message[..16], hex("bd6d179d3e83d43b9576579493c0e939")[..]);
}

#[test]
fn a_datagram_has_the_documented_layout() {
    let number = Number::counted(0x0102_0304).expect("small");
    let datagram = sealed(number, b"hello");
    assert_eq!(datagram[..4], [0xf5, b'N', b'C', 1]);
    assert_eq!(datagram[4..20], *b"the sixteen byte");
    assert_eq!(datagram[20..28], [0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(datagram.len(), 28 + 5 + 16);
    assert!(std::str::from_utf8(&datagram[..1]).is_err(), "no text begins so");
    assert_eq!(Number::of_panic(2, u64::MAX).0, 0x02ff_ffff_ffff_ffff);
    assert_eq!(Number::of_panic(0, 5).0, 0x0100_0000_0000_0005, "never normal running's range");
}

#[test]
fn the_longest_message_fits_any_mtu_of_ipv6() {
    let datagram = sealed(Number::of_panic(1, 1), &[b'x'; MAX_DATAGRAM]);
    assert_eq!(datagram.len(), MAX_DATAGRAM + OVERHEAD);
    const { assert!(MAX_DATAGRAM + OVERHEAD <= 1280 - 40 - 8) };
}

#[test]
fn what_has_no_room_is_not_sealed() {
    let protection = Protection::Sealed(Sealer::new(KEY, BOOT));
    for room in 0..OVERHEAD {
        let mut payload = vec![0; room];
        assert!(protection.message(&mut payload).is_empty());
        assert_eq!(protection.protect(|| Some(Number::of_panic(1, 1)), &mut payload, 0), None, "{room}");
    }
    assert_eq!(protection.protect(|| Some(Number::of_panic(1, 1)), &mut [0; 50], 7), None);
    assert_eq!(protection.protect(|| Some(Number::of_panic(1, 1)), &mut [0; 50], usize::MAX), None);
}

#[test]
fn input_is_taken_once_and_only_for_this_boot() {
    let command = input(&KEY, BOOT, [7; 16], 100, b"dmesg");
    let mut inputs = Inputs::new();
    assert_eq!(open(&command, &mut inputs), Ok(b"dmesg".to_vec()));
    assert_eq!(open(&command, &mut inputs), Err(OpenError::Replayed));
    let earlier = input(&KEY, BOOT, [7; 16], 99, b"reboot");
    assert_eq!(open(&earlier, &mut inputs), Err(OpenError::Replayed));
    // Another sender's clock may be behind.
    let other_sender = input(&KEY, BOOT, [8; 16], 50, b"uptime");
    assert_eq!(open(&other_sender, &mut inputs), Ok(b"uptime".to_vec()));
    assert_eq!(open(&other_sender, &mut inputs), Err(OpenError::Replayed));
    let next = input(&KEY, BOOT, [8; 16], 101, b"uptime");
    assert_eq!(open(&next, &mut inputs), Ok(b"uptime".to_vec()));

    let other_boot = input(&KEY, BootId([9; 16]), [7; 16], 200, b"reboot");
    assert_eq!(open(&other_boot, &mut inputs), Err(OpenError::Forged));
    let other_key = input(&Key([1; 32]), BOOT, [7; 16], 200, b"reboot");
    assert_eq!(open(&other_key, &mut inputs), Err(OpenError::Forged));
    let after = input(&KEY, BOOT, [7; 16], 102, b"uptime");
    assert_eq!(open(&after, &mut inputs), Ok(b"uptime".to_vec()), "what is refused counts for nothing");
    // What this machine sent itself is no command.
    assert_eq!(open(&sealed(Number::of_panic(1, 1), b"reboot"), &mut inputs), Err(OpenError::NotSealed));
    assert_eq!(open(b"reboot", &mut inputs), Err(OpenError::NotSealed));
    let longest = input(&KEY, BOOT, [7; 16], 300, &[b'x'; MAX_INPUT]);
    assert_eq!(open(&longest, &mut inputs).map(|message| message.len()), Ok(MAX_INPUT));
    let too_long = input(&KEY, BOOT, [7; 16], 301, &[b'x'; MAX_INPUT + 1]);
    assert_eq!(open(&too_long, &mut inputs), Err(OpenError::TooLong));
}

#[test]
fn what_is_for_no_boot_is_taken_only_if_it_greets() {
    let mut inputs = Inputs::new();
    let anybody = BootId([0; 16]);
    let greeting = input(&KEY, anybody, [7; 16], 100, b"ncrx18446744073709551615");
    assert_eq!(open(&greeting, &mut inputs), Ok(b"ncrx18446744073709551615".to_vec()));
    assert_eq!(open(&greeting, &mut inputs), Err(OpenError::Replayed));
    for other in
        ["reboot", "ncrx18446744073709551614", "ncrx18446744073709551615 0", "reboot # exactly so long"]
    {
        let recorded = input(&KEY, anybody, [7; 16], 200, other.as_bytes());
        assert_eq!(open(&recorded, &mut inputs), Err(OpenError::Forged), "{other}");
    }
    let other_key = input(&Key([1; 32]), anybody, [7; 16], 200, b"ncrx18446744073709551615");
    assert_eq!(open(&other_key, &mut inputs), Err(OpenError::Forged));
}

#[test]
fn sixteen_senders_are_told_apart() {
    let from = |sender: u8, number| input(&KEY, BOOT, [sender; 16], number, b"uptime");
    for (senders, knows_the_first) in [(16, true), (17, false)] {
        let mut inputs = Inputs::new();
        for sender in 1..=senders {
            assert!(open(&from(sender, 100 + u64::from(sender)), &mut inputs).is_ok());
        }
        // Not the oldest any more, and so not to be told from a replay.
        assert_eq!(open(&from(1, 102), &mut inputs).is_ok(), knows_the_first);
        assert!(open(&from(1, 200), &mut inputs).is_ok());
    }
}

#[test]
fn damaged_keys_are_never_taken_for_none() {
    let keys = KeyStore::new();
    keys.decide(&Secrecy::Sealed(KEY), || BOOT);
    let with_key = Protection::Sealed(Sealer::new(KEY, BOOT));
    assert_eq!(keys.protection(), with_key);
    for pattern in (0..=u8::MAX).map(|byte| u64::from_ne_bytes([byte; 8])) {
        keys.decide(&Secrecy::Sealed(KEY), || BOOT);
        keys.overwrite(0, pattern);
        assert_eq!(keys.protection(), with_key, "the other copy counts");
        assert_eq!(keys.next_number(), None, "a damaged count might repeat");
        keys.overwrite(1, pattern);
        // Zeroed, it is as it was before anybody decided.
        assert_eq!(keys.protection(), if pattern == 0 { Protection::Undecided } else { Protection::Lost });
        assert_eq!(keys.protection().protect(|| Some(Number::of_panic(1, 1)), &mut [0; 100], 5), None);
        assert_eq!(Protection::Lost.protect(|| Some(Number::of_panic(1, 1)), &mut [0; 100], 5), None);
    }
}

#[test]
fn with_a_key_that_can_t_be_read_nothing_goes_out_or_in() {
    let keys = KeyStore::new();
    keys.decide(&Secrecy::Silent, || BOOT);
    for _ in 0..2 {
        assert_eq!(keys.protection(), Protection::Lost);
        // The other copy says the same.
        keys.overwrite(0, 0);
    }
    let sealing = Sealing { protection: &keys.protection(), numbers: Numbers::Counted(&keys) };
    assert_eq!(sealing.fill(&mut [0; 100], |message| Some(message.len())), None);
    assert_eq!(keys.protection().input(b"dmesg", &mut Inputs::new(), &mut [0; MAX_INPUT]), None);
}

/// The library's user has to decide: with or without a key, nothing goes out before.
#[test]
fn nothing_goes_out_before_it_is_decided() {
    let keys = KeyStore::new();
    assert_eq!(keys.protection(), Protection::Undecided);
    assert_eq!(keys.audience(), Audience::Nobody);
    let sealing = Sealing { protection: &keys.protection(), numbers: Numbers::Counted(&keys) };
    assert_eq!(sealing.fill(&mut [0; 100], |message| Some(message.len())), None);
    assert_eq!(keys.protection().input(b"dmesg", &mut Inputs::new(), &mut [0; MAX_INPUT]), None);
}

/// By another implementation's key stream.
#[test]
fn a_key_has_an_id_that_is_the_same_in_every_boot() {
    let audience = |key: Key, boot| {
        let keys = KeyStore::new();
        keys.decide(&Secrecy::Sealed(key), || boot);
        keys.audience()
    };
    let secret = xchacha20::SecretKey::try_from(&KEY.0).expect("32 bytes");
    let nonce = xchacha20::Nonce::try_from(b"netconsole: id of a key.").expect("24 bytes");
    let mut stream = [0; 8];
    xchacha20::XChaCha20::new(&secret, &nonce).xor_keystream_into(&mut stream).expect("its begin");
    let expected = Audience::Holders(KeyId::new(u64::from_le_bytes(stream)));
    assert_eq!(audience(KEY, BOOT), expected);
    assert_eq!(audience(KEY, BootId([9; 16])), expected);
    for bit in 0..256 {
        let mut other = KEY;
        other.0[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(audience(other, BOOT), expected);
    }
}

#[test]
fn numbers_count_from_0() {
    let keys = KeyStore::new();
    assert_eq!(keys.next_number(), None, "there is no count before there is a key");
    keys.decide(&Secrecy::Sealed(KEY), || BOOT);
    assert_eq!([0, 1, 2].map(|_| keys.next_number().map(|number| number.0)), [Some(0), Some(1), Some(2)]);
    assert_eq!(Number::counted((1 << 56) - 1).map(|number| number.0), Some((1 << 56) - 1));
    assert_eq!(Number::counted(1 << 56), None);
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", Sealer::new(KEY, BOOT));
    assert!(shown.contains("hidden") && !shown.contains(&format!("{:?}", KEY.0)), "{shown}");
}

proptest! {
    #[test]
    fn another_implementation_opens_it(
        message in prop::collection::vec(any::<u8>(), 0..MAX_DATAGRAM),
        count in 0u64..1 << 56,
    ) {
        let number = Number::counted(count).expect("in range");
        prop_assert_eq!(opened(&sealed(number, &message), &KEY), Some(message));
    }

    #[test]
    fn a_changed_or_cut_datagram_is_refused(
        message in prop::collection::vec(any::<u8>(), 0..64),
        at: prop::sample::Index,
        bits in 1u8..,
        cut: prop::sample::Index,
    ) {
        for (datagram, is_input) in [
            (sealed(Number::of_panic(1, 7), &message), false),
            (input(&KEY, BOOT, [7; 16], 100, &message), true),
        ] {
            let refuses = |datagram: &[u8]| match is_input {
                true => open(datagram, &mut Inputs::new()).is_err(),
                false => opened(datagram, &KEY).is_none(),
            };
            let mut changed = datagram.clone();
            changed[at.index(datagram.len())] ^= bits;
            prop_assert!(refuses(&changed));
            prop_assert!(refuses(&datagram[..cut.index(datagram.len())]));
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(open(&bytes, &mut Inputs::new()).is_err());
    }
}

/// The vector in doc/secure.md.
#[test]
fn the_documented_vector_is_ours() {
    let document = include_str!("../../../doc/secure.md");
    let (_, rest) = document.split_once("and a newline:\n\n").expect("the vector");
    let (vector, _) = rest.split_once("\n\n`netconsole").expect("its end");
    let key = Key(core::array::from_fn(|index| index as u8));
    let boot_id = BootId(core::array::from_fn(|index| 0x11 * index as u8));
    let message = b"6,7,1000,-;hello\n";
    let mut payload = [0; 17 + OVERHEAD];
    let protection = Protection::Sealed(Sealer::new(key.clone(), boot_id));
    protection.message(&mut payload).copy_from_slice(message);
    let number = Number::counted(7);
    assert_eq!(protection.protect(|| number, &mut payload, message.len()), Some(payload.len()));
    assert_eq!(opened(&payload, &key), Some(message.to_vec()));
    let digits: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    let documented: String = vector.split_whitespace().collect();
    assert_eq!(digits, documented);
}

#[test]
fn a_sender_that_made_room_can_not_be_repeated() {
    let mut inputs = Inputs::new();
    let all: Vec<_> = (1..=40).map(|sender| input(&KEY, BOOT, [sender; 16], sender.into(), b"x")).collect();
    for datagram in &all {
        assert!(open(datagram, &mut inputs).is_ok());
    }
    for datagram in &all {
        assert_eq!(open(datagram, &mut inputs), Err(OpenError::Replayed));
    }
    assert!(open(&input(&KEY, BOOT, [1; 16], 41, b"x"), &mut inputs).is_ok());
}

/// As RDSEED does where its supply is empty, and some CPUs always.
#[test]
fn a_source_that_gives_no_number_gives_none_and_the_next_one_is_asked() {
    let asks = |answers: [Option<u64>; 2], late: usize| {
        let mut asked = [0; 2];
        let found = draw([0, 1], 10, |source: usize| {
            asked[source] += 1;
            answers[source].filter(|_| asked[source] > late)
        });
        (found, asked)
    };
    assert_eq!(asks([Some(7), Some(8)], 9), (Some(7), [10, 0]));
    assert_eq!(asks([None, Some(8)], 0), (Some(8), [10, 1]));
    // 0 is a number like any other; none is none.
    assert_eq!(asks([Some(0), None], 0), (Some(0), [1, 0]));
    assert_eq!(asks([None, None], 0), (None, [10, 10]));
    assert_eq!(draw([0; 0], 10, |_| Some(1)), None);
}
