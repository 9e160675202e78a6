//! Reads what a mail tells of, as it is now.

use chrono::DateTime;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{About, Kind, OrderFacts, Outgoing, RefundFacts, ResetFacts, ShipmentFacts, StockFacts};
use crate::{
    id::{EmailId, OrderId, PasswordResetId, ProductId},
    money::Money,
    order::Status,
    payment::RefundStatus,
};

/// A mail that still has to be sent.
///
/// # Errors
/// The database's.
pub async fn load(pool: &PgPool, id: EmailId) -> sqlx::Result<Option<Outgoing>> {
    load_with(&mut *pool.acquire().await?, id).await
}

/// The same, by a connection that may be in a transaction.
pub(super) async fn load_with(conn: &mut PgConnection, id: EmailId) -> sqlx::Result<Option<Outgoing>> {
    let row = sqlx::query!(
        r#"SELECT kind AS "kind: Kind", object_id, "to" FROM emails WHERE id = $1 AND status = 'pending'"#,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (name, about) = match row.kind {
        Kind::OrderConfirmed | Kind::PaymentFailed | Kind::OrderCanceled => {
            let (name, order) = order(conn, OrderId(row.object_id)).await?;
            (name, About::Order(order))
        }
        Kind::Refunded => refund(conn, row.object_id).await?,
        Kind::Shipped => shipment(conn, OrderId(row.object_id)).await?,
        Kind::LowStock => (None, stock(conn, row.object_id).await?),
        Kind::PasswordReset => password_reset(conn, PasswordResetId(row.object_id)).await?,
    };
    Ok(Some(Outgoing { id, kind: row.kind, to: row.to, name, about }))
}

async fn order(conn: &mut PgConnection, id: OrderId) -> sqlx::Result<(Option<String>, OrderFacts)> {
    let row = sqlx::query!(
        r#"SELECT u.name, o.number, o.status AS "status: Status", o.total AS "total: Money", o.expires_at,
                  (SELECT last_error_message FROM payment_intents p
                   WHERE p.order_id = o.id ORDER BY generation DESC LIMIT 1) AS declined_because,
                  EXISTS (SELECT FROM payment_intents p WHERE p.order_id = o.id AND p.amount_received > 0) AS "was_charged!"
           FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id = $1"#,
        id.0
    )
    .fetch_one(&mut *conn)
    .await?;
    let lines = sqlx::query!(
        "SELECT name_snapshot, quantity, price_snapshot FROM order_items WHERE order_id = $1 ORDER BY id",
        id.0
    )
    .fetch_all(conn)
    .await?;
    let facts = OrderFacts {
        id,
        number: row.number,
        status: row.status,
        total: row.total,
        expires_at: row.expires_at,
        was_charged: row.was_charged,
        declined_because: row.declined_because,
        lines: lines
            .into_iter()
            .map(|l| (l.name_snapshot, l.quantity, Money(l.price_snapshot * i64::from(l.quantity))))
            .collect(),
    };
    Ok((row.name, facts))
}

async fn refund(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<(Option<String>, About)> {
    let row = sqlx::query!(
        r#"SELECT r.order_id AS "order_id: OrderId", r.amount AS "amount: Money", r.status AS "status: RefundStatus",
                  p.currency, p.duplicate, o.refunded_total AS "refunded_total: Money"
           FROM refunds r JOIN payment_intents p ON p.id = r.payment_intent_id JOIN orders o ON o.id = r.order_id
           WHERE r.id = $1"#,
        id
    )
    .fetch_one(&mut *conn)
    .await?;
    let (name, order) = order(conn, row.order_id).await?;
    let facts = RefundFacts {
        amount: row.amount,
        currency: row.currency,
        refunded_total: row.refunded_total,
        of_duplicate: row.duplicate,
        has_succeeded: row.status == RefundStatus::Succeeded,
    };
    Ok((name, About::Refund(order, facts)))
}

/// What is sent of an order is what has not come back into the stock.
async fn shipment(conn: &mut PgConnection, id: OrderId) -> sqlx::Result<(Option<String>, About)> {
    let (name, order) = order(conn, id).await?;
    let lines = sqlx::query!(
        r#"SELECT name_snapshot, quantity - restocked AS "quantity!", price_snapshot
           FROM order_items WHERE order_id = $1 AND restocked < quantity ORDER BY id"#,
        id.0
    )
    .fetch_all(&mut *conn)
    .await?;
    let lines: Vec<_> = lines
        .into_iter()
        .map(|l| (l.name_snapshot, l.quantity, Money(l.price_snapshot * i64::from(l.quantity))))
        .collect();
    let total = Money(lines.iter().map(|(_, _, all)| all.0).sum()); // no more than the order's
    let order = OrderFacts { total, lines, ..order };
    let facts =
        sqlx::query_as!(ShipmentFacts, "SELECT carrier, tracking_number FROM shipments WHERE order_id = $1", id.0)
            .fetch_one(conn)
            .await?;
    Ok((name, About::Shipment(order, facts)))
}

/// The product of a row of the ledger.
async fn stock(conn: &mut PgConnection, movement: Uuid) -> sqlx::Result<About> {
    let facts = sqlx::query_as!(
        StockFacts,
        r#"SELECT p.id AS "id: ProductId", p.name, p.stock, p.stock - p.reserved AS "available!",
                  p.status = 'active' AS "is_for_sale!"
           FROM stock_movements m JOIN products p ON p.id = m.product_id WHERE m.id = $1"#,
        movement
    )
    .fetch_one(conn)
    .await?;
    Ok(About::Stock(facts))
}

async fn password_reset(conn: &mut PgConnection, id: PasswordResetId) -> sqlx::Result<(Option<String>, About)> {
    let row = sqlx::query!(
        r#"SELECT u.name, r.expires_at, (r.used_at IS NULL AND r.expires_at > now()) AS "is_open!"
           FROM password_resets r JOIN users u ON u.id = r.user_id WHERE r.id = $1"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    // It goes with its user, and when it has been over for a while.
    let (name, expires_at, is_open) =
        row.map_or((None, DateTime::UNIX_EPOCH, false), |row| (row.name, row.expires_at, row.is_open));
    Ok((name, About::PasswordReset(ResetFacts { id, expires_at, is_open })))
}
