//! What `--help` and the manual page say behind the options.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// A part of the manual.
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Paragraphs.
    pub text: &'static [&'static str],
    /// Terms, and what each means.
    pub terms: &'static [(&'static str, &'static str)],
}

/// The heading of the fields that each JSON object has.
pub const JSON: &str = "JSON, one object a line";
/// The heading of those that each has but a record, and a report of which there was none like it.
pub const JSON_OF_NOTICES: &str = "JSON of all but records";
/// The headings of the fields that some have besides.
pub const JSON_OF_EVENTS: [&str; 10] = [
    "JSON of a record",
    "JSON of missing",
    "JSON of joined",
    "JSON of stray",
    "JSON of skipped",
    "JSON of moved",
    "JSON of dropped",
    "JSON of lost",
    "JSON of crash",
    "JSON of report",
];

/// All parts, in their order.
pub const SECTIONS: [Section; 25] = [
    Section {
        title: "Formats",
        text: &[
            "Each datagram is understood by itself: extended (with release, fragments and fields), syslog (RFC 5424, \
             RFC 3164 and what rsyslog, logger, Cisco's and VMware's devices make of it), JSON objects (Talos, and \
             logs in JSON at large), and basic, which is everything else: a console's lines, with Linux's priority, \
             time and caller where they have them.",
            "A line that is not ended is continued by the sender's next datagram within 100 ms, if the sender has \
             ended lines with newlines before or sends single characters, and the datagram does not begin a message: \
             a priority <N>, a time, a header or a brace does. A sender that never sends newlines has one message a \
             datagram. Backspace and carriage return are obeyed in lines without a time, as of boot loaders.",
            "Extended records are put in order. A sender that knows the ncrx protocol is asked again for what is \
             missing; one that does not react to a few requests is left alone. What does not come is named: \
             “… 12 records missing (416–427)”. Records that the sender says its level held back are no gap, and \
             those after its newest record are acknowledged when it announces them.",
            "Linux does not say what its level held back, as at quiet, and its numbers skip there: “… 12 numbers \
             skipped: held back by the sender's level, or lost (416–427)”. Where the target has msgid_enabled, the \
             ids tell which of both it was; and where a debug record came, nothing was held back.",
        ],
        terms: &[],
    },
    Section {
        title: "Reboots",
        text: &[
            "A record that does not continue a sender's log is shown at once, marked so. “… rebooted” follows when a \
             second record continues it, or the log before it stays quiet for 2 s. A higher number is no gap where \
             the clocks say that the sender was started again: its time is shorter than what has passed here. If the log goes on instead, the \
             record is named as a stray: a datagram from long ago, or one in the sender's name.",
        ],
        terms: &[],
    },
    Section {
        title: "Names",
        text: &[
            "What comes from one port of one address is the log of one machine. It is called by its address; where \
             machines share one, as behind a NAT or QEMU's user networking, each further one by address and port.",
            "A log that goes on from another port or address, by its numbers and its clock, keeps its name: behind a \
             NAT that gives out other ports, or after DHCP has given another address. Messages of which each comes \
             from a port of its own, as logger sends them, are one machine's.",
            "A machine by two ways, two targets or cards of it, is shown once: what a new sender tells is held for a \
             second at most where another one had its first record, and is that one's second way where both go on \
             with the same records.",
            "--name 10.0.0.5=board7 names what comes from an address, 10.0.0.5:7000=vm from one port of it, \
             52:54:00:12:34:56=board7 from the IPv6 addresses that are made of a MAC address (fe80::5054:ff:fe12:3456), \
             10.1.0.0/16=rack from a network: rack-10.1.0.5, rack-10.1.0.6. The narrowest counts. --name-from takes \
             the name that a machine says, where none was given: of an item of its user data (userdata:hostname), of \
             its syslog messages (syslog), or of what Linux logs after DHCP (dhcp: “host=board7, domain=…”).",
        ],
        terms: &[],
    },
    Section {
        title: "Outputs",
        text: &[
            "The screen, the files and the capture are written by threads of their own. One that is slow, full or gone \
             delays no other: 32 MiB wait for it (of a single file that can't be written 1 MiB, of all together 32 MiB), it is tried again every \
             second, and what there is no room for is lost there alone, which it says in its place: “… 12 records lost \
             here: …”. What is read with --read waits for slow outputs. At the end all is written first: within 2 s \
             after a signal to end, without one until an output has taken nothing for 10 s.",
            "SIGHUP opens files again, for logrotate; a file that was moved or removed is noticed within a second \
             anyhow. What came in the last 20 ms may be lost by kill -9, and what waited for a slow output, of a crash of \
             the host what --sync says; the beginning of a line that was left so is cut off by the next run. Where \
             standard output is a terminal that has gone, SIGHUP ends the run.",
        ],
        terms: &[],
    },
    Section {
        title: "Sinks",
        text: &[
            "Records go on to other programs and machines, each sink with a queue, a thread and counts of its own, as any output. \
             What is not taken waits (32 MiB) and is offered again after 0.25 s, then after twice as long each time, at most 30 s; \
             what there is no room for, what is refused (HTTP 400, 413, 422, or a collector's partial success) and what waits \
             at the end is lost there, is counted, and makes the status 1. Besides records a sink gets what the receiver says \
             (“… 12 records missing”, reports, what was lost on the way to this sink), as records with the field event. What \
             waits for a sink does not keep --state from being saved.",
            "Programs from a package or a release have all sinks. One that cargo builds has --syslog by UDP and TCP and the journal of \
             this host; the feature http-sinks adds what goes by HTTP, the feature tls adds https:// and tls://.",
        ],
        terms: &[
            (
                "--otlp",
                "OTLP/HTTP, in JSON: a resource for each sender (host.name), severity, source.address, netconsole.sequence and so on, \
                 netconsole.field.KEY for user and system data; a URL without a path gets /v1/logs",
            ),
            (
                "--loki",
                "Loki's push API: the labels job=netconsole and host; level, sequence and the other fields (field_KEY) are \
                 structured metadata, which Loki 3 takes; of equal times each is a nanosecond later than the one before",
            ),
            (
                "--journal",
                "the native protocol of systemd-journald: MESSAGE, PRIORITY, SYSLOG_FACILITY, SYSLOG_IDENTIFIER, \
                 NETCONSOLE_SENDER, NETCONSOLE_ADDRESS, NETCONSOLE_SEQUENCE and so on, KERNEL_SUBSYSTEM, KERNEL_DEVICE and KERNEL_KEY for \
                 user and system data. journald takes no field that begins with an underscore from a program, and \
                 drops what comes faster than its RateLimitBurst. With http://HOST:19532 the entries go to a \
                 systemd-journal-remote in the Journal Export Format: there the sender is _HOSTNAME, and the fields are \
                 _KERNEL_SUBSYSTEM and so on, as of a kernel's log",
            ),
            (
                "--syslog",
                "RFC 5424, the sender as HOSTNAME, the fields in [netconsole@32473 …], user and system data in [fields@32473 …]; by \
                 UDP, by TCP with counted octets, or by TLS. A connection that is reset has the last messages sent again: by TCP nobody \
                 says what was read. By UDP only a port that nobody listens on is noticed",
            ),
            (
                "--webhook",
                "each report as one JSON object by POST, with the fields of the event report, and text, a sentence which chat \
                 programs show",
            ),
        ],
    },
    Section {
        title: "Reports",
        text: &[
            "What a kernel says of a crash is known by its words, from the first line to the last: panic, oops, bug, kasan \
             (also KCSAN, KMSAN, KFENCE, UBSAN), lockup, stall (of RCU), hung-task, warning, oom. Reports that come at once \
             are told apart by their callers, where the records have them (PRINTK_CALLER). An oops that ends in a panic \
             is one report. One is over with its last line, after 2 s without a further one, or after 10 s. hung-task, warning and \
             oom are no crash: --fail-on names what else is to make a run fail.",
            "Reports of one kind in which the same functions called each other, the five innermost, have the same id, on any machine \
             and in any build; where no function is named the title decides, its numbers left out. One that came before is said to be \
             repeated, and how often. --on-crash has 60 s for each; then its command is killed, with what it started.",
        ],
        terms: &[],
    },
    Section {
        title: "Selection",
        text: &[
            "What --since, --until-time and --host leave out is as if it had not come: it is not shown, not written, and \
             ends nothing. --grep only limits what is shown and written to records whose text matches. All apply to \
             what is heard, to captures (--read), and to files that --dir wrote, text, JSON or compressed, whose lines \
             are shown as they are: --read logs/board7.log.1.zst --since 2h --grep oops. On a terminal it is said how far \
             a long file is read.",
        ],
        terms: &[],
    },
    Section {
        title: "Symbols",
        text: &[
            "With --elf what a report names becomes function, file and line, inlined functions first: addresses, and \
             Linux's function+0x3/0x29 [module]; also of a kernel that was moved, once its “Kernel Offset” was heard. A \
             directory has kernels and modules below it: by build id (.build-id/ab/cdef….debug, or debuginfod's \
             abcdef…/debuginfo), or by release (vmlinux-RELEASE, …/RELEASE/…/module.ko). A sender tells its build id or its \
             release in its log. --read of any text with --elf does the same with each of its lines.",
        ],
        terms: &[],
    },
    Section {
        title: "State",
        text: &[
            "With --state each sender's next number, its clock and its name are kept in a file, which is replaced as a \
             whole at most once a second and at the end. Another run goes on from there: what was had is not shown \
             again, what came meanwhile is named as missing (or asked for, of a sender that knows the ncrx \
             protocol), a reboot is noticed, and names stay. What an output has not written by the end is not taken \
             as had. After an end without warning, as by kill -9, what was shown in the last second may be called missing.",
        ],
        terms: &[],
    },
    Section {
        title: "As a service",
        text: &[
            "--config takes options from a file in TOML, whose keys are the long options' names: port = [514, 6666], \
             dir = \"/var/log/netconsole\", compress = true, name = { \"10.0.0.5\" = \"board7\" }. An option of the command line \
             counts more than the file's. --check says what is wrong, with the line.",
            "With --config SIGHUP has another run take this one's place, in the same process, with the options as they are \
             now; SIGUSR2 does so always, with the program as it is now. The sockets go along, and datagrams wait in them \
             meanwhile; so do the senders' numbers, clocks and names. Where something is wrong it is said, and \
             everything stays as it is.",
            "Sockets that systemd passes (sd_listen_fds) take the place of --bind and --port. It is told of the start, of \
             each reload, of the end, and that the run goes on (WatchdogSec=).",
        ],
        terms: &[],
    },
    Section {
        title: "Console",
        text: &[
            "With --console each line of standard input goes to the machine once the one before was answered; what \
             it answers comes with its log. The netconsole kernel takes lines where it was started with \
             netconsole.input=1, from its targets' addresses. A line is sent once only: it may be lost on the way, \
             as any datagram. With --key-file it is sealed for the machine's present boot, and can neither be \
             changed nor sent a second time by anybody else; for a machine that has not been heard yet, the \
             receiver must listen on the target's port.",
        ],
        terms: &[],
    },
    Section {
        title: "The wall",
        text: &[
            "With --http 127.0.0.1:6680 a browser shows every machine (booting, up, silent, crashed or rebooted; its last line, \
             its rate, its gaps) and the log of one as it comes, the reports of its crashes with their functions. The last \
             10,000 lines of a machine are kept, at most 4 MiB, and 1 MiB of its datagrams; of all 160 MiB, and 10,000 \
             machines. Above 500 machines those are listed that changed, crashed or are searched for. With --http-console \
             lines typed there go to the machine's console.",
            "The Host of every request must be an address, localhost or a --http-host, its Origin, if any, the same. On \
             another address than one of loopback the page asks for the token, and what changes something needs it \
             everywhere. There is no TLS: a proxy before it can speak it. /metrics has all counts for Prometheus, \
             /healthz says “ok” where the run answers.",
        ],
        terms: &[],
    },
    Section {
        title: "Exit status",
        text: &[],
        terms: &[
            (
                "0",
                "--until matched; or, without --until, a normal end: the capture's end, --timeout, Ctrl-C, SIGTERM",
            ),
            (
                "1",
                "wrong usage, or a file or socket failed; where nothing else is wrong, also: an output could not be \
                 written for some time, and lost records (the others went on), or a part of the capture can't be read",
            ),
            (
                "2",
                "--fail-on matched, or a crash report came while --until, --fail-on or --timeout was given (not with \
                 --crash-ok)",
            ),
            ("3", "the end came before --until matched: --timeout, the capture's end, Ctrl-C, SIGTERM"),
            (
                "4",
                "with --complete: records are missing, numbers skipped (not with --skips-ok), or this host dropped \
                 datagrams and records came without numbers",
            ),
            ("5", "a line of --console was not answered"),
        ],
    },
    Section {
        title: JSON,
        text: &["What has no value is left out. Every object has:"],
        terms: &[
            (
                "event",
                "record, missing, skipped (numbers held back by the sender's level, or lost), joined (first heard in \
                 the middle of its log), moved (it goes on from another address or port), rebooted, stray (a record continues nothing), crash (a report follows), report (it is over), \
                 dropped (by this host, of whichever senders; sender is receiver then, the address its socket's), lost \
                 (by this output: the others have them; sender is receiver then, without an address)",
            ),
            ("received", "when, RFC 3339, UTC"),
            ("sender", "the name or address"),
            ("address", "where it came from"),
            ("port", "its port there"),
        ],
    },
    Section {
        title: JSON_OF_NOTICES,
        text: &[],
        terms: &[("notice", "what the screen says of it, in words; of a report where its like came before")],
    },
    Section {
        title: JSON_OF_EVENTS[0],
        text: &[],
        terms: &[
            ("format", "basic, extended, syslog or json"),
            ("level", "0 emergency … 7 debug"),
            ("facility", "0 kernel, 1 user space"),
            ("sequence", "the sender's number"),
            ("timestamp_us", "µs since the sender's boot"),
            ("time", "of a syslog or JSON message, as it came"),
            ("host", "of a syslog or JSON message"),
            ("application", "of a syslog or JSON message: the program, or its tag"),
            ("process", "of a syslog or JSON message: the program's process"),
            (
                "message_id",
                "of a syslog message: its kind; from the netconsole kernel the module that logged",
            ),
            ("release", "the kernel's"),
            ("text", "the message"),
            (
                "fields",
                "an object of user and system data, and of what else a syslog or JSON message has; a list where a name comes more \
                 than once",
            ),
            (
                "held",
                "how many records directly before it the sender's level held back: they are not missing",
            ),
            ("crash", "true: part of a crash report"),
            ("late", "true: it came after it had been reported missing"),
            ("beside", "true: it does not continue the log: of another boot, or a stray"),
            ("incomplete", "true: a part is missing, … is in its place"),
            ("continuation", "true: a further piece of a line, which Linux could not add to the first"),
            ("continues", "the number of the record that it continues, where the caller tells"),
            ("symbols", "with --elf or --system-map, a list of objects with address, function, file, line"),
            ("warning", "why there are none, or may be wrong; once per sender"),
        ],
    },
    Section {
        title: JSON_OF_EVENTS[1],
        text: &[],
        terms: &[
            ("first", "the first number of the gap"),
            ("last", "the last"),
            ("count", "how many records of it are missing"),
        ],
    },
    Section { title: JSON_OF_EVENTS[2], text: &[], terms: &[("sequence", "the first number heard")] },
    Section { title: JSON_OF_EVENTS[3], text: &[], terms: &[("sequence", "the record's number")] },
    Section {
        title: JSON_OF_EVENTS[4],
        text: &[],
        terms: &[
            ("first", "the first number of the gap"),
            ("last", "the last"),
            ("count", "how many numbers of it did not come"),
        ],
    },
    Section {
        title: JSON_OF_EVENTS[5],
        text: &[],
        terms: &[("before", "the address and port that it came from before")],
    },
    Section {
        title: JSON_OF_EVENTS[6],
        text: &[],
        terms: &[("count", "datagrams that came while the socket's buffer was full")],
    },
    Section {
        title: JSON_OF_EVENTS[7],
        text: &[],
        terms: &[("count", "how many records are not in this output"), ("reason", "why, in words")],
    },
    Section {
        title: JSON_OF_EVENTS[8],
        text: &[],
        terms: &[("kind", "what the report is about: see Reports")],
    },
    Section {
        title: JSON_OF_EVENTS[9],
        text: &[],
        terms: &[
            ("kind", "what it is about; panic, of what became one"),
            ("title", "the line that says so"),
            ("id", "16 hexadecimal digits, the same for each report of this fault: see Reports"),
            ("frames", "the functions that called each other, the innermost first, at most five"),
            ("repeated", "how many reports with this id came before in this run, of any sender"),
            ("records", "how many records are in it"),
            ("report", "all its lines, with their times"),
        ],
    },
];

/// What `--help` says.
pub fn help() -> String {
    let mut help = String::new();
    for Section { title, text, terms } in &SECTIONS {
        // Writing to a String does not fail.
        let _ = writeln!(help, "{title}:");
        for paragraph in *text {
            let _ = writeln!(help, "  {paragraph}");
        }
        let width = terms.iter().map(|(term, _)| term.len()).max().unwrap_or(0);
        for (term, meaning) in *terms {
            let _ = writeln!(help, "  {term:width$}  {meaning}");
        }
        help.push('\n');
    }
    help
}

/// Writes the manual page of `command`, the program with its options.
pub fn write_page(command: Command, to: &mut impl Write) -> io::Result<()> {
    Man::new(command.after_long_help(Resettable::Reset)).render(to)?;
    let mut page = Roff::new();
    for Section { title, text, terms } in &SECTIONS {
        page.control("SH", [title.to_uppercase().as_str()]);
        for paragraph in *text {
            page.control("PP", []).text([roman(*paragraph)]);
        }
        for (term, meaning) in *terms {
            page.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
        }
    }
    page.to_writer(to)
}
