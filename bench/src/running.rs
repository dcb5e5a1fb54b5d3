//! A program that is measured.

use std::fs;
use std::process::Child;
use std::time::Duration;

/// A running program, ended with this.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time that a process's threads have had, their own and the system's for them, in nanoseconds where /proc/*/stat counts
/// hundredths of a second. `None` where it has ended and was waited for, or Linux tells none.
pub fn cpu_time(process: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    // Documentation/scheduler/sched-stats.rst: the first number. A thread may have ended meanwhile.
    let times = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    });
    times.map(Duration::from_nanos).reduce(|sum, time| sum + time)
}
