//! `kassa jobs show`.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use common::{
    id::JobId,
    jobs::{self, Attempt, Listed},
};
use serde_json::json;
use sqlx::PgPool;

use super::list::about;
use crate::output;

pub(super) async fn run(id: JobId, as_json: bool, pool: &PgPool) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await.context("the database did not answer")?;
    let Some(shown) = jobs::show(&mut connection, id).await.context("the job can't be read")? else {
        bail!("there is no job {id}");
    };
    if as_json {
        return output::json(&json!(shown));
    }
    output::line(&for_people(&shown.job, &shown.errors))
}

fn for_people(job: &Listed, attempts: &[Attempt]) -> String {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let mut out = format!("{} {}, {}\n", job.queue, job.id, job.state);
    let mut row = |name: &str, value: &str| writeln!(out, "  {name:<12} {value}").expect("a String takes all");
    row("about", &about(&job.payload));
    if let (Some(number), Some(id)) = (job.order_number, job.order_id) {
        row("order", &format!("{number} ({id}): see `kassa order show {number}`"));
    }
    row("enqueued", &time(job.created_at));
    match job.done_at {
        Some(at) => row("ended", &time(at)),
        None => row("due", &time(job.run_at)),
    }
    row("started", &format!("{} times: {} failed, {} crashed", job.attempts, job.failures, job.crashes));
    if let Some(request) = &job.request_id {
        row("request", request);
    }
    if let Some(trace) = &job.trace_id {
        row("trace", trace);
    }
    for attempt in attempts {
        let error: String = attempt.error.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        row(&format!("attempt {}", attempt.attempt), &format!("{}  {error}", time(attempt.at)));
    }
    out.trim_end().to_owned()
}
