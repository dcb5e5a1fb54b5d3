//! In place of what commands work on where the crate was built without `console`.

use super::card::Card;
use super::consoles::Consoles;
use crate::platform::Platform;
use crate::targets::Common;
use crate::targets::table::TargetTable;

/// What commands would work on.
pub struct View<'k> {
    /// The time in µs.
    pub now: u64,
    /// What of the log is shown, and how.
    pub common: &'k mut Common,
    /// The network cards.
    pub cards: &'k mut [Option<Card>],
    /// The targets.
    pub targets: &'k mut TargetTable,
}

impl Consoles {
    /// There is nothing to go on with.
    #[expect(clippy::extra_unused_type_parameters, reason = "as with consoles")]
    pub fn poll<P: Platform>(&mut self, _view: View<'_>) -> bool {
        false
    }
}
