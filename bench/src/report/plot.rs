//! Plots as SVG, readable on light and on dark: bars for the ratios with their goals, points for the latencies.

use std::fmt::Write as _;

use super::{Goal, Row};
use crate::figures::Figures;

const WIDTH: f64 = 900.0;
const LINE: f64 = 30.0;
const TOP: f64 = 40.0;
/// Where the names end and the figures begin.
const LEFT: f64 = 380.0;
const RIGHT: f64 = 60.0;
const OURS: &str = "#2f6fb3";
const THEIRS: &str = "#b3702f";
const GOAL: &str = "#b32f4d";
/// A middle grey.
const INK: &str = "#777777";
/// A bar that goes further ends here, with its figure beside it.
const MOST: f64 = 3.0;

/// A bar for each ratio, its spread as a line, its goal as a mark.
pub(super) fn ratios(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.ratio.is_some()).collect();
    let scale = |ratio: f64| LEFT + ratio.clamp(0.0, MOST) / MOST * (WIDTH - LEFT - RIGHT);
    let mut svg = open("Ratio of what the shop does to its limit; the mark is the goal", rows.len());
    for (place, row) in rows.iter().enumerate() {
        let (Some(ratio), y) = (row.ratio, TOP + LINE * as_figure(place)) else { continue };
        name(&mut svg, y, &row.title);
        let fill = if row.is_met() == Some(false) { THEIRS } else { OURS };
        rectangle(&mut svg, LEFT, y, scale(ratio.median) - LEFT, fill);
        line(&mut svg, scale(ratio.least), y + 9.0, scale(ratio.most), y + 9.0, INK);
        if let Some(Goal::AtLeast(bound) | Goal::AtMost(bound)) = row.goal {
            line(&mut svg, scale(bound), y - 3.0, scale(bound), y + 21.0, GOAL);
        }
        text(&mut svg, scale(ratio.median.max(ratio.most)) + 6.0, y + 13.0, &format!("{:.2}", ratio.median));
    }
    close(svg)
}

/// From p50 to p99 for each side, on a scale where each line is ten times the one before.
pub(super) fn latencies(rows: &[Row]) -> String {
    let sides = |row: &Row| [(row.ours, OURS), (row.theirs, THEIRS)];
    let known = |side: Option<Figures>| side.filter(|figures| figures.p50_ms > 0.0);
    let rows: Vec<&Row> = rows.iter().filter(|row| sides(row).iter().any(|(side, _)| known(*side).is_some())).collect();
    // From 0.01 ms to 10 s.
    let scale = |ms: f64| LEFT + (ms.clamp(0.01, 10_000.0).log10() + 2.0) / 6.0 * (WIDTH - LEFT - RIGHT);
    let mut svg = open("Latency, p50 to p99: the shop blue, its limit brown", rows.len());
    let bottom = TOP + LINE * as_figure(rows.len());
    for (ms, label) in [(0.1, "0.1 ms"), (1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s")] {
        let _ = write!(
            svg,
            r#"<line x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}" stroke="{INK}" stroke-opacity="0.3"/>"#,
            x = scale(ms)
        );
        text(&mut svg, scale(ms) - 15.0, bottom + 14.0, label);
    }
    for (place, row) in rows.iter().enumerate() {
        let y = TOP + LINE * as_figure(place);
        name(&mut svg, y, &row.title);
        for (offset, (side, colour)) in [3.0, 12.0].into_iter().zip(sides(row)) {
            if let Some(figures) = known(side) {
                line(&mut svg, scale(figures.p50_ms), y + offset, scale(figures.p99_ms), y + offset, colour);
                let (x, y) = (scale(figures.p50_ms), y + offset);
                let _ = write!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#);
            }
        }
    }
    close(svg)
}

fn open(title: &str, lines: usize) -> String {
    let height = TOP + LINE * as_figure(lines) + 24.0;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" role="img">"#
    );
    let _ = write!(svg, "<title>{}</title>", escape(title));
    text(&mut svg, 10.0, 20.0, title);
    svg
}

fn close(mut svg: String) -> String {
    svg.push_str("</svg>\n");
    svg
}

fn name(svg: &mut String, y: f64, name: &str) {
    text(svg, 10.0, y + 13.0, name);
}

fn text(svg: &mut String, x: f64, y: f64, text: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" fill="{INK}">{}</text>"#, escape(text));
}

fn rectangle(svg: &mut String, x: f64, y: f64, width: f64, fill: &str) {
    let _ = write!(svg, r#"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="18" fill="{fill}"/>"#, width.max(1.0));
}

fn line(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64, stroke: &str) {
    let _ = write!(
        svg,
        r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{stroke}" stroke-width="3"/>"#
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn as_figure(place: usize) -> f64 {
    crate::figures::count(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    /// Each element is closed, and nothing else is between angle brackets.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let Some((tag, _text)) = tag.split_once('>') else { return false };
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            if tag.starts_with('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        open.is_empty()
    }

    #[test]
    fn plots_are_well_formed_and_show_every_row_that_has_something_to_show() {
        let (bars, points) = (ratios(&examples()), latencies(&examples()));
        assert!(is_well_formed(&bars) && is_well_formed(&points), "{bars}\n{points}");
        assert_eq!(bars.matches("<rect").count(), 3);
        assert_eq!(points.matches("<circle").count(), 2);
        assert!(bars.contains("&lt;distinct&gt;"));
        assert!(is_well_formed(&ratios(&[])) && is_well_formed(&latencies(&[])));
    }
}
