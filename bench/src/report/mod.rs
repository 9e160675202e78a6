//! What was found, as it is told: a table for the terminal and for Markdown, JSON for programs, plots for the eye.

mod plot;
mod table;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::figures::{Figures, Spread};

/// What a ratio is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn bound(self) -> f64 {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => bound,
        }
    }

    fn is_met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

/// A figure that is no ratio, and what it may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
}

/// A row of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// For programs, and for `--row`.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) against: String,
    /// `None`: it is told only.
    pub(crate) goal: Option<Goal>,
    /// Ours through theirs; where only one thing is measured, that through its limit.
    pub(crate) ratio: Option<Spread>,
    pub(crate) ours: Option<Figures>,
    pub(crate) theirs: Option<Figures>,
    pub(crate) measured: Option<Measured>,
    /// What else is to be known of it.
    pub(crate) notes: Vec<String>,
}

impl Row {
    /// One that was measured several times, and has a limit.
    pub(crate) fn within(name: &str, title: &str, values: &[f64], unit: &'static str, limit: f64) -> Self {
        let through = |value: f64| value / limit;
        let spread = Spread::of(values);
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            against: format!("{limit} {unit}"),
            goal: Some(Goal::AtMost(1.0)),
            ratio: spread.map(|s| Spread { median: through(s.median), least: through(s.least), most: through(s.most) }),
            measured: spread.map(|spread| Measured { value: spread.median, unit, limit }),
            ..Self::default()
        }
    }

    /// Whether its goal is met; `None` without one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(self.goal?.is_met_by(self.ratio?.median))
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "title": self.title, "against": self.against,
            "ratio": self.ratio.map(|ratio| ratio.median), "spread": self.ratio.map(|ratio| [ratio.least, ratio.most]),
            "goal": self.goal.map(Goal::bound), "met": self.is_met(),
            "better": match self.goal { Some(Goal::AtMost(_)) => "lower", _ => "higher" },
            "ours": self.ours, "theirs": self.theirs, "measured": self.measured, "notes": self.notes,
        })
    }
}

/// All of a run.
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    /// The machine, the server and the scale: what a reader has to know.
    pub(crate) circumstances: Vec<String>,
}

impl Report {
    /// For the terminal.
    pub(crate) fn table(&self) -> String {
        table::plain(&self.rows)
    }

    /// `{"rows": [{"name", "ratio", "goal", …}]}`
    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        let whole = json!({ "circumstances": self.circumstances, "rows": rows });
        format!("{whole:#}\n")
    }

    /// Writes table, JSON and plots into a folder.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let files = [
            ("results.md", table::markdown(self)),
            ("results.json", self.json()),
            ("ratios.svg", plot::ratios(&self.rows)),
            ("latencies.svg", plot::latencies(&self.rows)),
        ];
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// Rows as tests like them.
#[cfg(test)]
fn examples() -> Vec<Row> {
    let figures = Figures { rate: 1234.5, p50_ms: 0.5, p99_ms: 2.25, offered: 600.0, errors: 0, generator: 0.21 };
    let ratio = Spread { median: 0.55, least: 0.5, most: 0.6 };
    vec![
        Row {
            name: "checkout".into(),
            title: "POST /checkout <distinct>".into(),
            against: "pgbench, the same statements".into(),
            goal: Some(Goal::AtLeast(0.5)),
            ratio: Some(ratio),
            ours: Some(figures),
            theirs: Some(Figures { rate: 2244.5, ..figures }),
            notes: vec!["16 shoppers".into()],
            ..Row::default()
        },
        Row::within("memory_idle", "memory, idle", &[43.0], "MB", 40.0),
        Row { name: "told".into(), title: "told only".into(), ratio: Some(Spread::once(2.0)), ..Row::default() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::workspace;

    #[test]
    fn a_goal_is_met_from_its_bound_on() {
        let met: Vec<_> = examples().iter().map(Row::is_met).collect();
        assert_eq!(met, [Some(true), Some(false), None]);
        assert!(Goal::AtLeast(0.5).is_met_by(0.5) && !Goal::AtLeast(0.5).is_met_by(0.49));
        assert!(Goal::AtMost(1.0).is_met_by(1.0) && !Goal::AtMost(1.0).is_met_by(1.01));
    }

    #[test]
    fn the_documents_quote_the_run_that_was_recorded_and_what_it_missed() {
        let read = |path: &str| fs::read_to_string(workspace().join(path)).expect("it is in the repository");
        let recorded: Value = serde_json::from_str(&read("docs/performance/results.json")).unwrap();
        let rows = recorded["rows"].as_array().expect("a list");
        let (front, page) = (read("README.md"), read("docs/performance/README.md"));
        for name in ["checkout", "webhooks", "jobs", "jobs_pg_boss", "jobs_graphile_worker"] {
            let row = rows.iter().find(|row| row["name"] == name).expect("it was measured");
            let ratio = format!("{:.2}", row["ratio"].as_f64().expect("it has a ratio"));
            assert!(front.contains(&ratio), "README.md does not say {ratio} of {name}");
        }
        let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for row in rows.iter().filter(|row| row["met"] == false) {
            let name = format!("`{}`", row["name"].as_str().expect("a name"));
            assert!(
                told.iter().any(|line| line.contains(&name) && line.matches('|').count() == 5),
                "{name} was missed"
            );
        }
    }

    #[test]
    fn the_json_has_a_row_for_each_with_ratio_and_goal() {
        let report = Report { rows: examples(), circumstances: vec!["here".into()] };
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        let of = |place: usize, name: &str| json["rows"][place][name].clone();
        assert_eq!((of(0, "name"), of(0, "ratio"), of(0, "goal")), (json!("checkout"), json!(0.55), json!(0.5)));
        assert_eq!((of(0, "met"), of(0, "better"), of(0, "spread")), (json!(true), json!("higher"), json!([0.5, 0.6])));
        assert_eq!(of(0, "ours")["p99_ms"], 2.25);
        assert_eq!(
            (of(1, "met"), of(1, "better"), of(1, "measured")["value"].clone()),
            (json!(false), json!("lower"), json!(43.0))
        );
        assert_eq!((of(2, "goal"), of(2, "met")), (Value::Null, Value::Null));
    }
}
