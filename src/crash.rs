//! `crash=KIND[@WHERE]`: crashes, really provoked, to prove that none of them keeps its log.

use crate::kernel::Kernel;
use crate::machine::clock::Deadline;
use crate::machine::power;
use crate::memory;
use bootinfo::parameters::{Crash, CrashKind, CrashPlace, Parameters};
use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use netconsole::ring::Recovery;

/// Places in the code where a crash can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Armed {
    /// Between a transmit descriptor and the notification.
    Transmit = 1,
    /// While a received frame is looked at.
    Receive = 2,
    /// In the serial driver, between two bytes.
    Serial = 3,
    /// Inside smoltcp.
    Smoltcp = 4,
    /// In the panic path, when the report is written.
    Panic = 5,
    /// Amid a console's command that reads the log.
    Console = 6,
    /// Where the next card is found.
    Card = 7,
    /// While a card's BARs are being sized.
    Sizing = 8,
}

/// The place in the low byte, the kind's number in the next, above it how often; 0 where nothing is armed.
static TRAP: AtomicU32 = AtomicU32::new(0);
const ONCE: u32 = 1 << 16;

fn arm(kind: CrashKind, place: Armed, times: u32) {
    TRAP.store((times * ONCE) | (kind as u32) << 8 | place as u32, Ordering::Relaxed);
}

/// Crashes if a crash was armed for this place.
#[inline]
pub fn here(place: Armed) {
    let trap = TRAP.load(Ordering::Relaxed);
    if trap & 0xff == place as u32 {
        spring(trap);
    }
}

/// A crash that waits for a card now waits for its BARs being sized.
pub fn at_card() {
    let trap = TRAP.load(Ordering::Relaxed);
    if trap & 0xff == Armed::Card as u32 {
        TRAP.store(trap & !0xff | Armed::Sizing as u32, Ordering::Relaxed);
    }
}

/// Not inlined, so that tests/panic_path.rs knows it.
#[cold]
#[inline(never)]
fn spring(trap: u32) {
    let rest = trap - ONCE;
    TRAP.store(if rest >= ONCE { rest } else { 0 }, Ordering::Relaxed);
    let kind = CrashKind::ALL.iter().find(|&&kind| kind as u32 == trap >> 8 & 0xff);
    provoke(*kind.unwrap_or(&CrashKind::Panic))
}

/// The crash that the command line asks for; none where the boot before crashed, or a machine that
/// starts again with the same command line would crash for ever.
fn wanted(parameters: &Parameters, recovery: &Recovery) -> Option<Crash> {
    parameters.crash.filter(|_| recovery.records == 0 || recovery.goodbye)
}

/// Crashes here, before any card is up, or soon, where the command line says so.
pub fn early(parameters: &Parameters, recovery: &Recovery) {
    let Some(crash @ Crash { kind, place: Some(place) }) = wanted(parameters, recovery) else { return };
    if matches!(place, CrashPlace::Early | CrashPlace::Pci) {
        log::warn!("crash: provoking {crash}");
        if place == CrashPlace::Early {
            provoke(kind)
        }
        arm(kind, Armed::Card, 1);
    }
}

/// Crashes where the command line says so, after the boot log has gone out.
pub fn now(kernel: &mut Kernel, recovery: &Recovery) {
    let Some(crash) = wanted(kernel.parameters, recovery) else { return };
    log::warn!("crash: provoking {crash}");
    let kind = crash.kind;
    match crash.place {
        // Where it is to come early and there is no such place, it comes here.
        None | Some(CrashPlace::Early | CrashPlace::Pci) => damage(kernel, kind),
        Some(CrashPlace::Log) => log::info!("crash: this record is cut here: {}", Broken(kind)),
        Some(CrashPlace::Message) => panic!("this message is cut here: {}", Broken(kind)),
        Some(CrashPlace::Tx) => wait_for(kernel, kind, Armed::Transmit),
        Some(CrashPlace::Rx) => wait_for(kernel, kind, Armed::Receive),
        Some(CrashPlace::Serial) => wait_for(kernel, kind, Armed::Serial),
        Some(CrashPlace::Smoltcp) => wait_for(kernel, kind, Armed::Smoltcp),
        Some(CrashPlace::Console) => wait_for(kernel, kind, Armed::Console),
        Some(CrashPlace::Panic) => panic_while_panicking(kind, 1),
        Some(CrashPlace::Panic2) => panic_while_panicking(kind, 2),
        Some(CrashPlace::Panic3) => panic_while_panicking(kind, 3),
    }
}

