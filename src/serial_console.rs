//! The serial console: shows the ring's records as they come, without ever making the boot wait for
//! a slow line. An absent port is detected by the driver and left alone.

use crate::log::{has_begun, ring};
use crate::machine::clock::Deadline;
use crate::machine::trap::{self, Place};
use crate::machine::uart::{self, PORTS, try_send};
use crate::memory::memory;
use crate::panic::line::Line;
use crate::platform::ThisKernel;
use bootinfo::parameters::{self, Console};
use core::sync::atomic::{AtomicBool, Ordering};
use netconsole::console::{Show, Terminal};
use netconsole::format::{Cursor, MAX_DATAGRAM, Next, RingLog, Style, Unfinished};
use netconsole::guarded::Word;
use netconsole::last_words::Report;
use netconsole::ring::{Record, Ring, Timebase};
use netconsole::settings::Format;
use netconsole::targets::Common;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::{Parity, WordLength};
use uart_16550::{BaudRate, Config, Uart16550};

/// Bytes sent in one turn at most, so that a turn stays short: four times a port's FIFO.
const BYTES_A_TURN: usize = 64;
/// How often the port is asked for what was typed, in µs: 16 bytes, its FIFO, come in 1400 µs at 115,200
/// baud.
const READ_INTERVAL: u64 = 1_000;
/// How long the last words wait for a port that takes nothing, in µs.
const PATIENCE: u64 = 100_000;
/// How long they may take in all, in µs.
const LIMIT: u64 = 30_000_000;
/// As many bytes as a line sends in four fifths of that, for each bit a second: a byte is ten bits.
const BYTES_IN_TIME: (u64, u64) = (LIMIT / 1_000_000 * 4, 5 * 10);
/// How long one line may take that is said when nothing else goes any more, in µs: 200 bytes at 2400 baud.
const LINE_PATIENCE: u64 = 1_000_000;

/// The port in use, for the last words: 0 where there is to be none, unset until it is known which.
static IN_USE: Word = Word::unset();

/// A port, and how its line is set.
#[derive(Clone, Copy)]
struct InUse {
    base: u16,
    speed: u32,
    /// The line control register.
    control: u8,
    /// Whether the line has been set.
    is_open: bool,
}

impl InUse {
    /// What `console=` is where it is not given.
    const DEFAULT: Self = Self { base: PORTS[0], speed: 115_200, control: 0b11, is_open: false };

    fn new(line: &parameters::SerialConsole, is_open: bool) -> Option<Self> {
        let base = *PORTS.get(usize::from(line.port))?;
        let parity = match line.parity {
            parameters::Parity::None => 0,
            parameters::Parity::Odd => 0b0_1000,
            parameters::Parity::Even => 0b1_1000,
        };
        let control = line.bits.clamp(5, 8).wrapping_sub(5) | parity;
        Some(Self { base, speed: line.speed, control, is_open })
    }

    fn note(self) {
        let [b0, b1] = self.base.to_le_bytes();
        let [s0, s1, s2, s3] = self.speed.to_le_bytes();
        IN_USE.set(u64::from_le_bytes([b0, b1, s0, s1, s2, s3, self.control, self.is_open.into()]));
    }

    /// The one that was noted. Panic-safe.
    fn noted(word: u64) -> Option<Self> {
        let [b0, b1, s0, s1, s2, s3, control, is_open] = word.to_le_bytes();
        let base = u16::from_le_bytes([b0, b1]);
        let speed = u32::from_le_bytes([s0, s1, s2, s3]);
        PORTS.contains(&base).then_some(Self { base, speed, control, is_open: is_open != 0 })
    }
}

/// Has the last words go to this port from here on, also where it is never opened.
pub fn choose(console: &Console) {
    let port = match console {
        Console::Null => None,
        Console::Serial(line) => InUse::new(line, false),
    };
    port.map_or_else(|| IN_USE.set(0), InUse::note);
}

/// Up to where the log was shown.
static POSITION: Word = Word::new(0);
/// Whether the last byte shown ended no line.
static IS_AMID_LINE: AtomicBool = AtomicBool::new(false);

/// A serial port that shows the log.
pub struct SerialConsole {
    port: Uart16550<PioBackend>,
    shown: Shown,
    /// When the port is to be asked for what was typed, in µs since boot.
    read_at: u64,
}

