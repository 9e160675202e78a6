//! Takes due jobs: counts the attempt and takes the lease in one statement, before anything of the job runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use common::id::JobId;
use serde_json::Value;
use sqlx::PgConnection;

/// A job as it was fetched.
pub(super) struct Fetched {
    pub(super) id: JobId,
    pub(super) payload: Value,
    pub(super) attempt: i32,
    pub(super) failures: i32,
    pub(super) request_id: Option<String>,
    pub(super) trace: Option<String>,
    pub(super) run_at: DateTime<Utc>,
    pub(super) last_error: Option<String>,
    /// Seconds since it was due for this attempt.
    pub(super) delay: f64,
    /// Seconds since it was first due.
    pub(super) age: f64,
}

/// Takes up to `limit` due jobs of a queue, those longest due first. Suspect ones are left out.
pub(super) async fn due(
    conn: &mut PgConnection,
    queue: &str,
    limit: i64,
    worker: &str,
    lease: Duration,
) -> sqlx::Result<Vec<Fetched>> {
    sqlx::query_as!(
        Fetched,
        r#"UPDATE jobs SET status = 'Running', attempts = attempts + 1, lock_by = $3, lock_at = now(),
                  lease_until = now() + make_interval(secs => $4)
           WHERE id = ANY (ARRAY(
             SELECT id FROM jobs WHERE status = 'Pending' AND crashes < 2 AND job_type = $1 AND run_at <= now()
             ORDER BY run_at LIMIT $2 FOR UPDATE SKIP LOCKED))
           RETURNING id AS "id: JobId", job AS payload, attempts AS attempt, failures, request_id, trace, run_at, last_error,
             extract(epoch FROM clock_timestamp() - run_at)::float8 AS "delay!",
             extract(epoch FROM clock_timestamp() - due_at)::float8 AS "age!""#,
        queue,
        limit,
        worker,
        lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// Whether a suspect job of a queue is due: one that ended two attempts or more without an outcome.
pub(super) async fn suspect_is_due(conn: &mut PgConnection, queue: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM jobs WHERE status = 'Pending' AND crashes >= 2 AND job_type = $1 AND run_at <= now())
           AS "exists!""#,
        queue
    )
    .fetch_one(conn)
    .await
}

/// Takes one suspect job of a queue, otherwise as [`due`].
pub(super) async fn suspect(
    conn: &mut PgConnection,
    queue: &str,
    worker: &str,
    lease: Duration,
) -> sqlx::Result<Option<Fetched>> {
    sqlx::query_as!(
        Fetched,
        r#"UPDATE jobs SET status = 'Running', attempts = attempts + 1, lock_by = $2, lock_at = now(),
                  lease_until = now() + make_interval(secs => $3)
           WHERE id = ANY (ARRAY(
             SELECT id FROM jobs WHERE status = 'Pending' AND crashes >= 2 AND job_type = $1 AND run_at <= now()
             ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED))
           RETURNING id AS "id: JobId", job AS payload, attempts AS attempt, failures, request_id, trace, run_at, last_error,
             extract(epoch FROM clock_timestamp() - run_at)::float8 AS "delay!",
             extract(epoch FROM clock_timestamp() - due_at)::float8 AS "age!""#,
        queue,
        worker,
        lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await
}
