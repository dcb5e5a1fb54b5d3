//! Reports as kernels write them, in tests/crashes/: each line has two characters before it, the number of the report
//! that it belongs to or none. Behind `#` is what is expected of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Part, Watch, kind};
use crate::event::Record;
use crate::report::Report;
use crate::{basic, extended};

struct Sample {
    path: PathBuf,
    kinds: Vec<String>,
    /// To which report a line belongs, and the line.
    lines: Vec<(Option<usize>, String)>,
}

fn samples() -> Vec<Sample> {
    let folder = format!("{}/tests/crashes", env!("CARGO_MANIFEST_DIR"));
    let files =
        fs::read_dir(folder).expect("the folder of reports").map(|entry| entry.expect("a file").path());
    let logs = files.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    logs.map(|path| {
        let text = fs::read_to_string(&path).expect("a sample");
        let kinds = text.lines().find_map(|line| line.strip_prefix("# kinds:")).expect("the kinds");
        let kinds = kinds.split_whitespace().map(str::to_owned).collect();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| (line[..1].parse().ok(), line[2..].to_owned())).collect();
        Sample { path, kinds, lines }
    })
    .collect()
}

/// What is expected of a sample, and what it is taken for, where its records come in this form.
fn judge(sample: &Sample, record: impl Fn(u64, &str) -> Record) -> (Vec<Report>, Vec<Part>) {
    let (mut watch, mut over, mut parts) = (Watch::default(), Vec::new(), Vec::new());
    for (number, (_, line)) in (0..).zip(&sample.lines) {
        let at = Duration::from_millis(number);
        watch.tick(at, &mut over);
        parts.push(watch.judge(&record(number, line), at, &mut over));
    }
    watch.finish(&mut over);
    (over, parts)
}

/// The line without its time and caller, and the caller.
fn split(line: &str) -> (&str, Option<&str>) {
    let rest = line.split_once(']').map_or(line, |(_, rest)| rest);
    match rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((caller, text)) => (text, Some(caller.trim())),
        None => (rest.strip_prefix(' ').unwrap_or(rest), None),
    }
}

#[track_caller]
fn check(sample: &Sample, form: &str, (reports, parts): (Vec<Report>, Vec<Part>)) {
    let name = sample.path.display();
    let mut expected: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (report, line) in &sample.lines {
        if let Some(report) = report {
            expected.entry(*report).or_default().push(split(line).0);
        }
    }
    let mut found: Vec<(String, Vec<&str>)> = reports
        .iter()
        .map(|report| (report.kind.to_string(), report.text.lines().map(|line| split(line).0).collect()))
        .collect();
    let mut wanted: Vec<(String, Vec<&str>)> =
        sample.kinds.iter().cloned().zip(expected.into_values()).collect();
    found.sort();
    wanted.sort();
    assert!(found == wanted, "{name}, {form}: found {found:#?}\nexpected {wanted:#?}");
    let firsts = parts.iter().filter(|part| matches!(part, Part::First(_))).count();
    assert_eq!(firsts, sample.kinds.len(), "{name}, {form}: one event for each");
    for (part, (report, line)) in parts.iter().zip(&sample.lines) {
        // The double rule that begins a report is not known yet to be part of one.
        let is_expected = report.is_some() && !(kind::is_double_rule(split(line).0) && *part == Part::None);
        assert_eq!(*part != Part::None, is_expected, "{name}, {form}: {line}");
    }
}

#[test]
fn real_reports_are_known_from_their_first_line_to_their_last() {
    let samples = samples();
    assert!(samples.len() >= 27, "{}", samples.len());
    for sample in &samples {
        check(sample, "basic", judge(sample, |_, line| basic::record(line.as_bytes())));
        let extended = |number: u64, line: &str| {
            let (text, caller) = split(line);
            let caller = caller.map_or(String::new(), |caller| format!(",caller={caller}"));
            let time = basic::record(line.as_bytes()).timestamp.expect("each line has one");
            let datagram = format!("4,{number},{time},-{caller};{text}\n");
            let (header, body) = extended::parse(datagram.as_bytes()).expect("an extended datagram");
            extended::record(&header, header.extras.clone(), body, false)
        };
        check(sample, "extended", judge(sample, extended));
    }
}
