//! What a boot left behind, and the checks that every boot must pass.

use super::frame::Frame;
use super::message::{self, Message};
use super::record::Sent;
use super::tshark;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything about a boot that has ended.
#[derive(Debug)]
pub struct Capture {
    pub sent: Vec<Sent>,
    /// The serial console, its line ends as `\n`.
    pub serial: String,
    /// QEMU's exit status; `None` where the test ended it.
    pub status: Option<i32>,
    pub(super) pcaps: Vec<PathBuf>,
}

/// What a boot's extended messages may look like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    /// All levels are sent, so every sequence number must come.
    pub complete: bool,
    /// After a crash or the loss of the link, what may not have left comes again.
    pub repeats: bool,
}

impl Capture {
    /// The frames, all of which are good.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.sent.iter().filter_map(Sent::good)
    }

    /// The payloads that went to `target`, in order.
    pub fn payloads(&self, target: &str) -> Vec<&[u8]> {
        let target: SocketAddr = target.parse().expect("an address and port");
        self.frames()
            .filter_map(Frame::datagram)
            .filter(|(to, _)| *to == target)
            .map(|(_, payload)| payload)
            .collect()
    }

    /// What `nc` on `target` would show.
    pub fn text(&self, target: &str) -> String {
        String::from_utf8_lossy(&self.payloads(target).concat()).into_owned()
    }

    /// The records that `target` got in the extended format.
    pub fn messages(&self, target: &str) -> Vec<Message> {
        message::messages(self.payloads(target)).unwrap_or_else(|fault| panic!("{target}: {fault}"))
    }

    /// The checks that hold for every boot; all faults are named at once.
    pub(super) fn check(&self, delivery: Delivery) {
        let mut faults: Vec<String> =
            self.sent.iter().filter_map(|sent| sent.frame.as_ref().err().cloned()).collect();
        faults.extend(self.pcaps.iter().map(|pcap| tshark::faults(pcap)).filter(|found| !found.is_empty()));
        let mut streams: BTreeMap<SocketAddr, Vec<&[u8]>> = BTreeMap::new();
        for (to, payload) in self.frames().filter_map(Frame::datagram) {
            streams.entry(to).or_default().push(payload);
        }
        for (target, payloads) in streams {
            if payloads.first().is_some_and(|first| message::is_extended(first)) {
                match message::messages(payloads) {
                    Ok(messages) => {
                        faults.extend(delivery.fault(&messages).map(|fault| format!("{target}: {fault}")))
                    }
                    Err(fault) => faults.push(format!("{target}: {fault}")),
                }
            }
        }
        assert!(faults.is_empty(), "faults on the wire:\n{}", faults.join("\n"));
    }
}

impl Delivery {
    /// The first record that is missing, out of order or there twice.
    fn fault(self, messages: &[Message]) -> Option<String> {
        let mut next = 0;
        for message in messages {
            let sequence = message.sequence;
            let (gap, back) = (sequence > next, sequence < next);
            if (back && !self.repeats) || (gap && self.complete) {
                return Some(format!("record {sequence} came where {next} was due: {}", message.text));
            }
            next = next.max(sequence + 1);
        }
        None
    }
}

#[test]
fn delivery_finds_gaps_and_repetitions() {
    let stream = |sequences: &[u64]| -> Vec<Message> {
        let message = |&sequence: &u64| Message {
            release: None,
            level: 6,
            sequence,
            micros: 0,
            text: String::new(),
            fragments: 1,
        };
        sequences.iter().map(message).collect()
    };
    let (complete, filtered) = (Delivery { complete: true, repeats: false }, Delivery::default());
    let crashed = Delivery { complete: true, repeats: true };
    assert!(complete.fault(&stream(&[0, 1, 2])).is_none());
    assert!(complete.fault(&stream(&[0, 2])).is_some());
    assert!(complete.fault(&stream(&[1])).is_some());
    assert!(complete.fault(&stream(&[0, 0])).is_some());
    assert!(filtered.fault(&stream(&[0, 2])).is_none());
    assert!(filtered.fault(&stream(&[2, 0])).is_some());
    assert!(crashed.fault(&stream(&[0, 1, 0, 1, 2])).is_none());
    assert!(crashed.fault(&stream(&[0, 1, 0, 3])).is_some());
}
