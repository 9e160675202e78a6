//! Events are applied again, at somebody's wish.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{EventStatus, Listed};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    cause,
    db::{self, AsDatabaseError},
    id::WebhookLogId,
    jobs::{self, ProcessWebhook},
};

/// What replaying an event does, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It is looked at as if it had just come.
    Enqueued,
    /// Nothing: it was applied, and what it said counts already.
    AppliedAlready,
    /// Nothing: it is being looked at in this moment.
    UnderWay,
}

impl Replay {
    /// What replaying an event that stands there would do.
    pub fn forecast(event: &Listed) -> Self {
        if event.status == EventStatus::Processed { Self::AppliedAlready } else { Self::Enqueued }
    }
}

/// Why an event is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no such event.
    #[error("there is no such event")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for ReplayError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

/// Has an event that was not applied looked at again, at once.
///
/// # Errors
/// See [`ReplayError`].
pub async fn replay(pool: &PgPool, actor: Actor, id: WebhookLogId) -> Result<Replay, ReplayError> {
    db::retrying(|| replay_once(pool, actor, id)).await
}

async fn replay_once(pool: &PgPool, actor: Actor, id: WebhookLogId) -> Result<Replay, ReplayError> {
    let mut tx = db::begin(pool).await?;
    let row = sqlx::query!(
        r#"SELECT status AS "status: EventStatus", trace_id FROM webhook_logs WHERE id = $1 FOR NO KEY UPDATE"#,
        id.0
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(ReplayError::NotFound)?;
    let job = ProcessWebhook { webhook_log_id: id };
    if row.status == EventStatus::Processed {
        return Ok(Replay::AppliedAlready);
    }
    if jobs::is_running(&mut tx, &job).await? {
        return Ok(Replay::UnderWay);
    }
    wait_again(&mut tx, id).await?;
    jobs::supersede(&mut tx, &job, "the event was replayed").await?;
    let trace = row.trace_id.and_then(|id| id.parse().ok());
    if cause::within(trace, jobs::enqueue(&mut tx, &job)).await?.is_none() {
        jobs::hasten(&mut tx, &job).await?; // the one that waits does it now
    }
    let act = Act {
        action: Action::WebhookReplayed,
        object: Object::Webhook(id),
        before: Some(json!({ "status": row.status })),
        after: Some(json!({ "status": EventStatus::Received })),
    };
    audit::record(&mut tx, actor, act).await?;
    tx.commit().await?;
    Ok(Replay::Enqueued)
}

async fn wait_again(tx: &mut PgConnection, id: WebhookLogId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE webhook_logs SET status = 'received', error = NULL, processed_at = NULL, dismissed_at = NULL WHERE id = $1", id.0)
        .execute(tx)
        .await
        .map(|_| ())
}
