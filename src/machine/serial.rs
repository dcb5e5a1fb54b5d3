//! The serial console: shows the ring's records as they come, without ever making the boot wait for
//! a slow line. An absent port is detected by the driver and left alone.

use super::clock::{self, Deadline};
use crate::crash::{self, Armed};
use crate::memory;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use netconsole::log::{Read, Ring, Timebase};
use netconsole::netconsole::Format;
use netconsole::netconsole::format::{self, MAX_DATAGRAM, Style};
use netconsole::netconsole::target::LogFilter;
use netconsole::parameters;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::{Parity, WordLength};
use uart_16550::{BaudRate, Config, Uart16550};
use x86_64::instructions::port::Port;

/// Bytes sent in one turn at most, so that a turn stays short: four times a port's FIFO.
const BYTES_A_TURN: usize = 64;
/// How long the last words wait for a port that takes nothing, in µs.
const PATIENCE: u64 = 100_000;

/// The ports ttyS0 to ttyS3.
const PORTS: [u16; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/// The port and speed in use and its check, for the last words: 0 where there is none.
static IN_USE: AtomicU64 = AtomicU64::new(0);
/// Whether the last byte shown ended no line.
static IS_AMID_LINE: AtomicBool = AtomicBool::new(false);

/// A serial port that shows the log.
pub struct SerialConsole {
    port: Uart16550<PioBackend>,
    log: Shown,
}

impl SerialConsole {
    /// Opens the port and sets its line; `None` where there is none.
    pub fn open(line: &parameters::SerialConsole) -> Option<Self> {
        let base = *PORTS.get(usize::from(line.port))?;
        // SAFETY: `base` is one of the PC's four standard serial ports, which this kernel gives to
        // nothing else; that a device is there is checked by `init`.
        let mut port = unsafe { Uart16550::new_port(base) }.ok()?;
        let config = Config {
            baud_rate: BaudRate::Custom(line.speed),
            parity: match line.parity {
                parameters::Parity::None => Parity::Disabled,
                parameters::Parity::Odd => Parity::Odd,
                parameters::Parity::Even => Parity::Even,
            },
            data_bits: match line.bits {
                5 => WordLength::FiveBits,
                6 => WordLength::SixBits,
                7 => WordLength::SevenBits,
                _ => WordLength::EightBits,
            },
            ..Config::DEFAULT
        };
        port.init(config).ok()?;
        let in_use = u32::from(base);
        IN_USE.store(u64::from(in_use) | u64::from(!in_use) << 32, Ordering::Relaxed);
        Some(Self { port, log: Shown::from(0, false) })
    }

    /// Sends what the port takes now. False once everything has gone out.
    pub fn poll(&mut self, ring: &Ring<'_>, timebase: &Timebase, filter: LogFilter) -> bool {
        self.log.show(ring, timebase, filter, &mut |byte| {
            let taken = self.port.try_send_byte(byte).is_ok();
            crash::here(Armed::Serial);
            taken
        })
    }
}

/// How far the log was shown. Each record is formatted as the basic format does, and its bytes leave as the
/// port takes them.
struct Shown {
    /// The next record, and where in its text the next piece begins.
    sequence: u64,
    offset: usize,
    piece: [u8; MAX_DATAGRAM],
    sent: usize,
    length: usize,
    /// A carriage return has gone out for the line feed that is next.
    returned: bool,
    /// A record that is being written will not be finished any more: what there is of it is shown.
    is_last: bool,
}

impl Shown {
    const fn from(sequence: u64, is_last: bool) -> Self {
        let piece = [0; MAX_DATAGRAM];
        Self { sequence, offset: 0, piece, sent: 0, length: 0, returned: false, is_last }
    }

    /// Hands bytes to `send` until it does not take one, for one turn. False once everything has gone out.
    fn show(
        &mut self,
        ring: &Ring<'_>,
        timebase: &Timebase,
        filter: LogFilter,
        send: &mut dyn FnMut(u8) -> bool,
    ) -> bool {
        for _ in 0..BYTES_A_TURN {
            if self.sent == self.length && !self.next_piece(ring, timebase, filter) {
                return false;
            }
            let Some(&byte) = self.piece.get(self.sent) else { return false };
            let needs_return = byte == b'\n' && !self.returned;
            let byte = if needs_return { b'\r' } else { byte };
            if !send(byte) {
                return true;
            }
            IS_AMID_LINE.store(byte != b'\n', Ordering::Relaxed);
            self.returned = needs_return;
            self.sent = self.sent.saturating_add(usize::from(!needs_return));
        }
        true
    }

    /// Formats the next piece of the log; false where there is none.
    fn next_piece(&mut self, ring: &Ring<'_>, timebase: &Timebase, filter: LogFilter) -> bool {
        loop {
            // All before was shown to its end.
            memory::SERIAL_POSITION.set(self.sequence);
            let read = match ring.read(self.sequence) {
                Read::Unfinished(record) if self.is_last => Read::Record(record),
                read => read,
            };
            match read {
                Read::Record(record) if filter.passes(record.level()) => {
                    let style = Style::new(Format::Basic, filter.time);
                    let micros = ring.micros(&record, timebase);
                    let piece = format::write_datagram(&style, &record, micros, self.offset, &mut self.piece);
                    (self.sent, self.length) = (0, piece.len);
                    match piece.next {
                        Some(offset) => self.offset = offset,
                        None => self.step_to(record.sequence().saturating_add(1)),
                    }
                    return true;
                }
                Read::Record(record) => self.step_to(record.sequence().saturating_add(1)),
                Read::Lost { resume } => self.step_to(resume.max(self.sequence.saturating_add(1))),
                Read::Unfinished(_) | Read::End => return false,
            }
        }
    }

    fn step_to(&mut self, sequence: u64) {
        (self.sequence, self.offset) = (sequence, 0);
    }
}

/// 16550 datasheet: the line status register, and its bit for an empty transmit buffer.
const LINE_STATUS: u16 = 5;
const TRANSMIT_EMPTY: u8 = 1 << 5;

/// Sends a byte where the port takes one now. The driver above may panic, as its compiler sees it; this
/// can't. Panic-safe.
fn try_send(base: u16, byte: u8) -> bool {
    // SAFETY: the caller's `base` is a serial port of `PORTS`; no memory is involved.
    unsafe {
        let status: u8 = Port::new(base.wrapping_add(LINE_STATUS)).read();
        let empty = status & TRANSMIT_EMPTY != 0;
        if empty {
            Port::new(base).write(byte);
        }
        empty
    }
}

/// Shows what the log still holds on the port that was in use, with a deadline for each byte. Panic-safe.
pub fn last_words() {
    let [a, b, _, _, c, d, ..] = IN_USE.load(Ordering::Relaxed).to_le_bytes();
    let base = u16::from_le_bytes([a, b]);
    if [!a, !b] != [c, d] || !PORTS.contains(&base) {
        return;
    }
    let position = memory::SERIAL_POSITION.get().filter(|&position| position <= memory::ring().end());
    let mut log = Shown::from(position.unwrap_or(0), true);
    let filter = LogFilter { limit: 8, time: true, oops_only: false };
    let timebase = clock::published();
    let mut is_stuck = false;
    if IS_AMID_LINE.load(Ordering::Relaxed) {
        // The record is shown once more, on a line of its own.
        let _ = try_send(base, b'\r') && try_send(base, b'\n');
    }
    while !is_stuck
        && log.show(memory::ring(), &timebase, filter, &mut |byte| {
            let deadline = Deadline::after(PATIENCE);
            while !try_send(base, byte) {
                if deadline.has_come() {
                    is_stuck = true;
                    return false;
                }
            }
            true
        })
    {}
}
