//! The table.

use super::{Goal, Report, Row};
use crate::figures::Figures;

const HEAD: [&str; 8] = ["what", "against", "ours", "theirs", "ratio (spread)", "goal", "p50, p99", "theirs p50, p99"];

/// In columns, for a terminal.
pub(super) fn plain(rows: &[Row]) -> String {
    let cells: Vec<[String; 8]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// As a page, with what is to be known beside it.
pub(super) fn markdown(report: &Report) -> String {
    let line = |cells: [String; 8]| format!("| {} |\n", cells.map(|cell| escape(&cell)).join(" | "));
    let mut text =
        String::from("# Results\n\nWritten by `cargo bench-shop`; [README.md](README.md) tells how to read it.\n\n");
    for circumstance in &report.circumstances {
        text.push_str(&format!("- {circumstance}\n"));
    }
    text.push('\n');
    text.push_str(&line(HEAD.map(str::to_owned)));
    text.push_str(&line(HEAD.map(|_| "---".to_owned())));
    for row in &report.rows {
        text.push_str(&line(cells(row)));
    }
    text.push_str("\n![The ratios and their goals](ratios.svg)\n\n![Latencies](latencies.svg)\n");
    for row in report.rows.iter().filter(|row| !row.notes.is_empty()) {
        text.push_str(&format!("\n- **{}**: {}", escape(&row.title), escape(&row.notes.join("; "))));
    }
    text.trim_end().to_owned() + "\n"
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn cells(row: &Row) -> [String; 8] {
    let ours = match (row.ours, row.measured) {
        (_, Some(measured)) => format!("{} {}", figure(measured.value), measured.unit),
        (Some(ours), None) => rate(&ours),
        (None, None) => String::new(),
    };
    let ratio = row.ratio.map_or(String::new(), |ratio| match ratio.is_of_several() {
        true => format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.least, ratio.most),
        false => format!("{:.2}", ratio.median),
    });
    let goal = row.goal.map_or(String::new(), |goal| {
        let mark = if row.is_met() == Some(true) { "met" } else { "missed" };
        match goal {
            Goal::AtLeast(bound) => format!("≥ {bound}: {mark}"),
            Goal::AtMost(bound) => format!("≤ {bound}: {mark}"),
        }
    });
    [
        row.title.clone(),
        row.against.clone(),
        ours,
        row.theirs.as_ref().map_or(String::new(), rate),
        ratio,
        goal,
        row.ours.as_ref().map_or(String::new(), latencies),
        row.theirs.as_ref().map_or(String::new(), latencies),
    ]
}

fn rate(figures: &Figures) -> String {
    let rate = (figures.rate > 0.0).then(|| format!("{}/s", figure(figures.rate)));
    let errors = (figures.errors > 0).then(|| format!("{} errors", figures.errors));
    rate.into_iter().chain(errors).collect::<Vec<_>>().join(", ")
}

fn latencies(figures: &Figures) -> String {
    if figures.p50_ms <= 0.0 {
        return String::new();
    }
    let at = if figures.offered > 0.0 { format!(" at {}/s", figure(figures.offered)) } else { String::new() };
    let p99 = if figures.p99_ms > 0.0 { format!(", {}", figure(figures.p99_ms)) } else { String::new() };
    format!("{}{p99} ms{at}", figure(figures.p50_ms))
}

/// Three digits are as many as these figures are good for.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn a_row_tells_both_rates_the_ratio_and_whether_its_goal_is_met() {
        let text = plain(&examples());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        for part in ["1234/s", "2244/s", "0.55 (0.50–0.60)", "≥ 0.5: met", "0.50, 2.25 ms at 600/s"] {
            assert!(lines[1].contains(part), "{part}: {}", lines[1]);
        }
        assert!(lines[2].contains("43.0 MB") && lines[2].contains("≤ 1: missed"), "{}", lines[2]);
        assert!(!lines[2].contains('–'), "what was measured once has no spread: {}", lines[2]);
    }

    #[test]
    fn the_page_is_a_table_of_as_many_columns() {
        let report = Report { rows: examples(), circumstances: vec!["two cores".into()] };
        let page = markdown(&report);
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|row| row.matches(" | ").count() == 7), "{page}");
        assert!(page.contains("- two cores") && page.contains("&lt;distinct>") && page.contains("**: 16 shoppers"));
    }
}
