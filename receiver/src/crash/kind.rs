//! What a line of a kernel's log begins, continues or ends, by the words that Linux and the netconsole kernel use.

use memchr::memmem;

use crate::event::Record;
use crate::report::Kind;

/// What a line means for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It says what the report is about.
    Of(Kind),
    /// It begins one, of which a line that follows says the kind.
    Rule,
}

/// The facility of user space is above it.
const KERNEL: u8 = 0;
/// From this level on no sign is looked for in the middle of a line.
const NOTICE: u8 = 5;
/// A task's name is no longer.
const TASK_NAME: usize = 16;
/// The rules around reports of KASAN and lockdep are longer.
const RULE: usize = 40;

/// The beginnings that are enough, by kind. The first that fits counts.
const BEGINNINGS: [(&str, Kind); 36] = [
    ("Kernel panic", Kind::Panic),
    ("PANIC: ", Kind::Panic),
    ("BUG: KASAN", Kind::Kasan),
    ("BUG: KCSAN", Kind::Kasan),
    ("BUG: KMSAN", Kind::Kasan),
    ("BUG: KFENCE", Kind::Kasan),
    ("UBSAN: ", Kind::Kasan),
    ("BUG: soft lockup", Kind::Lockup),
    ("BUG: workqueue lockup", Kind::Lockup),
    ("BUG: spinlock lockup", Kind::Lockup),
    ("Watchdog detected hard LOCKUP", Kind::Lockup),
    ("Watchdog CPU:", Kind::Lockup),
    ("BUG: unable to handle", Kind::Oops),
    ("BUG: kernel NULL pointer", Kind::Oops),
    ("BUG: ", Kind::Bug),
    ("kernel BUG at ", Kind::Bug),
    ("Oops: ", Kind::Oops),
    ("Oops - ", Kind::Oops),
    ("Oops[", Kind::Oops),
    ("general protection fault", Kind::Oops),
    ("Unable to handle kernel ", Kind::Oops),
    ("Unable to handle paging request", Kind::Oops),
    ("Internal error: ", Kind::Oops),
    ("Unhandled fault: ", Kind::Oops),
    ("Insufficient stack space to handle exception", Kind::Oops),
    ("Bad mode in ", Kind::Oops),
    ("invalid opcode: ", Kind::Oops),
    ("divide error: ", Kind::Oops),
    ("double fault: ", Kind::Oops),
    ("stack segment: ", Kind::Oops),
    ("WARNING: CPU: ", Kind::Warning),
    ("WARNING: possible ", Kind::Warning),
    ("WARNING: suspicious RCU usage", Kind::Warning),
    ("WARNING: inconsistent lock state", Kind::Warning),
    ("Out of memory: Kill", Kind::Oom),
    ("Memory cgroup out of memory: Kill", Kind::Oom),
];
/// What `BUG()` ends in, by machine: a fault that belongs to it.
const FAULTS_OF_BUG: [&str; 6] = [
    "invalid opcode: ",
    "Oops: invalid opcode: ",
    "Oops: Exception in kernel mode",
    "Internal error: ",
    "Oops - ",
    "Oops[",
];
/// A `WARN()` says its own message, which may have several lines, between the rule and the line with its place.
const RECORDS_OF_WARN: u64 = 8;
/// Who says it may stand before.
const SPEAKERS: [&str; 4] = ["watchdog: ", "NMI watchdog: ", "rcu: ", "traps: "];
/// Where a `WARN()` is, in its line.
const SOURCES: [&str; 3] = [".c:", ".h:", ".rs:"];

/// What follows the end of an oops and still belongs to it: x86 says the registers once more.
const TAILS: [&str; 21] = [
    "RIP: ",
    "RSP: ",
    "RAX: ",
    "RDX: ",
    "RBP: ",
    "R10: ",
    "R13: ",
    "FS: ",
    "CS: ",
    "CR2: ",
    "DR0: ",
    "DR3: ",
    "PKRU: ",
    "Code: ",
    "EIP: ",
    "EAX: ",
    "ESI: ",
    "DS: ",
    "CR0: ",
    "note: ",
    "Modules linked in",
];
/// The same of a panic.
const TAILS_OF_PANIC: [&str; 8] = [
    "SMP: stopping",
    "SMP: failed to stop",
    "Shutting down cpus",
    "Kernel Offset: ",
    "Rebooting in ",
    "CPU features: ",
    "Memory Limit: ",
    "PHYS_OFFSET: ",
];

/// The text without what may still be in front of it: the caller, `[ T123] `.
pub fn bare(text: &str) -> &str {
    let mut text = text;
    while text.starts_with('[')
        && let Some((_, rest)) = text.split_once("] ")
    {
        text = rest;
    }
    text
}

/// Whether the kernel may have said it.
pub fn is_of_kernel(record: &Record) -> bool {
    record.facility.is_none_or(|facility| facility == KERNEL)
}

