//! Events are applied again, at somebody's wish.

use sqlx::PgPool;

use super::{EventStatus, Listed};
use crate::{
    cause, db,
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
}

impl Replay {
    /// What replaying an event that stands there would do.
    pub fn forecast(event: &Listed) -> Self {
        if event.status == EventStatus::Processed { Self::AppliedAlready } else { Self::Enqueued }
    }
}

/// Has an event that was not applied looked at again, at once.
///
/// # Errors
/// The database's.
pub async fn replay(pool: &PgPool, id: WebhookLogId) -> sqlx::Result<Replay> {
    let mut tx = db::begin(pool).await?;
    let waits = sqlx::query_scalar!(
        "UPDATE webhook_logs SET status = 'received', error = NULL, processed_at = NULL WHERE id = $1 AND status <> 'processed'
         RETURNING trace_id",
        id.0
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(trace) = waits else { return Ok(Replay::AppliedAlready) };
    let trace = trace.and_then(|id| id.parse().ok());
    let job = ProcessWebhook { webhook_log_id: id };
    if cause::within(trace, jobs::enqueue(&mut tx, &job)).await?.is_none() {
        jobs::hasten(&mut tx, &job).await?; // the one that waits does it now
    }
    tx.commit().await?;
    Ok(Replay::Enqueued)
}
