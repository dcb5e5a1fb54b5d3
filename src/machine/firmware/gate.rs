//! The way to the firmware that goes on beside this kernel, and back (boot/gate.s): for a call the CPU has the firmware's page
//! tables, descriptor tables, segments, stack and interrupts, and after it this kernel's.

use super::structure::Status;
use crate::machine::cache;
use crate::machine::trap::{self, Place};
use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use netconsole::guarded::Word;

/// What a side has of the CPU.
#[repr(C, align(16))]
struct Side {
    /// What FXSAVE writes.
    sse: [u8; 512],
    cr0: u64,
    cr3: u64,
    cr4: u64,
    rsp: u64,
    /// A limit of 16 bits and an address.
    gdt: [u8; 16],
    idt: [u8; 16],
    code: u16,
    stack: u16,
    data: u16,
    extra: u16,
    f: u16,
    g: u16,
    task: u16,
}

#[repr(transparent)]
struct Kept(UnsafeCell<Side>);

// SAFETY: only boot/gate.s uses it, on the only CPU.
unsafe impl Sync for Kept {}

impl Kept {
    const fn new() -> Self {
        Self(UnsafeCell::new(Side {
            sse: [0; 512],
            cr0: 0,
            cr3: 0,
            cr4: 0,
            rsp: 0,
            gdt: [0; 16],
            idt: [0; 16],
            code: 0,
            stack: 0,
            data: 0,
            extra: 0,
            f: 0,
            g: 0,
            task: 0,
        }))
    }
}

static KERNEL: Kept = Kept::new();
static FIRMWARE: Kept = Kept::new();

/// Whether the firmware goes on.
static STAYS: AtomicBool = AtomicBool::new(false);
/// Whether the CPU is the firmware's now.
static IS_INSIDE: AtomicBool = AtomicBool::new(false);

global_asm!(
    include_str!("../../../boot/gate.s"),
    CR0 = const offset_of!(Side, cr0),
    CR3 = const offset_of!(Side, cr3),
    CR4 = const offset_of!(Side, cr4),
    RSP = const offset_of!(Side, rsp),
    GDT = const offset_of!(Side, gdt),
    IDT = const offset_of!(Side, idt),
    CODE = const offset_of!(Side, code),
    STACK = const offset_of!(Side, stack),
    DATA = const offset_of!(Side, data),
    EXTRA = const offset_of!(Side, extra),
    F = const offset_of!(Side, f),
    G = const offset_of!(Side, g),
    TASK = const offset_of!(Side, task),
    kernel = sym KERNEL,
    firmware = sym FIRMWARE,
);

unsafe extern "C" {
    fn firmware_gate_open();
    fn firmware_gate(function: usize, arguments: *const Arguments) -> Status;
}

/// What the firmware is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Call {
    /// To let it have its interrupts.
    Tick = 1,
    /// A function of its Simple Network Protocol.
    Start,
    /// As it says.
    Initialize,
    /// As it says.
    Shutdown,
    /// As it says.
    ReceiveFilters,
    /// As it says.
    GetStatus,
    /// As it says.
    Transmit,
    /// As it says.
    Receive,
    /// A runtime service.
    ResetSystem,
    /// A boot service.
    SetWatchdogTimer,
    /// A boot service.
    CheckEvent,
    /// A boot service.
    CloseProtocol,
    /// A boot service.
    DisconnectController,
}

impl Call {
    const ALL: [Self; 13] = [
        Self::Tick,
        Self::Start,
        Self::Initialize,
        Self::Shutdown,
        Self::ReceiveFilters,
        Self::GetStatus,
        Self::Transmit,
        Self::Receive,
        Self::ResetSystem,
        Self::SetWatchdogTimer,
        Self::CheckEvent,
        Self::CloseProtocol,
        Self::DisconnectController,
    ];

