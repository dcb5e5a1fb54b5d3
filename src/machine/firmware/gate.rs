//! The way to the firmware that goes on beside this kernel, and back (boot/gate.s): for a call the CPU has the firmware's page
//! tables, descriptor tables, segments, stack and interrupts, and after it this kernel's.

use super::structure::{Status, Structure};
use crate::machine::descriptors::{DescriptorTable, PANIC_IDT};
use crate::machine::exceptions::{self, Frame, MACHINE_CHECK, NMI};
use crate::machine::trap::{self, Place};
use crate::machine::{cache, nmi, stacks};
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
    panic_table = sym PANIC_IDT,
    NMI = const NMI,
    NMIS = sym nmi::COUNT,
    nmi_stack = sym stacks::NMI,
    NMI_STACK = const size_of_val(&stacks::NMI),
    FRAME = const size_of::<Frame>(),
    leave_by_exception = sym leave_by_exception,
);

unsafe extern "C" {
    fn firmware_gate_open();
    fn firmware_gate(function: usize, arguments: *const Arguments) -> Status;
    fn firmware_exception();
}

/// The exceptions that lead back to this kernel while the CPU is the firmware's: the NMI, the machine check, and the faults
/// after which the firmware's own handler would only stop the CPU, with interrupts off, for good. The others are the firmware's:
/// debuggers have some, and hypervisors that encrypt a machine's memory.
const TAKEN: [u8; 10] = [0, NMI as u8, 6, 8, 10, 11, 12, 13, 14, MACHINE_CHECK as u8];

/// Of a gate descriptor's first half (SDM volume 3, figure 6-8): the stack of the interrupt stack table; present, and an
/// interrupt gate.
const GATE_STACK: u64 = 0x7 << 32;
const PRESENT: u64 = 1 << 47;
const INTERRUPT_GATE: u64 = PRESENT | 0xe << 40;

/// A copy of the firmware's interrupt descriptor table, in which [`TAKEN`] are this kernel's.
static mut TABLE: [[u64; 2]; size_of::<DescriptorTable>() / 16] = [[0; 2]; _];

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
    let before = noted(word);
    note(word, NO_CALL);
    NOTE.store(core::ptr::from_ref(word).cast_mut(), Ordering::Release);
    before.filter(|&call| call != Call::ResetSystem)
}

/// Where calls are noted, once that is known.
fn note_word() -> Option<&'static Word> {
    // SAFETY: it is null or a static word.
    unsafe { NOTE.load(Ordering::Acquire).as_ref() }
}

fn noted(word: &Word) -> Option<Call> {
    let number = word.get()?;
    Call::ALL.into_iter().find(|&call| call as u64 == number)
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
    take_exceptions();
    STAYS.store(true, Ordering::Relaxed);
}

/// Has the firmware's side use the copy of its interrupt descriptor table. Firmware that loads another one later takes its
/// exceptions back.
fn take_exceptions() {
    // SAFETY: this runs once, on the only CPU, before the gate is used: nothing else refers to the two.
    let (side, table) = unsafe { (FIRMWARE.0.get().as_mut_unchecked(), (&raw mut TABLE).as_mut_unchecked()) };
    let [low, high, base @ ..] = side.idt.first_chunk::<10>().copied().unwrap_or_default();
    let length = usize::from(u16::from_le_bytes([low, high])).wrapping_add(1) / size_of::<[u64; 2]>();
    let firmwares = Structure(u64::from_le_bytes(base) as usize);
    for (number, entry) in table.iter_mut().take(length).enumerate() {
        *entry = firmwares.field(number.wrapping_mul(size_of::<[u64; 2]>()));
    }
    for vector in TAKEN {
        let Some(entry) = table.get_mut(usize::from(vector)) else { continue };
        let [old, _] = *entry;
        // The firmware's stack for it, if it has one: what overflowed may be the stack that it runs on.
        let stack = if old & PRESENT == 0 { 0 } else { old & GATE_STACK };
        let address = exceptions::firmware_entry_address(vector);
        let low = address & 0xffff | (address & 0xffff_0000) << 32;
        *entry = [low | u64::from(side.code) << 16 | stack | INTERRUPT_GATE, address >> 32];
    }
    let [a, b, c, d, e, f, g, h] = ((&raw const TABLE).expose_provenance() as u64).to_le_bytes();
    // The limit, then the address.
    side.idt = [0xff, 0xf, a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0];
}

/// An exception has led out of the firmware for good (boot/gate.s). Where it is one that came from outside while the gate's own
/// code ran there, as it does while the CPU sleeps, the firmware was at rest and may be called again. Panic-safe.
extern "C" fn leave_by_exception(frame: &Frame) {
    let own = firmware_gate as *const () as u64..firmware_exception as *const () as u64;
    if matches!(frame.vector, NMI | MACHINE_CHECK) && own.contains(&frame.rip) {
        note_word().into_iter().for_each(|word| note(word, NO_CALL));
        IS_INSIDE.store(false, Ordering::Relaxed);
    }
}

/// The call that the firmware has not come back from, for the report; its timer's interrupt, too, while the CPU slept.
/// Panic-safe.
pub fn under_way() -> Option<Call> {
    if !IS_INSIDE.load(Ordering::Relaxed) {
        return None;
    }
    Some(note_word().and_then(noted).unwrap_or(Call::Tick))
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
    let word = note_word().filter(|_| noted.is_some());
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
