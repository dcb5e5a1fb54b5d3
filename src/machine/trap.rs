//! Crashes, really provoked, and the one that waits until the code comes to a certain place. When it is time for one is
//! src/crash.rs's.

use super::{descriptors, power};
use bootinfo::parameters::CrashKind;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

/// Places in the code where a crash can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
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
    /// Where the panic path opens a card.
    PanicCard = 9,
    /// At a call of the firmware that drives a card, which then fails or does not come back.
    Firmware = 10,
    /// At the gate to the firmware, behind which nobody is called any more.
    FirmwareCall = 11,
}

/// The place in the low byte, the kind's number in the next, above it how often; 0 where nothing is armed.
static TRAP: AtomicU32 = AtomicU32::new(0);
const ONCE: u32 = 1 << 16;

/// Has a crash wait for the code to come to `place`, `times` times.
pub fn arm(kind: CrashKind, place: Place, times: u32) {
    TRAP.store((times * ONCE) | (kind as u32) << 8 | place as u32, Ordering::Relaxed);
}

/// Crashes if a crash waits for this place. Panic-safe where none does.
#[inline]
pub fn probe(place: Place) {
    let trap = TRAP.load(Ordering::Relaxed);
    if trap & 0xff == place as u32 {
        spring(trap);
    }
}

/// The crash that waits for this place, if one does, and then does no more: for the caller to provoke. Panic-safe.
#[inline]
pub fn take(place: Place) -> Option<CrashKind> {
    let trap = TRAP.load(Ordering::Relaxed);
    if trap & 0xff != place as u32 {
        return None;
    }
    TRAP.store(0, Ordering::Relaxed);
    Some(kind(trap))
}

fn kind(trap: u32) -> CrashKind {
    let kind = CrashKind::ALL.iter().find(|&&kind| kind as u32 == trap >> 8 & 0xff);
    *kind.unwrap_or(&CrashKind::Panic)
}

/// A crash that waits for a card now waits for its BARs being sized.
pub fn await_sizing() {
    let trap = TRAP.load(Ordering::Relaxed);
    if trap & 0xff == Place::Card as u32 {
        TRAP.store(trap & !0xff | Place::Sizing as u32, Ordering::Relaxed);
    }
}

/// Not inlined, so that tests/panic_path.rs knows it.
#[cold]
#[inline(never)]
fn spring(trap: u32) {
    let rest = trap - ONCE;
    TRAP.store(if rest >= ONCE { rest } else { 0 }, Ordering::Relaxed);
    provoke(kind(trap))
}

/// What overwritten memory is filled with.
pub const PATTERN: u8 = 0xa5;

/// An address that no page table can map (SDM volume 1, section 3.3.7.1).
const NON_CANONICAL: u64 = 0x8000_0000_0000_0000;

/// Crashes.
pub fn provoke(kind: CrashKind) -> ! {
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
            CrashKind::DoubleFault => descriptors::break_page_fault(),
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
