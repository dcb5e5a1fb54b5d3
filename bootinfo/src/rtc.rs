//! The PC's real-time clock (Motorola MC146818A datasheet): what its registers mean.

#![forbid(unsafe_code)]

/// The registers that tell the time, as they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Register 0.
    pub seconds: u8,
    /// Register 2.
    pub minutes: u8,
    /// Register 4: the hour; bit 7 means afternoon where the clock has twelve hours.
    pub hours: u8,
    /// Register 7: the day of the month.
    pub day: u8,
    /// Register 8.
    pub month: u8,
    /// Register 9: the year's last two digits.
    pub year: u8,
    /// The year's first two digits, from the register that the FADT names; 0 where it names none.
    pub century: u8,
    /// Register 0x0b: how the others are written.
    pub status_b: u8,
}

/// Bits of register 0x0b.
const BINARY: u8 = 1 << 2;
const TWENTY_FOUR_HOURS: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

impl Registers {
    /// Seconds since 1970, the clock taken for UTC; `None` where the registers tell no time.
    pub fn unix_seconds(&self) -> Option<u64> {
        let read = |register: u8| {
            if self.status_b & BINARY != 0 {
                return Some(register);
            }
            let (tens, ones) = (register >> 4, register & 0xf);
            (tens < 10 && ones < 10).then(|| tens.wrapping_mul(10).wrapping_add(ones))
        };
        let within = |register: u8, least: u8, most: u8| {
            read(register).filter(|value| (least..=most).contains(value)).map(u64::from)
        };
        let hours = if self.status_b & TWENTY_FOUR_HOURS != 0 {
            within(self.hours, 0, 23)?
        } else {
            let hour = within(self.hours & !AFTERNOON, 1, 12)? % 12;
            if self.hours & AFTERNOON != 0 { hour.saturating_add(12) } else { hour }
        };
        // Where there is no century it is this one.
        let century = within(self.century, 19, 21).unwrap_or(20);
        let year = century.saturating_mul(100).saturating_add(within(self.year, 0, 99)?);
        let month = within(self.month, 1, 12)?;
        let day = within(self.day, 1, 31)?;
        let seconds = hours.saturating_mul(60).saturating_add(within(self.minutes, 0, 59)?);
        let seconds = seconds.saturating_mul(60).saturating_add(within(self.seconds, 0, 59)?);
        Some(days_since_1970(year, month, day)?.saturating_mul(86_400).saturating_add(seconds))
    }
}

/// The days from 1 January 1970 to a day of the Gregorian calendar; `None` before that.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a year of at most 2199, and a month and a day that exist"
)]
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // A year is counted from March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // Of five months from March on, three have 31 days.
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1;
    // From 1 March of year 0 to 1970.
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BCD: Registers = Registers {
        seconds: 0x58,
        minutes: 0x59,
        hours: 0x23,
        day: 0x28,
        month: 0x02,
        year: 0x26,
        century: 0x20,
        status_b: TWENTY_FOUR_HOURS,
    };

    #[test]
    fn all_ways_of_writing_mean_the_same() {
        // 2026-02-28 23:59:58
        let expected = Some(1_772_323_198);
        assert_eq!(BCD.unix_seconds(), expected);
        assert_eq!(Registers { hours: 0x11 | AFTERNOON, status_b: 0, ..BCD }.unix_seconds(), expected);
        let binary = Registers {
            seconds: 58,
            minutes: 59,
            hours: 23,
            day: 28,
            month: 2,
            year: 26,
            century: 20,
            status_b: TWENTY_FOUR_HOURS | BINARY,
        };
        assert_eq!(binary.unix_seconds(), expected);
        assert_eq!(Registers { century: 0, ..BCD }.unix_seconds(), expected);
        let midnight = Registers { hours: 0x12, status_b: 0, ..BCD };
        assert_eq!(midnight.unix_seconds(), expected.map(|seconds| seconds - 23 * 3600));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for registers in [
            Registers::default(),
            Registers { seconds: 0x60, ..BCD },
            Registers { minutes: 0x0a, ..BCD },
            Registers { hours: 0x24, ..BCD },
            Registers { hours: 0, status_b: 0, ..BCD },
            Registers { month: 0x13, ..BCD },
            Registers { day: 0, ..BCD },
            Registers { year: 0x69, century: 0x19, ..BCD },
        ] {
            assert_eq!(registers.unix_seconds(), None, "{registers:?}");
        }
    }

    proptest! {
        #[test]
        fn each_day_follows_the_one_before(day in 0u64..80_000) {
            // From 1970-01-01 on, day by day, by a calendar that counts.
            let (mut year, mut rest) = (1970, day);
            let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
            while rest >= 365 + u64::from(is_leap(year)) {
                rest -= 365 + u64::from(is_leap(year));
                year += 1;
            }
            let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let mut month = 0;
            while rest >= lengths[month] {
                rest -= lengths[month];
                month += 1;
            }
            prop_assert_eq!(days_since_1970(year, month as u64 + 1, rest + 1), Some(day));
        }

        #[test]
        fn any_registers_are_read(bytes: [u8; 8]) {
            let [seconds, minutes, hours, day, month, year, century, status_b] = bytes;
            let _ = Registers { seconds, minutes, hours, day, month, year, century, status_b }.unix_seconds();
        }
    }
}
