//! The ring and the formats alone, without a card and without a kernel: writes records into a ring, and prints the
//! datagrams that a target of each format would get, each in a line, with ⏎ for a line's end.
//!
//! ```text
//! cargo run -p netconsole --example datagrams
//! ```

use netconsole::format::{Cursor, MAX_DATAGRAM, Next, RingLog, Style, Unfinished};
use netconsole::host_name::HostName;
use netconsole::ring::{Level, Ring, RingHeader, Timebase};
use netconsole::settings::Format;
use std::sync::atomic::AtomicU64;

// A ring is memory that its owner chooses: here 8 KiB of records, and a word of index for each eight of them.
static HEADER: RingHeader = RingHeader::new();
static INDEX: [AtomicU64; 128] = [const { AtomicU64::new(0) }; 128];
static DATA: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
static RING: Ring<'static> = Ring::new(&HEADER, &INDEX, &DATA);

/// A clock that makes a million ticks a second, and began with the boot.
const TICKS_PER_SECOND: u64 = 1_000_000;
/// When that was: noon of 29 November 2026, in microseconds since 1970.
const BOOTED: u64 = 1_795_953_600 * 1_000_000;

fn main() {
    // A writer never waits, whatever context it is in; `log::info!` comes here by `netconsole::ring::Logger`.
    RING.append(Level::Info, "example::boot", 1_000, format_args!("the machine has {} processors", 2));
    RING.append(Level::Warning, "example::disk", 2_500, format_args!("disk 0 is slow\nit needs 40 ms"));
    RING.append(Level::Error, "example::boot", 1_250_000, format_args!("{}", "long ".repeat(300)));

    let mut timebase = Timebase::new(0);
    timebase.calibrate(0, TICKS_PER_SECOND);
    let host_name = HostName::new(b"board7");
    for (name, format) in [
        ("basic", Format::Basic),
        ("extended", Format::Extended { release: true }),
        ("syslog", Format::Syslog),
    ] {
        // What only syslog shows: who sends, and the time of day.
        let (host_name, epoch) = (host_name.as_ref(), Some(BOOTED));
        let style = Style { release: "0.1.0", host_name, epoch, ..Style::new(format, true) };
        println!("{name}:");
        print_log(&style, &timebase);
    }
}

/// Walks over the ring from its oldest record on.
fn print_log(style: &Style<'_>, timebase: &Timebase) {
    let log = RingLog::new(&RING, timebase);
    let mut cursor = Cursor::at(RING.first());
    loop {
        let record = match cursor.next(&log, Unfinished::Take, |_| true) {
            Next::Record(record) => record,
            Next::HeldBack | Next::Lost(_) => continue,
            Next::End => return,
        };
        let mut payload = [0; MAX_DATAGRAM];
        // Where another context has overwritten the oldest record just now, it is found lost.
        if let Some(datagram) = cursor.datagram(style, &log, &record, &mut payload) {
            println!("  {}", String::from_utf8_lossy(&payload[..datagram.len]).replace('\n', "⏎"));
            // What does not fit a datagram goes on in the next.
            cursor = datagram.next;
        }
    }
}
