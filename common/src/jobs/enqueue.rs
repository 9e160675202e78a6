//! The one way to enqueue: in the transaction of what the job follows from.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::payload::Payload;
use crate::{cause, id::JobId};

/// Workers LISTEN here; a notification's payload is the queue's name. One that gets lost costs the time until the next poll.
pub const CHANNEL: &str = "jobs";

/// A job that is to be enqueued.
#[derive(Debug)]
pub(crate) struct NewJob {
    queue: &'static str,
    payload: Value,
    dedupe_key: Option<String>,
    after: Duration,
}

impl NewJob {
    /// One that is due as soon as the caller's transaction commits.
    ///
    /// # Errors
    /// For a payload that has no JSON.
    pub(crate) fn now<P: Payload>(payload: &P) -> sqlx::Result<Self> {
        Self::after(payload, Duration::ZERO)
    }

    /// One that is due `after` from now.
    ///
    /// # Errors
    /// For a payload that has no JSON.
    pub(crate) fn after<P: Payload>(payload: &P, after: Duration) -> sqlx::Result<Self> {
        let json = serde_json::to_value(payload).map_err(|error| sqlx::Error::Encode(error.into()))?;
        Ok(Self { queue: P::QUEUE.name(), payload: json, dedupe_key: payload.dedupe_key(), after })
    }
}

/// Enqueues a job that is due as soon as the caller's transaction commits.
///
/// `None` when an unfinished job of this queue has the same dedupe key; the transaction goes on undisturbed. A handler that
/// enqueues its own successor completes itself first, in the same transaction.
///
/// # Errors
/// The database's.
pub async fn enqueue<P: Payload>(conn: &mut PgConnection, payload: &P) -> sqlx::Result<Option<JobId>> {
    enqueue_in(conn, payload, Duration::ZERO).await
}

/// Enqueues a job that is due `after` from now by the database's clock; otherwise as [`enqueue`].
///
/// # Errors
/// The database's.
pub async fn enqueue_in<P: Payload>(
    conn: &mut PgConnection,
    payload: &P,
    after: Duration,
) -> sqlx::Result<Option<JobId>> {
    Ok(enqueue_all(conn, vec![NewJob::after(payload, after)?]).await?.pop())
}

/// Enqueues several jobs at once, each as [`enqueue_in`] does: gives the ids of those that were. Workers are woken for what is due; for
/// the rest they come by themselves.
///
/// # Errors
/// The database's.
pub(crate) async fn enqueue_all(conn: &mut PgConnection, jobs: Vec<NewJob>) -> sqlx::Result<Vec<JobId>> {
    let ids: Vec<Uuid> = jobs.iter().map(|_| JobId::new().0).collect();
    let queues: Vec<String> = jobs.iter().map(|job| job.queue.to_owned()).collect();
    let afters: Vec<f64> = jobs.iter().map(|job| job.after.as_secs_f64()).collect();
    let (payloads, keys): (Vec<Value>, Vec<Option<String>>) =
        jobs.into_iter().map(|job| (job.payload, job.dedupe_key)).unzip();
    let enqueued = sqlx::query!(
        r#"WITH enqueued AS (
             INSERT INTO jobs (id, job_type, job, run_at, due_at, dedupe_key, request_id, trace)
             SELECT n.id, n.queue, n.payload, due.at, due.at, n.dedupe_key, $6, $7
             FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[], $5::float8[])
                  AS n (id, queue, payload, dedupe_key, after),
                  LATERAL (SELECT now() + make_interval(secs => n.after)) AS due (at)
             ON CONFLICT (job_type, dedupe_key) WHERE done_at IS NULL DO NOTHING
             RETURNING id, job_type, run_at
           )
           SELECT id AS "id: JobId", CASE WHEN run_at <= now() THEN pg_notify($8, job_type)::text END AS told FROM enqueued"#,
        &ids,
        &queues,
        &payloads,
        &keys as &[Option<String>],
        &afters,
        cause::request_id(),
        cause::trace_or_new().to_string(),
        CHANNEL,
    )
    .fetch_all(conn)
    .await?;
    Ok(enqueued.into_iter().map(|row| row.id).collect())
}

/// Wakes the workers of a queue when the caller's transaction commits, as a job that is enqueued does.
///
/// # Errors
/// The database's.
pub(crate) async fn wake<P: Payload>(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, P::QUEUE.name()).execute(conn).await.map(|_| ())
}

/// Whether the job with this payload is being carried out.
///
/// # Errors
/// The database's.
pub(crate) async fn is_running<P: Payload>(conn: &mut PgConnection, payload: &P) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM jobs WHERE job_type = $1 AND dedupe_key = $2 AND done_at IS NULL AND status = 'Running')
             AS "is!""#,
        P::QUEUE.name(),
        payload.dedupe_key(),
    )
    .fetch_one(conn)
    .await
}

/// The unfinished job with this payload: enqueued now, or due at once where it waited already. Says whether it is new.
///
/// # Errors
/// The database's.
pub(crate) async fn enqueue_or_hasten<P: Payload>(conn: &mut PgConnection, payload: &P) -> sqlx::Result<(JobId, bool)> {
    for _ in 0..3 {
        if let Some(id) = enqueue(conn, payload).await? {
            return Ok((id, true));
        }
        hasten(conn, payload).await?;
        let waits = sqlx::query_scalar!(
            r#"SELECT id AS "id: JobId" FROM jobs WHERE job_type = $1 AND dedupe_key = $2 AND done_at IS NULL"#,
            P::QUEUE.name(),
            payload.dedupe_key(),
        );
        if let Some(id) = waits.fetch_optional(&mut *conn).await? {
            return Ok((id, false));
        }
    }
    Err(sqlx::Error::RowNotFound) // it has come to its end each time, within a moment: nothing of ours is so quick
}

/// Makes the job with this payload that waits due at once, if there is one.
///
/// # Errors
/// The database's.
pub(crate) async fn hasten<P: Payload>(conn: &mut PgConnection, payload: &P) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH due AS (
           UPDATE jobs SET run_at = now()
           WHERE job_type = $1 AND dedupe_key = $2 AND status = 'Pending' AND run_at > now() RETURNING 1)
         SELECT pg_notify($3, $1) FROM due",
        P::QUEUE.name(),
        payload.dedupe_key(),
        CHANNEL,
    )
    .fetch_optional(conn)
    .await
    .map(|_| ())
}