/// What this record means, where its text alone tells.
pub fn sign(record: &Record) -> Option<Sign> {
    // Most lines are told by their first letter.
    let text = match record.text.as_bytes().first()? {
        b'[' => bare(&record.text),
        b'B' | b'D' | b'I' | b'K' | b'M' | b'N' | b'O' | b'P' | b'U' | b'W' | b'-' | b'=' => &record.text,
        b'd' | b'g' | b'i' | b'k' | b'r' | b's' | b't' | b'w' => &record.text,
        _ => "",
    };
    of_beginning(text).or_else(|| {
        let is_serious = record.level.is_none_or(|level| level < NOTICE);
        (is_serious && is_oom(bare(&record.text))).then_some(Sign::Of(Kind::Oom))
    })
}

fn of_beginning(text: &str) -> Option<Sign> {
    if text.is_empty() {
        return None;
    }
    if is_rule(text) {
        return Some(Sign::Rule);
    }
    let said = SPEAKERS.iter().find_map(|speaker| text.strip_prefix(speaker)).unwrap_or(text);
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(beginning, _)| said.starts_with(beginning)) {
        return Some(Sign::Of(*kind));
    }
    if let Some(rest) = said.strip_prefix("INFO: ") {
        if rest.starts_with("rcu") && has(rest, " stall") {
            return Some(Sign::Of(Kind::Stall));
        }
        if rest.starts_with("task ") && has(rest, " blocked for more than ") {
            return Some(Sign::Of(Kind::HungTask));
        }
    }
    let warning = said.strip_prefix("WARNING: ")?;
    SOURCES.iter().any(|source| has(warning, source)).then_some(Sign::Of(Kind::Warning))
}

fn has(text: &str, part: &str) -> bool {
    memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

/// `NAME invoked oom-killer: …`.
fn is_oom(text: &str) -> bool {
    const SAID: &[u8] = b" invoked oom-killer";
    let text = text.as_bytes();
    // A name may have spaces, too.
    let places = text.windows(2).take(TASK_NAME).enumerate().filter(|(_, two)| SAID.starts_with(two));
    places.into_iter().any(|(at, _)| text.get(at..).is_some_and(|rest| rest.starts_with(SAID)))
}

fn is_rule(text: &str) -> bool {
    text.starts_with("------------[ cut here ]") || is_double_rule(text)
}

/// `=====…`, before and behind a report of KASAN, and before one of lockdep.
pub fn is_double_rule(text: &str) -> bool {
    text.len() > RULE && text.bytes().all(|byte| byte == b'=')
}

/// Whether a report of this kind ends here.
pub fn is_end(kind: Kind, text: &str) -> bool {
    let text = bare(text);
    match kind {
        Kind::Oom => {
            text.starts_with("Out of memory: Kill") || text.starts_with("Memory cgroup out of memory: Kill")
        }
        Kind::Kasan if is_double_rule(text) => true,
        _ => text.starts_with("---[ end ") || text.starts_with("Rebooting in "),
    }
}

/// Whether a line still belongs to a report that has ended.
pub fn is_tail(kind: Kind, text: &str) -> bool {
    let text = bare(text);
    let is_of = |tails: &[&str]| tails.iter().any(|tail| text.starts_with(tail));
    match kind {
        Kind::Oom => text.starts_with("oom_reaper: "),
        Kind::Panic => is_of(&TAILS_OF_PANIC) || text.starts_with("---[ end Kernel panic"),
        Kind::Oops | Kind::Bug => is_of(&TAILS),
        _ => false,
    }
}

/// Whether this begins another report, though the one before has not ended. What a fault says after its own first line
/// does not, and neither does anything less than a fault while one is told.
pub fn is_another(before: Kind, kind: Kind, text: &str) -> bool {
    match (before, kind) {
        (Kind::Bug, Kind::Oops) => !FAULTS_OF_BUG.iter().any(|beginning| bare(text).starts_with(beginning)),
        (Kind::Panic | Kind::Oops | Kind::Bug, _) => false,
        (Kind::Oom, Kind::Oom) => is_oom(bare(text)),
        _ => true,
    }
}

/// Whether a report that has not ended is left where this rule is.
pub fn is_left_at_rule(kind: Kind, rule: &str) -> bool {
    match kind {
        Kind::Panic | Kind::Oops | Kind::Bug => false,
        Kind::Kasan => !is_double_rule(bare(rule)),
        _ => true,
    }
}

/// How many records a report has at most before the one that says its kind, where this one begins it.
pub fn records_before_kind(text: &str) -> u64 {
    if is_double_rule(bare(text)) { 1 } else { RECORDS_OF_WARN }
}

/// Whether a CPU tells here what it does, for the report of another one.
pub fn is_of_another_cpu(text: &str) -> bool {
    bare(text).starts_with("NMI backtrace for cpu")
}
