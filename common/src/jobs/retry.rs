//! Dead jobs are run again, at somebody's wish: as if they had just been enqueued, with the history of what went wrong kept.

use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::{death, list::State};
use crate::{db, id::JobId};

/// What became of a job that was to be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due now.
    Enqueued,
    /// Another job is about the same and lives: that one will do.
    AnotherLives,
    /// What it was about needs it no more.
    NotNeeded,
}

/// Why a job can't be run again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no such job.
    #[error("there is no such job")]
    NotFound,
    /// It isn't dead.
    #[error("a job that is {0} is not run again")]
    NotDead(State),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Runs a dead job again, with the row that it is about as it was before its death.
///
/// # Errors
/// See [`RetryError`].
pub async fn retry(pool: &PgPool, id: JobId) -> Result<Retried, RetryError> {
    let mut tx = db::begin(pool).await?;
    let job = sqlx::query!(
        r#"SELECT job_type, job, status, (failures > 0 OR crashes > 0) AS "went_wrong!" FROM jobs WHERE id = $1 FOR UPDATE"#,
        id.0
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(RetryError::NotFound)?;
    let state = State::from_columns(&job.status, job.went_wrong);
    if state != State::Dead {
        return Err(RetryError::NotDead(state));
    }
    let retried = revive(&mut tx, id, &job.job_type, &job.job).await?;
    tx.commit().await?;
    Ok(retried)
}

/// Runs all dead jobs again that match, the oldest first, and says what became of each.
///
/// # Errors
/// The database's; those that came before the failure are run again.
pub async fn retry_all(
    pool: &PgPool,
    queue: Option<&str>,
    error_contains: Option<&str>,
) -> sqlx::Result<Vec<(JobId, Retried)>> {
    let dead = sqlx::query_scalar!(
        r#"SELECT id AS "id: JobId" FROM jobs
           WHERE status = 'Killed' AND ($1::text IS NULL OR job_type = $1)
             AND ($2::text IS NULL OR strpos(coalesce(last_error, ''), $2) > 0)
           ORDER BY id"#,
        queue,
        error_contains
    )
    .fetch_all(pool)
    .await?;
    let mut all = Vec::with_capacity(dead.len());
    for id in dead {
        match retry(pool, id).await {
            Ok(retried) => all.push((id, retried)),
            Err(RetryError::NotFound | RetryError::NotDead(_)) => {} // somebody else was faster
            Err(RetryError::Database(error)) => return Err(error),
        }
    }
    Ok(all)
}

async fn revive(tx: &mut PgConnection, id: JobId, queue: &str, payload: &Value) -> sqlx::Result<Retried> {
    if !death::undo(tx, queue, payload).await? {
        return Ok(Retried::NotNeeded);
    }
    let lives = sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM jobs live JOIN jobs dead ON dead.job_type = live.job_type AND dead.dedupe_key = live.dedupe_key
             WHERE dead.id = $1 AND live.done_at IS NULL) AS "lives!""#,
        id.0
    )
    .fetch_one(&mut *tx)
    .await?;
    if lives {
        return Ok(Retried::AnotherLives);
    }
    sqlx::query!(
        "WITH again AS (
           UPDATE jobs SET status = 'Pending', done_at = NULL, run_at = now(), due_at = now(), failures = 0, crashes = 0
           WHERE id = $1 RETURNING job_type)
         SELECT pg_notify($2, job_type) FROM again",
        id.0,
        super::CHANNEL,
    )
    .fetch_one(tx)
    .await?;
    Ok(Retried::Enqueued)
}
