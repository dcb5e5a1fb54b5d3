//! The PC's serial ports as the panic path uses them: the driver (`uart_16550`) may panic, as its compiler sees it; this
//! can't.

use x86_64::instructions::port::Port;

/// The ports ttyS0 to ttyS3.
pub const PORTS: [u16; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/// 16550 datasheet: the line status register, and its bit for an empty transmit buffer.
const LINE_STATUS: u16 = 5;
const TRANSMIT_EMPTY: u8 = 1 << 5;
/// Interrupt enable; with [`DIVISOR_LATCH`] set the divisor's upper half, whose lower one is the data register.
const INTERRUPT_ENABLE: u16 = 1;
const LINE_CONTROL: u16 = 3;
const DIVISOR_LATCH: u8 = 1 << 7;
const MODEM_CONTROL: u16 = 4;
/// Data terminal ready, request to send.
const READY: u8 = 0b11;
/// The speed that a divisor of 1 gives.
const FASTEST: u32 = 115_200;

/// Sets the line of the port at `base`, one of [`PORTS`], as nobody has done it: its speed, and its line control register.
/// Panic-safe.
pub fn set_line(base: u16, speed: u32, control: u8) {
    if !PORTS.contains(&base) {
        return;
    }
    let [low, high, ..] = FASTEST.checked_div(speed).unwrap_or(1).max(1).to_le_bytes();
    for (register, value) in [
        (INTERRUPT_ENABLE, 0),
        (LINE_CONTROL, control | DIVISOR_LATCH),
        (0, low),
        (INTERRUPT_ENABLE, high),
        (LINE_CONTROL, control & !DIVISOR_LATCH),
        (MODEM_CONTROL, READY),
    ] {
        // SAFETY: a serial port of the PC's; no memory is involved.
        unsafe { Port::new(base.wrapping_add(register)).write(value) }
    }
}

/// Sends a byte where the port at `base`, one of [`PORTS`], takes one now; false where it does not. Panic-safe.
pub fn try_send(base: u16, byte: u8) -> bool {
    if !PORTS.contains(&base) {
        return false;
    }
    // SAFETY: a serial port of the PC's; no memory is involved.
    unsafe {
        let status: u8 = Port::new(base.wrapping_add(LINE_STATUS)).read();
        let empty = status & TRANSMIT_EMPTY != 0;
        if empty {
            Port::new(base).write(byte);
        }
        empty
    }
}
