//! What is known of a crash when its report is over.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Kernel panic: the machine is at its end.
    Panic,
    /// A fault of the kernel: a bad address, general protection, an invalid instruction.
    Oops,
    /// The kernel found a fault in itself (`BUG()`, scheduling while atomic, a bad page).
    Bug,
    /// KASAN, KCSAN, KMSAN, KFENCE or UBSAN found one.
    Kasan,
    /// A CPU does not get on: soft or hard lockup, a workqueue.
    Lockup,
    /// RCU waits for a CPU or task.
    Stall,
    /// A task is blocked for long.
    HungTask,
    /// `WARN()`, and what lockdep and RCU find.
    Warning,
    /// A process was killed for want of memory.
    Oom,
}

impl Kind {
    /// Each.
    pub const ALL: [Kind; 9] = [
        Kind::Panic,
        Kind::Oops,
        Kind::Bug,
        Kind::Kasan,
        Kind::Lockup,
        Kind::Stall,
        Kind::HungTask,
        Kind::Warning,
        Kind::Oom,
    ];

    /// Whether something is wrong with the kernel itself, or the machine.
    pub fn is_crash(self) -> bool {
        self < Kind::HungTask
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Panic => "panic",
            Kind::Oops => "oops",
            Kind::Bug => "bug",
            Kind::Kasan => "kasan",
            Kind::Lockup => "lockup",
            Kind::Stall => "stall",
            Kind::HungTask => "hung-task",
            Kind::Warning => "warning",
            Kind::Oom => "oom",
        })
    }
}

/// A whole report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is about; of what became a panic, that.
    pub kind: Kind,
    /// The line that says so.
    pub title: String,
    /// All lines, each with its time where it has one.
    pub text: String,
    /// The same for each report of this kind in which the same functions called each other.
    pub id: u64,
    /// These functions, the innermost first.
    pub frames: Vec<String>,
    /// How many reports with this id came before, of any sender.
    pub repeated: u64,
    /// Records in it.
    pub records: u64,
    /// When its last record was received.
    pub at: Duration,
}

impl Report {
    /// The id as it is written: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:016x}", self.id)
    }

    /// That it came before, in words; nothing where it did not.
    pub fn repetition(&self) -> Option<String> {
        let times = if self.repeated == 1 { "once".to_owned() } else { format!("{} times", self.repeated) };
        (self.repeated > 0).then(|| format!("repeated {times}"))
    }
}
