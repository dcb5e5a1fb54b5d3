//! What is sent to a receiver to measure it.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

/// The text of each record: as long as a kernel's line is in the middle.
const TEXT: &str = "usb 1-1: new high-speed USB device number 4 using xhci_hcd, port 2";
/// What each text has once, so that records can be counted in whatever a program writes.
#[allow(dead_code, reason = "one of the two programs has no use for it")]
pub const MARK: &[u8] = b"usb 1-1: new";
/// Bytes of a record in fragments, and of a fragment.
const LONG: usize = 2700;
const FRAGMENT: usize = 900;

/// A kind of load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    form: Form,
    senders: u32,
    arguments: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Basic,
    Extended,
    Fields,
    Fragments,
}

impl Load {
    /// All kinds, by name.
    pub const KINDS: [(&'static str, Load); 8] = [
        ("text", Load { form: Form::Extended, senders: 1, arguments: &[] }),
        ("json", Load { form: Form::Extended, senders: 1, arguments: &["--json"] }),
        ("basic", Load { form: Form::Basic, senders: 1, arguments: &[] }),
        ("fields", Load { form: Form::Fields, senders: 1, arguments: &["--json"] }),
        ("fragments", Load { form: Form::Fragments, senders: 1, arguments: &[] }),
        ("senders1000", Load { form: Form::Extended, senders: 1000, arguments: &[] }),
        ("senders100000", Load { form: Form::Extended, senders: 100_000, arguments: &[] }),
        ("files1000", Load { form: Form::Extended, senders: 1000, arguments: &[] }),
    ];

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Load> {
        Self::KINDS.iter().find(|(kind, _)| *kind == name).map(|(_, load)| *load)
    }

    /// How many send, in turn.
    #[allow(dead_code, reason = "one of the two programs has no use for it")]
    pub fn senders(self) -> u32 {
        self.senders
    }

    /// How often a record has [`MARK`].
    #[allow(dead_code, reason = "one of the two programs has no use for it")]
    pub fn marks(self) -> u32 {
        match self.form {
            Form::Basic | Form::Extended | Form::Fields => 1,
            // The last one is cut behind it.
            Form::Fragments => LONG.div_ceil(TEXT.len()) as u32,
        }
    }

    /// What the receiver is told.
    #[allow(dead_code, reason = "one of the two programs has no use for it")]
    pub fn arguments(self) -> &'static [&'static str] {
        self.arguments
    }

    /// Who sends a record: 10.0.0.1 and up, in turn.
    #[allow(dead_code, reason = "one of the two programs has no use for it")]
    pub fn from(self, number: u32) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::from(0x0a00_0001 + number % self.senders), 6665))
    }

    /// Makes the datagrams of a record.
    pub fn make(self, number: u32, to: &mut Datagrams) {
        to.bytes.clear();
        to.ends.clear();
        let sequence = number / self.senders;
        let micros = 5_000_000 + u64::from(sequence) * 37;
        match self.form {
            Form::Basic => {
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                to.add(format_args!("[{seconds:5}.{micros:06}] {TEXT}\n"));
            }
            Form::Extended => to.add(format_args!("6,{sequence},{micros},-;{TEXT}\n")),
            Form::Fields => {
                let fields = " SUBSYSTEM=usb\n DEVICE=c189:3\n msgid=";
                let caller = number % 97;
                to.add(format_args!("6,{sequence},{micros},-,caller=T{caller};{TEXT}\n{fields}{sequence}\n"));
            }
            Form::Fragments => {
                let body = TEXT.repeat(LONG.div_ceil(TEXT.len()));
                for at in (0..LONG).step_by(FRAGMENT) {
                    let piece = body.get(at..LONG.min(at + FRAGMENT)).unwrap_or_default();
                    to.add(format_args!("6,{sequence},{micros},-,ncfrag={at}/{LONG};{piece}"));
                }
            }
        }
    }
}

/// The datagrams of a record, in memory that serves for the next one.
#[derive(Debug, Default)]
pub struct Datagrams {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Datagrams {
    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| self.bytes.get(start..end).unwrap_or_default())
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = self.bytes.write_fmt(text);
        self.ends.push(self.bytes.len());
    }
}
