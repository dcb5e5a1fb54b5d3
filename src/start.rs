//! The first steps: what the boot loader says, what the command line means, and the log's first lines.

use crate::linux::Before;
use crate::log::{RING_SIZE, firmware_call, follow, ring, start};
use crate::machine::firmware;
use crate::machine::machine_check::OldEvents;
use crate::machine::{build, entropy, features, paging, physical::Physical, stacks};
use crate::memory::{CARD_ROOM, memory, places};
use bootinfo::parameters::Parameters;
use bootinfo::{BootInfo, CommandLine};
use core::fmt;
use netconsole::ring::{Recovery, Timebase};
use netconsole::seal::Protection;
use netconsole::settings::wipe_keys;
use spin::Once;

static BOOT: Once<BootInfo> = Once::new();
static PARAMETERS: Once<Parameters> = Once::new();
static COMMAND_LINE: Once<CommandLine> = Once::new();

/// Takes a copy of what the loader left, before anything else: its structures may lie in page 0, and
/// where the log will be.
// A test has the kernel die here, by this name (tests/qemu/early.rs).
#[inline(never)]
pub fn read_boot_info(magic: u32, info: u64) -> &'static BootInfo {
    BOOT.call_once(|| BootInfo::read(magic, info, &Physical::at_entry()))
}

/// Reads the command line's parameters; what is wrong with them is logged by [`introduce`]. Until it is known whether
/// there is a key, which is from here on, nothing goes out.
pub fn read_parameters(boot: &BootInfo) -> &'static Parameters {
    let parameters = PARAMETERS.call_once(|| {
        let mut parameters = Parameters::parse(boot.command_line.as_bytes(), &mut |_, _| {});
        if boot.may_hide_key() {
            parameters.settings.silence();
        }
        parameters
    });
    memory().keys().decide(&parameters.settings.secrecy, entropy::boot_id);
    parameters.virtio_mmio.as_slice().iter().for_each(|&place| memory().remember_mmio_card(place));
    parameters
}

/// What is known of the log when it begins.
pub struct Log {
    /// What the boot before left in it.
    pub recovery: Recovery,
    /// The ring's size in bytes; `None` where there was no memory for the one that was asked for.
    size: Option<usize>,
}

/// From here on the ring works. The log began at `entered` ticks; it goes on from that of `before`, if there is one.
pub fn begin_log(boot: &BootInfo, parameters: &Parameters, before: Before, entered: u64) -> Log {
    let audience = memory().keys().audience();
    if let Before::Log(past) = before {
        follow(past, past.end(), past.last_micros(), entered, audience);
        return Log { recovery: Recovery::NOTHING, size: Some(RING_SIZE) };
    }
    let (recovery, size) = start(parameters.log_buf_len, &boot.memory, entered, audience);
    Log { recovery, size }
}

/// Tells of the machine checks that a boot before has left.
pub fn tell_machine_checks(old: &OldEvents) {
    for event in old.iter().flatten() {
        log::warn!("cpu: machine check before this boot: {event}");
    }
}

/// Has the library convert ticks by this timebase, and the ring know a frequency that was found, for the boots to come.
pub fn keep_timebase(timebase: &Timebase, hz: Option<u64>) {
    memory().timebase().publish(timebase);
    if let Some(hz) = hz {
        ring().set_frequency(hz);
    }
}

/// The log's first lines: who speaks, where it runs, and what the command line has wrong.
pub fn introduce(boot: &BootInfo, parameters: &Parameters, log: &Log) {
    log::info!("netconsole {}, build id {}", build::RELEASE, build::id().as_str());
    if log.recovery.records > 0 {
        log::warn!("{}", log.recovery);
    }
    if let Some(call) = firmware::gate::note_calls_in(firmware_call()) {
        log::error!("firmware: the boot before ended inside of its {call}");
    }
    let command_line = COMMAND_LINE.call_once(|| {
        let mut wiped = boot.command_line;
        wipe_keys(wiped.as_bytes_mut());
        wiped
    });
    log::info!("Command line: {command_line}");
    match boot.loader.as_bytes() {
        [] => log::info!("boot: by an unnamed loader, {}", boot.protocol),
        _ => log::info!("boot: by {}, {}", boot.loader, boot.protocol),
    }
    if paging::offset() != 0 {
        log::info!("boot: the kernel lies at {:#x}", paging::image_start());
    }
    for problem in boot.problems.iter() {
        log::log!(problem.level(), "boot: {problem}");
    }
    for region in boot.memory.regions() {
        log::debug!("boot: usable memory {:#012x}-{:#012x}", region.start, region.end() - 1);
    }
    log::info!("boot: {} KiB of usable memory", boot.memory.total() / 1024);
    report_memory(log.size.unwrap_or(RING_SIZE));
    let (wanted, has) = (parameters.log_buf_len / 1024, RING_SIZE / 1024);
    match log.size {
        None => log::error!("log_buf_len: no room for a log of {wanted} KiB, it has {has}"),
        Some(size) if size != parameters.log_buf_len => {
            log::warn!("log_buf_len: behind the log of a Linux this kernel's has {has} KiB, not {wanted}");
        }
        Some(_) => {}
    }
    if let Protection::Sealed(sealer) = memory().keys().protection() {
        log::info!("netconsole: messages are sealed with the key, boot id {}", sealer.boot_id());
        if !entropy::is_random() {
            log::warn!("netconsole: this CPU gives no random numbers: the boot id is from the clocks alone");
        }
    }
    Parameters::parse(boot.command_line.as_bytes(), &mut |level, problem| log::log!(level, "{problem}"));
}

/// What the boot loader said; nothing before [`read_boot_info`].
pub fn boot_info() -> Option<&'static BootInfo> {
    BOOT.get()
}

/// The command line, keys wiped; nothing before [`introduce`].
pub fn command_line() -> &'static dyn fmt::Display {
    COMMAND_LINE.get().map_or(&"", |line| line)
}

/// Looks from inside at what protects the kernel from itself, and says what it found.
pub fn check_protections() {
    for name in features::protections() {
        log::debug!("cpu: {name} is on");
    }
    match paging::check() {
        Ok(mapped) => log::debug!("paging: checked {mapped}"),
        Err(violation) => log::error!("paging: {violation}"),
    }
}

/// Logs what the memory is for, in KiB.
fn report_memory(ring_size: usize) {
    let kib = |bytes: usize| bytes / 1024;
    let (room, count) = (CARD_ROOM / 1024, places().count());
    log::info!(
        "memory: {} KiB: log ring {}, stacks {}; and {room} for each network card, of which there is room for {count}",
        kib(paging::image_size() + if ring_size == RING_SIZE { 0 } else { ring_size }),
        kib(ring_size),
        kib(stacks::total_size()),
    );
    if count == 0 {
        log::error!(
            "memory: the loader's map of memory has no {room} KiB that are free, which a network card needs: none is used"
        );
    }
}
