//! `crash=KIND[@WHERE]`: a crash provoked for a test, in the words of Linux's lkdtm
//! (Documentation/fault-injection/provoke-crashes.rst) where it has them.

use core::fmt;
use core::str::FromStr;

/// Declares an enum of words: its variants, each variant's word, and the words' list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$word_doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Their words, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The one with this word, in capitals or not.
            pub fn find(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str().eq_ignore_ascii_case(word))
            }
        }
    };
}

words! {
    /// What brings the kernel down.
    CrashKind {
        /// `panic!`.
        Panic = "PANIC",
        /// A failed assertion.
        Bug = "BUG",
        /// A write to address 0.
        Exception = "EXCEPTION",
        /// A division by zero.
        DivideError = "DIVIDE_ERROR",
        /// An instruction that does not exist.
        InvalidOpcode = "INVALID_OPCODE",
        /// An access to a non-canonical address.
        GeneralProtection = "GENERAL_PROTECTION",
        /// A jump into data.
        ExecData = "EXEC_DATA",
        /// A jump to address 0.
        ExecNull = "EXEC_NULL",
        /// A write to read-only memory.
        WriteRo = "WRITE_RO",
        /// A recursion without end.
        ExhaustStack = "EXHAUST_STACK",
        /// A return address overwritten.
        CorruptStack = "CORRUPT_STACK",
        /// An aligned SSE access to an unaligned address.
        UnalignedSse = "UNALIGNED_SSE",
        /// An exception that can't be delivered.
        DoubleFault = "DOUBLE_FAULT",
        /// A reset of the CPU.
        TripleFault = "TRIPLE_FAULT",
        /// A non-maskable interrupt.
        Nmi = "NMI",
        /// An endless loop, for the watchdog.
        Loop = "LOOP",
        /// The card stopped under the driver, then a panic.
        HungDevice = "HUNG_DEVICE",
        /// The sender's state overwritten with 0xa5, then a panic.
        OverwriteSender = "OVERWRITE_SENDER",
        /// The driver's state overwritten with 0xa5, then a panic.
        OverwriteNic = "OVERWRITE_NIC",
        /// The targets overwritten with 0xa5, then a panic.
        OverwriteTargets = "OVERWRITE_TARGETS",
        /// 100,000 records, then a panic.
        OverflowRing = "OVERFLOW_RING",
    }
}

words! {
    /// Where the kernel is when it crashes.
    CrashPlace {
        /// Inside the logger, a record half-written.
        Log = "log",
        /// Inside the message of a `panic!`, while that is formatted.
        Message = "message",
        /// Between a transmit descriptor and the notification.
        Tx = "tx",
        /// While a frame is received.
        Rx = "rx",
        /// In the serial driver.
        Serial = "serial",
        /// Called by smoltcp.
        Smoltcp = "smoltcp",
        /// Amid a command on a console.
        Console = "console",
        /// In the panic path, once.
        Panic = "panic",
        /// In the panic path, twice.
        Panic2 = "panic2",
        /// In the panic path, three times: no report can be sent.
        Panic3 = "panic3",
        /// In the panic path, where it opens a card.
        PanicCard = "paniccard",
        /// In the panic path, at every card that it opens.
        PanicCards = "paniccards",
        /// In a call of the firmware that drives a card. [`Loop`](CrashKind::Loop): the panic path's first, which does not come
        /// back. [`HungDevice`](CrashKind::HungDevice): the boot's first, and the panic path's, which fail.
        Firmware = "firmware",
        /// Before the NIC is up.
        Early = "early",
        /// While the NIC's BARs are being sized.
        Pci = "pci",
    }
}

/// A crash to provoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// What happens.
    pub kind: CrashKind,
    /// Where; `None`: in the main loop, after the boot log.
    pub place: Option<CrashPlace>,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        match self.place {
            None => Ok(()),
            Some(place) => write!(f, "@{}", place.as_str()),
        }
    }
}

/// Which half of `KIND[@WHERE]` is no word of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashError {
    /// The kind.
    Kind,
    /// The place.
    Place,
}

impl fmt::Display for CrashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => {
                f.write_str("one of")?;
                CrashKind::ALL.iter().try_for_each(|kind| write!(f, " {}", kind.as_str()))
            }
            Self::Place => {
                f.write_str("behind '@' one of")?;
                CrashPlace::ALL.iter().try_for_each(|place| write!(f, " {}", place.as_str()))
            }
        }
    }
}

impl core::error::Error for CrashError {}

impl FromStr for Crash {
    type Err = CrashError;

    /// In capitals or not.
    fn from_str(text: &str) -> Result<Self, CrashError> {
        let (kind, place) = match text.split_once('@') {
            None => (text, None),
            Some((kind, place)) => (kind, Some(place)),
        };
        let kind = CrashKind::find(kind).ok_or(CrashError::Kind)?;
        let place = match place {
            None => None,
            Some(place) => Some(CrashPlace::find(place).ok_or(CrashError::Place)?),
        };
        Ok(Self { kind, place })
    }
}
