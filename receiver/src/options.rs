//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, Parser, ValueEnum, value_parser};
use clap_complete::Shell;
use regex::Regex;

use crate::bind::Bind;
use crate::input::Places;
use crate::names::{Name, Source};
use crate::report::Kind;
use crate::wanted::{Host, Moment};
use crate::{config, console, manual};

/// Receives what netconsole sends, from Linux or the netconsole kernel: in order, complete where it can be, and
/// what is missing named.
#[derive(Debug, Parser)]
#[command(name = "netconsole-receiver", version, after_long_help = manual::help(), max_term_width = 100)]
pub struct Options {
    /// Address or interface to listen on, repeatable: 10.0.0.1, fe80::1%eth0, eth0; :: is IPv6 and IPv4
    #[arg(short, long, value_name = "ADDRESS", default_values_t = [Bind::ALL])]
    pub bind: Vec<Bind>,
    /// UDP port to listen on, repeatable; with --read, the destination port of the datagrams
    #[arg(short, long, value_name = "PORT", default_values_t = [6666])]
    pub port: Vec<u16>,
    /// Sockets at each address, each with a buffer and a thread of its own; what one machine sends comes through one of
    /// them. Default: one for two CPUs, at most 4
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=64), conflicts_with = "read")]
    pub sockets: Option<u32>,
    /// Multicast group to join, repeatable
    #[arg(long, value_name = "GROUP")]
    pub join: Vec<IpAddr>,
    /// Read a capture (pcap or pcapng) in place of listening; or a file that --dir wrote: its lines are shown as they are
    #[arg(short, long, value_name = "FILE")]
    pub read: Option<PathBuf>,
    /// Take only what is sealed with the key in this file (64 hexadecimal digits, as in netconsole.key=)
    #[arg(short, long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Name of a sender, repeatable: 10.0.0.5=board7; also of ADDRESS:PORT, a network (10.0.0.0/24) or a MAC address
    #[arg(short, long, value_name = "MACHINE=NAME")]
    pub name: Vec<Name>,
    /// Where a sender without a --name says its name, repeatable: userdata:KEY, syslog or dhcp
    #[arg(long, value_name = "SOURCE")]
    pub name_from: Vec<Source>,
    /// Send the lines of standard input to the console of the machine at this address (port 6665 unless it is
    /// said), sealed where there is a key; ends with the last answer, unless --until or --timeout is given
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_machine, conflicts_with = "read")]
    pub console: Option<SocketAddr>,
    /// Remember the senders' numbers, clocks and names in this file, so that the next run goes on: what came meanwhile
    /// is named as missing, and nothing is shown twice
    #[arg(long, value_name = "FILE", conflicts_with = "read")]
    pub state: Option<PathBuf>,
    /// Never ask a sender for missing records
    #[arg(long)]
    pub no_ncrx: bool,

    /// Only what was received at this time or later: 2026-11-24T21:22:23Z, '2026-11-24 22:22', 22:22 (today), 2h (before now)
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    pub since: Option<Moment>,
    /// Only what was received before this time
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    pub until_time: Option<Moment>,
    /// Only what this machine sent, repeatable: a name, an address, ADDRESS:PORT, a network or a MAC address
    #[arg(long, value_name = "MACHINE", help_heading = "Selection")]
    pub host: Vec<Host>,
    /// Show only records whose text matches, repeatable
    #[arg(long, value_name = "REGEX", help_heading = "Selection")]
    pub grep: Vec<Regex>,

    /// One JSON object a line, also in --dir (fields: see below)
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Colour by level; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: When,
    /// Begin lines with the sender's name; auto: where it has a --name, or there are several senders
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub prefix: When,
    /// Show user and system data under each record
    #[arg(long, help_heading = "Output")]
    pub fields: bool,
    /// Begin each line of text with the time at which it was received; rfc3339 in files, none on the screen, if not
    /// given
    #[arg(long, value_name = "HOW", help_heading = "Output")]
    pub time: Option<Time>,
    /// Show all machines and the log of one, with keys to choose, find and scroll, in place of records that scroll by
    #[cfg(feature = "tui")]
    #[arg(long, conflicts_with_all = ["read", "quiet"], help_heading = "Output")]
    pub tui: bool,
    /// Print no records
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Write a file per sender into this directory
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub dir: Option<PathBuf>,
    /// Size at which a file in --dir is rotated, with K, M or G
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = parse_size, requires = "dir", help_heading = "Output")]
    pub rotate: u64,
    /// Age at which a file in --dir is rotated, when something is to be written to it: 1d, 12h, 90s
    #[arg(long, value_name = "AGE", value_parser = parse_age, requires = "dir", help_heading = "Output")]
    pub rotate_every: Option<Duration>,
    /// Compress rotated files with zstd: NAME.log.1.zst
    #[arg(long, requires = "dir", help_heading = "Output")]
    pub compress: bool,
    /// A directory per sender: NAME/netconsole.log
    #[arg(long, requires = "dir", help_heading = "Output")]
    pub dir_per_sender: bool,
    /// When what is in --dir is brought to the disk: never (the system does it), always, or every so often: 5s
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = parse_sync, requires = "dir", help_heading = "Output")]
    pub sync: Sync,
    /// Rotated files kept per sender: NAME.log.1 is the newest
    #[arg(long, value_name = "N", default_value_t = 5, requires = "dir", help_heading = "Output")]
    pub keep: u32,
    /// Write the datagrams received as a capture
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub pcap: Option<PathBuf>,
    /// Send records to an OpenTelemetry collector, repeatable: http://HOST:4318 (OTLP/HTTP in JSON, /v1/logs)
    #[arg(long, value_name = "URL", help_heading = "Sinks")]
    pub otlp: Vec<String>,
    /// Send records to a Grafana Loki, repeatable: http://HOST:3100 (/loki/api/v1/push)
    #[arg(long, value_name = "URL", help_heading = "Sinks")]
    pub loki: Vec<String>,
    /// Send records to the systemd journal: of this host, or, with http://HOST:19532, of a systemd-journal-remote
    #[arg(long, value_name = "SOCKET|URL", num_args = 0..=1, default_missing_value = "/run/systemd/journal/socket", help_heading = "Sinks")]
    pub journal: Vec<String>,
    /// Send records as syslog messages (RFC 5424), repeatable: udp://HOST:514, tcp://HOST:601, tls://HOST:6514
    #[arg(long, value_name = "URL", help_heading = "Sinks")]
    pub syslog: Vec<Syslog>,
    /// Send each crash report, as JSON, to this URL, repeatable
    #[arg(long, value_name = "URL", help_heading = "Sinks")]
    pub webhook: Vec<String>,
    /// Certificate authorities (PEM) that https:// and tls:// are checked by, in place of the system's
    #[arg(long, value_name = "FILE", help_heading = "Sinks")]
    pub ca: Option<PathBuf>,
    /// Print counts per sender at the end, as SIGUSR1 does at any time
    #[arg(long, help_heading = "Output")]
    pub stats: bool,
    /// The kernel's ELF file (vmlinux), or a directory with kernels and modules, by build id or release: what crash reports
    /// name becomes function, file and line; with --read of a text file, on each line
    #[arg(long, value_name = "FILE|DIR", help_heading = "Output")]
    pub elf: Option<PathBuf>,
    /// A Linux's System.map, in place of --elf: addresses in its crash report become functions
    #[arg(long, value_name = "FILE", conflicts_with = "elf", help_heading = "Output")]
    pub system_map: Option<PathBuf>,

    /// Serve the wall (a page with every machine and its log), /metrics (for Prometheus) and /healthz by HTTP at this
    /// address: 127.0.0.1:6680; on another address than one of loopback, what tells of machines needs a token
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "read", help_heading = "HTTP")]
    pub http: Option<SocketAddr>,
    /// The token in this file; without one, each run makes and says its own where one is needed
    #[arg(long, value_name = "FILE", requires = "http", help_heading = "HTTP")]
    pub http_token_file: Option<PathBuf>,
    /// A name of this host by which it may be called there, repeatable; its addresses and localhost may be
    #[arg(long, value_name = "NAME", requires = "http", help_heading = "HTTP")]
    pub http_host: Vec<String>,
    /// Let the wall send lines to the consoles of machines; that needs the token, on loopback too
    #[arg(long, requires = "http", help_heading = "HTTP")]
    pub http_console: bool,
    /// A machine is silent there when nothing has come for this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_age, help_heading = "HTTP")]
    pub silent_after: Duration,

    /// End with success when a record's text matches
    #[arg(long, value_name = "REGEX", help_heading = "Continuous integration")]
    pub until: Option<Regex>,
    /// End with status 2 when a record's text matches, after what follows it shortly; or when a report of this KIND
    /// came: panic, oops, bug, kasan, lockup, stall, hung-task, warning or oom; repeatable
    #[arg(long, value_name = "REGEX|KIND", help_heading = "Continuous integration")]
    pub fail_on: Vec<FailOn>,
    /// Run this with the shell for each report that is over, the report on its standard input; NETCONSOLE_SENDER,
    /// NETCONSOLE_ADDRESS, NETCONSOLE_KIND, NETCONSOLE_TITLE, NETCONSOLE_ID and NETCONSOLE_REPEATED tell whose and what
    #[arg(long, value_name = "COMMAND", help_heading = "Output")]
    pub on_crash: Option<String>,
    /// A crash report is no failure
    #[arg(long, help_heading = "Continuous integration")]
    pub crash_ok: bool,
    /// End after this time: with status 3 if --until is given
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, conflicts_with = "read", help_heading = "Continuous integration")]
    pub timeout: Option<Duration>,
    /// End with status 4 where records are missing, or numbers skipped
    #[arg(long, help_heading = "Continuous integration")]
    pub complete: bool,
    /// With --complete: numbers that a sender skips without a word about why are no failure
    #[arg(long, requires = "complete", help_heading = "Continuous integration")]
    pub skips_ok: bool,

    /// Take options from this file, too: TOML, with the long options' names as keys; see --help
    #[arg(long, value_name = "FILE", help_heading = "As a service")]
    pub config: Option<PathBuf>,
    /// Run as this user, once the ports are open: files are its own
    #[arg(long, value_name = "USER", help_heading = "As a service")]
    pub user: Option<String>,
    /// Say whether options and files are right, and end
    #[arg(long, help_heading = "As a service")]
    pub check: bool,

    /// Print the manual page
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    pub man: bool,
    /// Print what completes the options in this shell
    #[arg(long, hide = true, value_name = "SHELL")]
    pub completions: Option<Shell>,
}

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong, or asks for help alone.
    Usage(Box<clap::Error>),
    /// The configuration file.
    Config(config::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(error) => error.fmt(f),
            Error::Config(error) => error.fmt(f),
        }
    }
}

