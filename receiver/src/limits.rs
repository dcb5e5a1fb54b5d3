//! Every bound of the receiver in one table: whatever arrives, it holds no more than this.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes for what is known of all senders: 300,000 of them. See [`SILENT`] for what happens above.
pub const SENDERS_BYTES: usize = 256 << 20;
/// Senders of which only the counts are left, shown with the others'.
pub const FORGOTTEN: usize = 4096;
/// Senders that have series of their own in `/metrics`.
pub const LISTED: usize = 1000;
/// Senders that speak with a key, at once.
pub const SPEAKERS: usize = 512;
/// Records that one sender may have waiting behind a gap.
pub const WINDOW_RECORDS: usize = 1 << 15;
/// Bytes that one sender may have waiting behind a gap, fragments included.
pub const WINDOW_BYTES: usize = 8 << 20;
/// Senders at once that may be another's second way: what they tell is held for a second.
pub const SUSPECTED: usize = 1024;
/// Events that are held so, of all of them.
pub const SUSPECTED_EVENTS: usize = 1 << 16;
/// Bytes that all senders together may have waiting.
pub const WINDOWS_BYTES: usize = 64 << 20;
/// Boots of which the sealed datagrams taken are remembered, so that none is taken twice.
pub const BOOTS: usize = 512;
/// Numbers of sealed datagrams remembered for each boot: so far may they be out of order.
pub const NUMBERS: usize = 4096;
/// Bytes of one record with its fields, put together from fragments. Linux's longest has 256 user data items.
pub const RECORD_BYTES: usize = 128 << 10;
/// Fragments of one record.
pub const FRAGMENTS: usize = 1024;
/// ` KEY=VALUE` lines of one record.
pub const FIELDS: usize = 512;
/// Bytes of a basic line of which the end has not come.
pub const LINE_BYTES: usize = 64 << 10;
/// Bytes of a line that was shown before its end came, into which the cursor may go back.
pub const SHOWN_BYTES: usize = 4 << 10;
/// So long are the datagrams behind which netconsole cuts a line: 1000 bytes, or the last whole character before.
pub const CHUNK_BYTES: RangeInclusive<usize> = 997..=1000;
/// What is remembered of a boot, to tell a duplicate, a latecomer and another boot apart: this many of the newest
/// numbers have their fate, [`DIGESTS`] a digest.
pub const FATES: usize = 512;
/// See [`FATES`].
pub const DIGESTS: usize = 32;
/// How many of a boot's first numbers have a digest for good.
pub const OPENING: usize = 16;
/// How many numbers in between have their time.
pub const ANCHORS: usize = 16;
/// How many gaps are remembered beyond [`FATES`].
pub const LOST: usize = 3;
/// A number may be so far above the highest one to be of the same boot. A sender's ring holds fewer records.
pub const LEAP: u64 = 1 << 20;
/// A sender first heard at a number up to this is taken to have lost the ones before; above it, we came later.
pub const FIRST_REACH: u64 = 64;
/// Bytes of received datagrams between the socket and the ordering.
pub const QUEUE_BYTES: usize = 64 << 20;
/// Events for which memory is kept: behind a gap very many may come at once.
pub const EVENTS: usize = 1 << 10;
/// Bytes that wait for one output, where that is slow or fails.
pub const OUTPUT_BYTES: usize = 32 << 20;
/// Bytes taken of one datagram: a jumbo frame. Senders keep to 1000.
pub const DATAGRAM_BYTES: usize = 9216;
/// Datagrams of a capture that are put together from IP fragments at once.
pub const IP_FRAGMENTED: usize = 256;
/// Datagrams taken from a socket in one system call.
pub const BATCH: usize = 128;
/// The socket's buffer that is asked for: 200,000 small datagrams.
pub const SOCKET_BYTES: usize = 256 << 20;
/// Files in `--dir` itself; those of further senders are in 256 directories below it.
pub const FILES: usize = 4096;
/// With a smaller one it is said how to have a large one.
pub const SOCKET_BYTES_LEAST: usize = 8 << 20;
/// Files that one run makes there; the records of further senders share one.
pub const FILES_BELOW: usize = 1 << 20;

/// Machines on the wall; above that, who has been silent for longest goes.
pub const WALL_MACHINES: usize = 10_000;
/// Tiles that one browser is told of; above that, those that changed, crashed, or are searched for.
pub const WALL_LISTED: usize = 500;
/// Lines of a machine that the wall keeps, and their bytes.
pub const WALL_LINES: usize = 10_000;
/// See [`WALL_LINES`].
pub const WALL_MACHINE_BYTES: usize = 4 << 20;
/// Bytes of the lines of all machines; above that, who has been silent for longest loses his.
pub const WALL_BYTES: usize = 128 << 20;
/// Bytes of the datagrams of one address that the wall keeps, and of all.
pub const WALL_DATAGRAM_BYTES: usize = 1 << 20;
/// See [`WALL_DATAGRAM_BYTES`].
pub const WALL_DATAGRAMS_BYTES: usize = 32 << 20;

/// How long a gap may wait for reordered datagrams, where nothing can be asked for again.
pub const REORDER_WAIT: Duration = Duration::from_millis(100);
/// How long a piece of a line waits for what follows.
pub const PIECE_WAIT: Duration = Duration::from_millis(100);
/// How long a line may grow by pieces before it is shown.
pub const PIECES_WAIT: Duration = Duration::from_secs(2);
/// How long a record that does not continue the boot waits for one that continues it, or for the boot to go on.
/// So long is the boot before a new one remembered, too.
pub const BOOT_WAIT: Duration = Duration::from_secs(2);
/// So long at most, where what does not continue the boot may be its whole log again and still comes.
pub const AGAIN_WAIT: Duration = Duration::from_secs(10);
/// A record's time in µs from which on another boot's would differ: before, Linux's clock may count whole ticks, and go
/// back.
pub const TICKS: u64 = 1_000_000;
/// A sender that was heard over at least this time is established: it makes room for a new one only after it has been
/// silent for the second time.
pub const ESTABLISHED: Duration = Duration::from_secs(1);
/// See [`ESTABLISHED`].
pub const SILENT: Duration = Duration::from_secs(600);
/// Bytes of one crash report, and of all that have not ended.
pub const REPORT_BYTES: usize = 256 << 10;
/// See [`REPORT_BYTES`].
pub const REPORTS_BYTES: usize = 32 << 20;
/// A crash report is over when nothing has come for this long, where no line says so.
pub const CRASH_REPORT: Duration = Duration::from_secs(2);
/// So long may one last, where the machine says other things without a pause.
pub const CRASH_REPORT_MOST: Duration = Duration::from_secs(10);
/// Records of one crash report.
pub const REPORT_RECORDS: u64 = 4096;
/// Crashes that are told apart, to say how often each came.
pub const CRASH_GROUPS: usize = 4096;
/// How long the fragments of an IP packet are collected (RFC 8200 section 4.5 has twice that).
pub const IP_FRAGMENT_WAIT: Duration = Duration::from_secs(30);
