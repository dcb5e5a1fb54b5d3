//! How the cost of a record grows: with the targets, with its length, and not with the ring's size.

use crate::figures::{TARGET_PORTS, flood, targets};
use crate::plot::{Line, Plot};
use crate::trace::{Run, root};

/// 64 bursts of the kernel's flood (src/flood.rs).
const RECORDS: u32 = 64 * BURST;
const BURST: u32 = 32;
const BOOTS: usize = 5;
const TARGETS: [u16; 3] = [1, 4, 16];
/// The flood's shortest text has 22 bytes.
const LENGTHS: [u32; 3] = [22, 100, 1000];
const RINGS: [&str; 5] = ["64K", "256K", "1M", "4M", "16M"];

/// Measures, prints the table, and draws it to bench/scale.svg.
pub fn draw() -> Result<bool, String> {
    println!("Instructions per record in a flood, basic format");
    println!("{:>8}{:>12}{:>12}{:>12}", "targets", "22 bytes", "100 bytes", "1000 bytes");
    let mut by_targets = Vec::new();
    for length in LENGTHS {
        let points =
            TARGETS.map(|count| Ok((f64::from(count), cost(count, &format!("flood.length={length}"))?)));
        let points = points.into_iter().collect::<Result<Vec<_>, String>>()?;
        by_targets.push(Line { name: format!("{length} bytes"), points });
    }
    for (row, count) in TARGETS.iter().enumerate() {
        let costs: String = by_targets.iter().map(|line| format!("{:>12.0}", line.points[row].1)).collect();
        println!("{count:>8}{costs}");
    }
    println!("\n{:>8}{:>12}", "ring", "59 bytes");
    let mut by_ring = Vec::new();
    for (place, ring) in (0..).zip(RINGS) {
        let cost = cost(1, &format!("log_buf_len={ring}"))?;
        println!("{ring:>8}{cost:>12.0}");
        by_ring.push((f64::from(place), cost));
    }

    let left = Plot {
        title: "By the number of targets",
        x: TARGETS.map(|count| (f64::from(count), count.to_string())).to_vec(),
        lines: by_targets,
    };
    let right = Plot {
        title: "By the ring's size, one target",
        x: (0..).zip(RINGS).map(|(place, ring)| (f64::from(place), ring.to_owned())).collect(),
        lines: vec![Line { name: "59 bytes".to_owned(), points: by_ring }],
    };
    let path = root().join("bench/scale.svg");
    std::fs::write(&path, crate::plot::svg("Instructions per record in a flood", &[left, right]))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    println!("drawn: {}", path.display());
    Ok(true)
}

/// Instructions per record from one burst of the flood to another, with what the flood takes to make its
/// text, by the times at which the first target's frames left.
fn cost(count: u16, more: &str) -> Result<f64, String> {
    let append = format!("{} {more}", flood(RECORDS, &targets(count.into())));
    // QEMU's other threads now and then let the kernel wait for its card; that only ever adds.
    let costs = (0..BOOTS).map(|_| cost_once(&append));
    costs.reduce(|best, cost| Ok(f64::min(best?, cost?))).unwrap_or(Err(String::new()))
}

fn cost_once(append: &str) -> Result<f64, String> {
    let frames = Run { name: "scale", append }.frames()?;
    let left = |number: u32| {
        let text = format!("flood message {number:08}");
        let is_it = |payload: &[u8]| payload.windows(text.len()).any(|part| part == text.as_bytes());
        let frame = frames.iter().find(|frame| frame.log(TARGET_PORTS.start).is_some_and(is_it));
        frame
            .map(|frame| frame.micros)
            .ok_or_else(|| format!("{append}: record {number} of the flood is missing"))
    };
    // The first record of a burst each, so that whole bursts lie between, and not the flood's first ones,
    // which the boot's own log delays.
    let (from, to) = (16 * BURST, RECORDS - BURST);
    Ok((left(to)? - left(from)?) as f64 * 1000.0 / f64::from(to - from))
}
