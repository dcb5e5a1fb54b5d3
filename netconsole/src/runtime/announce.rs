//! What the panic path knows of the targets before they are made: as much as the settings say.

use super::state::common;
use super::turn::{place_of, tell_panic_path};
use crate::plan::Plan;
use crate::platform::Platform;
use crate::settings::Settings;
use crate::targets::{Target, TargetName};

/// Tells the panic path of the targets that `settings` name. The key must be decided; where it is not, it knows of none.
// Of its own: a target is large, and its place on the stack is free afterwards.
#[inline(never)]
pub fn announce<P: Platform>(settings: &Settings) {
    let Ok(targets) = settings.targets(&P::memory().keys) else { return };
    let common = common(settings, P::release());
    let mut plan = Plan { host_name: common.style.host_name, ..Plan::default() };
    let targets = targets.iter().filter(|config| settings.refuses(config).is_none());
    for (slot, config) in plan.targets.iter_mut().zip(targets) {
        let mut target = Target::new(TargetName::of_command_line(0), *config);
        target.enable_at_boot(0);
        *slot = target.plan(place_of(&config.device, |_| None), &|_| None, &common);
    }
    tell_panic_path::<P>(&plan);
}
