//! Jobs that do nothing, run by the worker's own runtime: what is left is the queue.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use common::{
    config::JobLimits,
    db,
    jobs::{GivesUp, Payload, Queue},
    metrics::Exposition,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::{sync::mpsc, time::Instant};
use worker::runtime::{Job, JobError, Runtime};

use crate::helper::end_of_input;

/// The queue; `sql/job.sql` names it, too.
pub(crate) const QUEUE: &str = "bench.nothing";

/// As they are shipped.
const LIMITS: JobLimits = JobLimits {
    lease: Duration::from_secs(30),
    backoff: Duration::from_secs(1),
    backoff_cap: Duration::from_secs(60),
    give_up_after: Duration::from_secs(24 * 60 * 60),
};
/// As `DATABASE_MAX_CONNECTIONS` is shipped.
const CONNECTIONS: u32 = 16;

/// A job that does nothing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Nothing {}

impl Payload for Nothing {
    const QUEUE: Queue = Queue::new(QUEUE, GivesUp::Never, Duration::from_secs(30));

    fn dedupe_key(&self) -> Option<String> {
        None
    }
}

async fn nothing(_: Job<Nothing>, _: Arc<()>) -> Result<(), JobError> {
    Ok(())
}

async fn tell(_: Job<Nothing>, started: Arc<mpsc::UnboundedSender<Instant>>) -> Result<(), JobError> {
    let _nobody_listens = started.send(Instant::now());
    Ok(())
}

/// Runs such jobs until standard input ends, as a process of its own.
pub(crate) async fn work(concurrency: usize) -> Result<()> {
    let options = std::env::var("DATABASE_URL").context("DATABASE_URL is set")?.parse()?;
    let _recorded = Exposition::start("usd".parse()?)?; // as the worker does
    let pool = db::pool(options, CONNECTIONS);
    let runtime = Runtime::new(&pool, LIMITS, concurrency, ()).register(nothing);
    println!("ready");
    runtime.run_until(end_of_input()).await.context("the runtime broke")
}

/// A worker within this process that tells when it starts a job.
pub(crate) async fn tell_of_starts(
    pool: &PgPool,
    started: mpsc::UnboundedSender<Instant>,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let runtime = Runtime::new(pool, LIMITS, 16, started).register(tell);
    runtime.run_until(stop).await.context("the runtime broke")
}
