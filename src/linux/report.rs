//! What is said of a Linux that crashed, behind its log: what it was, how much of its log is there, and what each of its
//! CPUs was doing.

use super::OldLog;
use super::memory::OldMemory;
use core::fmt;
use linuxlog::{Count, Cpu, Crash};
use netconsole::ring::{ALWAYS, Past};

/// How many CPUs are looked at for others that did the same.
const MAX_CPUS: usize = 256;
/// Return addresses of a CPU that are shown, so that a record has room for them.
const MAX_CALLS: usize = 32;

/// Logs all of it.
pub fn log(old: &OldLog) {
    let info = old.crash.0.info();
    let micros = old.last_micros();
    log::info!(target: ALWAYS,
        "linux: Linux {} {} {}.{:06} s, found {}{}",
        info.release,
        old.how.end(),
        micros / 1_000_000,
        micros % 1_000_000,
        old.how,
        if old.has_crash { "" } else { ": a log without a crash" }
    );
    if !info.build_id.as_str().is_empty() {
        log::info!(target: ALWAYS, "linux: build id {}", info.build_id);
    }
    let Count { first, whole, overwritten, unfinished, unreadable } = old.log.0.count();
    log::info!(target: ALWAYS,
        "linux: {whole} records of its log, numbers {first} to {}; {overwritten} overwritten before, {unfinished} unfinished, {unreadable} unreadable",
        old.end().saturating_sub(1),
    );
    if whole == 0 {
        _ = raw_text(old.crash.0);
    }
    cpus(old);
}

/// How much raw text is logged, in bytes: with what each record takes beside it, less than this kernel's own log holds.
const MAX_RAW: u64 = 96 << 10;

/// Logs the end of the text that lies where the log was, each piece marked, where nothing else is to be had: the crash is
/// at the end, unless the log had come round to its buffer's start and it can't be told where it ended. False where there is
/// none.
pub fn raw_text(crash: &Crash<'_, OldMemory>) -> bool {
    let Some(mut text) = crash.raw_text() else {
        log::warn!(target: ALWAYS, "linux: nor is there any text where its log was");
        return false;
    };
    let mut line = [0; 200];
    let passed = text.keep_last(MAX_RAW, &mut line);
    let [first, then] = text.addresses();
    if passed > 0 {
        log::warn!(target: ALWAYS, "linux: {passed} bytes of text before {:#x} are left out", first.start);
    }
    let order =
        if text.is_in_order() { "oldest first, without times" } else { "in no order and without times" };
    log::warn!(target: ALWAYS,
        "linux: the text where its log was follows as it lies there, {:#x} to {:#x} and {:#x} to {:#x}, {order}",
        first.start, first.end, then.start, then.end
    );
    while let Some(len) = text.next_line(&mut line) {
        let shown = line.get(..len).and_then(|line| core::str::from_utf8(line).ok()).unwrap_or("");
        log::info!(target: ALWAYS, "linux raw: {shown}");
    }
    true
}

/// Which CPU crashed, as far as the log's last words say it: `CPU: 1 PID: 234 Comm: …`.
fn crashed_cpu(old: &OldLog) -> Option<usize> {
    const LOOKED_AT: usize = 512;
    let mut text = [0; 64];
    (old.first()..old.end()).rev().take(LOOKED_AT).find_map(|sequence| {
        let record = old.find(sequence)?;
        let text = text.get_mut(..record.len.min(64))?;
        old.copy_text(&record, 0, text);
        let number = text.strip_prefix(b"CPU: ")?;
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        core::str::from_utf8(number.get(..digits)?).ok()?.parse().ok()
    })
}

/// Logs what each CPU was doing, the one that crashed first, those at the same place together.
fn cpus(old: &OldLog) {
    let crashed = crashed_cpu(old);
    if let Some(cpu) = old.crash.0.cpus().find(|cpu| Some(cpu.number) == crashed) {
        registers(old, format_args!("CPU {}, which crashed", cpu.number), &cpu);
    }
    for cpu in old.crash.0.cpus().take(MAX_CPUS) {
        let number = cpu.number;
        let same = Same { old, crashed, rip: cpu.registers.rip };
        if Some(number) != crashed && same.numbers().next() == Some(number) {
            registers(old, format_args!("{same}"), &cpu);
        }
    }
}

/// The CPUs at the same place, but for the one that crashed.
struct Same<'a> {
    old: &'a OldLog,
    crashed: Option<usize>,
    rip: u64,
}

impl Same<'_> {
    fn numbers(&self) -> impl Iterator<Item = usize> {
        let cpus = self.old.crash.0.cpus().take(MAX_CPUS);
        let numbers = cpus.filter(|cpu| cpu.registers.rip == self.rip).map(|cpu| cpu.number);
        numbers.filter(|&number| Some(number) != self.crashed)
    }
}

impl fmt::Display for Same<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "CPU ";
        self.numbers().try_for_each(|number| write!(f, "{}{number}", core::mem::replace(&mut before, ", ")))
    }
}

fn registers(old: &OldLog, who: fmt::Arguments<'_>, cpu: &Cpu) {
    let r = &cpu.registers;
    log::info!(target: ALWAYS,
        "linux: {who}: process {}, RIP {:04x}:{:#018x} RSP {:04x}:{:#018x} RFLAGS {:#010x}\n\
         RAX {:016x} RBX {:016x} RCX {:016x} RDX {:016x}\n\
         RSI {:016x} RDI {:016x} RBP {:016x} R8  {:016x}\n\
         R9  {:016x} R10 {:016x} R11 {:016x} R12 {:016x}\n\
         R13 {:016x} R14 {:016x} R15 {:016x}{}",
        cpu.process, r.cs, r.rip, r.ss, r.rsp, r.rflags,
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8,
        r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, Calls(old, cpu)
    );
}

/// The return addresses on a CPU's stack, a line each, marked as what Linux is not sure of.
struct Calls<'a>(&'a OldLog, &'a Cpu);

impl fmt::Display for Calls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(old, cpu) = self;
        old.crash.0.backtrace(cpu).take(MAX_CALLS).try_for_each(|call| write!(f, "\n? {call}"))
    }
}
