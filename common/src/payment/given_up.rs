//! Refunds that nobody asks Stripe for any more: given up, to be asked for again, or put aside for good.

use sqlx::PgConnection;

use super::{RefundOrigin, RefundStatus, StoredRefund};
use crate::{
    id::{OrderId, RefundId},
    money::Money,
};

/// Whose order a refund of ours is about: it is locked first.
pub(crate) async fn order_of_refund(tx: &mut PgConnection, id: RefundId) -> sqlx::Result<Option<OrderId>> {
    sqlx::query_scalar!(r#"SELECT order_id AS "id: OrderId" FROM refunds WHERE id = $1"#, id.0).fetch_optional(tx).await
}

/// Gives up a refund of which Stripe has not told yet, after its refusal or without knowing what became of it; with its payment's
/// currency. `None` where Stripe has told by now, or it was given up before.
pub(crate) async fn give_up_refund(
    tx: &mut PgConnection,
    id: RefundId,
    why: &str,
    outcome_unknown: bool,
) -> sqlx::Result<Option<(StoredRefund, String)>> {
    let given_up = sqlx::query!(
        r#"UPDATE refunds r SET status = 'failed', failure_reason = $2, outcome_unknown = $3, dismissed_at = NULL,
                  updated_at = clock_timestamp()
           FROM payment_intents p
           WHERE r.id = $1 AND r.status = 'pending' AND r.stripe_refund_id IS NULL AND p.id = r.payment_intent_id
           RETURNING r.origin AS "origin: RefundOrigin", r.amount AS "amount: Money", p.currency"#,
        id.0,
        why,
        outcome_unknown
    )
    .fetch_optional(tx)
    .await?;
    let before = Some(RefundStatus::Pending);
    Ok(given_up.map(|row| (StoredRefund { id, origin: row.origin, before, amount: row.amount }, row.currency)))
}

/// Has a refund wait again that was given up; false where Stripe knows of it, or so much is no longer left. The order has to be locked.
pub(crate) async fn refund_again(tx: &mut PgConnection, id: RefundId) -> sqlx::Result<bool> {
    let waits = sqlx::query!(
        "UPDATE refunds r SET status = 'pending', failure_reason = NULL, outcome_unknown = false, updated_at = clock_timestamp()
         WHERE r.id = $1 AND r.stripe_refund_id IS NULL AND r.status IN ('failed', 'pending')
           AND r.amount <= (SELECT p.amount_received FROM payment_intents p WHERE p.id = r.payment_intent_id)
                         - (SELECT coalesce(sum(o.amount), 0) FROM refunds o
                            WHERE o.payment_intent_id = r.payment_intent_id AND o.id <> r.id
                              AND (o.status IN ('pending', 'requires_action', 'succeeded') OR o.outcome_unknown))",
        id.0
    )
    .execute(tx)
    .await?;
    Ok(waits.rows_affected() == 1)
}

/// A refund that somebody means to put aside, locked until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct LockedRefund {
    /// Whose order it is of.
    pub order_id: OrderId,
    /// Where it stands.
    pub status: RefundStatus,
    /// Whether it was given up without knowing what became of it at Stripe.
    pub outcome_unknown: bool,
    /// Whether it was put aside before.
    pub is_dismissed: bool,
}

/// Locks a refund.
pub(crate) async fn lock_refund(tx: &mut PgConnection, id: RefundId) -> sqlx::Result<Option<LockedRefund>> {
    sqlx::query_as!(
        LockedRefund,
        r#"SELECT order_id AS "order_id: OrderId", status AS "status: RefundStatus", outcome_unknown,
                  dismissed_at IS NOT NULL AS "is_dismissed!"
           FROM refunds WHERE id = $1 FOR NO KEY UPDATE"#,
        id.0
    )
    .fetch_optional(tx)
    .await
}

/// Counts a locked refund no more.
pub(crate) async fn dismiss_refund(tx: &mut PgConnection, id: RefundId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE refunds SET dismissed_at = now() WHERE id = $1", id.0).execute(tx).await.map(|_| ())
}
