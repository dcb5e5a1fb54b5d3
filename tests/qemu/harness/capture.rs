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
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Every record must come, or the next one says that it was held back by the target's level.
    pub complete: bool,
    /// After a crash or the loss of the link, what may not have left comes again.
    pub repeats: bool,
    /// Another system sends by the same card before.
    pub other_sends: bool,
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
        if !delivery.other_sends && self.frames().any(|frame| frame.may_be_split) {
            faults.push("IPv4: a datagram without DF".into());
        }
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
    /// The first record that is missing, out of order or there twice, or tells of others that they were held back which
    /// came or were lost.
    fn fault(self, messages: &[Message]) -> Option<String> {
        let mut next = 0;
        for message in messages {
            let sequence = message.sequence;
            let (gap, held) = (sequence.saturating_sub(next), message.held);
            // What comes again may tell again of what was told already.
            let (lost, told_more) = (held < gap, held > gap);
            if (sequence < next || told_more) && !self.repeats || lost && self.complete {
                let text = &message.text;
                return Some(format!(
                    "record {sequence} after {held} held back came where {next} was due: {text}"
                ));
            }
            next = next.max(sequence + 1);
        }
        None
    }
}

#[test]
fn delivery_finds_gaps_and_repetitions() {
    let stream = |sequences: &[(u64, u64)]| -> Vec<Message> {
        let message = |&(sequence, held): &(u64, u64)| Message {
            release: None,
            level: 6,
            sequence,
            micros: 0,
            held,
            text: String::new(),
            fragments: 1,
        };
        sequences.iter().map(message).collect()
    };
    let complete = Delivery { complete: true, repeats: false, other_sends: false };
    let lossy = Delivery { complete: false, repeats: false, other_sends: false };
    let crashed = Delivery { complete: true, repeats: true, other_sends: false };
    let is_fine = |delivery: Delivery, sequences: &[(u64, u64)]| delivery.fault(&stream(sequences)).is_none();
    assert!(is_fine(complete, &[(0, 0), (1, 0), (2, 0)]));
    assert!(!is_fine(complete, &[(0, 0), (2, 0)]));
    assert!(!is_fine(complete, &[(1, 0)]));
    assert!(!is_fine(complete, &[(0, 0), (0, 0)]));
    assert!(is_fine(complete, &[(1, 1), (2, 0), (5, 2)]));
    assert!(!is_fine(complete, &[(0, 0), (3, 1)]));
    assert!(!is_fine(complete, &[(0, 0), (1, 1)]));
    assert!(is_fine(lossy, &[(0, 0), (2, 0), (5, 1)]));
    assert!(!is_fine(lossy, &[(2, 0), (0, 0)]));
    assert!(!is_fine(lossy, &[(0, 0), (3, 3)]));
    assert!(is_fine(crashed, &[(0, 0), (1, 0), (0, 0), (1, 0), (2, 0)]));
    assert!(is_fine(crashed, &[(1, 1), (1, 1), (4, 2), (4, 2), (5, 0)]));
    assert!(!is_fine(crashed, &[(0, 0), (1, 0), (0, 0), (3, 0)]));
}
