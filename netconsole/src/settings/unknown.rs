//! Names that are not known here and were probably meant for one that is: `NETCONSOLE=`, `netconsole.inptu=1`.

use crate::cmdline::Parameter;
use core::fmt;

/// The parameters whose name begins with `netconsole.`, without that.
pub const OF_NETCONSOLE: [&str; 10] = [
    "carrier_timeout",
    "echo",
    "fallback",
    "input",
    "key",
    "ncrx",
    "oops_only",
    "panic_repeat",
    "snp",
    "userdata",
];

/// The longest name that is compared.
const MAX: usize = 40;
/// How many characters may be wrong.
const MISTAKES: usize = 2;

/// What was probably meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// `netconsole=`.
    Targets,
    /// This one of [`OF_NETCONSOLE`], or any of them.
    OfNetconsole(Option<&'static str>),
}

impl Meant {
    /// What `parameter`, which is not known, was meant for; `None` where it is likely somebody else's.
    pub fn of(parameter: &Parameter<'_>) -> Option<Self> {
        let mut buffer = [0; MAX];
        let name = buffer.get_mut(..parameter.name.len())?;
        for (to, from) in name.iter_mut().zip(parameter.name) {
            *to = if *from == b'-' { b'_' } else { from.to_ascii_lowercase() };
        }
        let name = core::str::from_utf8(name).ok()?;
        if !name.contains('.') && is_near(name, "netconsole") {
            return Some(Self::Targets);
        }
        let (module, name) = name.split_once('.').or(name.split_once('_'))?;
        if !is_near(module, "netconsole") {
            return None;
        }
        let nearest = OF_NETCONSOLE.into_iter().find(|known| is_near(name, known));
        Some(Self::OfNetconsole(nearest))
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Targets => f.write_str("netconsole= was probably meant"),
            Self::OfNetconsole(Some(name)) => write!(f, "netconsole.{name}= was probably meant"),
            Self::OfNetconsole(None) => {
                f.write_str("of netconsole. there are")?;
                OF_NETCONSOLE.iter().try_for_each(|name| write!(f, " {name}"))
            }
        }
    }
}

/// Whether the texts differ in no more than [`MISTAKES`] characters that are wrong, missing or too many, or swapped.
fn is_near(text: &str, known: &str) -> bool {
    let (text, known) = (text.as_bytes(), known.as_bytes());
    let shared = text.iter().zip(known).take_while(|(a, b)| a == b).count();
    let (text, known) = (text.get(shared..).unwrap_or_default(), known.get(shared..).unwrap_or_default());
    differ_in_at_most(MISTAKES, text, known)
}

/// As deep as `mistakes` is high.
fn differ_in_at_most(mistakes: usize, text: &[u8], known: &[u8]) -> bool {
    let (Some((a, text_rest)), Some((b, known_rest))) = (text.split_first(), known.split_first()) else {
        return text.len().max(known.len()) <= mistakes;
    };
    if a == b {
        return differ_in_at_most(mistakes, text_rest, known_rest);
    }
    let Some(fewer) = mistakes.checked_sub(1) else { return false };
    let is_swapped = text_rest.first() == Some(b) && known_rest.first() == Some(a);
    differ_in_at_most(fewer, text_rest, known_rest)
        || differ_in_at_most(fewer, text_rest, known)
        || differ_in_at_most(fewer, text, known_rest)
        || is_swapped
            && differ_in_at_most(
                fewer,
                text_rest.get(1..).unwrap_or_default(),
                known_rest.get(1..).unwrap_or_default(),
            )
}
