//! A database for each test, and a runtime in it whose jobs do as they are told.

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use common::{
    config::JobLimits,
    db,
    id::{EmailId, JobId},
    jobs::{self, GivesUp, Payload, Queue},
    money::Currency,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::runtime::{Job, JobError, Runtime};

use crate::postgres;

/// Short, so that a test sees a lease run out.
pub(crate) const LIMITS: JobLimits = JobLimits {
    lease: Duration::from_secs(1),
    backoff: Duration::from_millis(20),
    backoff_cap: Duration::from_millis(100),
    give_up_after: Duration::from_secs(24 * 60 * 60),
};

/// Jobs of a queue at once, in each worker.
pub(crate) const CONCURRENCY: usize = 4;

/// Longest wait for anything that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A job that does as it is told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) what: What,
    pub(crate) key: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum What {
    Succeed,
    /// Fails as often, then succeeds.
    Fail(i32),
    Panic(i32),
    Hang(i32),
    /// Is put off once, then succeeds.
    WaitOnce,
    GiveUp,
    /// Waits for the test, then succeeds.
    Hold,
    /// Waits for the test, then completes itself with its effect.
    HoldThenComplete,
    /// Completes itself with its effect.
    Complete,
    /// Works for a while, then completes itself with its effect.
    Linger,
    /// Completes itself, fails before the commit the first time.
    FailBeforeCommit,
    /// Enqueues another one.
    EnqueueAnother,
}

impl Payload for Probe {
    const QUEUE: Queue = Queue::new("test.probe", GivesUp::Never, Duration::from_millis(700));

    fn dedupe_key(&self) -> Option<String> {
        self.key.map(|key| key.to_string())
    }
}

impl Probe {
    pub(crate) fn new(what: What) -> Self {
        Self { what, key: None }
    }
}

/// A mail's job as a later version may know it, with something more in it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SendMail {
    email_id: EmailId,
    label: Option<u32>,
}

impl Payload for SendMail {
    const QUEUE: Queue = Queue::SEND_EMAIL;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.email_id.to_string())
    }
}

/// What the jobs of a test share.
#[derive(Clone)]
pub(crate) struct Lab {
    /// The workers'.
    pub(crate) pool: PgPool,
    /// The test's own connection, which outlives those of the workers.
    looks: PgPool,
    /// Lets go of those that hold.
    pub(crate) release: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
}