impl SerialConsole {
    /// Opens the port and sets its line; `None` where there is none.
    pub fn open(line: &parameters::SerialConsole) -> Option<Self> {
        // Where nothing answers, the last words have no port either.
        IN_USE.set(0);
        let in_use = InUse::new(line, true)?;
        let base = in_use.base;
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
        in_use.note();
        // What a Linux that crashed logged it has shown itself, and a serial line is slow.
        Some(Self { port, shown: Shown::from(ring().own_first(), Unfinished::Await), read_at: 0 })
    }

    /// Hands what has been typed to the terminal. The port is asked once a millisecond at most: each
    /// time is an access to the device, and its FIFO holds more than that.
    pub fn read(&mut self, terminal: &mut Terminal, now: u64) {
        if now < self.read_at {
            return;
        }
        self.read_at = now.saturating_add(READ_INTERVAL);
        for _ in 0..BYTES_A_TURN {
            if !terminal.has_room() {
                return;
            }
            match self.port.try_receive_byte() {
                Ok(byte) => terminal.key(byte),
                Err(_) => return,
            }
        }
    }

    /// Sends what the port takes now, of the log and of what the terminal is to show. False once
    /// everything has gone out.
    pub fn poll(
        &mut self,
        ring: &Ring<'_>,
        timebase: &Timebase,
        common: &Common,
        terminal: &mut Terminal,
    ) -> bool {
        let view = View { limit: common.filter.limit_for(None), time: common.style.time };
        self.shown.show(&RingLog::local(ring, timebase), view, terminal, &mut |byte| {
            let taken = self.port.try_send_byte(byte).is_ok();
            trap::probe(Place::Serial);
            taken
        })
    }
}

/// What shares the port with the log.
trait Screen {
    /// What comes next, `record` being the number of the next one of the log, if there is one to show.
    fn next(&mut self, record: Option<u64>) -> Show;

    /// Moves what it has to show, as much as fits, to `to`; how many bytes.
    fn take_output(&mut self, to: &mut [u8]) -> usize;
}

impl Screen for Terminal {
    fn next(&mut self, record: Option<u64>) -> Show {
        Terminal::next(self, record)
    }

    fn take_output(&mut self, to: &mut [u8]) -> usize {
        Terminal::take_output(self, to)
    }
}

/// Nothing but the log: the panic path's, so that none of the terminal's code is called there.
struct LogAlone;

impl Screen for LogAlone {
    fn next(&mut self, record: Option<u64>) -> Show {
        if record.is_some() { Show::Log } else { Show::Nothing }
    }

    fn take_output(&mut self, _: &mut [u8]) -> usize {
        0
    }
}

/// What of the log is shown, and how.
#[derive(Clone, Copy)]
struct View {
    /// Only records with a lower level number.
    limit: u8,
    /// With their times.
    time: bool,
}

/// How far the log was shown. Each record is formatted as the basic format does, and its bytes leave as the
/// port takes them.
struct Shown {
    /// What is shown after the piece.
    cursor: Cursor,
    piece: [u8; MAX_DATAGRAM],
    sent: usize,
    length: usize,
    /// A carriage return has gone out for the line feed that is next.
    returned: bool,
    /// What becomes of a record that is being written.
    unfinished: Unfinished,
}

impl Shown {
    const fn from(sequence: u64, unfinished: Unfinished) -> Self {
        let (cursor, piece) = (Cursor::at(sequence), [0; MAX_DATAGRAM]);
        Self { cursor, piece, sent: 0, length: 0, returned: false, unfinished }
    }

    /// Shows this text first.
    fn begin_with(&mut self, text: &str) {
        self.length = 0;
        for (place, &byte) in self.piece.iter_mut().zip(text.as_bytes()) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
        self.sent = 0;
    }

