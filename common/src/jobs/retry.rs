//! Dead jobs are run again, at somebody's wish: as if they had just been enqueued, with the history of what went wrong kept. Those that
//! nobody needs any more are ended, or dismissed.

use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use super::{death, list::State, payload::Payload};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError},
    id::JobId,
};

/// What became of a job that was to be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retried {
    /// It is due now.
    Enqueued,
    /// Another job is about the same and lives: that one will do.
    AnotherLives,
    /// What it was about needs it no more: it is done, unless Stripe has still to be asked what became of its refund.
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

impl AsDatabaseError for RetryError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

/// Runs a dead job again, with the row that it is about as it was before its death.
///
/// # Errors
/// See [`RetryError`].
pub async fn retry(pool: &PgPool, actor: Actor, id: JobId) -> Result<Retried, RetryError> {
    db::retrying(|| retry_once(pool, actor, id)).await
}

async fn retry_once(pool: &PgPool, actor: Actor, id: JobId) -> Result<Retried, RetryError> {
    let mut tx = db::begin(pool).await?;
    let job = lock(&mut tx, id).await?.ok_or(RetryError::NotFound)?;
    if job.state != State::Dead {
        return Err(RetryError::NotDead(job.state));
    }
    let retried = revive(&mut tx, id, &job.queue, &job.payload).await?;
    if retried == Retried::Enqueued {
        let act = Act {
            action: Action::JobRetried,
            object: Object::Job(id),
            before: Some(json!({ "state": job.state })),
            after: Some(json!({ "state": State::Pending, "queue": job.queue })),
        };
        audit::record(&mut tx, actor, act).await?;
    } else if retried == Retried::NotNeeded {
        close(&mut tx, id, "what it is about needs it no more").await?;
    }
    tx.commit().await?;
    Ok(retried)
}

/// A job that is locked until the transaction ends.
struct Locked {
    queue: String,
    payload: Value,
    state: State,
}

async fn lock(tx: &mut PgConnection, id: JobId) -> sqlx::Result<Option<Locked>> {
    let row = sqlx::query!(
        r#"SELECT job_type, job, status, (failures > 0 OR crashes > 0) AS "went_wrong!" FROM jobs WHERE id = $1 FOR UPDATE"#,
        id.0
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Locked {
        state: State::from_columns(&row.status, row.went_wrong),
        queue: row.job_type,
        payload: row.job,
    }))
}

/// Which dead jobs to run again.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only those of the queue of this name.
    pub queue: Option<String>,
    /// Only those whose last error has this text in it.
    pub error_contains: Option<String>,
    /// Only those that were enqueued after this one.
    pub after: Option<JobId>,
}

/// A job that was to be run again, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetriedJob {
    /// Which.
    pub id: JobId,
    /// Its queue's name.
    pub queue: String,
    /// What became of it.
    pub outcome: Retried,
}

/// Some of the dead jobs that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What became of each, the oldest first. Those with which somebody else was faster are left out.
    pub jobs: Vec<RetriedJob>,
    /// How many more match that were not looked at.
    pub remaining: i64,
    /// The last that was looked at, where more remain: to go on behind.
    pub last: Option<JobId>,
}

