//! The table, and the baseline that it is compared with.

use crate::figures::{Figure, all};
use crate::trace::root;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// By how much a figure may be worse than the baseline, in percent.
const TOLERANCE: f64 = 5.0;

fn baseline_path() -> PathBuf {
    root().join("bench/baseline.json")
}

/// Measures, prints, and compares; false where a figure got worse, or is not what is to be reached.
pub fn compare() -> Result<bool, String> {
    let path = baseline_path();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let baseline: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let figures = all()?;
    print(&figures, &baseline);
    crate::parts::print()?;
    let mut good = true;
    for figure in &figures {
        let Some(before) = baseline.get(figure.key).and_then(Value::as_f64) else {
            return Err(format!("{} is not in {}: scripts/bench --save", figure.key, path.display()));
        };
        let worse = change(before, figure.value);
        if worse > TOLERANCE {
            good = false;
            println!("{}: {:.1} % worse than in bench/baseline.json", figure.what, worse);
        }
        if figure.is_missed() {
            good = false;
            println!("{}: not what is to be reached", figure.what);
        }
    }
    Ok(good)
}

/// Measures, prints, and makes the figures the baseline.
pub fn save() -> Result<bool, String> {
    let figures = all()?;
    print(&figures, &Map::new());
    let rounded = |figure: &Figure| (figure.value * 1000.0).round() / 1000.0;
    let baseline: Map<String, Value> =
        figures.iter().map(|figure| (figure.key.to_owned(), rounded(figure).into())).collect();
    let path = baseline_path();
    let text = format!("{:#}\n", Value::Object(baseline));
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("saved as the baseline: {}", path.display());
    Ok(true)
}

/// How much worse `now` is than `before`, in percent; all figures are the better the smaller.
fn change(before: f64, now: f64) -> f64 {
    if before > 0.0 {
        (now / before - 1.0) * 100.0
    } else if now > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

fn print(figures: &[Figure], baseline: &Map<String, Value>) {
    println!("{:68}{:>12} {:14}{:>10}  {:>9}", "figure", "measured", "", "to reach", "change");
    for figure in figures {
        let limit = figure.limit.map_or(String::new(), number);
        let before = baseline.get(figure.key).and_then(Value::as_f64);
        let change = before.map_or(String::new(), |before| format!("{:+.1} %", change(before, figure.value)));
        println!(
            "{:68}{:>12} {:14}{:>10}{} {:>9}",
            figure.what,
            number(figure.value),
            figure.unit.name(),
            limit,
            if figure.is_missed() { "!" } else { " " },
            change
        );
    }
}

/// With as many places as say something, thousands apart.
fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value:.3}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{change, number};

    #[test]
    fn change_is_relative() {
        assert_eq!(change(100.0, 106.0).round(), 6.0);
        assert_eq!(change(100.0, 94.0).round(), -6.0);
        assert_eq!(change(0.0, 0.0), 0.0);
        assert!(change(0.0, 1.0) > 1e9);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(number(0.03125), "0.031");
        assert_eq!(number(1.0), "1");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(1234567.0), "1,234,567");
    }
}
