//! What one boot did, and when: moments are instructions since the kernel's entry.

use crate::append::TARGET_PORTS;
use crate::symbols::Symbols;
use crate::trace::{Event, Frame, Run, kernel};
use std::ops::Range;

/// A call of the logging facade.
#[derive(Clone, Copy, Debug)]
pub struct LoggingCall {
    pub at: u64,
    /// From the call to the return.
    pub instructions: u64,
    /// Whether `core::fmt` put the text together, rather than that it was a literal.
    pub formatted: bool,
}

/// A boot, from the kernel's entry to its end.
#[derive(Debug, Default)]
pub struct Boot {
    pub instructions: u64,
    /// Of those, the flood's own: making its text, counting.
    pub flooding: u64,
    /// When the card was told of frames to send.
    pub notified: Vec<u64>,
    pub notifications: u64,
    /// When ports or devices' memory was read or written, notifications and the serial ports' aside.
    pub accesses: Vec<u64>,
    /// When a serial port's was.
    pub serial_accesses: Vec<u64>,
    /// When each frame of the log was handed over: the last notification before the card took it.
    pub log_frames: Vec<u64>,
    pub calls: Vec<LoggingCall>,
    /// When the panic handler was entered.
    pub panicked: Option<u64>,
}

impl Boot {
    /// Boots on QEMU's pc with these kernel parameters.
    pub fn observe(symbols: &Symbols, name: &str, append: &str) -> Result<Self, String> {
        Self::observe_on(&[], symbols, name, append)
    }

    /// Boots on the machine that QEMU makes of these arguments.
    pub fn observe_on(machine: &[&str], symbols: &Symbols, name: &str, append: &str) -> Result<Self, String> {
        let mut observer = Observer {
            entry: symbols.function("entry")?.start,
            panic: symbols.function("__rustc::rust_begin_unwind")?.start,
            log: [
                symbols.function("<netconsole::ring::logger::Logger<M> as log::Log>::log")?.start,
                symbols
                    .function(
                        "netconsole::ring::writer::<impl netconsole::ring::log_ring::Ring>::append_str",
                    )?
                    .start,
            ],
            flood: symbols.function("netconsole::flood::run")?,
            validate: symbols.function("core::str::converts::from_utf8")?,
            format: symbols.function("core::fmt::write")?.start,
            entered: false,
            flooding: false,
            boot: Self::default(),
            last: 0,
            call: None,
            taken: Vec::new(),
        };
        let frames = Run { name, machine, kernel: &kernel(), append }.trace(|event| observer.see(event))?;
        let Observer { mut boot, taken, .. } = observer;
        let sent: Vec<&Frame> = frames.iter().filter(|frame| frame.bytes.get(6..12) == Some(&CARD)).collect();
        if sent.len() != taken.len() {
            return Err(format!("{name}: {} frames were captured, {} taken", sent.len(), taken.len()));
        }
        boot.log_frames = sent
            .iter()
            .zip(taken)
            .filter(|(frame, _)| TARGET_PORTS.clone().any(|port| frame.log(port).is_some()))
            .map(|(_, at)| at)
            .collect();
        boot.notifications = boot.notified.len() as u64;
        Ok(boot)
    }
}

/// The address that QEMU gives its first card.
const CARD: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

struct Observer {
    entry: u64,
    panic: u64,
    /// The logger's method, and what writes the flood's texts into the ring.
    log: [u64; 2],
    flood: Range<u64>,
    /// What looks at the flood's text before it is logged.
    validate: Range<u64>,
    format: u64,
    entered: bool,
    /// Whether the last instruction was the flood's own.
    flooding: bool,
    boot: Boot,
    /// The instruction before.
    last: u64,
    /// The logging call under way, with its call instruction.
    call: Option<(u64, LoggingCall)>,
    /// When each frame that the card took was handed over.
    taken: Vec<u64>,
}

impl Observer {
    fn see(&mut self, event: Event) {
        match event {
            Event::Instruction(address) => self.instruction(address),
            Event::Notify(1) if self.entered => self.boot.notified.push(self.boot.instructions),
            Event::Access { serial: false } if self.entered => {
                self.boot.accesses.push(self.boot.instructions)
            }
            Event::Access { serial: true } if self.entered => {
                self.boot.serial_accesses.push(self.boot.instructions);
            }
            Event::Notify(_) | Event::Access { .. } => {}
            Event::Frame => self.taken.push(self.boot.notified.last().copied().unwrap_or(0)),
        }
    }

    fn instruction(&mut self, address: u64) {
        self.entered |= address == self.entry;
        if !self.entered {
            return;
        }
        let now = self.boot.instructions;
        if address == self.panic {
            self.boot.panicked.get_or_insert(now);
        }
        match &mut self.call {
            // The longest call instruction has seven bytes. What is logged while a text is put
            // together counts for the outer call.
            Some((from, call)) if (*from + 1..=*from + 7).contains(&address) => {
                call.instructions = now - call.at;
                self.boot.calls.push(*call);
                self.call = None;
            }
            Some((_, call)) => call.formatted |= address == self.format,
            None if self.log.contains(&address) => {
                self.call = Some((self.last, LoggingCall { at: now, instructions: 0, formatted: false }));
            }
            None => {}
        }
        self.last = address;
        self.boot.instructions += 1;
        // Making its text is the flood's own, which is checked to be UTF-8 in a function that others call too.
        let is_flood = self.flood.contains(&address);
        let is_own = is_flood || self.flooding && self.validate.contains(&address);
        self.flooding = is_own;
        self.boot.flooding += u64::from(is_own);
    }
}
