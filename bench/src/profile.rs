//! Where the instructions of a record go, from the logging call to the published descriptor.

use crate::append::{flood, targets};
use crate::crash_kernel;
use crate::per_record::FLOODS;
use crate::symbols::{Symbols, lines};
use crate::trace::{Event, Run, kernel, output};
use std::collections::{BTreeMap, HashMap};

/// The stations of a record's life; an instruction counts for the first one that a source file in its
/// chain of inlined calls belongs to, outwards.
const STATIONS: [(&str, &[&str]); 8] = [
    (
        "Linux's log: reading",
        &["linuxlog/src/", "src/linux/", "src/machine/old_memory.rs", "src/machine/paging/"],
    ),
    ("ring: writing", &["netconsole/src/ring/"]),
    ("message format", &["netconsole/src/format/"]),
    ("checksum", &["netconsole/src/wire/checksum.rs"]),
    ("headers", &["netconsole/src/wire/"]),
    ("queue", &["netconsole/src/nic/"]),
    ("target", &["netconsole/src/targets/", "netconsole/src/ncrx/", "netconsole/src/seal/"]),
    ("kernel's turn", &["src/kernel.rs", "netconsole/src/runtime/", "netconsole/src/stack/", "src/machine/"]),
];

/// But what was inlined here counts for this one.
const READING: (&str, [&str; 2]) =
    ("ring: reading", ["netconsole/src/ring/copy.rs", "netconsole/src/ring/record.rs"]);

/// What makes the flood's text, which is not measured.
const FLOODING: [&str; 2] = ["netconsole::flood::run", "core::str::converts::from_utf8"];

/// Prints the breakdown for one target, of this kernel's own records in a flood, and of a crashed Linux's.
pub fn print() -> Result<bool, String> {
    let symbols = Symbols::read()?;
    println!("Instructions per record in a flood, basic format, one target:");
    print_counts(&symbols, per_record()?, "profile.txt")?;
    println!("\nInstructions per record of a crashed Linux's log, basic format, one target:");
    print_counts(&symbols, crash_kernel::per_record(&symbols)?, "profile-linux.txt")?;
    Ok(true)
}

/// Prints where they go, and writes them by address to this file.
fn print_counts(symbols: &Symbols, counts: HashMap<u64, f64>, file: &str) -> Result<(), String> {
    let addresses: Vec<u64> = counts.keys().copied().collect();
    let lines = lines(&addresses)?;

    let (mut by_station, mut by_function, mut by_line) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (&address, &count) in
        counts.iter().filter(|&(&address, _)| !FLOODING.contains(&symbols.name(address)))
    {
        let chain = lines.get(&address).map(Vec::as_slice).unwrap_or_default();
        *by_station.entry(station(chain, symbols.name(address)).to_owned()).or_insert(0.0) += count;
        *by_function.entry(symbols.name(address).to_owned()).or_insert(0.0) += count;
        let own = chain.iter().find(|line| line.contains("/src/") && !line.contains("/library/"));
        let line = own.or(chain.first()).map_or("?", String::as_str);
        let line = line.split(" (").next().unwrap_or(line);
        *by_line.entry(line.to_owned()).or_insert(0.0) += count;
    }
    print_sorted("by station", &by_station, 20);
    print_sorted("by function", &by_function, 30);
    print_sorted("by line", &by_line, 40);
    let mut counts: Vec<_> = counts.into_iter().filter(|&(_, count)| count >= 0.01).collect();
    counts.sort_by_key(|&(address, _)| address);
    let text: String = counts.iter().map(|(address, count)| format!("{address:x} {count:.2}\n")).collect();
    let path = output(file);
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("\nby address, to be read beside objdump -d: {}", path.display());
    Ok(())
}

/// How often each address is executed for one record.
fn per_record() -> Result<HashMap<u64, f64>, String> {
    let mut counts = HashMap::<u64, i64>::new();
    for (records, sign) in FLOODS.into_iter().zip([-1, 1]) {
        let append = flood(records, &targets(1));
        Run { name: "profile", machine: &[], kernel: &kernel(), append: &append }.trace(|event| {
            if let Event::Instruction(address) = event {
                *counts.entry(address).or_default() += sign;
            }
        })?;
    }
    let records = f64::from(FLOODS[1] - FLOODS[0]);
    Ok(counts.into_iter().map(|(address, count)| (address, count as f64 / records)).collect())
}

fn station(chain: &[String], function: &str) -> &'static str {
    if function.starts_with("mem") {
        return "memcpy and the like";
    }
    let (reading, files) = READING;
    if chain.iter().any(|line| files.iter().any(|file| line.contains(file))) {
        return reading;
    }
    for line in chain {
        for (station, files) in STATIONS {
            if files.iter().any(|file| line.contains(file)) {
                return station;
            }
        }
    }
    "other"
}

fn print_sorted(title: &str, sums: &BTreeMap<String, f64>, limit: usize) {
    println!("\n{title}:");
    let mut sums: Vec<_> = sums.iter().collect();
    sums.sort_by(|a, b| b.1.total_cmp(a.1));
    for (name, sum) in sums.into_iter().filter(|(_, sum)| **sum >= 0.5).take(limit) {
        println!("{sum:10.1}  {name}");
    }
}
