//! How the cost of a record grows: with the targets, with its length, and not with the ring's size.

use crate::per_record::Floods;
use crate::plot::{Line, Plot};
use crate::symbols::Symbols;
use crate::trace::root;

const TARGETS: [usize; 3] = [1, 4, 16];
/// The flood's shortest text has 22 bytes.
const LENGTHS: [u32; 3] = [22, 100, 1000];
const RINGS: [&str; 5] = ["64K", "256K", "1M", "4M", "16M"];

/// Measures, prints the table, and draws it to bench/scale.svg.
pub fn draw() -> Result<bool, String> {
    let symbols = Symbols::read()?;
    let cost = |targets, more: &str| Ok::<_, String>(Floods::observe(&symbols, targets, more)?.cost());
    println!("Instructions per record in a flood, basic format");
    println!("{:>8}{:>12}{:>12}{:>12}", "targets", "22 bytes", "100 bytes", "1000 bytes");
    let mut by_targets = Vec::new();
    for length in LENGTHS {
        let points = TARGETS.map(|count| Ok((count as f64, cost(count, &format!("flood.length={length}"))?)));
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
        x: TARGETS.map(|count| (count as f64, count.to_string())).to_vec(),
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