/// Of two CPUs one is to take datagrams and one to write records; more than this take more than can be written.
const SOCKETS_MOST: usize = 4;

impl Options {
    /// What a command line says (its first part is the program's name), and the file that it names.
    pub fn from_arguments(arguments: &[OsString]) -> Result<Self, Error> {
        let usage = |error| Error::Usage(Box::new(error));
        let command = Self::command();
        // What one option needs of another may be in the file.
        let given = command.clone().ignore_errors(true).try_get_matches_from(arguments).map_err(usage)?;
        let path = given.try_get_one::<PathBuf>("config").ok().flatten();
        let config = path.map(|path| config::arguments(path, &command, &given)).transpose();
        let (program, rest) = arguments.split_at(arguments.len().min(1));
        let all = program.iter().cloned().chain(config.map_err(Error::Config)?.into_iter().flatten());
        Options::try_parse_from(all.chain(rest.iter().cloned())).map_err(usage)
    }

    /// An option that is given, and means nothing for a file whose lines are shown as they are.
    pub fn beyond_lines(&self) -> Option<&'static str> {
        let given = [
            ("--until", self.until.is_some()),
            ("--fail-on", !self.fail_on.is_empty()),
            ("--complete", self.complete),
            ("--on-crash", self.on_crash.is_some()),
            ("--dir", self.dir.is_some()),
            ("--pcap", self.pcap.is_some()),
            ("--json", self.json),
            ("--quiet", self.quiet),
            ("--stats", self.stats),
            ("--time", self.time.is_some()),
            ("--fields", self.fields),
            ("--prefix", self.prefix != When::Auto),
            ("--color", self.color != When::Auto),
            ("--name", !self.name.is_empty()),
            ("--name-from", !self.name_from.is_empty()),
            ("--key-file", self.key_file.is_some()),
            ("--syslog", !self.syslog.is_empty()),
            ("--journal", !self.journal.is_empty()),
            ("--otlp", !self.otlp.is_empty()),
            ("--loki", !self.loki.is_empty()),
            ("--webhook", !self.webhook.is_empty()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    /// Whether the terminal shows the wall.
    pub fn has_tui(&self) -> bool {
        #[cfg(feature = "tui")]
        return self.tui;
        #[cfg(not(feature = "tui"))]
        false
    }

    /// How many sockets there are to be at each address.
    pub fn sockets(&self) -> u32 {
        let cpus = || thread::available_parallelism().map_or(1, usize::from);
        self.sockets.unwrap_or_else(|| (cpus() / 2).clamp(1, SOCKETS_MOST) as u32)
    }
}

impl Options {
    /// Where to listen.
    pub fn places(&self) -> Places {
        let with_ports = |bind: &Bind| {
            let interface = bind.interface().map(str::to_owned);
            self.port.iter().map(|&port| (bind.at(port), interface.clone())).collect::<Vec<_>>()
        };
        Places {
            addresses: self.bind.iter().flat_map(with_ports).collect(),
            sockets: self.sockets(),
            groups: self.join.clone(),
        }
    }
}

/// Whether to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where it fits.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the time of receipt is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Time {
    /// Not at all
    None,
    /// 2026-11-24 22:22:23.000789, in this host's zone
    Local,
    /// 2026-11-24 21:22:23.000789Z
    Utc,
    /// 2026-11-24T22:22:23.000789+01:00
    Rfc3339,
    /// Seconds since the first line
    Relative,
}

/// How syslog messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A message a datagram (RFC 5426).
    Udp,
    /// Counted octets (RFC 6587).
    Tcp,
    /// The same in TLS (RFC 5425).
    Tls,
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// How messages go there.
    pub transport: Transport,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for Syslog {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || "expected udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT".to_owned();
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        // The ports that IANA has for each.
        let (transport, port) = match scheme {
            "udp" => (Transport::Udp, 514),
            "tcp" => (Transport::Tcp, 601),
            "tls" => (Transport::Tls, 6514),
            _ => return Err(expected()),
        };
        let rest = rest.trim_end_matches('/');
        let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, "")) => (host, Ok(port)),
            Some((host, tail)) => (host, tail.strip_prefix(':').unwrap_or_default().parse()),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, port.parse()),
                None => (rest, Ok(port)),
            },
        };
        let port = port.map_err(|_| expected())?;
        if host.is_empty() { Err(expected()) } else { Ok(Syslog { transport, host: host.to_owned(), port }) }
    }
}

