//! `flood=`: as many records as fast as possible, for tests and measurements.

use crate::kernel::Kernel;

/// How many records are logged between two looks at the cards: one notification serves them all.
const BURST: u32 = 32;

/// Logs the flood, shipping on the way so that no target loses a record as long as its card keeps up.
pub fn run(kernel: &mut Kernel) {
    let mut message = Message::first();
    let mut left = kernel.parameters.flood;
    while left > 0 {
        let burst = left.min(BURST);
        for _ in 0..burst {
            log::info!("{}", message.text());
            message.count();
        }
        left -= burst;
        while kernel.poll() && kernel.is_behind() {}
    }
}

/// The flood's text, counted up in place: it is not what is measured.
struct Message([u8; 59]);

impl Message {
    const NUMBER: core::ops::Range<usize> = 14..22;

    fn first() -> Self {
        Self(*b"flood message 00000000 abcdefghijklmnopqrstuvwxyz0123456789")
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn count(&mut self) {
        for digit in self.0[Self::NUMBER].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}
