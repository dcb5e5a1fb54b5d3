//! The console on a host whose network is a table.

mod commands;
mod remote;
mod tree;

use super::*;
use crate::log::{Level, Ring, RingHeader, Timebase};
use crate::netconsole::DeviceName;
use crate::netconsole::table::TargetTable;
use crate::netconsole::target::LogFilter;
use crate::netconsole::user_data::UserData;
use crate::text::Text;
use crate::wire::MacAddr;
use core::fmt;
use core::net::IpAddr;
use core::sync::atomic::AtomicU64;

pub(super) struct FakeHost {
    now: u64,
    ring: &'static Ring<'static>,
    pub(super) targets: TargetTable,
    pub(super) filter: LogFilter,
    /// The station that answers, if any.
    pub(super) neighbor: Option<MacAddr>,
    pinged: Option<u16>,
    pub(super) ending: Option<Ending>,
}

impl FakeHost {
    fn new() -> Self {
        const WORDS: usize = 1 << 15;
        let words = |count| -> &'static [AtomicU64] {
            Box::leak((0..count).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>())
        };
        let header = Box::leak(Box::new(RingHeader::new()));
        let ring = Box::leak(Box::new(Ring::new(header, words(WORDS / 8), words(WORDS))));
        ring.recover(0);
        Self {
            now: 0,
            ring,
            targets: TargetTable::new(Box::leak(Box::new(UserData::new()))),
            filter: LogFilter {
                limit: 7,
                ignore_limits: false,
                oops_only: false,
                time: false,
                host_name: None,
                epoch: None,
                ncrx: true,
            },
            neighbor: None,
            pinged: None,
            ending: None,
        }
    }

    pub(super) fn log(&self, text: &str) {
        self.ring.append_str(Level::Info, "test", 0, text);
    }
}

impl Host for FakeHost {
    fn now(&mut self) -> u64 {
        self.now
    }
    fn ring(&self) -> &'static Ring<'static> {
        self.ring
    }
    fn timebase(&mut self) -> Timebase {
        Timebase::new(0)
    }
    fn targets(&mut self) -> &mut TargetTable {
        &mut self.targets
    }
    fn filter(&mut self) -> &mut LogFilter {
        &mut self.filter
    }
    fn neighbor(
        &mut self,
        address: IpAddr,
        device: Option<DeviceName>,
        begin: bool,
    ) -> Result<Neighbor, NetworkError> {
        if device.is_some_and(|device| device != DeviceName::ETH0) {
            return Err(NetworkError::NoInterface);
        }
        let source = if address.is_ipv4() { "10.0.0.1" } else { "fd00::1" };
        Ok(Neighbor {
            interface: DeviceName::ETH0,
            source: source.parse().expect("an address"),
            mac: self.neighbor.filter(|_| !begin),
        })
    }
    fn ping(&mut self, _: IpAddr, sequence: u16) -> Result<Sent, NetworkError> {
        if self.pinged != Some(sequence) {
            self.pinged = Some(sequence);
            return Ok(Sent::Later);
        }
        Ok(Sent::Now)
    }
    fn pong(&mut self, _: IpAddr, sequence: u16) -> Option<u64> {
        // Of three requests the second is lost.
        (self.pinged == Some(sequence) && sequence % 3 != 2).then_some(self.now)
    }
    fn show_interface(&mut self, number: usize, out: &mut dyn fmt::Write) -> bool {
        number < 2 && writeln!(out, "eth{number}: up").is_ok()
    }
    fn show_pci_function(&mut self, number: usize, out: &mut dyn fmt::Write) -> bool {
        number < 3 && writeln!(out, "00:0{number}.0: function").is_ok()
    }
    fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

/// A session on such a host.
pub(super) struct Console {
    pub(super) host: Box<FakeHost>,
    pub(super) session: Box<Session>,
}

impl Console {
    pub(super) fn new() -> Self {
        Self { host: Box::new(FakeHost::new()), session: Box::new(Session::new()) }
    }

    /// What a line shows.
    pub(super) fn run(&mut self, line: &str) -> String {
        let mut out = Text::<2000>::new();
        let mut shown = String::new();
        self.session.begin(line, &mut *self.host, &mut out);
        for _ in 0..200_000 {
            let progress = self.session.poll(&mut *self.host, &mut out);
            shown.push_str(out.as_str());
            out.clear();
            match progress {
                Progress::Idle | Progress::Done if self.session.is_idle() => return shown,
                Progress::Waiting => self.host.now += 1000,
                _ => {}
            }
        }
        panic!("'{line}' does not end: {shown}")
    }

    /// Each line must show what stands behind it.
    pub(super) fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            assert_eq!(self.run(line), *expected, "{line}");
        }
    }
}
