//! Programs that are run for a while.

use std::io;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether one has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for one to end; `None` where it has not in this time.
pub fn wait(child: &mut Child, most: Duration) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + most;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= until {
            return Ok(status);
        }
        thread::sleep(LOOK);
    }
}
