//! `kassa verify`: proves the shop's invariants on a snapshot of the database, or shows what breaks them. Changes nothing.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use common::verify::{self, Report};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Prints the report for machines
    #[arg(long)]
    json: bool,
}

/// Runs the checks. Exit code 1 tells that something is wrong.
pub(crate) async fn run(arguments: &Arguments, pool: &PgPool) -> anyhow::Result<ExitCode> {
    let report = verify::verify(pool).await?;
    if arguments.json { output::json(&for_machines(&report)) } else { output::line(&for_people(&report)) }?;
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn for_machines(report: &Report) -> Value {
    let violations: Vec<_> = report
        .violations
        .iter()
        .map(|v| json!({ "invariant": v.invariant, "sentence": v.sentence, "subject": v.subject, "detail": v.detail }))
        .collect();
    json!({
        "clean": report.violations.is_empty(),
        "checks": report.checks,
        "unsettled_jobs": report.unsettled_jobs,
        "violations": violations,
    })
}

/// The rows under the sentence that they break; all rows of a check stand together in the report.
fn for_people(report: &Report) -> String {
    let mut out = String::new();
    let mut sentence = "";
    for v in &report.violations {
        if v.sentence != sentence {
            sentence = v.sentence;
            writeln!(out, "Invariant {} is broken: {sentence}", v.invariant).expect("a String takes all");
        }
        writeln!(out, "  {}: {}", v.subject, v.detail).expect("a String takes all");
    }
    match report.unsettled_jobs {
        0 => {}
        1 => out.push_str("1 job is due or running: what it is about may look broken until it is done.\n"),
        n => {
            writeln!(out, "{n} jobs are due or running: what they are about may look broken until they are done.")
                .expect("a String takes all");
        }
    }
    match report.violations.len() {
        0 => write!(out, "clean: {} checks", report.checks),
        1 => write!(out, "1 violation in {} checks", report.checks),
        n => write!(out, "{n} violations in {} checks", report.checks),
    }
    .expect("a String takes all");
    out
}

#[cfg(test)]
mod tests {
    use common::verify::Violation;

    use super::*;

    fn violation(subject: &str) -> Violation {
        let (sentence, detail) = ("what is reserved is there", "stock is 1, reserved is 2".to_owned());
        Violation { invariant: 2, sentence, subject: subject.to_owned(), detail }
    }

    #[test]
    fn people_see_the_sentence_once_and_its_rows_below() {
        let violations = vec![violation("product a"), violation("product b")];
        let report = Report { checks: 18, violations, unsettled_jobs: 1 };
        assert_eq!(
            for_people(&report),
            "Invariant 2 is broken: what is reserved is there\n  \
             product a: stock is 1, reserved is 2\n  \
             product b: stock is 1, reserved is 2\n\
             1 job is due or running: what it is about may look broken until it is done.\n\
             2 violations in 18 checks"
        );
        assert_eq!(for_people(&Report { checks: 18, ..Report::default() }), "clean: 18 checks");
    }
}
