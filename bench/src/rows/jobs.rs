//! The queue: a backlog of jobs that do nothing, against pgbench that fetches and completes one after the other; and how soon a job
//! starts when there is nothing else to do.

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::{db, jobs};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

use super::Bench;
use crate::{
    duel::Duel,
    figures::percentile,
    generator::Pace,
    nothing::{Nothing, tell_of_starts},
    pgbench::{Length, Script},
    report::{Goal, Row},
    subjects::{AT_ONCE, Subject, enqueue_jobs},
};

const SCRIPT: &str = include_str!("../../sql/job.sql");
/// Between two jobs, so that all is idle.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for a job's start.
const PATIENCE: Duration = Duration::from_secs(10);
/// A job that waits is started within this, in milliseconds.
const START: f64 = 2.0;

pub(super) async fn backlog(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let title = format!("a job that does nothing, fetch to done, backlog of {}", scale.backlog);
    let duel = Duel {
        name,
        title: &title,
        against: "pgbench, SKIP LOCKED fetch and completion, 16 clients",
        goal: Some(Goal::AtLeast(2.0)),
        has_latencies: false,
    };
    let store = tokio::sync::Mutex::new(store);
    let ours =
        async |pace, time| Subject::Jobs { at_once: AT_ONCE }.measure(ground, *store.lock().await, pace, time).await;
    let theirs = async |_, _| {
        let store = store.lock().await;
        // Some more than are taken: the last ones would find none that another has not locked.
        enqueue_jobs(&store, scale.backlog + 2 * AT_ONCE).await?;
        let script = Script { name, text: SCRIPT, clients: AT_ONCE };
        ground.pgbench.run(&store.options, &script, Pace::Full, Length::Transactions(scale.backlog)).await
    };
    duel.fight(scale, ours, theirs).await
}

pub(super) async fn start(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { store, scale, .. } = bench;
    store.without_worker().await;
    store.clean().await?;
    let (started, mut starts) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let pool = store.pool.clone();
    let worker = tokio::spawn(async move {
        let stopped = async {
            let _dropped_is_told = stopped.await;
        };
        tell_of_starts(&pool, started, stopped).await
    });
    let (mut committed, mut sent) = (Vec::new(), Vec::new());
    for sample in 0..=scale.rounds * scale.samples {
        sleep(PAUSE).await;
        let mut tx = db::begin(&store.pool).await?;
        jobs::enqueue(&mut tx, &Nothing {}).await?;
        let commit = Instant::now();
        tx.commit().await?;
        let done = Instant::now();
        let start =
            timeout(PATIENCE, starts.recv()).await.context("a job was not started")?.context("the worker ended")?;
        // The first one wakes a worker that may not listen yet.
        if sample > 0 {
            committed.push(start.saturating_duration_since(done));
            sent.push(start.saturating_duration_since(commit));
        }
    }
    drop(stop);
    worker.await??;
    let rounds: Vec<f64> = committed.chunks(scale.samples).map(|round| percentile(round, 50.0)).collect();
    let mut row = Row::within(name, "a job, commit to start, idle: p50", &rounds, "ms", START);
    row.notes.push(format!(
        "p99 {:.2} ms; counted from when the commit was sent, p50 {:.2} ms, p99 {:.2} ms",
        percentile(&committed, 99.0),
        percentile(&sent, 50.0),
        percentile(&sent, 99.0)
    ));
    Ok(row)
}
