//! Jobs that no request leads to: enqueued once each so often, however many workers there are.

use std::time::Duration;

use sqlx::PgConnection;

use super::{enqueue, payload::Payload};

/// Enqueues the job if its time has come, by the database's clock, and says whether it has. Whoever moves the time on enqueues: of
/// several workers one. The first time is one interval after the first call; an interval that was made shorter counts at once.
///
/// # Errors
/// The database's.
pub async fn enqueue_on_schedule<P: Payload>(
    tx: &mut PgConnection,
    payload: &P,
    every: Duration,
) -> sqlx::Result<bool> {
    let (queue, every) = (P::QUEUE.name(), every.as_secs_f64());
    sqlx::query!(
        "INSERT INTO schedules AS s (queue, next_at) VALUES ($1, now() + make_interval(secs => $2))
         ON CONFLICT (queue) DO UPDATE SET next_at = excluded.next_at WHERE s.next_at > excluded.next_at",
        queue,
        every
    )
    .execute(&mut *tx)
    .await?;
    let due = sqlx::query!(
        "UPDATE schedules SET next_at = now() + make_interval(secs => $2) WHERE queue = $1 AND next_at <= now()",
        queue,
        every
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if due == 1 {
        enqueue(tx, payload).await?; // one that still waits or runs is this one, too
    }
    Ok(due == 1)
}
