//! `flood=`: as many records as fast as possible, for tests and measurements.

use crate::kernel::Kernel;
use crate::log::ring;
use crate::machine::clock;
use bootinfo::parameters::Parameters;
use core::ops::Range;
use netconsole::ring::Level;

/// How many records are logged between two looks at the cards: one notification serves them all.
const BURST: u32 = 64;

/// Logs the flood, shipping on the way so that no target loses a record as long as its card keeps up. Its texts are there
/// already and go into the ring as they are, like what is written to Linux's `/dev/kmsg`.
pub fn run(kernel: &mut Kernel) {
    let mut message = Message::first(kernel.parameters.flood_length);
    let mut left = kernel.parameters.flood;
    while left > 0 {
        let burst = left.min(BURST);
        for _ in 0..burst {
            ring().append_str(Level::Info, module_path!(), clock::ticks(), message.text());
            message.count();
        }
        left -= burst;
        while kernel.poll() && kernel.netconsole.is_behind() {}
    }
}

/// The flood's text, counted up in place: it is not what is measured.
struct Message {
    bytes: [u8; Parameters::MAX_FLOOD_LENGTH as usize],
    length: usize,
}

impl Message {
    const NUMBER: Range<usize> = 14..22;

    fn first(length: u16) -> Self {
        let mut bytes = [0; _];
        let tail = b"abcdefghijklmnopqrstuvwxyz0123456789 ".iter().cycle();
        let text = b"flood message 00000000 ".iter().chain(tail);
        bytes.iter_mut().zip(text).for_each(|(to, &from)| *to = from);
        Self { bytes, length: length.into() }
    }

    fn text(&self) -> &str {
        self.bytes.get(..self.length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }

    fn count(&mut self) {
        for digit in self.bytes[Self::NUMBER].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}
