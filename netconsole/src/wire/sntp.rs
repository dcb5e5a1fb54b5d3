//! The simple network time protocol, version 4 (RFC 4330): one question, one answer.

use super::field;

/// The server's UDP port.
pub const PORT: u16 = 123;
/// A message without options.
pub const MESSAGE_LEN: usize = 48;

/// No warning, version 4, mode 3 (client).
const CLIENT: u8 = 0b00_100_011;
const MODE_SERVER: u8 = 4;
/// The leap indicator of a server that is not synchronised itself.
const UNSYNCHRONISED: u8 = 3;
/// Seconds from 1900, where NTP's time begins, to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// The question. `cookie` comes back in the answer, and should be hard to guess.
pub fn request(cookie: u64) -> [u8; MESSAGE_LEN] {
    let mut message = [0; MESSAGE_LEN];
    message[0] = CLIENT;
    // The transmit timestamp, which a server only copies.
    let _ = field::write(&mut message, 40, cookie.to_be_bytes());
    message
}

/// The server's time in µs since 1970 when it sent this answer to the question with `cookie`; `None` for
/// anything else, and where the server does not know the time (RFC 4330, section 5).
pub fn parse(message: &[u8], cookie: u64) -> Option<u64> {
    let (first, stratum) = (*message.first()?, *message.get(1)?);
    let originate = field::read(message, 24).map(u64::from_be_bytes)?;
    let transmit = field::read(message, 40).map(u64::from_be_bytes)?;
    let is_answer = first & 7 == MODE_SERVER && originate == cookie;
    if !is_answer || first >> 6 == UNSYNCHRONISED || !(1..=15).contains(&stratum) || transmit == 0 {
        return None;
    }
    // Section 3: without bit 31 the seconds count from 2036, when they wrapped.
    let era = if transmit >> 63 == 0 { 1 << 32 } else { 0 };
    let seconds = (transmit >> 32).checked_add(era)?.checked_sub(UNIX_EPOCH)?;
    let micros = (transmit & 0xffff_ffff).checked_mul(1_000_000)? >> 32;
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COOKIE: u64 = 0x1122_3344_5566_7788;

    fn answer(transmit: u64) -> [u8; MESSAGE_LEN] {
        let mut message = [0; MESSAGE_LEN];
        message[0] = 0b00_100_100;
        message[1] = 2;
        message[24..32].copy_from_slice(&COOKIE.to_be_bytes());
        message[40..].copy_from_slice(&transmit.to_be_bytes());
        message
    }

    #[test]
    fn the_answer_gives_the_time() {
        // 2026-02-28 23:59:58.5
        let transmit = (1_772_323_198 + UNIX_EPOCH) << 32 | 1 << 31;
        assert_eq!(parse(&answer(transmit), COOKIE), Some(1_772_323_198_500_000));
        // RFC 4330, section 3: 7 February 2036, 06:28:16.
        assert_eq!(parse(&answer(1), COOKIE), Some(2_085_978_496_000_000));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let good = answer((1_772_323_198 + UNIX_EPOCH) << 32);
        assert_eq!(parse(&good, COOKIE + 1), None, "to another question");
        for (at, byte) in [(0, 0b11_100_100), (0, 0b00_100_011), (1, 0), (1, 16)] {
            let mut bad = good;
            bad[at] = byte;
            assert_eq!(parse(&bad, COOKIE), None, "byte {at} {byte:#x}");
        }
        assert_eq!(parse(&answer(0), COOKIE), None);
        assert_eq!(parse(&good[..47], COOKIE), None);
        assert_eq!(parse(&request(COOKIE), COOKIE), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, cookie: u64, transmit: u64) {
            let _ = parse(&bytes, cookie);
            let _ = parse(&answer(transmit), COOKIE);
        }
    }
}
