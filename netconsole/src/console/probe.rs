//! `arping` and `ping`: questions to other stations.

use super::host::Host;
use super::step::{Chunk, Step, failed};
use crate::network::Sent;
use crate::settings::DeviceName;
use core::fmt::{self, Write};
use core::net::IpAddr;

/// How long an answer is waited for, in µs.
const PATIENCE: u64 = 3_000_000;
/// The time from one echo request to the next, in µs.
const INTERVAL: u64 = 1_000_000;
/// How many echo requests are sent where the number is not said.
const PINGS: u16 = 4;

/// `arping` under way.
pub(super) struct Arping {
    address: IpAddr,
    device: Option<DeviceName>,
    /// When the question was asked, in µs since boot.
    asked: Option<u64>,
    /// Only the Ethernet address is shown: the output is for a file.
    is_brief: bool,
}

impl Arping {
    /// Reads the arguments; it always ends with the first answer, so `-f` changes nothing.
    pub(super) fn read<'w>(mut arguments: impl Iterator<Item = &'w str>, is_brief: bool) -> Option<Self> {
        let (mut address, mut device) = (None, None);
        while let Some(word) = arguments.next() {
            match word {
                "-f" => {}
                "-I" => device = Some(DeviceName::new(arguments.next()?)?),
                word if address.is_none() => address = Some(word.parse().ok()?),
                _ => return None,
            }
        }
        Some(Self { address: address?, device, asked: None, is_brief })
    }

    pub(super) fn step(
        &mut self,
        host: &mut dyn Host,
        out: &mut Chunk,
        problem: &mut dyn Write,
    ) -> Result<Step, fmt::Error> {
        let now = host.now();
        let address = self.address;
        let neighbor = match host.neighbor(address, self.device, self.asked.is_none()) {
            Ok(neighbor) => neighbor,
            Err(error) => return failed(problem, format_args!("arping: {error}")),
        };
        let Some(asked) = self.asked else {
            self.asked = Some(now);
            if !self.is_brief {
                writeln!(out, "ARPING {address} from {} {}", neighbor.source, neighbor.interface)?;
            }
            return Ok(Step::Waits);
        };
        let waited = now.saturating_sub(asked);
        match neighbor.mac {
            None if waited < PATIENCE => return Ok(Step::Waits),
            None => return failed(problem, format_args!("arping: nobody answers for {address}")),
            Some(mac) if self.is_brief => writeln!(out, "{mac}")?,
            Some(mac) => writeln!(out, "Unicast reply from {address} [{mac}]  {}", Millis(waited))?,
        }
        Ok(Step::Done)
    }
}

/// `ping` under way.
pub(super) struct Ping {
    address: IpAddr,
    count: u16,
    /// The number of the request under way, from 1.
    sequence: u16,
    /// When it was to be sent, in µs since boot; `None` before the first.
    since: Option<u64>,
    /// When it left.
    sent: Option<u64>,
    answered: bool,
    received: u16,
}

impl Ping {
    /// Reads the arguments.
    pub(super) fn read<'w>(mut arguments: impl Iterator<Item = &'w str>) -> Option<Self> {
        let (mut address, mut count) = (None, PINGS);
        while let Some(word) = arguments.next() {
            match word {
                "-c" => count = arguments.next()?.parse().ok().filter(|&count| count > 0)?,
                word if address.is_none() => address = Some(word.parse().ok()?),
                _ => return None,
            }
        }
        Some(Self {
            address: address?,
            count,
            sequence: 1,
            since: None,
            sent: None,
            answered: false,
            received: 0,
        })
    }

    pub(super) fn step(
        &mut self,
        host: &mut dyn Host,
        out: &mut Chunk,
        problem: &mut dyn Write,
    ) -> Result<Step, fmt::Error> {
        let now = host.now();
        let address = self.address;
        let Some(since) = self.since else {
            self.since = Some(now);
            writeln!(out, "PING {address}")?;
            return Ok(Step::More);
        };
        let waited = now.saturating_sub(since);
        let Some(sent) = self.sent else {
            match host.ping(address, self.sequence) {
                Ok(Sent::Now) => self.sent = Some(now),
                Ok(Sent::Later) => {}
                Err(error) => return failed(problem, format_args!("ping: {error}")),
            }
            return Ok(Step::Waits);
        };
        if !self.answered
            && let Some(at) = host.pong(address, self.sequence)
        {
            self.answered = true;
            self.received = self.received.saturating_add(1);
            let time = Millis(at.saturating_sub(sent));
            writeln!(out, "answer from {address}: icmp_seq={} time={time}", self.sequence)?;
        }
        let is_last = self.sequence >= self.count;
        let is_over = match (self.answered, is_last) {
            (true, true) => true,
            (true, false) => waited >= INTERVAL,
            (false, _) => waited >= PATIENCE,
        };
        if !is_over {
            return Ok(Step::Waits);
        }
        if !self.answered {
            writeln!(out, "no answer from {address}: icmp_seq={}", self.sequence)?;
        }
        if is_last {
            let lost = self.count.saturating_sub(self.received);
            writeln!(out, "{} packets transmitted, {} received, {lost} lost", self.count, self.received)?;
            return Ok(Step::Done);
        }
        self.sequence = self.sequence.saturating_add(1);
        (self.since, self.sent, self.answered) = (Some(now), None, false);
        Ok(Step::Waits)
    }
}

/// A time in µs, shown in ms.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} ms", self.0 / 1000, self.0 % 1000)
    }
}
