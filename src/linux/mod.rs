//! The log of a Linux that crashed: found in its memory when this kernel is its crash kernel (`elfcorehdr=`), or after a
//! reset that left memory as it was (`linux=scan`), and handed on as what came before this kernel's own log.

mod memory;
mod report;

use crate::last_log;
use crate::machine::{old_memory, paging};
use bootinfo::BootInfo;
use bootinfo::parameters::Parameters;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use linuxlog::{Crash, Encryption, Log, LogError, OpenError, Read, scan};
use memory::OldMemory;
use netconsole::ring::{ALWAYS, Past, PastRecord};
use spin::Once;

/// How much is read for the ELF core header before anything is known of the memory, in bytes: it has a header of 56 bytes
/// for each stretch of memory.
const CORE_HEADER: u64 = 1 << 20;

static MEMORY: OldMemory = OldMemory::new();
static CRASH: Once<OneCpu<(Crash<'static, OldMemory>, How)>> = Once::new();
static LOG: Once<OldLog> = Once::new();

/// What one CPU alone looks at.
struct OneCpu<T>(T);

// SAFETY: this kernel runs on one CPU. What is in here remembers in cells where it found something last, as plain numbers,
// which are checked at each use; the panic path, which may come in amid a change, reads with them what is then refused or
// wrong, and never goes back.
unsafe impl<T> Sync for OneCpu<T> {}
// SAFETY: as above: there is no other CPU to send it to.
unsafe impl<T> Send for OneCpu<T> {}

/// How the dead kernel was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By the ELF core header at this physical address.
    CoreHeader(u64),
    /// By a search of the memory; of several this is the one that crashed last.
    Scan {
        /// How many were found.
        found: usize,
        /// How many of them a boot before has sent.
        sent: usize,
    },
}

impl How {
    /// What is known of that Linux's end: one that a scan finds may have been reset without a crash.
    fn end(self) -> &'static str {
        match self {
            Self::CoreHeader(_) => "crashed after",
            Self::Scan { .. } => "ran for",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreHeader(address) => write!(f, "by the ELF core header at {address:#x} (elfcorehdr=)"),
            Self::Scan { found: 1, .. } => f.write_str("in memory, after a reset (linux=scan)"),
            Self::Scan { found, sent: 0 } => {
                write!(f, "in memory, after a reset (linux=scan), as the newest of {found}")
            }
            Self::Scan { found, sent } => {
                write!(
                    f,
                    "in memory, after a reset (linux=scan), as the newest of {found}, {sent} of them sent before"
                )
            }
        }
    }
}

/// Why there is no log of a Linux though one was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The core header leads nowhere.
    Crash(OpenError),
    /// The log can't be read.
    Log(LogError),
    /// The memory was searched, and no Linux was found in it.
    NotFound,
    /// What was found in it was sent by boots before.
    Sent,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(error) => write!(f, "nothing is known of the Linux that crashed: {error}"),
            Self::Log(error) => write!(f, "the log of the Linux that crashed can't be read: {error}"),
            Self::NotFound => f.write_str("no log of a Linux was found in memory (linux=scan)"),
            Self::Sent => f.write_str(
                "the log of a Linux that is in memory was sent by a boot before: linux=again sends it again",
            ),
        }
    }
}

/// What came before this kernel.
#[derive(Clone, Copy)]
pub enum Before {
    /// Nobody asked for the log of a Linux.
    Nothing,
    /// A Linux whose log is this one.
    Log(&'static OldLog),
    /// A Linux whose log is not to be had.
    Missing(Missing),
}

impl Before {
    /// Whether there is a log of a Linux, or the text of one that can't be read.
    pub fn has_log(self) -> bool {
        matches!(self, Self::Log(_) | Self::Missing(Missing::Log(_)))
    }

    /// When that Linux crashed, in seconds since 1970, where this kernel is its crash kernel and it says so.
    pub fn crash_time(self) -> Option<u64> {
        match self {
            Self::Log(OldLog { crash, how: How::CoreHeader(_), .. }) => crash.0.info().crash_time,
            _ => None,
        }
    }