/// Counts the jobs that run.
struct Presence(Arc<AtomicUsize>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Lab {
    /// In a fresh database.
    pub(crate) async fn new() -> Self {
        let options = postgres::options();
        let name = format!("queue_{}", Uuid::now_v7().simple());
        let server = db::pool(options.clone(), 1);
        sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&server).await.expect("a database can be created");
        let options = options.database(&name);
        let (pool, looks) = (db::pool(options.clone(), 8), db::pool(options, 1));
        db::migrate(&pool, Currency::from_str("usd").expect("it is one")).await.expect("the migrations run");
        sqlx::raw_sql(
            "CREATE TABLE effects (job_id uuid, attempt integer, beside bigint, at timestamptz DEFAULT clock_timestamp())",
        )
        .execute(&pool)
        .await
        .expect("a table can be created");
        Self { pool, looks, release: Arc::new(Semaphore::new(0)), running: Arc::default() }
    }

    /// Starts a worker.
    pub(crate) fn work(&self) -> Worker {
        self.work_within(LIMITS)
    }

    /// Starts a worker with limits of its own.
    pub(crate) fn work_within(&self, limits: JobLimits) -> Worker {
        let stop = CancellationToken::new();
        let runtime = Runtime::new(&self.pool, limits, CONCURRENCY, self.clone()).register(probe).register(send);
        let task = tokio::spawn(runtime.run_until(stop.clone().cancelled_owned()));
        Worker { stop, task }
    }

    /// Enqueues and commits.
    pub(crate) async fn enqueue(&self, what: What) -> JobId {
        let mut conn = self.pool.acquire().await.expect("the database is there");
        jobs::enqueue(&mut conn, &Probe::new(what)).await.expect("it can be enqueued").expect("it has no key")
    }

    /// Enqueues for later, and commits.
    pub(crate) async fn enqueue_late(&self, what: What) -> JobId {
        let mut conn = self.pool.acquire().await.expect("the database is there");
        let job = jobs::enqueue_in(&mut conn, &Probe::new(what), Duration::from_secs(3600)).await;
        job.expect("it can be enqueued").expect("it has no key")
    }

    /// Runs a statement.
    pub(crate) async fn sql(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.looks).await.expect("the statement is right");
    }

    /// One value.
    pub(crate) async fn value<T>(&self, query: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(query).fetch_one(&self.looks).await.expect("the query is right")
    }

    /// A value of a job's row.
    pub(crate) async fn of<T>(&self, job: JobId, column: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        self.value(&format!("SELECT {column} FROM jobs WHERE id = '{job}'")).await
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, condition: &str) {
        let query = format!("SELECT coalesce(({condition}), false)");
        let holds = async {
            while !self.value::<bool>(&query).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, holds).await.is_err() {
            let jobs: Option<String> = self.value("SELECT json_agg(jobs)::text FROM jobs").await;
            panic!("still not so: {condition}\n{}", jobs.unwrap_or_default());
        }
    }

    /// Waits until a job's row satisfies a condition.
    pub(crate) async fn until_job(&self, job: JobId, condition: &str) {
        self.until(&format!("SELECT {condition} FROM jobs WHERE id = '{job}'")).await;
    }

    /// A mail in the outbox, with its job.
    pub(crate) async fn mail(&self) -> (Uuid, JobId) {
        let id = Uuid::now_v7();
        self.sql(&format!(
            r#"INSERT INTO emails (id, kind, object_id, "to", dedupe_key, message_id)
               VALUES ('{id}', 'order_confirmed', '{id}', 'ann@example.com', '{id}', '{id}')"#
        ))
        .await;
        let mut conn = self.pool.acquire().await.expect("the database is there");
        let job = jobs::enqueue(&mut conn, &SendMail { email_id: EmailId(id), label: None }).await;
        (id, job.expect("it can be enqueued").expect("nothing has its key"))
    }

    async fn effect(&self, job: &Job<Probe>, fail: bool) -> Result<(), JobError> {
        let mut tx = db::begin(&self.pool).await?;
        sqlx::query("INSERT INTO effects (job_id, attempt, beside) VALUES ($1, $2, $3)")
            .bind(job.lease.job_id())
            .bind(job.lease.attempt())
            .bind(i64::try_from(self.running.load(Ordering::SeqCst)).expect("a small number") - 1)
            .execute(&mut *tx)
            .await?;
        job.lease.complete(&mut tx).await?;
        if fail {
            return Err(JobError::retry(anyhow!("before the commit")));
        }
        Ok(tx.commit().await?)
    }
}

/// A runtime at work; a test that doesn't stop it leaves it to die with the test.
pub(crate) struct Worker {
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Worker {
    /// As SIGTERM does.
    pub(crate) fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits for its orderly end.
    pub(crate) async fn ended(self) {
        self.stop.cancel();
        let end = tokio::time::timeout(PATIENCE, self.task).await.expect("it drains in time");
        end.expect("it doesn't panic").expect("it doesn't fail");
    }
}

async fn probe(job: Job<Probe>, lab: Arc<Lab>) -> Result<(), JobError> {
    lab.running.fetch_add(1, Ordering::SeqCst);
    let _presence = Presence(Arc::clone(&lab.running));
    match job.payload.what {
        What::Fail(times) if job.failures < times => Err(JobError::retry(anyhow!("no luck"))),
        What::Panic(times) if job.failures < times => panic!("boom"),
        What::Hang(times) if job.failures < times => std::future::pending().await,
        What::WaitOnce if job.lease.attempt() == 1 => Err(JobError::not_yet(anyhow!("too early"))),
        What::GiveUp => Err(JobError::give_up(anyhow!("never"))),
        What::Hold | What::HoldThenComplete => {
            lab.release.acquire().await.expect("it is never closed").forget();
            if job.payload.what == What::HoldThenComplete { lab.effect(&job, false).await } else { Ok(()) }
        }
        What::Complete => lab.effect(&job, false).await,
        What::Linger => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            lab.effect(&job, false).await
        }
        What::FailBeforeCommit => lab.effect(&job, job.failures == 0).await,
        What::EnqueueAnother => {
            let mut conn = lab.pool.acquire().await?;
            jobs::enqueue(&mut conn, &Probe::new(What::Succeed)).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// No mail is ever sent.
async fn send(_: Job<SendMail>, _: Arc<Lab>) -> Result<(), JobError> {
    Err(JobError::retry(anyhow!("the mail server is down")))
}
