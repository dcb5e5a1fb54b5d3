//! The two i8259 interrupt controllers (i8259A datasheet).

use x86_64::instructions::port::Port;

/// How many lines they have.
pub const LINES: u8 = 16;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
/// OCW2: non-specific end of interrupt.
const END_OF_INTERRUPT: u8 = 0x20;
/// OCW3: the next read of the command port is of the in-service register.
const READ_IN_SERVICE: u8 = 0x0b;

fn write(port: u16, value: u8) {
    // SAFETY: the ports are those above, of chips that only this module uses; no memory is involved.
    unsafe { Port::new(port).write(value) }
}

/// Moves their lines to the vectors from `base` on, and masks all but those of `lines`, a bit each.
pub fn start(base: u8, lines: u16) {
    let [first, second] = (!lines).to_le_bytes();
    // ICW1 (edge, cascade, ICW4 follows), ICW2 (vectors), ICW3 (cascade on IRQ 2), ICW4 (8086 mode), then the masks.
    for (port, value) in [
        (COMMAND[0], 0x11),
        (COMMAND[1], 0x11),
        (DATA[0], base),
        (DATA[1], base + 8),
        (DATA[0], 1 << 2),
        (DATA[1], 2),
        (DATA[0], 1),
        (DATA[1], 1),
        (DATA[0], first),
        (DATA[1], second),
    ] {
        write(port, value);
    }
}

/// Ends the interrupt of a line, if it is in service: the last line of each chip also stands for an interrupt that was
/// gone before the CPU took it.
pub fn end(line: u8) {
    let (chip, line) = (usize::from(line / 8), line % 8);
    write(COMMAND[chip], READ_IN_SERVICE);
    // SAFETY: the port is the chip's own; no memory is involved.
    let in_service: u8 = unsafe { Port::new(COMMAND[chip]).read() };
    if in_service & 1 << line != 0 {
        write(COMMAND[chip], END_OF_INTERRUPT);
    }
    if chip == 1 {
        // The first chip has the second one's line in service either way.
        write(COMMAND[0], END_OF_INTERRUPT);
    }
}