    /// Notes for the boots that follow that it was sent, where they would find it again.
    pub fn note_sent(self, boot: &BootInfo) {
        let is_sent = match self {
            Self::Log(_) => true,
            Self::Missing(Missing::Log(_)) => HAS_TEXT.load(Ordering::Relaxed),
            Self::Nothing | Self::Missing(_) => false,
        };
        if let Some(OneCpu((crash, How::Scan { .. }))) = CRASH.get().filter(|_| is_sent) {
            last_log::note_sent_linux(&boot.memory, identity(crash));
            log::info!("linux: noted that its log was sent: linux=scan passes it over from now on");
        }
    }
}

/// Looks for the Linux that crashed, where the command line says that there is one. To be called once, when page tables
/// and exceptions are this kernel's.
pub fn open(boot: &BootInfo, parameters: &Parameters) -> Before {
    let found = if let Some(address) = parameters.linux.core_header {
        by_core_header(boot, address)
    } else if parameters.linux.scans {
        by_scan(boot, parameters.linux.again)
    } else {
        return Before::Nothing;
    };
    let log = found.and_then(|found| {
        let OneCpu((crash, how)) = CRASH.call_once(|| OneCpu(found));
        let how = *how;
        let log = crash.log().map_err(Missing::Log)?;
        let is_crash = matches!(how, How::CoreHeader(_));
        let oops_only = parameters.settings.oops_only;
        let crash_at = if is_crash && !oops_only { log.first() } else { begin_of_crash(&log) };
        let new = || OldLog {
            crash: OneCpu(crash),
            how,
            shows_caller: parameters.linux.caller,
            limit: parameters.linux.loglevel,
            has_crash: is_crash || crash_at < log.end(),
            since: if oops_only { crash_at } else { 0 },
            log: OneCpu(log),
        };
        Ok(LOG.call_once(new))
    });
    match log {
        Ok(log) => Before::Log(log),
        Err(missing) => Before::Missing(missing),
    }
}

fn by_core_header(boot: &BootInfo, address: u64) -> Result<(Crash<'static, OldMemory>, How), Missing> {
    // The header lies in the memory that was set aside for this kernel.
    MEMORY.add(address..address.saturating_add(CORE_HEADER));
    let regions = linuxlog::regions(&MEMORY, address).map_err(Missing::Crash)?;
    let core_header = regions.core_header();
    regions.for_each(|region| MEMORY.add(region));
    for region in boot.memory.regions() {
        MEMORY.add(region.start..region.end());
    }
    let mut crash = Crash::open(&MEMORY, address);
    let encryption = old_memory::encryption();
    // Where Linux had its memory encrypted, its notes are too, and not the header that it has made for its crash kernel.
    let is_encrypted = match &crash {
        Ok(crash) => crash.info().sme_mask == Some(encryption.mask()),
        Err(error) => *error == OpenError::NoVmCoreInfo,
    };
    if encryption != Encryption::NONE && is_encrypted {
        MEMORY.decrypt_all_but(&core_header, encryption);
        crash = Crash::open(&MEMORY, address);
    }
    Ok((crash.map_err(Missing::Crash)?, How::CoreHeader(address)))
}

fn by_scan(boot: &BootInfo, again: bool) -> Result<(Crash<'static, OldMemory>, How), Missing> {
    for region in boot.memory.regions() {
        // This kernel's own is refused: that is no failure.
        MEMORY.add(region.start.max(paging::PAGE)..region.end().min(paging::image_start()));
        MEMORY.add(region.start.max(paging::persistent_end())..region.end());
    }
    let (mut found, mut sent, mut newest) = (0, 0, None);
    for crash in MEMORY.regions().flat_map(|region| scan(&MEMORY, region)) {
        found = usize::wrapping_add(found, 1);
        if !again && last_log::was_linux_sent(&boot.memory, identity(&crash)) {
            sent = usize::wrapping_add(sent, 1);
            continue;
        }
        let time = |crash: &Crash<'_, _>| (crash.info().crash_time, crash.log().is_ok());
        if newest.as_ref().is_none_or(|newest| time(newest) < time(&crash)) {
            newest = Some(crash);
        }
    }
    let missing = if sent > 0 { Missing::Sent } else { Missing::NotFound };
    Ok((newest.ok_or(missing)?, How::Scan { found, sent }))
}

/// What tells this dead kernel from others, so that it is known again: a sum of what it was and how far its log goes, and
/// when it crashed.
fn identity(crash: &Crash<'_, OldMemory>) -> [u64; 2] {
    let info = crash.info();
    let log = crash.log().ok();
    let last = log.as_ref().and_then(|log| {
        (log.first()..log.end()).rev().find_map(|sequence| match log.read(sequence) {
            Read::Record(record) => Some(record.nanoseconds),
            _ => None,
        })
    });
    let words = [log.as_ref().map_or(0, Log::end), last.unwrap_or(0)];
    let names = info.release.as_str().bytes().chain(info.build_id.as_str().bytes()).map(u64::from);
    // FNV-1a, over words.
    let sum = names
        .chain(words)
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| (sum ^ word).wrapping_mul(0x100_0000_01b3));
    [sum, info.crash_time.unwrap_or(0)]
}

/// What the first lines of a crash begin with.
const SIGNS: [&[u8]; 10] = [
    b"sysrq: Trigger a crash",
    b"Kernel panic",
    b"BUG: ",
    b"kernel BUG at ",
    b"Oops",
    b"general protection fault",
    b"Unable to handle ",
    b"watchdog: BUG",
    b"NMI watchdog: Watchdog detected",
    b"------------[ cut here ]",
];
/// How far before the log's end the first one is looked for, in records and in ns.
const LOOKED_AT: usize = 4096;
const CRASH_TAKES: u64 = 60_000_000_000;

