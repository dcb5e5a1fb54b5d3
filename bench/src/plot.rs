//! Line plots as SVG, side by side, readable on light and dark ground.

/// One plot.
pub struct Plot {
    pub title: &'static str,
    /// Where the x axis is marked, and with what.
    pub x: Vec<(f64, String)>,
    pub lines: Vec<Line>,
}

/// One line of a plot.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 300.0;
/// Room for the axes' numbers and for the title.
const LEFT: f64 = 60.0;
const TOP: f64 = 60.0;
const COLORS: [&str; 4] = ["#3572b0", "#c8553d", "#2e8b57", "#8e6bb5"];
const STEPS: u32 = 5;

/// The plots in one image under one title. Their y axes begin at 0.
pub fn svg(title: &str, plots: &[Plot]) -> String {
    let width = WIDTH * plots.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#808080\">\n<text x=\"{}\" y=\"20\" font-size=\"15\" \
         text-anchor=\"middle\">{title}</text>\n",
        width / 2.0
    );
    for (number, plot) in plots.iter().enumerate() {
        svg += &format!("<g transform=\"translate({} 0)\">\n", WIDTH * number as f64);
        svg += &draw(plot);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

fn draw(plot: &Plot) -> String {
    let (right, bottom) = (WIDTH - 90.0, HEIGHT - 30.0);
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    let highest = round_up(points().map(|&(_, y)| y).fold(1.0, f64::max));
    let first = plot.x.first().map_or(0.0, |&(x, _)| x);
    let last = plot.x.last().map_or(1.0, |&(x, _)| x);
    let x = |value: f64| LEFT + (value - first) / (last - first) * (right - LEFT);
    let y = |value: f64| bottom - value / highest * (bottom - TOP);
    let mut svg = format!(
        "<text x=\"{}\" y=\"45\" text-anchor=\"middle\">{}</text>\n",
        (LEFT + right) / 2.0,
        plot.title
    );
    for step in 0..=STEPS {
        let value = highest * f64::from(step) / f64::from(STEPS);
        let at = y(value);
        svg += &format!(
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#80808040\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>\n",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (value, name) in &plot.x {
        let at = x(*value);
        svg += &format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\n", bottom + 18.0);
    }
    for (line, color) in plot.lines.iter().zip(COLORS.iter().cycle()) {
        let places: Vec<String> =
            line.points.iter().map(|&(px, py)| format!("{:.1},{:.1}", x(px), y(py))).collect();
        svg += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n",
            places.join(" ")
        );
        if let Some(&(px, py)) = line.points.last() {
            svg += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{}</text>\n",
                x(px) + 6.0,
                y(py) + 4.0,
                line.name
            );
        }
    }
    svg
}

/// The next of 1, 2, 5, 10, … times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].map(|step| step * power).into_iter().find(|&step| step >= value).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::{Line, Plot, round_up, svg};

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.9, 1.0, 1.1, 4200.0, 51_000.0].map(round_up), [1.0, 1.0, 2.0, 5000.0, 100_000.0]);
    }

    #[test]
    fn the_highest_point_is_within_the_picture() {
        let line = Line { name: "a".into(), points: vec![(1.0, 0.0), (2.0, 10.0)] };
        let plot = Plot { title: "t", x: vec![(1.0, "1".into()), (2.0, "2".into())], lines: vec![line] };
        let picture = svg("all", &[plot]);
        assert!(picture.contains("points=\"60.0,270.0 310.0,60.0\""), "{picture}");
    }
}
