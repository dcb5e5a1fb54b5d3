//! A line of the crash report, put together without `core::fmt`, which may panic.

use core::fmt::Write;
use netconsole::text::Text;

/// A text of at most 240 bytes; what does not fit is left away. Panic-safe.
pub struct Line(Text<240>);

impl Line {
    /// The line that begins with `text`.
    pub fn new(text: &str) -> Self {
        let mut line = Self(Text::new());
        line.text(text);
        line
    }

    /// Appends `text`, cut at a character's border where it does not fit.
    pub fn text(&mut self, text: &str) -> &mut Self {
        // It says whether it was cut, which does not matter here.
        _ = self.0.write_str(text);
        self
    }

    /// Appends the lowest `digits` hexadecimal digits of `value`, leading zeros included.
    pub fn hex(&mut self, value: u64, digits: u32) -> &mut Self {
        for digit in (0..digits.min(16)).rev() {
            let nibble = value.unbounded_shr(digit.saturating_mul(4)) & 0xf;
            if let Some(character) =
                u32::try_from(nibble).ok().and_then(|nibble| char::from_digit(nibble, 16))
            {
                self.text(character.encode_utf8(&mut [0; 4]));
            }
        }
        self
    }

    /// Appends `value` in decimal.
    pub fn decimal(&mut self, value: u64) -> &mut Self {
        let mut divisor: u64 = 1;
        while value.checked_div(divisor).is_some_and(|rest| rest >= 10) {
            divisor = divisor.wrapping_mul(10);
        }
        while divisor > 0 {
            let digit = value.checked_div(divisor).unwrap_or(0) % 10;
            self.hex(digit, 1);
            divisor /= 10;
        }
        self
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}