/// The number of the crash's first record, by what is found in the log's last minute; the log's end where nothing is.
fn begin_of_crash(log: &Log<'_, OldMemory>) -> u64 {
    let (mut begin, mut newest) = (log.end(), None);
    for sequence in (log.first()..log.end()).rev().take(LOOKED_AT) {
        let Read::Record(record) = log.read(sequence) else { continue };
        let newest = *newest.get_or_insert(record.nanoseconds);
        if newest.saturating_sub(record.nanoseconds) > CRASH_TAKES {
            break;
        }
        let mut text = [0; 40];
        let len = record.copy_text(0, &mut text).unwrap_or(0);
        if SIGNS.iter().any(|sign| text.get(..len).is_some_and(|text| text.starts_with(sign))) {
            begin = sequence;
        }
    }
    begin
}

/// The log of a Linux that crashed.
pub struct OldLog {
    crash: OneCpu<&'static Crash<'static, OldMemory>>,
    how: How,
    log: OneCpu<Log<'static, OldMemory>>,
    shows_caller: bool,
    /// Only records with a lower level number go out.
    limit: u8,
    /// Only records from this number on do (`netconsole.oops_only`).
    since: u64,
    /// Whether it ended with a crash, as far as is known.
    has_crash: bool,
}

impl OldLog {
    /// The number after the newest record's.
    pub fn end(&self) -> u64 {
        self.log.0.end()
    }

    /// When the newest record that is whole was logged, in µs by that Linux's clock.
    pub fn last_micros(&self) -> u64 {
        let log = &self.log.0;
        let records = (log.first()..log.end()).rev();
        let micros = records.filter_map(|sequence| Some(self.find(sequence)?.micros)).next();
        micros.unwrap_or(0)
    }
}

impl Past for OldLog {
    fn first(&self) -> u64 {
        self.log.0.first()
    }

    fn find(&self, sequence: u64) -> Option<PastRecord> {
        let Read::Record(record) = self.log.0.read(sequence) else { return None };
        if !record.is_on_readable_pages() {
            return None;
        }
        Some(PastRecord {
            sequence,
            micros: record.nanoseconds / 1000,
            level: record.level,
            facility: record.facility,
            continues: record.continues,
            goes: record.level < self.limit && sequence >= self.since,
            caller: record.caller.filter(|_| self.shows_caller),
            len: record.len(),
            text: record.text_address(),
        })
    }

    fn copy_text(&self, record: &PastRecord, offset: usize, to: &mut [u8]) {
        let address = u64::try_from(offset).ok().and_then(|offset| record.text.checked_add(offset));
        let read = address.map(|address| self.crash.0.read(address, to));
        if !matches!(read, Some(Ok(()))) {
            to.fill(b'?');
        }
    }

    fn fields(&self, record: &PastRecord, item: &mut dyn FnMut(&[u8], &[u8])) {
        if let Read::Record(record) = self.log.0.read(record.sequence) {
            record.fields(item);
        }
    }

    fn release(&self) -> &str {
        self.crash.0.info().release.as_str()
    }

    fn boots_ago(&self) -> u8 {
        match self.how {
            How::CoreHeader(_) => 0,
            How::Scan { .. } => 1,
        }
    }
}

static IS_TOLD: AtomicBool = AtomicBool::new(false);
/// Whether, in place of a log that can't be read, text was logged; there is none of one that is encrypted.
static HAS_TEXT: AtomicBool = AtomicBool::new(false);

/// Logs what was found, and what could not be, once.
pub fn tell(before: Before) {
    if IS_TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    match before {
        Before::Nothing => {}
        Before::Log(log) => report::log(log),
        Before::Missing(missing) => {
            log::error!(target: ALWAYS, "linux: {missing}");
            // What is encrypted is no text.
            if let (Missing::Log(why), Some(crash)) = (missing, CRASH.get())
                && why != LogError::Encrypted
            {
                HAS_TEXT.store(report::raw_text(&crash.0.0), Ordering::Relaxed);
            }
        }
    }
    if let Some((count, address)) = MEMORY.new_failures() {
        log::warn!(target: ALWAYS, "linux: {count} reads of its memory failed and were passed over, the last one at {address:#x}");
    }
}

/// Logs how many reads have failed since then: most of the log is read only when it goes out.
pub fn tell_failures() {
    if let Some((count, address)) = MEMORY.new_failures() {
        log::warn!(
            target: ALWAYS,
            "linux: {count} reads of its memory failed while its log went out, the last one at {address:#x}: \
             what was there is missing, or reads '?'"
        );
    }
}
