//! `console=ttyS0[,speed[parity[bits]]]`, as Linux takes it (Documentation/admin-guide/serial-console.rst),
//! and `console=null`.

/// Where the log is shown besides the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// On a serial port.
    Serial(SerialConsole),
    /// Nowhere (`console=null`).
    Null,
}

/// A serial port and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialConsole {
    /// The number after `ttyS`, 0 to 3: the PC's ports 0x3f8, 0x2f8, 0x3e8, 0x2e8.
    pub port: u8,
    /// Bits a second; it divides 115,200, the fastest.
    pub speed: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Data bits, 5 to 8.
    pub bits: u8,
}

/// A character's parity bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// None (`n`).
    None,
    /// Odd (`o`).
    Odd,
    /// Even (`e`).
    Even,
}

impl SerialConsole {
    /// The fastest a PC's port goes, in bits a second.
    pub const FASTEST: u32 = 115_200;
    /// `ttyS0,115200n8`.
    pub const DEFAULT: Self = Self { port: 0, speed: Self::FASTEST, parity: Parity::None, bits: 8 };
}

/// The text is no console of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleError;

impl Console {
    /// Parses what comes after `console=`. `None` for a console that only Linux has, as `tty0`.
    pub fn parse(text: &str) -> Result<Option<Self>, ConsoleError> {
        if text == "null" {
            return Ok(Some(Self::Null));
        }
        let (name, line) = match text.split_once(',') {
            None => (text, None),
            Some((name, line)) => (name, Some(line)),
        };
        let port = match name {
            "ttyS0" => 0,
            "ttyS1" => 1,
            "ttyS2" => 2,
            "ttyS3" => 3,
            // Another serial port, and what is nearly one, is not left to anybody: the log would be on the wrong one.
            _ if is_serial(name) => return Err(ConsoleError),
            _ => return Ok(None),
        };
        let mut console = SerialConsole { port, ..SerialConsole::DEFAULT };
        if let Some(line) = line {
            let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
            let (speed, mode) = line.split_at_checked(digits).ok_or(ConsoleError)?;
            console.speed = speed
                .parse()
                .ok()
                .filter(|&speed| speed != 0 && SerialConsole::FASTEST.is_multiple_of(speed))
                .ok_or(ConsoleError)?;
            let mut mode = mode.chars();
            console.parity = match mode.next() {
                None | Some('n') => Parity::None,
                Some('o') => Parity::Odd,
                Some('e') => Parity::Even,
                Some(_) => return Err(ConsoleError),
            };
            console.bits = match mode.next() {
                None | Some('8') => 8,
                Some('7') => 7,
                Some('6') => 6,
                Some('5') => 5,
                Some(_) => return Err(ConsoleError),
            };
            // Linux's flow control, of which there is none here.
            if !matches!(mode.as_str(), "" | "r") {
                return Err(ConsoleError);
            }
        }
        Ok(Some(Self::Serial(console)))
    }
}

/// Whether it is meant for one of a PC's serial ports: `ttyS4`, `ttys0`, `ttyS`.
fn is_serial(name: &str) -> bool {
    match name.split_at_checked(4) {
        Some((tty, number)) => {
            tty.eq_ignore_ascii_case("ttyS") && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => name.is_empty(),
    }
}
