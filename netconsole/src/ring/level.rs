//! The eight levels of a record, syslog's severities (RFC 5424, section 6.2.1).

/// How urgent a record is; the lower, the more urgent, as on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The system is unusable: a panic.
    Emergency = 0,
    /// Action must be taken at once: an oops.
    Alert = 1,
    /// A critical condition.
    Critical = 2,
    /// An error; `log::error!`.
    Error = 3,
    /// A warning; `log::warn!`.
    Warning = 4,
    /// Normal but significant.
    Notice = 5,
    /// Informational; `log::info!`.
    Info = 6,
    /// Debugging; `log::debug!` and `log::trace!`.
    Debug = 7,
}

impl Level {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The name that `dmesg` has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emerg",
            Self::Alert => "alert",
            Self::Critical => "crit",
            Self::Error => "err",
            Self::Warning => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of a number, taken modulo 8, so that no number is refused.
    pub const fn from_low_bits(number: u8) -> Self {
        match number & 7 {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }

    /// Whether a record of this level goes out under `loglevel=limit`: its number is lower.
    pub const fn passes(self, limit: u8) -> bool {
        (self as u8) < limit
    }
}

impl From<::log::Level> for Level {
    fn from(level: ::log::Level) -> Self {
        match level {
            ::log::Level::Error => Self::Error,
            ::log::Level::Warn => Self::Warning,
            ::log::Level::Info => Self::Info,
            ::log::Level::Debug | ::log::Level::Trace => Self::Debug,
        }
    }
}
