//! The PC's serial ports as the panic path uses them: the driver (`uart_16550`) may panic, as its compiler sees it; this
//! can't.

use x86_64::instructions::port::Port;

/// The ports ttyS0 to ttyS3.
pub const PORTS: [u16; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/// 16550 datasheet: the line status register, and its bit for an empty transmit buffer.
const LINE_STATUS: u16 = 5;
const TRANSMIT_EMPTY: u8 = 1 << 5;

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
