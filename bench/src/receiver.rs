//! What a record costs in the receiver, counted by callgrind: exact, and the same on each machine of a kind.
//!
//! Two runs of `feed` differ in nothing but how many records they have, so that the start and the end of the program
//! are left out; of both, making the datagrams is taken off.

use crate::figures::{Figure, Unit, figure};
use crate::trace::root;
use std::path::PathBuf;
use std::process::Command;

/// A kind of load, its figure, what is to be reached, and the records of both runs.
struct Kind {
    name: &'static str,
    key: &'static str,
    what: &'static str,
    limit: f64,
    records: [u32; 2],
}

/// A round with each of the senders, and another one.
const fn rounds(senders: u32) -> [u32; 2] {
    [senders, 2 * senders]
}

const KINDS: [Kind; 8] = [
    Kind {
        name: "text",
        key: "receiver_text",
        what: "receiver: a record of the extended format, as text",
        limit: TEXT,
        records: [1000, 3000],
    },
    Kind {
        name: "json",
        key: "receiver_json",
        what: "the same as JSON",
        limit: 4250.0,
        records: [1000, 3000],
    },
    Kind {
        name: "basic",
        key: "receiver_basic",
        what: "a line of the basic format, as text",
        limit: 3850.0,
        records: [1000, 3000],
    },
    Kind {
        name: "fields",
        key: "receiver_fields",
        what: "a record with four fields, as JSON",
        limit: 8700.0,
        records: [1000, 3000],
    },
    Kind {
        name: "fragments",
        key: "receiver_fragments",
        what: "a record of 2,700 bytes in three fragments, as text",
        limit: 20300.0,
        records: [500, 1500],
    },
    Kind {
        name: "senders1000",
        key: "receiver_1000_senders",
        what: "text of 1,000 senders in turn",
        limit: 1.2 * TEXT,
        records: rounds(1000),
    },
    Kind {
        name: "senders100000",
        key: "receiver_100000_senders",
        what: "text of 100,000 senders in turn",
        limit: 1.2 * TEXT,
        // Of the second round a part is enough.
        records: [100_000, 120_000],
    },
    Kind {
        name: "files1000",
        key: "receiver_1000_files",
        what: "the same of 1,000, a file for each",
        limit: 5400.0,
        records: rounds(1000),
    },
];

/// What the shortest record may cost, which the others are compared with.
const TEXT: f64 = 3800.0;

/// Measures all kinds.
pub fn figures() -> Result<Vec<Figure>, String> {
    let measured = KINDS.iter().map(|kind| {
        let value = per_record(kind)?;
        Ok(figure(kind.key, kind.what, Unit::Instructions, Some(kind.limit), value))
    });
    measured.collect()
}

fn per_record(kind: &Kind) -> Result<f64, String> {
    let [few, many] = kind.records;
    let receiver = instructions(kind.name, many)? - instructions(kind.name, few)?;
    let dry = format!("{}:dry", kind.name);
    let making = instructions(&dry, many)? - instructions(&dry, few)?;
    Ok((receiver - making) / f64::from(many - few))
}

/// The instructions of a whole run.
fn instructions(kind: &str, records: u32) -> Result<f64, String> {
    let dir = std::env::temp_dir().join(format!("netconsole-bench-files-{}", std::process::id()));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(feed()?);
    command.arg(kind).arg(records.to_string());
    if kind == "files1000" {
        command.arg(&dir);
    }
    let output = command.output().map_err(|error| format!("valgrind: {error}"))?;
    // It is there only for the kind with files.
    let _ = std::fs::remove_dir_all(&dir);
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let collected =
        collected.and_then(|(_, count)| count.trim().parse().ok()).filter(|_| output.status.success());
    collected.ok_or_else(|| format!("valgrind: {kind}: {said}"))
}

/// The program that lies beside this one.
fn feed() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let feed = own.with_file_name("feed");
    if feed.exists() {
        Ok(feed)
    } else {
        Err(format!("{} is not built; {}/scripts/bench builds it", feed.display(), root().display()))
    }
}
