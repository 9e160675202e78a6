//! Tables for people: columns as wide as what stands in them.

use std::fmt::Write as _;

/// Longest text in a cell; `--json` has all of it.
pub(crate) const WIDEST: usize = 80;

/// The headings and the rows, one line each.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = [headings.map(str::to_owned)].into_iter().chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                write!(line, "{cell:<width$}  ").expect("a String takes all");
            }
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

/// One line of bounded length, without what would steer a terminal.
pub(crate) fn short(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WIDEST + 1).collect();
    if let Some((cut, _)) = line.char_indices().nth(WIDEST) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_on_its_line() {
        assert_eq!(short("no route\n\u{1b}[31mto host"), "no route  [31mto host");
        assert_eq!(short(&"ä".repeat(WIDEST)), "ä".repeat(WIDEST));
        assert_eq!(short(&"ä".repeat(WIDEST + 1)), "ä".repeat(WIDEST) + "…");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["1".to_owned(), "ä".to_owned()], ["100".to_owned(), String::new()]];
        assert_eq!(table(["N", "NAME"], rows), "N    NAME\n1    ä\n100");
    }
}