/// Crashes because somebody at a console asked for it.
pub fn on_command(kernel: &mut Kernel, name: &str) -> ! {
    damage(kernel, CrashKind::find(name).unwrap_or(CrashKind::Panic))
}

fn panic_while_panicking(kind: CrashKind, times: u32) -> ! {
    arm(kind, Armed::Panic, times);
    provoke(kind)
}

/// How long a crash waits for its place to be come by, in µs.
const PATIENCE: u64 = 10_000_000;

fn wait_for(kernel: &mut Kernel, kind: CrashKind, place: Armed) -> ! {
    arm(kind, place, 1);
    let deadline = Deadline::after(PATIENCE);
    while !deadline.has_come() {
        kernel.poll();
    }
    panic!("crash={}: nothing has come by {place:?}", kind.as_str())
}

/// A value whose text can't be written to its end.
struct Broken(CrashKind);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a ")?;
        provoke(self.0)
    }
}

/// The kinds that damage something and then panic; the others crash at once.
fn damage(kernel: &mut Kernel, kind: CrashKind) -> ! {
    match kind {
        CrashKind::HungDevice => kernel.hang_cards(),
        CrashKind::OverwriteNic => kernel.overwrite_cards(PATTERN),
        CrashKind::OverwriteSender => {
            kernel.overwrite_targets(PATTERN);
            for position in &memory::POSITIONS {
                position.overwrite(u64::from_ne_bytes([PATTERN; 8]));
            }
        }
        CrashKind::OverwriteTargets => {
            kernel.overwrite_targets(PATTERN);
            memory::SNAPSHOT.overwrite(u64::from_ne_bytes([PATTERN; 8]));
        }
        CrashKind::OverflowRing => {
            for number in 0..100_000 {
                log::info!("overflow message {number:08}");
            }
        }
        _ => provoke(kind),
    }
    panic!("provoked by crash={}", kind.as_str())
}

/// What overwritten memory is filled with.
const PATTERN: u8 = 0xa5;

/// An address that no page table can map (SDM volume 1, section 3.3.7.1).
const NON_CANONICAL: u64 = 0x8000_0000_0000_0000;

/// Crashes.
fn provoke(kind: CrashKind) -> ! {
    // SAFETY: the crash is what is asked for. Each of these raises an exception (or resets the
    // machine) before anything else that Rust relies on could go on; none returns.
    unsafe {
        match kind {
            CrashKind::Exception => {
                asm!("mov qword ptr [{address}], 1", "ud2", address = in(reg) 0u64, options(noreturn))
            }
            CrashKind::DivideError => {
                asm!("xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx", "ud2", options(noreturn))
            }
            CrashKind::InvalidOpcode => asm!("ud2", options(noreturn)),
            CrashKind::GeneralProtection => {
                asm!("mov rax, [{address}]", "ud2", address = in(reg) NON_CANONICAL, options(noreturn))
            }
            CrashKind::ExecData => asm!("jmp {data}", data = in(reg) &raw const TRAP, options(noreturn)),
            CrashKind::ExecNull => asm!("xor eax, eax", "jmp rax", options(noreturn)),
            CrashKind::WriteRo => {
                asm!("mov byte ptr [{constant}], 1", "ud2", constant = in(reg) KINDS_ARE_CONSTANT.as_ptr(), options(noreturn))
            }
            CrashKind::ExhaustStack => asm!("2: push rax", "jmp 2b", options(noreturn)),
            CrashKind::CorruptStack => {
                asm!("push {garbage}", "ret", garbage = in(reg) u64::from_ne_bytes([PATTERN; 8]), options(noreturn))
            }
            CrashKind::UnalignedSse => {
                asm!("and rsp, -16", "movaps xmm0, [rsp + 1]", "ud2", options(noreturn))
            }
            // The page fault finds no stack: RSP is unusable, and its own entry is taken away.
            CrashKind::DoubleFault => crate::machine::descriptors::break_page_fault(),
            CrashKind::TripleFault => power::triple_fault(),
            // SDM volume 3, section 6.3.3: INT 2 goes through the NMI's entry.
            CrashKind::Nmi => asm!("int 2", "ud2", options(noreturn)),
            CrashKind::Loop => asm!("2: pause", "jmp 2b", options(noreturn)),
            CrashKind::Bug => bug(),
            _ => panic!("provoked by crash={}", kind.as_str()),
        }
    }
}

static KINDS_ARE_CONSTANT: [u8; 16] = *b"netconsole const";

fn bug() -> ! {
    let (left, right) = (core::hint::black_box(2 + 2), 5);
    assert_eq!(left, right, "provoked by crash=BUG");
    power::halt()
}