    /// Hands bytes, of the log and of the screen, to `send` until it does not take one, for one turn. False
    /// once everything has gone out.
    fn show(
        &mut self,
        log: &RingLog<'_, '_>,
        view: View,
        screen: &mut impl Screen,
        send: &mut dyn FnMut(u8) -> bool,
    ) -> bool {
        for _ in 0..BYTES_A_TURN {
            if self.sent == self.length && !self.next_piece(log, view, screen) {
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

    /// Takes the next piece of what is to be shown; false where there is none.
    fn next_piece(&mut self, log: &RingLog<'_, '_>, view: View, screen: &mut impl Screen) -> bool {
        loop {
            let record = self.next_record(log, view);
            // A record's pieces stay together.
            if self.cursor.is_at_begin() {
                match screen.next(record.as_ref().map(Record::sequence)) {
                    Show::Output => {
                        (self.sent, self.length) = (0, screen.take_output(&mut self.piece));
                        return true;
                    }
                    Show::Log => {}
                    Show::Skip => {
                        self.cursor = self.cursor.after(1);
                        continue;
                    }
                    Show::Nothing => return false,
                }
            }
            let Some(record) = record else { return false };
            let style = Style::new(Format::Basic, view.time);
            let Some(datagram) = self.cursor.datagram(&style, log, &record, &mut self.piece) else {
                // It was overwritten just now.
                self.cursor = self.cursor.after(1);
                continue;
            };
            (self.sent, self.length) = (0, datagram.len);
            self.cursor = datagram.next;
            return true;
        }
    }

    /// The next record that is to be shown, if it is complete.
    fn next_record<'l>(&mut self, log: &RingLog<'l, '_>, view: View) -> Option<Record<'l>> {
        loop {
            // All before was shown to its end.
            POSITION.set(self.cursor.sequence());
            match self.cursor.next(log, self.unfinished, |record| record.level().passes(view.limit)) {
                Next::Record(record) => return Some(record),
                Next::HeldBack | Next::Lost(_) => {}
                Next::End => return None,
            }
        }
    }
}

/// The port in use and its speed in bits a second; before the command line was read, and where the note is damaged, the first
/// one. Its line is set where that was not done. Panic-safe.
fn in_use() -> Option<(u16, u64)> {
    let port = IN_USE.get().map_or(Some(InUse::DEFAULT), InUse::noted)?;
    if !port.is_open {
        uart::set_line(port.base, port.speed, port.control);
        InUse { is_open: true, ..port }.note();
    }
    Some((port.base, port.speed.into()))
}

/// Shows one line on the port that was in use, for when the log can't be shown any more. Panic-safe.
pub fn say(text: &str) {
    let Some((base, _)) = in_use() else { return };
    let deadline = Deadline::after(LINE_PATIENCE);
    for &byte in [b"\r\n", text.as_bytes(), b"\r\n"].into_iter().flatten() {
        while !try_send(base, byte) {
            if deadline.has_come() {
                return;
            }
            core::hint::spin_loop();
        }
    }
}

/// What the log still holds, on its way to the port that was in use; of more than a slow line sends in time, the newest.
/// It has a deadline for each byte and for all, and never waits.
pub struct LastWords {
    /// `None` where there is no port, it takes nothing, or all has been shown.
    base: Option<u16>,
    shown: Shown,
    /// Until when the port may take no byte.
    deadline: Deadline,
    /// When it ends, whatever is left.
    end: Deadline,
}

impl LastWords {
    /// Goes on where the log was shown up to. Panic-safe.
    pub fn begin() -> Self {
        let port = in_use();
        let base = port.map(|(base, _)| base);
        let position = if has_begun() {
            let position = POSITION.get().filter(|&position| position <= ring().end());
            position.unwrap_or(0).max(ring().own_first())
        } else {
            // What lies before the report is an earlier boot's.
            Report::under_way::<ThisKernel>().first
        };
        let (times, of) = BYTES_IN_TIME;
        let room = port.map_or(0, |(_, speed)| speed.saturating_mul(times) / of);
        let first = position.max(ring().newest_within(usize::try_from(room).unwrap_or(usize::MAX)));
        if let Some(base) = base
            && IS_AMID_LINE.load(Ordering::Relaxed)
        {
            // The record is shown once more, on a line of its own.
            let _ = try_send(base, b'\r') && try_send(base, b'\n');
        }
        // A record that is being written will not be finished any more.
        let mut shown = Shown::from(first, Unfinished::Take);
        let left_out = first.saturating_sub(position.max(ring().first()));
        if base.is_some() && left_out > 0 {
            let mut line = Line::new("serial: this line is slow: ");
            line.decimal(left_out).text(" records are left out here\n");
            shown.begin_with(line.as_str());
        }
        Self { base, shown, deadline: Deadline::after(PATIENCE), end: Deadline::after(LIMIT) }
    }

    /// Whether nothing more will be shown.
    pub fn are_over(&self) -> bool {
        self.base.is_none()
    }

    /// Shows what the port takes now. Panic-safe.
    pub fn poll(&mut self) {
        let Some(base) = self.base else { return };
        let view = View { limit: 8, time: true };
        let timebase = memory().timebase().read();
        let log = RingLog::local(ring(), &timebase);
        let mut has_sent = false;
        let goes_on = self.shown.show(&log, view, &mut LogAlone, &mut |byte| {
            let sent = try_send(base, byte);
            has_sent |= sent;
            sent
        });
        if has_sent {
            self.deadline = Deadline::after(PATIENCE);
        }
        if !goes_on || self.deadline.has_come() || self.end.has_come() {
            self.base = None;
        }
    }
}
