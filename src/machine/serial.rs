//! The serial console: shows the ring's records as they come, without ever making the boot wait for
//! a slow line. An absent port is detected by the driver and left alone.

use netconsole::log::{Cursor, Read, Ring, Timebase};
use netconsole::netconsole::format::{self, MAX_DATAGRAM, Style};
use netconsole::netconsole::{Format, LogFilter};
use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};

/// Bytes sent in one turn at most, so that a turn stays short: four times a port's FIFO.
const BYTES_A_TURN: usize = 64;

/// A serial port that shows the log. Each record is formatted as the basic format does, and its
/// bytes leave as the port takes them.
pub struct SerialConsole {
    port: Uart16550<PioBackend>,
    cursor: Cursor,
    /// Where in the record's text the next piece begins.
    offset: usize,
    piece: [u8; MAX_DATAGRAM],
    sent: usize,
    length: usize,
    /// A carriage return has gone out for the line feed that is next.
    returned: bool,
}

impl SerialConsole {
    /// Opens the port at `base` and sets its speed; `None` where there is none.
    pub fn open(base: u16, baud: u32) -> Option<Self> {
        // SAFETY: `base` is one of the PC's four standard serial ports, which this kernel gives to
        // nothing else; that a device is there is checked by `init`.
        let mut port = unsafe { Uart16550::new_port(base) }.ok()?;
        let config = Config { baud_rate: BaudRate::Custom(baud), ..Config::DEFAULT };
        port.init(config).ok()?;
        Some(Self {
            port,
            cursor: Cursor::START,
            offset: 0,
            piece: [0; MAX_DATAGRAM],
            sent: 0,
            length: 0,
            returned: false,
        })
    }

    /// Sends what the port takes now. False once everything has gone out.
    pub fn poll(&mut self, ring: &Ring<'_>, timebase: &Timebase, filter: LogFilter) -> bool {
        for _ in 0..BYTES_A_TURN {
            if self.sent == self.length && !self.next_piece(ring, timebase, filter) {
                return false;
            }
            let Some(&byte) = self.piece.get(self.sent) else { return false };
            let needs_return = byte == b'\n' && !self.returned;
            if self.port.try_send_byte(if needs_return { b'\r' } else { byte }).is_err() {
                return true;
            }
            self.returned = needs_return;
            self.sent += usize::from(!needs_return);
        }
        true
    }

    /// Sends everything, or as much as goes out before the port takes nothing for `patience` tries.
    /// Panic-safe.
    pub fn drain(&mut self, ring: &Ring<'_>, timebase: &Timebase, filter: LogFilter, patience: u32) {
        let mut idle = 0;
        while idle < patience {
            let before = (self.cursor, self.offset, self.sent, self.returned);
            if !self.poll(ring, timebase, filter) {
                return;
            }
            idle = if before == (self.cursor, self.offset, self.sent, self.returned) { idle + 1 } else { 0 };
        }
    }

    /// Formats the next piece of the log; false where there is none.
    fn next_piece(&mut self, ring: &Ring<'_>, timebase: &Timebase, filter: LogFilter) -> bool {
        loop {
            match ring.read(self.cursor) {
                Read::Record(record) => {
                    if filter.passes(record.level()) {
                        let style = Style { format: Format::Basic, time: filter.time };
                        let micros = timebase.micros(record.tsc());
                        let piece = format::write_datagram(&style, &record, micros, self.offset, &mut self.piece);
                        self.offset = piece.next.unwrap_or(0);
                        (self.sent, self.length) = (0, piece.len);
                        if piece.next.is_none() {
                            self.cursor = record.next();
                        }
                        return true;
                    }
                    self.cursor = record.next();
                }
                Read::Lost { resume, .. } => {
                    (self.cursor, self.offset) = (resume, 0);
                }
                Read::Unfinished | Read::End => return false,
            }
        }
    }
}
