//! Removes what nobody will ask for again: jobs that are done, keys and tokens that have expired, events that were settled long ago. Dead jobs
//! and events that were not applied are kept.

use std::time::Duration;

use serde::Serialize;
use sqlx::{PgPool, postgres::PgQueryResult};

/// Rows removed in one transaction: short enough for others not to notice.
const BATCH: i64 = 5_000;

/// How long what has been settled is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Jobs that are done.
    pub jobs: Duration,
    /// Events that were applied or ignored.
    pub events: Duration,
}

/// How many rows were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Of jobs.
    pub jobs: u64,
    /// Of events.
    pub events: u64,
    /// Of idempotency keys.
    pub idempotency_keys: u64,
    /// Of refresh tokens.
    pub refresh_tokens: u64,
    /// Of password resets.
    pub password_resets: u64,
}

/// Removes all of it, in batches; one that is cut off is taken up by the next.
///
/// # Errors
/// The database's.
pub async fn prune(pool: &PgPool, retention: Retention) -> sqlx::Result<Pruned> {
    Ok(Pruned {
        jobs: done_jobs(pool, retention.jobs).await?,
        events: in_batches(|| {
            sqlx::query!(
                "DELETE FROM webhook_logs WHERE id = ANY (ARRAY(
                   SELECT id FROM webhook_logs
                   WHERE status IN ('processed', 'ignored') AND created_at < now() - make_interval(secs => $1) LIMIT $2))",
                retention.events.as_secs_f64(),
                BATCH,
            )
                        .execute(pool)
        })
        .await?,
        idempotency_keys: in_batches(|| {
            sqlx::query!(
                "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
                   SELECT ctid FROM idempotency_keys WHERE expires_at < now() LIMIT $1))",
                BATCH,
            )
                        .execute(pool)
        })
        .await?,
        refresh_tokens: in_batches(|| {
            sqlx::query!(
                "DELETE FROM refresh_tokens WHERE id = ANY (ARRAY(
                   SELECT id FROM refresh_tokens WHERE expires_at < now() LIMIT $1))",
                BATCH,
            )
                        .execute(pool)
        })
        .await?,
        password_resets: in_batches(|| {
            sqlx::query!(
                "DELETE FROM password_resets WHERE id = ANY (ARRAY(
                   SELECT id FROM password_resets WHERE expires_at < now() LIMIT $1))",
                BATCH,
            )
            .execute(pool)
        })
        .await?,
    })
}

/// Removes jobs that were done so long ago, and says how many.
///
/// # Errors
/// The database's.
pub async fn done_jobs(pool: &PgPool, older_than: Duration) -> sqlx::Result<u64> {
    in_batches(|| {
        sqlx::query!(
            "DELETE FROM jobs WHERE id = ANY (ARRAY(
               SELECT id FROM jobs WHERE status = 'Done' AND done_at < now() - make_interval(secs => $1) LIMIT $2))",
            older_than.as_secs_f64(),
            BATCH,
        )
        .execute(pool)
    })
    .await
}

async fn in_batches<B>(batch: impl Fn() -> B) -> sqlx::Result<u64>
where
    B: Future<Output = sqlx::Result<PgQueryResult>>,
{
    let mut removed = 0;
    loop {
        let rows = batch().await?.rows_affected();
        removed += rows;
        if rows < BATCH.unsigned_abs() {
            return Ok(removed);
        }
    }
}
