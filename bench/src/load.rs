//! What is sent to a receiver to measure it.

use std::net::{Ipv4Addr, SocketAddr};

/// The text of each record: as long as a kernel's line is in the middle.
const TEXT: &str = "usb 1-1: new high-speed USB device number 4 using xhci_hcd, port 2";
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

    /// The datagrams of a record.
    pub fn datagrams(self, number: u32) -> Vec<Vec<u8>> {
        let sequence = number / self.senders;
        let micros = 5_000_000 + u64::from(sequence) * 37;
        let header = format!("6,{sequence},{micros},-");
        match self.form {
            Form::Basic => {
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                vec![format!("[{seconds:5}.{micros:06}] {TEXT}\n").into_bytes()]
            }
            Form::Extended => vec![format!("{header};{TEXT}\n").into_bytes()],
            Form::Fields => {
                let fields = " SUBSYSTEM=usb\n DEVICE=c189:3\n msgid=";
                vec![format!("{header},caller=T{};{TEXT}\n{fields}{sequence}\n", number % 97).into_bytes()]
            }
            Form::Fragments => {
                let body: Vec<u8> = TEXT.bytes().cycle().take(LONG).collect();
                let pieces = (0..).step_by(FRAGMENT).zip(body.chunks(FRAGMENT));
                let piece = |(at, piece): (usize, &[u8])| {
                    let mut datagram = format!("{header},ncfrag={at}/{LONG};").into_bytes();
                    datagram.extend_from_slice(piece);
                    datagram
                };
                pieces.map(piece).collect()
            }
        }
    }
}
