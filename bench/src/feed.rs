//! The receiver without sockets, for callgrind: takes datagrams of one kind, in batches as from a socket, and writes
//! the records to standard output or, where there is a third argument, to a file per sender in that directory.
//!
//!     feed KIND RECORDS [DIR]
//!     feed listen OPTIONS
//!
//! The second is the receiver with its sockets, to be measured by the clock.
//! Of `KIND:dry` the datagrams are made and dropped: what that takes is not the receiver's.

mod load;

use std::net::{Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use load::{Datagrams, Load};
use netconsole_receiver::options::Options;
use netconsole_receiver::output::Begins;
use netconsole_receiver::receive::{self, Error, Files, Receiver};
use netconsole_receiver::socket::Taken;

/// Datagrams that a socket gives at once, and how long the time between two batches is taken to be.
const BATCH: usize = 128;
const BETWEEN: Duration = Duration::from_micros(500);

/// In place of a kind: what comes from sockets is received.
const LISTEN: &str = "listen";
/// Behind a kind: the datagrams are made and dropped.
const DRY: &str = ":dry";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    if kind == LISTEN {
        return match receive::run(&Options::parse_from(std::iter::once(kind).chain(arguments))) {
            Ok(status) => status,
            Err(error) => fail(&error),
        };
    }
    let is_dry = kind.ends_with(DRY);
    let load = Load::of(kind.trim_end_matches(DRY));
    let records = arguments.next().and_then(|records| records.parse().ok());
    let (Some(load), Some(records)) = (load, records) else {
        eprintln!("feed: KIND RECORDS [DIR]; the kinds: {}", Load::KINDS.map(|(kind, _)| kind).join(" "));
        return ExitCode::from(2);
    };
    if is_dry {
        let mut datagrams = Datagrams::default();
        for number in 0..records {
            load.make(number, &mut datagrams);
            std::hint::black_box(datagrams.each().map(<[u8]>::len).sum::<usize>());
        }
        return ExitCode::SUCCESS;
    }
    match feed(load, records, arguments.next()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("feed: {error}");
    ExitCode::FAILURE
}

fn feed(load: Load, records: u32, dir: Option<String>) -> Result<(), Error> {
    let mut arguments = vec!["feed".to_owned(), "--no-ncrx".to_owned()];
    arguments.extend(load.arguments().iter().map(|&argument| argument.to_owned()));
    arguments.extend(dir.into_iter().flat_map(|dir| ["--quiet".to_owned(), "--dir".to_owned(), dir]));
    let options = Options::parse_from(arguments);
    let mut now = Duration::from_secs(1_700_000_000);
    let mut receiver = Receiver::open(&options, Files::read(&options)?, Begins::New, now)?;
    let to = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 6666));
    let mut in_batch = 0;
    let mut datagrams = Datagrams::default();
    for number in 0..records {
        let from = load.from(number);
        load.make(number, &mut datagrams);
        for bytes in datagrams.each() {
            receiver.datagram(Taken { from, bytes, is_cut: false }, 0, to, now);
            in_batch += 1;
            if in_batch == BATCH {
                in_batch = 0;
                now += BETWEEN;
                receiver.tick(now);
                receiver.flush();
            }
        }
    }
    receiver.finish(now);
    Ok(())
}