    /// The name that UEFI's specification has for it. Panic-safe.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tick => "timer interrupt",
            Self::Start => "Start",
            Self::Initialize => "Initialize",
            Self::Shutdown => "Shutdown",
            Self::ReceiveFilters => "ReceiveFilters",
            Self::GetStatus => "GetStatus",
            Self::Transmit => "Transmit",
            Self::Receive => "Receive",
            Self::ResetSystem => "ResetSystem",
            Self::SetWatchdogTimer => "SetWatchdogTimer",
            Self::CheckEvent => "CheckEvent",
            Self::CloseProtocol => "CloseProtocol",
            Self::DisconnectController => "DisconnectController",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the call is noted that the firmware is in, for the next boot; null for nowhere.
static NOTE: AtomicPtr<Word> = AtomicPtr::new(core::ptr::null_mut());
/// It is in none.
const NO_CALL: u64 = 0;

/// Has the call that the firmware is in noted in `word`, which outlives a reset, and tells the one that the boot before noted
/// there and did not come back from. A reset is meant not to come back.
pub fn note_calls_in(word: &'static Word) -> Option<Call> {
    let before = word.get().and_then(|number| Call::ALL.into_iter().find(|&call| call as u64 == number));
    note(word, NO_CALL);
    NOTE.store(core::ptr::from_ref(word).cast_mut(), Ordering::Release);
    before.filter(|&call| call != Call::ResetSystem)
}

fn note(word: &Word, call: u64) {
    word.set(call);
    cache::write_back(&[], word.as_atomic());
}

/// The arguments of a call; a function takes as many of them as it has.
pub type Arguments = [usize; 7];

/// Opens the gate: called on the firmware's own tables and stack, which its calls will have. The caller's stack from here on
/// downwards is the firmware's.
pub fn open() {
    // SAFETY: it saves registers to a static that is its own.
    unsafe { firmware_gate_open() };
    STAYS.store(true, Ordering::Relaxed);
}

/// Whether the firmware goes on beside this kernel. Panic-safe.
#[inline]
pub fn stays() -> bool {
    STAYS.load(Ordering::Relaxed)
}

/// Calls one of the firmware's functions; `None` where there is no way to it: its boot services have ended, or it is being
/// called at this very moment, as where a panic came inside of it. Panic-safe.
///
/// # Safety
///
/// The function is the firmware's, and what `arguments` point to is what its description asks for.
pub unsafe fn call(call: Call, function: usize, arguments: &Arguments) -> Option<Status> {
    // SAFETY: the caller's.
    unsafe { pass(Some(call), function, arguments) }
}

/// Sleeps until the firmware's next interrupt, which the firmware then has: for where it is known that its timer ticks. It is
/// not noted as a call: most resets find the machine asleep.
pub fn sleep() {
    // SAFETY: 0 stands for no function.
    _ = unsafe { pass(None, 0, &[1, 0, 0, 0, 0, 0, 0]) };
}

/// The way there and back, where there is one; a call is noted for the next boot meanwhile.
///
/// # Safety
///
/// As of [`call`]; 0 stands for no function.
unsafe fn pass(noted: Option<Call>, function: usize, arguments: &Arguments) -> Option<Status> {
    if !stays() || IS_INSIDE.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: it is null or a static word.
    let word = unsafe { NOTE.load(Ordering::Acquire).as_ref() }.filter(|_| noted.is_some());
    if let Some(call) = noted {
        word.into_iter().for_each(|word| note(word, call as u64));
        trap::probe(Place::FirmwareCall);
    }
    // SAFETY: the gate was opened; the caller's for the rest. Interrupts are off in this kernel where the firmware stays.
    let status = unsafe { firmware_gate(function, arguments) };
    word.into_iter().for_each(|word| note(word, NO_CALL));
    IS_INSIDE.store(false, Ordering::Relaxed);
    Some(status)
}

/// Lets the firmware have the interrupts that are pending, its timer's above all. Panic-safe.
pub fn tick() {
    // SAFETY: 0 stands for no function.
    _ = unsafe { call(Call::Tick, 0, &[0; 7]) };
}