impl fmt::Display for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Syslog { transport, host, port } = self;
        let scheme = match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

/// When files are brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// When the system likes to.
    Never,
    /// Each time that something was written.
    Always,
    /// So often.
    Every(Duration),
}

/// What makes a run fail.
#[derive(Clone, Debug)]
pub enum FailOn {
    /// A report of this kind.
    Kind(Kind),
    /// A record whose text matches.
    Regex(Regex),
}

impl FailOn {
    /// The expression, if it is one.
    pub fn regex(&self) -> Option<&Regex> {
        match self {
            FailOn::Regex(regex) => Some(regex),
            FailOn::Kind(_) => None,
        }
    }

    /// The kind, if it is one.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            FailOn::Kind(kind) => Some(*kind),
            FailOn::Regex(_) => None,
        }
    }
}

impl FromStr for FailOn {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Kind::from_str(text, false) {
            Ok(kind) => Ok(FailOn::Kind(kind)),
            Err(_) => Regex::new(text).map(FailOn::Regex),
        }
    }
}

fn parse_sync(text: &str) -> Result<Sync, String> {
    match text {
        "never" => Ok(Sync::Never),
        "always" => Ok(Sync::Always),
        _ => parse_age(text)
            .map(Sync::Every)
            .map_err(|error| format!("expected never, always or a time: {error}")),
    }
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if age.is_zero() { Err("expected a time above zero: 12h, 90s".to_owned()) } else { Ok(age) }
}

fn parse_machine(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| (ip, console::PORT).into()));
    with_port.map_err(|_| "expected ADDRESS, IPV4:PORT or [IPV6]:PORT".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.chars().last().map(|unit| unit.to_ascii_uppercase()) {
        Some('K') => (text.get(..text.len() - 1), 1 << 10),
        Some('M') => (text.get(..text.len() - 1), 1 << 20),
        Some('G') => (text.get(..text.len() - 1), 1 << 30),
        _ => (Some(text), 1),
    };
    let number: u64 = number.unwrap_or_default().parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(unit).filter(|&size| size > 0).ok_or_else(|| "a size is 1 to 2⁶⁴−1 bytes".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
