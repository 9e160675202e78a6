//! The SQL of orders that more than one operation needs.

use sqlx::{PgConnection, Postgres, Transaction};

use super::{CHANGES, CancelReason, Order, Status, metrics};
use crate::{
    id::{OrderId, ProductId, UserId},
    inventory::Line,
    money::Money,
};

/// Locks an order's row until the end of the caller's transaction.
pub(crate) async fn lock(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<Option<Order>> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: OrderId", user_id AS "user_id: UserId", number, status AS "status: Status",
                  total AS "total: Money", currency, expires_at, cancel_reason AS "cancel_reason: CancelReason"
           FROM orders WHERE id = $1 FOR NO KEY UPDATE"#,
        id.0
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Order {
        id: row.id,
        user_id: row.user_id,
        number: row.number,
        status: row.status,
        total: row.total,
        currency: row.currency,
        expires_at: row.expires_at,
        cancel_reason: row.cancel_reason,
        moves: vec![],
        disputes: vec![],
        refunds: vec![],
        was_paid: false,
        found_paid_by: None,
    }))
}

/// Commits what was done to a locked order, and counts it.
pub(crate) async fn commit(tx: Transaction<'_, Postgres>, order: &Order) -> sqlx::Result<()> {
    tx.commit().await?;
    metrics::moved(order);
    Ok(())
}

/// Moves a locked order, guarded by the status that it was found in, and wakes whoever waits for it.
pub(super) async fn set_status(tx: &mut PgConnection, order: &mut Order, status: Status) -> sqlx::Result<()> {
    // One row, since it is locked and was read in this transaction.
    sqlx::query!(
        "WITH moved AS (UPDATE orders SET status = $3, updated_at = now() WHERE id = $1 AND status = $2 RETURNING id)
         SELECT pg_notify($4, id::text) FROM moved",
        order.id.0,
        order.status.name(),
        status.name(),
        CHANGES,
    )
    .fetch_one(tx)
    .await?;
    order.moves.push((order.status, status));
    order.status = status;
    Ok(())
}

/// Wakes whoever waits for a change of this order, once the transaction commits.
pub(crate) async fn announce(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_notify($1, $2)", CHANGES, id.to_string()).fetch_one(tx).await.map(|_| ())
}

pub(super) async fn set_cancel_reason(
    tx: &mut PgConnection,
    order: &mut Order,
    reason: Option<CancelReason>,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE orders SET cancel_reason = $2 WHERE id = $1", order.id.0, reason as Option<CancelReason>)
        .execute(tx)
        .await?;
    order.cancel_reason = reason;
    Ok(())
}

pub(super) async fn set_review_reason(tx: &mut PgConnection, id: OrderId, reason: Option<&str>) -> sqlx::Result<()> {
    sqlx::query!("UPDATE orders SET review_reason = $2 WHERE id = $1", id.0, reason).execute(tx).await.map(|_| ())
}

/// What the order has given back so far.
pub(super) async fn set_refunded_total(tx: &mut PgConnection, id: OrderId, total: Money) -> sqlx::Result<()> {
    sqlx::query!("UPDATE orders SET refunded_total = $2 WHERE id = $1 AND refunded_total <> $2", id.0, total.0)
        .execute(tx)
        .await
        .map(|_| ())
}

/// The order's lines, in the order of their products' ids: the order in which rows of products are locked everywhere.
pub(super) async fn lines(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<Vec<Line>> {
    sqlx::query_as!(
        Line,
        r#"SELECT product_id AS "product_id: ProductId", quantity FROM order_items WHERE order_id = $1 ORDER BY product_id"#,
        id.0
    )
    .fetch_all(tx)
    .await
}
