//! A host whose network is one station; the fuzz target of the console has this file, too.

use super::*;

pub struct FakeHost {
    pub now: u64,
    ring: &'static Ring<'static>,
    pub targets: TargetTable,
    pub common: Common,
    /// The station that answers, if any.
    pub neighbor: Option<(IpAddr, MacAddr)>,
    pinged: Option<u16>,
    pub ending: Option<Ending>,
    pub command_line: String,
}

impl FakeHost {
    /// What is shown where no command has changed it.
    pub const COMMON: Common = Common {
        filter: LogFilter { limit: 7, ignore_limits: false, oops_only: false },
        style: SharedStyle { time: false, release: "6.12.1-mine", host_name: None, epoch: None },
        ncrx: true,
        spares_everybody: false,
    };

    /// Its log has `words` words, and room for an eighth as many records. It is leaked.
    pub fn new(words: usize) -> Self {
        let atomics = |count| -> &'static [AtomicU64] {
            (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
        };
        let header = Box::leak(Box::new(RingHeader::new()));
        let ring = Box::leak(Box::new(Ring::new(header, atomics(words / 8), atomics(words))));
        ring.recover(0, Audience::Everybody);
        Self {
            now: 0,
            ring,
            targets: TargetTable::new(Box::leak(Box::new(UserData::new()))),
            common: Self::COMMON,
            neighbor: None,
            pinged: None,
            ending: None,
            command_line: "debug netconsole=@/".into(),
        }
    }

    pub fn log(&self, text: &str) {
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

    fn common(&mut self) -> &mut Common {
        &mut self.common
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
        let answer = self.neighbor.filter(|(station, _)| !begin && *station == address);
        Ok(Neighbor {
            interface: DeviceName::ETH0,
            source: source.parse().expect("an address"),
            mac: answer.map(|(_, mac)| mac),
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

    fn log(&mut self, level: Level, text: &str) {
        self.ring.append_str(level, "console", 0, text);
    }

    fn command_line(&self) -> &dyn fmt::Display {
        &self.command_line
    }

    fn show_build_id(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("b01d")
    }

    fn crashes(&self) -> &'static [&'static str] {
        &["PANIC", "BUG"]
    }

    fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}
