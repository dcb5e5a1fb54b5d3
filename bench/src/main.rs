//! Measures the kernel: `scripts/bench` runs it. See `HELP`.

#![forbid(unsafe_code)]

mod append;
mod bare;
mod beside;
mod boot;
mod clock;
mod crash_kernel;
mod figures;
mod flood;
mod kdump;
mod linux;
mod load;
mod memory;
mod parts;
mod per_record;
mod plot;
mod profile;
mod receiver;
mod running;
mod scale;
mod stored;
mod symbols;
mod table;
mod trace;

use std::process::ExitCode;

const HELP: &str = "\
scripts/bench            measures, prints the table, and compares with bench/baseline.json
scripts/bench --save     measures and makes the figures the new baseline
scripts/bench --linux    boots Debian's newest cloud kernel beside it and compares by the clock
scripts/bench --kdump    crashes a Linux and compares by the clock with that Linux's own kdump
scripts/bench --clock    compares the receiver by the clock with the bare loop and, where they are installed, nc and rsyslog; with netconsd
                         where NETCONSD names the directory that it was built in
scripts/bench --memory   measures what the receiver takes with 100,000 senders, as the system counts it
scripts/bench --scale    measures more targets, longer records, larger rings; draws bench/scale.svg
scripts/bench --profile  shows where the instructions of a record go, of this kernel and of a crashed Linux
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => table::compare().and_then(|good| Ok([good, memory::check()?, beside::check()?] == [true; 3])),
        ["--save"] => table::save(),
        ["--memory"] => memory::check(),
        ["--clock"] => beside::compare(),
        // Of --clock.
        ["--bare", port] => bare::receive(port),
        ["--linux"] => clock::compare(),
        ["--kdump"] => kdump::compare(),
        ["--scale"] => scale::draw(),
        ["--profile"] => profile::print(),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
