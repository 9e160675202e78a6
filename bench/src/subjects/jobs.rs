//! Jobs that do nothing, from their fetch until they are done, by a worker of their own with the shop's runtime.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::Executor as _;
use tokio::time::{Instant, sleep};

use crate::{figures::Run, ground::Ground, helper::Running, nothing::QUEUE, store::Store};

/// Between two looks whether all are done.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for them.
const PATIENCE: Duration = Duration::from_secs(120);

/// Works off a backlog, with so many slots.
pub(super) async fn work_off(ground: &Ground, store: &mut Store, at_once: usize) -> Result<Run> {
    store.without_worker().await;
    let backlog = store.scale.backlog;
    enqueue(store, backlog).await?;
    let url = ground.server.url(&store.database);
    let worker = Running::start(&["worker", "--concurrency", &at_once.to_string()], &[("DATABASE_URL", &url)]).await?;
    let began = Instant::now();
    let waiting = format!(
        "SELECT count(*) FROM (SELECT FROM jobs WHERE job_type = '{QUEUE}' AND done_at IS NULL LIMIT 1) waiting"
    );
    while store.count(&waiting).await? > 0 {
        ensure!(began.elapsed() < PATIENCE, "the backlog is not worked off after {PATIENCE:?}");
        sleep(LOOK).await;
    }
    worker.stop().await?;
    let took = took(store).await?;
    Ok(Run { done: backlog, took, ..Run::default() })
}

/// Puts so many jobs into the queue, and nothing else.
pub(crate) async fn enqueue(store: &Store, count: usize) -> Result<()> {
    store.clean().await?;
    let enqueue = format!(
        "INSERT INTO jobs (id, job_type, job, run_at, due_at)
         SELECT bench.fresh((extract(epoch FROM now()) * 1000)::bigint + n / 10, n), '{QUEUE}', '{{}}', now(), now()
         FROM generate_series(1, {count}) n"
    );
    store.pool.execute(enqueue.as_str()).await.context("enqueueing")?;
    store.settle().await
}

/// From the first fetch to the last completion, by the database's clock.
async fn took(store: &Store) -> Result<Duration> {
    let took = format!(
        "SELECT extract(epoch FROM max(done_at) - min(lock_at))::float8 FROM jobs WHERE job_type = '{QUEUE}' AND status = 'Done'"
    );
    let seconds: f64 = sqlx::query_scalar(&took).fetch_one(&store.pool).await?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}
