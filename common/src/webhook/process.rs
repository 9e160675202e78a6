//! The ends that an event can come to. Each completes its job in the transaction of its effect, so that an event is applied at
//! most once, whoever holds the job.

use sqlx::{PgConnection, PgPool};

use crate::{
    db,
    id::{OrderId, WebhookLogId},
    jobs::{CompleteError, Lease},
    order::{self, Applied, Booked, News, Source, Unfulfillable},
};

/// Applies what an event (or Stripe, asked because of it) says to the order that it is about. Where nothing is booked the job is not
/// complete.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn apply(
    pool: &PgPool,
    lease: &Lease,
    id: WebhookLogId,
    order: OrderId,
    news: News<'_>,
    source: Source<'_>,
    policy: Unfulfillable,
) -> Result<Applied, CompleteError> {
    let mut tx = db::begin(pool).await?;
    let order = match order::book(&mut tx, order, news, source, policy).await? {
        Booked::Order(order) => order,
        Booked::Not(why) => return Ok(why),
    };
    set_status(&mut tx, id, "processed", None, Some(order.id)).await?;
    lease.complete(&mut tx).await?;
    order::commit(tx, &order).await?;
    Ok(Applied::To(order.status))
}

/// Files an event that is not for us, with the reason, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn ignore(pool: &PgPool, lease: &Lease, id: WebhookLogId, reason: &str) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    set_status(&mut tx, id, "ignored", Some(reason), None).await?;
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Notes why an event can't be applied yet. Its job goes on.
///
/// # Errors
/// The database's.
pub async fn park(pool: &PgPool, id: WebhookLogId, reason: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE webhook_logs SET status = 'parked', error = $2 WHERE id = $1 AND status IN ('received', 'parked')",
        id.0,
        reason
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Notes that an event that is not applied yet never will be, in the transaction in which its job dies.
pub(crate) async fn failed(tx: &mut PgConnection, id: WebhookLogId, error: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE webhook_logs SET status = 'failed', error = $2, dismissed_at = NULL WHERE id = $1 AND status IN ('received', 'parked')",
        id.0,
        error
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Counts an event no more that was given up.
pub(crate) async fn dismiss(tx: &mut PgConnection, id: WebhookLogId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE webhook_logs SET dismissed_at = now() WHERE id = $1 AND status = 'failed'", id.0)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Has an event that was given up wait again; false where it was applied, or ignored.
pub(crate) async fn wait_again(tx: &mut PgConnection, id: WebhookLogId) -> sqlx::Result<bool> {
    let waits = sqlx::query!(
        "UPDATE webhook_logs SET status = 'received', error = NULL, dismissed_at = NULL
         WHERE id = $1 AND status IN ('failed', 'received', 'parked')",
        id.0
    )
    .execute(tx)
    .await?;
    Ok(waits.rows_affected() == 1)
}

async fn set_status(
    tx: &mut PgConnection,
    id: WebhookLogId,
    status: &str,
    error: Option<&str>,
    order: Option<OrderId>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE webhook_logs SET status = $2, error = $3, order_id = $4, processed_at = now() WHERE id = $1",
        id.0,
        status,
        error,
        order.map(|id| id.0),
    )
    .execute(tx)
    .await
    .map(|_| ())
}
