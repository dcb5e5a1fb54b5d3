//! `flood=`: as many records as fast as possible, for tests and measurements.

use crate::kernel::Kernel;

/// How many records are logged between two looks at the cards: one notification serves them all.
const BURST: u32 = 32;

/// Logs the flood, shipping on the way so that no target loses a record as long as its card keeps up.
pub fn run(kernel: &mut Kernel) {
    let mut number = 0;
    while number < kernel.parameters.flood {
        let end = number.saturating_add(BURST).min(kernel.parameters.flood);
        for number in number..end {
            log::info!("flood message {number:08} abcdefghijklmnopqrstuvwxyz0123456789");
        }
        number = end;
        while kernel.poll() && kernel.is_behind() {}
    }
}
