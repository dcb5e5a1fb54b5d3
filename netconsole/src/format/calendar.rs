//! Dates of the Gregorian calendar, in UTC.

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A moment, by the calendar and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: u32,
    /// From 1 on.
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) micros: u32,
    /// From Sunday on, which is 0.
    weekday: u8,
}

impl Moment {
    /// The moment `micros` microseconds after the beginning of 1970; `None` after the year 9999, which has too many
    /// digits for RFC 3339.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the time is below 2^64 µs, so that days and what is made of them are far below 2^64"
    )]
    pub(super) const fn of(micros: u64) -> Option<Self> {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = micros / 1_000_000;
        let days_since_1970 = seconds / DAY;
        // Days are counted from 1 March of year 0, so that the leap day is a year's last. In 400 years, an
        // era, are 146,097 days.
        let days = days_since_1970 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Counted from March the months' lengths repeat every five, which are 153 days.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let (month, next_year) =
            if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
        let year = era * 400 + year_of_era + next_year;
        if year > 9999 {
            return None;
        }
        // Each of them is a few digits.
        Some(Self {
            year: year as u32,
            month: month as u32,
            day: day as u32,
            hour: (seconds % DAY / 3600) as u32,
            minute: (seconds % 3600 / 60) as u32,
            second: (seconds % 60) as u32,
            micros: (micros % 1_000_000) as u32,
            // The first day was a Thursday.
            weekday: ((days_since_1970 + 4) % 7) as u8,
        })
    }

    /// The weekday's short name, as C's `ctime` has it.
    pub(super) fn weekday(&self) -> &'static [u8] {
        WEEKDAYS.get(usize::from(self.weekday)).map_or(b"", |name| name.as_slice())
    }

    /// The month's short name, as C's `ctime` has it.
    pub(super) fn month_name(&self) -> &'static [u8] {
        MONTHS.get((self.month as usize).saturating_sub(1)).map_or(b"", |name| name.as_slice())
    }
}
