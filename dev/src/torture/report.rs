//! What is told at the end.

use std::{fmt::Write as _, path::Path, time::Duration};

use super::{drain::Left, fault::Kind, options::Torture, tally::Seen};

/// Fewer paid orders a minute, and the faults have won.
const LEAST_PAID: f64 = 30.0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// How long shoppers bought.
    pub(super) bought_for: Duration,
    /// Orders that were paid in that time.
    pub(super) paid: i64,
    /// Orders by status, at the end.
    pub(super) orders: Vec<(String, u64)>,
    /// How long the queues took to drain after the last fault.
    pub(super) drained_after: Duration,
    /// What reconciliation said, if it was run.
    pub(super) reconciled: Option<String>,
    /// What was left over after that.
    pub(super) left: Left,
    /// Dead jobs, and why.
    pub(super) dead: Vec<String>,
    /// What is wrong with the money, the stock or the orders.
    pub(super) violations: Vec<String>,
    /// What else went wrong.
    pub(super) problems: Vec<String>,
}

impl Report {
    /// Paid orders a minute.
    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let paid = self.paid as f64;
        paid / (self.bought_for.as_secs_f64() / 60.0)
    }

    /// Everything that makes the run a failure, in sentences.
    pub(super) fn failures(&self, seen: &Seen) -> Vec<String> {
        let mut failures = self.violations.clone();
        failures.extend(self.problems.iter().cloned());
        failures.extend(seen.complaints.iter().map(|(what, times)| match times {
            1 => what.clone(),
            _ => format!("{what} ({times} times)"),
        }));
        if !self.left.is_nothing() {
            failures.push(format!("left over: {}", self.left));
        }
        failures.extend(self.dead.iter().cloned());
        failures.extend(seen.missing().iter().map(|kind| format!("a kind of fault never happened: {kind}")));
        if self.rate() < LEAST_PAID {
            failures.push(format!("only {:.1} orders were paid a minute, fewer than {LEAST_PAID}", self.rate()));
        }
        failures
    }

    /// For people.
    pub(super) fn show(&self, options: &Torture, seed: u64, seen: &Seen, logs: &Path) -> String {
        let mut out = String::from("\n");
        let mut row = |name: &str, value: String| {
            // A String takes all that is written.
            let _taken = writeln!(out, "  {name:<12}{value}");
        };
        let orders: u64 = self.orders.iter().map(|(_, count)| count).sum();
        let by_status: Vec<String> = self.orders.iter().map(|(status, count)| format!("{count} {status}")).collect();
        row("Purchases", format!("{orders} orders: {}", by_status.join(", ")));
        for (outcome, count) in &seen.outcomes {
            row("", format!("{count} {outcome}"));
        }
        row("", format!("{:.1} orders paid a minute; {} calls were made again", self.rate(), seen.repeats));
        row("Faults", format!("{} of {} kinds", seen.all_faults(), seen.faults.len()));
        for kind in Kind::ALL {
            row("", format!("{:>4} {}", seen.faults.get(&kind).copied().unwrap_or_default(), kind.name()));
        }
        row("Drained", format!("{:.1} s after the last fault", self.drained_after.as_secs_f64()));
        for line in self.reconciled.iter().flat_map(|said| said.lines()).filter(|line| !line.trim().is_empty()) {
            row("Reconciled", line.trim().to_owned());
        }
        row("Jobs", format!("{} left, {} dead", self.left.jobs(), self.dead.len()));
        row("Violations", self.violations.len().to_string());
        let failures = self.failures(seen);
        for failure in &failures {
            row("", format!("✗ {}", failure.replace('\n', "\n              ")));
        }
        if !failures.is_empty() || options.keep {
            row("Logs", format!("{} (of all programs, the faults as they came, and both books)", logs.display()));
        }
        row("Seed", format!("{seed}; again: {}", options.command(seed)));
        out
    }
}
