//! Where a crash is hardest to survive.

/// A place in the code that `Platform::probe` is called from, in a build with the feature `test-hooks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Between a transmit descriptor and the notification.
    Transmit,
    /// While a received frame is looked at.
    Receive,
    /// Inside smoltcp.
    Smoltcp,
    /// Amid a console's command that reads the log.
    Console,
    /// Where the next card is found.
    Card,
    /// Where the panic path opens a card.
    PanicCard,
}
