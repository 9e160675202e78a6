//! What was found, and how it is told.

use serde::Serialize;

/// How it stands with what was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Well,
    /// Worth somebody's eyes; the shop goes on.
    Warning,
    /// The shop can't do its work, or not safely.
    Wrong,
    /// Not looked at, for a reason that is told.
    Skipped,
}

impl Verdict {
    const fn mark(self) -> char {
        match self {
            Self::Well => '✓',
            Self::Warning => '!',
            Self::Wrong => '✗',
            Self::Skipped => '-',
        }
    }
}

/// A line of the report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// What was looked at.
    pub(super) name: &'static str,
    /// What was found.
    pub(super) finding: String,
    /// What is to be done about it.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn well(name: &'static str, finding: impl Into<String>) -> Self {
        Self { verdict: Verdict::Well, name, finding: finding.into(), remedy: None }
    }

    pub(super) fn warning(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, name, finding: finding.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn wrong(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, name, finding: finding.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, name, finding: why.into(), remedy: None }
    }
}

/// One line each, names below each other.
pub(super) fn for_people(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = findings
        .iter()
        .map(|Finding { verdict, name, finding, remedy }| {
            let remedy = remedy.as_ref().map(|remedy| format!(" → {remedy}")).unwrap_or_default();
            let line = format!("{} {name:<width$}  {finding}{remedy}", verdict.mark());
            // What others say may hold what would steer a terminal.
            line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        })
        .collect();
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    lines.push(match (count(Verdict::Wrong), count(Verdict::Warning)) {
        (0, 0) => "all is well".to_owned(),
        (wrong, warnings) => format!("{wrong} wrong, {warnings} to look at"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_with_its_remedy() {
        let findings = [
            Finding::well("clock", "as the database's"),
            Finding::wrong("database", "no\nroute", "mend it"),
            Finding::skipped("jobs", "no database"),
        ];
        let told = "✓ clock     as the database's\n✗ database  no route → mend it\n- jobs      no database\n1 wrong, 0 to look at";
        assert_eq!(for_people(&findings), told);
    }
}
