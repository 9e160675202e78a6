//! Tables for people: columns as wide as what stands in them. What is longer than a terminal's line is folded there.

use std::{fmt::Write as _, io};

/// Longest text in a cell; `--json` has all of it.
pub(crate) const WIDEST: usize = 80;

/// Least room for what is folded: where a column has less, it stands below its line.
const NARROWEST: usize = 30;

/// How far what stands below its line is from the edge.
const INDENT: usize = 4;

/// The headings and the rows, one line each; on a terminal the last column is folded.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    lines(headings, rows, terminal())
}

/// How many characters a line of standard output has, where it is a terminal's.
fn terminal() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into()).filter(|width| *width > 0)
}

fn lines<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> String {
    let rows: Vec<_> = [headings.map(str::to_owned)].into_iter().chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let before = widths.iter().rev().skip(1).map(|width| width + 2).sum();
    let lines: Vec<String> = rows.iter().map(|row| line(row, &widths, before, width)).collect();
    lines.join("\n")
}

/// One row; `before` is where its last column begins.
fn line<const N: usize>(row: &[String; N], widths: &[usize; N], before: usize, width: Option<usize>) -> String {
    let mut line = String::new();
    let Some((last, others)) = row.split_last() else { return line };
    for (cell, width) in others.iter().zip(widths) {
        write!(line, "{cell:<width$}  ").expect("a String takes all");
    }
    let Some(width) = width.filter(|width| !last.is_empty() && before + last.chars().count() > *width) else {
        line.push_str(last);
        return line.trim_end().to_owned();
    };
    let (indent, room) = if width >= before + NARROWEST {
        (before, width - before)
    } else {
        line.truncate(line.trim_end().len());
        line.push('\n');
        line.push_str(&" ".repeat(INDENT));
        (INDENT, width.saturating_sub(INDENT).max(NARROWEST))
    };
    line + &fold(last, room).join(&format!("\n{:indent$}", ""))
}

/// A text in lines of so many characters at most, broken at spaces where there are any.
fn fold(text: &str, room: usize) -> Vec<String> {
    let (mut lines, mut line): (Vec<String>, Vec<char>) = (vec![], vec![]);
    for c in text.chars() {
        if line.len() == room {
            let rest = match line.iter().rposition(|c| *c == ' ') {
                Some(space) if c != ' ' => line.split_off(space + 1),
                _ => vec![],
            };
            lines.push(String::from_iter(&line).trim_end().to_owned());
            line = rest;
        }
        if c != ' ' || !line.is_empty() {
            line.push(c);
        }
    }
    lines.push(String::from_iter(line));
    lines
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
        assert_eq!(lines(["N", "NAME"], rows, None), "N    NAME\n1    ä\n100");
    }

    #[test]
    fn what_is_longer_than_a_terminals_line_is_folded_there() {
        let told = "état=dead attempts=31 last_error=550 no such mailbox";
        let rows = || [["1".to_owned(), told.to_owned()], ["2".to_owned(), "state=done".to_owned()]];
        let all = format!("N  MORE\n1  {told}\n2  state=done");
        assert_eq!(lines(["N", "MORE"], rows(), None), all, "nobody's terminal");
        assert_eq!(lines(["N", "MORE"], rows(), Some(55)), all, "it fits");
        let folded = "N  MORE\n1  état=dead attempts=31\n   last_error=550 no such mailbox\n2  state=done";
        assert_eq!(lines(["N", "MORE"], rows(), Some(35)), folded);
        let below = "N  MORE\n1\n    état=dead attempts=31\n    last_error=550 no such mailbox\n2  state=done";
        assert_eq!(lines(["N", "MORE"], rows(), Some(32)), below, "there is hardly any room beside the number");
        let empty = [["a long name".to_owned(), String::new()]];
        assert_eq!(
            lines(["NAME", "MORE"], empty, Some(10)),
            "NAME\n    MORE\na long name",
            "nothing is folded into nothing"
        );
        for narrow in 0..80 {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&lines(["N", "MORE"], rows(), Some(narrow))), words(&all), "{narrow}");
        }
    }

    #[test]
    fn a_word_that_fits_in_no_line_is_broken() {
        assert_eq!(fold("abc defghij k", 4), ["abc", "defg", "hij", "k"]);
        assert_eq!(fold("ab cd", 2), ["ab", "cd"]);
        assert_eq!(fold("ab cd", 5), ["ab cd"]);
        assert_eq!(fold("", 5), [""]);
    }
}