/// Runs dead jobs again that match, the oldest `most` of them, each in a transaction of its own. Where the database fails on the way the
/// batch ends before that job: what was done is told, and who goes on behind meets the error at once.
///
/// # Errors
/// The database's. Nothing was run again then.
pub async fn retry_some(pool: &PgPool, actor: Actor, which: &Which, most: i64) -> sqlx::Result<Batch> {
    let mut tx = db::begin_list(pool).await?;
    let dead = sqlx::query!(
        r#"SELECT id AS "id: JobId", job_type, count(*) OVER () AS "matching!" FROM jobs
           WHERE status = 'Killed' AND ($1::text IS NULL OR job_type = $1)
             AND ($2::text IS NULL OR strpos(coalesce(last_error, ''), $2) > 0)
             AND ($3::uuid IS NULL OR id > $3)
           ORDER BY id LIMIT $4"#,
        which.queue,
        which.error_contains,
        which.after.map(|id| id.0),
        most,
    )
    .fetch_all(&mut *tx)
    .await?;
    drop(tx);
    let mut remaining = dead.first().map_or(0, |first| first.matching);
    let mut last = None;
    let mut jobs = Vec::with_capacity(dead.len());
    for job in dead {
        match retry(pool, actor, job.id).await {
            Ok(outcome) => jobs.push(RetriedJob { id: job.id, queue: job.job_type, outcome }),
            Err(RetryError::NotFound | RetryError::NotDead(_)) => {} // somebody else was faster
            Err(RetryError::Database(error)) if jobs.is_empty() => return Err(error),
            Err(RetryError::Database(error)) => {
                tracing::warn!(job = %job.id, error = %error, "a dead job could not be run again");
                break;
            }
        }
        remaining -= 1;
        last = Some(job.id);
    }
    Ok(Batch { jobs, remaining, last: last.filter(|_| remaining > 0) })
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

/// Ends the dead jobs with this payload as done, because what they were about has gone on without them; their errors say so. One that
/// somebody has locked, to run it again, is theirs: they find that it is needed no more.
pub(crate) async fn supersede<P: Payload>(tx: &mut PgConnection, payload: &P, why: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE jobs SET status = 'Done', done_at = clock_timestamp(), errors = append_job_error(errors, attempts, $3)
         WHERE id IN (SELECT id FROM jobs WHERE job_type = $1 AND dedupe_key = $2 AND status = 'Killed' FOR UPDATE SKIP LOCKED)",
        P::QUEUE.name(),
        payload.dedupe_key(),
        why,
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Ends a dead job as done; its errors say why. False where its refund may have been made all the same: Stripe has to be asked first.
async fn close(tx: &mut PgConnection, id: JobId, why: &str) -> sqlx::Result<bool> {
    let closed = sqlx::query!(
        "UPDATE jobs j SET status = 'Done', done_at = clock_timestamp(), errors = append_job_error(errors, attempts, $2)
         WHERE id = $1 AND status = 'Killed'
           AND NOT (job_type = 'payment.refund'
                    AND EXISTS (SELECT FROM refunds r WHERE r.id::text = j.job->>'refund_id' AND r.outcome_unknown))",
        id.0,
        why,
    )
    .execute(tx)
    .await?;
    Ok(closed.rows_affected() == 1)
}

/// Why a job can't be dismissed.
#[derive(Debug, thiserror::Error)]
pub enum DismissError {
    /// There is no such job.
    #[error("there is no such job")]
    NotFound,
    /// It isn't dead.
    #[error("a job that is {0} is not dismissed")]
    NotDead(State),
    /// An order waits for it, as nothing else does what it does.
    #[error("an order waits for it: run it again; it does nothing that is needed no more")]
    OrderWaits,
    /// Nobody knows whether its refund was made.
    #[error("nobody knows whether its refund was made: run it again, so that Stripe is asked")]
    OutcomeUnknown,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for DismissError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

/// Puts a dead job aside for good, with the event or the mail that it was about: they are kept as they are, and no longer counted. Not one
/// that an order waits for.
///
/// # Errors
/// See [`DismissError`].
pub async fn dismiss(pool: &PgPool, actor: Actor, id: JobId) -> Result<(), DismissError> {
    db::retrying(|| dismiss_once(pool, actor, id)).await
}

async fn dismiss_once(pool: &PgPool, actor: Actor, id: JobId) -> Result<(), DismissError> {
    let mut tx = db::begin(pool).await?;
    let job = lock(&mut tx, id).await?.ok_or(DismissError::NotFound)?;
    if job.state != State::Dead {
        return Err(DismissError::NotDead(job.state));
    }
    if death::is_owed(&job.queue, &job.payload) {
        return Err(DismissError::OrderWaits);
    }
    if !close(&mut tx, id, "dismissed").await? {
        return Err(DismissError::OutcomeUnknown);
    }
    death::dismiss(&mut tx, &job.queue, &job.payload).await?;
    let act = Act {
        action: Action::JobDismissed,
        object: Object::Job(id),
        before: Some(json!({ "state": job.state })),
        after: Some(json!({ "state": State::Done, "queue": job.queue })),
    };
    audit::record(&mut tx, actor, act).await?;
    tx.commit().await?;
    Ok(())
}
