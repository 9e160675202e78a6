//! `kassa jobs`: what is in the queue. Changes nothing.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use common::jobs::{self, Filter, Listed, Queue, State};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::output;

/// Longest text in a cell of the table; `--json` has all of it.
const WIDEST: usize = 80;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists jobs, the newest first
    ///
    /// A job is pending, retrying (pending after a failed attempt), running, done, or dead (given up, and kept).
    List {
        /// Only those of this queue, such as email.send
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|s| s.parse::<State>()))]
        state: Option<State>,
        /// At most as many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// Prints them for machines, with everything that is known
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(command: Command, pool: &PgPool) -> anyhow::Result<()> {
    let Command::List { queue, state, limit, json } = command;
    let mut connection = pool.acquire().await.context("the database did not answer")?;
    let filter = Filter { state, queue, limit };
    let listed = jobs::list(&mut connection, &filter).await.context("the jobs can't be listed")?;
    if json {
        return output::json(&listed.iter().map(for_machines).collect());
    }
    if listed.is_empty() {
        return output::line(&nothing(&filter));
    }
    output::line(&table(&listed))?;
    if i64::try_from(listed.len()).is_ok_and(|shown| shown == limit) {
        eprintln!("There may be more than these {limit}: --limit shows more.");
    }
    Ok(())
}

fn for_machines(job: &Listed) -> Value {
    json!({
        "id": job.id,
        "queue": job.queue,
        "payload": job.payload,
        "state": job.state.as_str(),
        "attempts": job.attempts,
        "failures": job.failures,
        "crashes": job.crashes,
        "run_at": job.run_at,
        "created_at": job.created_at,
        "done_at": job.done_at,
        "request_id": job.request_id,
        "last_error": job.last_error,
    })
}

/// Says so when the queue asked for is none of the shop's.
fn nothing(filter: &Filter) -> String {
    match filter.queue.as_deref() {
        Some(name) if Queue::named(name).is_none() => {
            let names: Vec<_> = Queue::ALL.into_iter().map(Queue::name).collect();
            format!("No jobs, and no queue {name}: there are {}.", names.join(", "))
        }
        _ => "No jobs.".to_owned(),
    }
}

const HEADINGS: [&str; 9] =
    ["ID", "QUEUE", "STATE", "STARTED", "FAILED", "CRASHED", "DUE OR ENDED (UTC)", "ABOUT", "LAST ERROR"];

fn table(jobs: &[Listed]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(jobs.iter().map(cells));
    let mut widths = [0; HEADINGS.len()];
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

fn cells(job: &Listed) -> [String; HEADINGS.len()] {
    [
        job.id.to_string(),
        job.queue.clone(),
        job.state.to_string(),
        job.attempts.to_string(),
        job.failures.to_string(),
        job.crashes.to_string(),
        job.done_at.unwrap_or(job.run_at).format("%Y-%m-%d %H:%M:%S").to_string(),
        about(&job.payload),
        short(job.last_error.as_deref().unwrap_or_default()),
    ]
}

/// A payload is a handful of ids: `order_id=…`.
fn about(payload: &Value) -> String {
    let Some(fields) = payload.as_object() else {
        return short(&payload.to_string());
    };
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect();
    short(&pairs.join(" "))
}

/// One line of bounded length, without what would steer a terminal.
fn short(text: &str) -> String {
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
    fn a_payload_is_shown_as_names_and_values() {
        assert_eq!(about(&json!({ "order_id": "0198", "generation": 2 })), "generation=2 order_id=0198");
        assert_eq!(about(&json!(null)), "null");
    }

    #[test]
    fn an_error_stays_on_its_line() {
        assert_eq!(short("no route\n\u{1b}[31mto host"), "no route  [31mto host");
        assert_eq!(short(&"ä".repeat(WIDEST)), "ä".repeat(WIDEST));
        assert_eq!(short(&"ä".repeat(WIDEST + 1)), "ä".repeat(WIDEST) + "…");
    }

    #[test]
    fn a_queue_that_nobody_knows_is_told_of() {
        let filter = |name: &str| Filter { state: None, queue: Some(name.to_owned()), limit: 1 };
        assert_eq!(nothing(&filter("email.send")), "No jobs.");
        assert!(nothing(&filter("mail")).contains("email.send"));
    }
}
