//! Files of the kernel's own, where Linux has them: in `/proc` and `/dev`.

use super::error::TreeError;
use super::host::Host;
use crate::ring::Level;
use core::fmt;

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelFile {
    /// `/proc/cmdline`
    CommandLine,
    /// `/proc/sys/kernel/printk`
    Printk,
    /// `/dev/kmsg`
    Kmsg,
}

/// The numbers of `printk` after the limit of levels, which have no meaning here: the level of a record that
/// names none, the least limit, and the limit at the boot.
const CONSTANT: [&str; 3] = ["4", "1", "7"];

impl KernelFile {
    /// Writes what the file holds.
    pub(super) fn show(
        self,
        host: &mut dyn Host,
        out: &mut dyn fmt::Write,
    ) -> Result<(), TreeError<'static>> {
        // What is cut because `out` is full, is.
        let _ = match self {
            Self::CommandLine => writeln!(out, "{}", host.command_line()),
            Self::Printk => {
                let [level, least, first] = CONSTANT;
                writeln!(out, "{}\t{level}\t{least}\t{first}", host.common().filter.limit)
            }
            Self::Kmsg => return Err(TreeError::WriteOnly),
        };
        Ok(())
    }

    /// Takes what was written to the file.
    pub(super) fn store<'a>(self, host: &mut dyn Host, value: &'a str) -> Result<(), TreeError<'a>> {
        match self {
            Self::CommandLine => return Err(TreeError::ReadOnly),
            Self::Printk => host.common().filter.limit = limit(value).ok_or(TreeError::Printk)?,
            Self::Kmsg => {
                let (level, text) = record(value);
                host.log(level, text);
            }
        }
        Ok(())
    }
}

/// The limit of levels, from the first number; the others may follow as they are read.
fn limit(value: &str) -> Option<u8> {
    let mut numbers = value.split_ascii_whitespace();
    let [digit @ b'0'..=b'8'] = *numbers.next()?.as_bytes() else { return None };
    let mut others = numbers.clone().zip(CONSTANT);
    let is_valid = numbers.count() <= CONSTANT.len() && others.all(|(found, constant)| found == constant);
    is_valid.then_some(digit.wrapping_sub(b'0'))
}

/// A record's level and text. `<3>` before the text is the level, of a larger number the last three bits, as the
/// rest is a facility; without it, it is a warning (Linux: Documentation/ABI/testing/dev-kmsg).
fn record(value: &str) -> (Level, &str) {
    let value = value.trim_end_matches('\n');
    let prefixed =
        value.strip_prefix('<').and_then(|rest| rest.split_once('>')).and_then(|(number, text)| {
            let has_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u32 = number.parse().ok().filter(|_| has_digits)?;
            let [low, ..] = number.to_le_bytes();
            Some((Level::from_low_bits(low), text))
        });
    prefixed.unwrap_or((Level::Warning, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_level() {
        for (value, level, text) in [
            ("text\n", Level::Warning, "text"),
            ("<3>text\n", Level::Error, "text"),
            ("<7>", Level::Debug, ""),
            ("<30>daemon", Level::Info, "daemon"),
            ("<>text", Level::Warning, "<>text"),
            ("<+3>text", Level::Warning, "<+3>text"),
            ("<3 text", Level::Warning, "<3 text"),
            ("<4294967296>text", Level::Warning, "<4294967296>text"),
            (" <3>text", Level::Warning, " <3>text"),
        ] {
            assert_eq!(record(value), (level, text), "{value}");
        }
    }

    #[test]
    fn the_first_number_is_the_limit() {
        for (value, expected) in [
            ("8\n", Some(8)),
            (" 0 ", Some(0)),
            ("5 4 1 7", Some(5)),
            ("5\t4\t1", Some(5)),
            ("", None),
            ("9", None),
            ("5 5 1 7", None),
            ("5 4 1 7 1", None),
            ("debug", None),
        ] {
            assert_eq!(limit(value), expected, "{value}");
        }
    }
}
