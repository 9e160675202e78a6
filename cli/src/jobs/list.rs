//! `kassa jobs list`.

use anyhow::Context as _;
use common::jobs::{self, Filter, Listed, Queue};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    output,
    table::{short, table},
};

pub(super) async fn run(filter: &Filter, json: bool, pool: &PgPool) -> anyhow::Result<()> {
    let page = jobs::page(pool, filter).await.context("the jobs can't be listed")?;
    let listed = page.items;
    if json {
        return output::json(&json!(listed));
    }
    if listed.is_empty() {
        return output::line(&nothing(filter));
    }
    output::line(&table(HEADINGS, listed.iter().map(cells)))?;
    if page.next_cursor.is_some() {
        eprintln!("There are more than these {}: --limit shows more.", filter.limit);
    }
    Ok(())
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

fn cells(job: &Listed) -> [String; HEADINGS.len()] {
    [
        job.id.to_string(),
        job.queue.clone(),
        job.state.to_string(),
        job.attempts.to_string(),
        job.failures.to_string(),
        job.crashes.to_string(),
        job.done_at.unwrap_or(job.run_at).format("%Y-%m-%d %H:%M:%S").to_string(),
        job.order_number.map_or_else(|| about(&job.payload), |number| format!("order {number}")),
        short(job.last_error.as_deref().unwrap_or_default()),
    ]
}

/// A payload is a handful of ids: `order_id=…`.
pub(super) fn about(payload: &Value) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_as_names_and_values() {
        assert_eq!(about(&json!({ "order_id": "0198", "generation": 2 })), "generation=2 order_id=0198");
        assert_eq!(about(&json!(null)), "null");
    }

    #[test]
    fn a_queue_that_nobody_knows_is_told_of() {
        let filter = |name: &str| Filter { queue: Some(name.to_owned()), ..Filter::default() };
        assert_eq!(nothing(&filter("email.send")), "No jobs.");
        assert!(nothing(&filter("mail")).contains("email.send"));
    }
}
