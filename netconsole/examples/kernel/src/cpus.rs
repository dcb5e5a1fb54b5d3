//! The processors: how the second is started, what it does, which is to log, and how one stops the other.

use crate::addresses::{at, device};
use crate::memory::AddressSpace;
use crate::{clock, exceptions};
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How many lines the second processor logs as fast as it can; then it logs one a second.
const BURST: u64 = 500;

/// How many lines it has logged.
static LINES: AtomicU64 = AtomicU64::new(0);

/// Whether it is to panic after those.
static CRASHES: AtomicBool = AtomicBool::new(false);

/// Where its stack ends, once it has one.
pub static SECOND_STACK: AtomicU64 = AtomicU64::new(0);

/// Whether it runs.
static RUNS: AtomicBool = AtomicBool::new(false);
/// Which of the two wants to be alone, its number and 1; 0 for neither.
static ALONE: AtomicU32 = AtomicU32::new(0);
/// Whether the other one has stopped.
static HAS_STOPPED: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
}

/// What a processor can be sent (Intel SDM volume 3, section 11.6.1).
#[derive(Clone, Copy)]
enum Message {
    Init,
    /// Starts at this physical address, below 1 MiB.
    StartUp(u32),
    NonMaskableInterrupt,
}

/// Sends a message to the other processor; number 1 has the second one.
fn send(to: u32, message: Message) {
    const LOCAL_APIC: u64 = 0xfee0_0000;
    const SPURIOUS_VECTOR: usize = 0xf0;
    const COMMAND: usize = 0x300;
    const DESTINATION: usize = 0x310;
    const ENABLED: u32 = 0x1ff;

    let Some(apic) = device(LOCAL_APIC, 4096) else { return };
    let write = |register: usize, value: u32| {
        // SAFETY: these registers of this processor's own APIC send messages, and do nothing to memory.
        unsafe { apic.byte_add(register).cast().write_volatile(value) }
    };
    write(SPURIOUS_VECTOR, ENABLED);
    write(DESTINATION, to << 24);
    let command = match message {
        Message::Init => 0x4500,
        Message::StartUp(address) => 0x4600 | address >> 12,
        Message::NonMaskableInterrupt => 0x4400,
    };
    write(COMMAND, command);
}

/// Starts the second processor, if there is one (section 9.4.4.1). `crashes`: it is to panic soon.
pub fn start_second(address_space: &mut AddressSpace, crashes: bool) {
    const TRAMPOLINE: u32 = 0x8000;
    /// 512 KiB: without optimization the library needs several times as much as with it.
    const STACK_PAGES: u64 = 128;

    CRASHES.store(crashes, Ordering::Relaxed);
    SECOND_STACK.store(address_space.stack(STACK_PAGES), Ordering::Release);
    // SAFETY: it is linked where it is loaded, below 4 GiB, so that its address is a physical one. The memory at
    // TRAMPOLINE is the firmware's no more, and nobody's yet.
    unsafe {
        let (start, end) = (&raw const trampoline as u64, &raw const trampoline_end as u64);
        at(TRAMPOLINE.into()).copy_from(at(start), (end - start) as usize);
    }
    for message in [Message::Init, Message::StartUp(TRAMPOLINE)] {
        send(1, message);
        clock::wait(clock::ticks_per_second() / 100);
    }
}

/// Where the second processor arrives (boot/boot.s).
pub extern "C" fn second_main() -> ! {
    exceptions::load();
    RUNS.store(true, Ordering::Release);
    log::info!("cpu 1: runs, on a stack of scattered frames");
    for line in 1.. {
        log::info!("cpu 1: line {line}");
        LINES.store(line, Ordering::Relaxed);
        if line >= BURST {
            clock::wait(clock::ticks_per_second());
            assert!(!CRASHES.load(Ordering::Relaxed), "asked for by crash=second");
        }
    }
    stop()
}

/// Whether the second processor has logged what it logs at once.
pub fn has_logged_burst() -> bool {
    LINES.load(Ordering::Relaxed) >= BURST
}

/// Has the other processor stop, wherever it is, and waits until it has; 10 s at most, for one that is broken. Where both
/// want to be alone, the later one stops. One that is alone may ask again: its panic handler has panicked.
pub fn be_alone() {
    let own_number = __cpuid(1).ebx >> 24;
    match ALONE.compare_exchange(0, own_number + 1, Ordering::AcqRel, Ordering::Acquire) {
        Err(alone) if alone == own_number + 1 => return,
        Err(_) => stop(),
        Ok(_) if !RUNS.load(Ordering::Acquire) => return,
        Ok(_) => {}
    }
    send(1 - own_number.min(1), Message::NonMaskableInterrupt);
    let start = clock::ticks();
    while !HAS_STOPPED.load(Ordering::Acquire) && clock::ticks() - start < 10 * clock::ticks_per_second() {
        core::hint::spin_loop();
    }
}

/// Stops this processor for good. The non-maskable interrupt comes here.
pub extern "C" fn stop() -> ! {
    HAS_STOPPED.store(true, Ordering::Release);
    loop {
        x86_64::instructions::hlt();
    }
}
