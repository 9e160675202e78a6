//! Turns what a paid order holds into units sold.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    Line, LowStock,
    ledger::{Movement, record},
    low_stock,
    reserve::held,
};
use crate::{
    actor::Actor,
    db,
    id::{MovementId, OrderId, OrderItemId, ProductId},
    jobs::{CompleteError, Lease},
    order::{self, Order, Status, timeline},
};

/// Takes the held lines of a paid order out of the stock, with a row each in the ledger, and completes the job. Does nothing
/// to an order that isn't paid, or whose lines were taken already. Where its sales have left little in stock, by whomever they were
/// booked, `low` says who is told.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn decrement(pool: &PgPool, lease: &Lease, id: OrderId, low: Option<&LowStock>) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    if let Some(order) = order::lock(&mut tx, id).await? {
        sell_and_tell(&mut tx, &order, low).await?;
    }
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// One line after the other, in the order in which rows of products are locked everywhere: a line that a refund was faster to sell may
/// stand between two that are still held.
async fn sell_and_tell(tx: &mut PgConnection, order: &Order, low: Option<&LowStock>) -> sqlx::Result<()> {
    let lines = sqlx::query!(
        r#"SELECT id AS "id: OrderItemId", product_id AS "product_id: ProductId", quantity, reservation = 'held' AS "is_held!"
           FROM order_items WHERE order_id = $1 AND reservation IN ('held', 'consumed') ORDER BY product_id"#,
        order.id.0
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut sold = 0;
    for line in lines {
        if !line.is_held {
            low_stock::catch_up(tx, low, line.id, line.product_id).await?;
        } else if order.status == Status::Paid {
            let sale = sell(tx, line.id, Line { product_id: line.product_id, quantity: line.quantity }).await?;
            low_stock::tell(tx, low, line.product_id, &sale).await?;
            sold += 1;
        }
    }
    note(tx, order.id, sold).await
}

/// A line that was sold.
pub(super) struct Sale {
    /// Its row in the ledger.
    pub movement: MovementId,
    /// What it has left of its product.
    pub stock: i64,
    /// Whether somebody was told that there are few, since there were more.
    pub is_told: bool,
}

/// Sells all that an order holds, in the transaction that has it locked. Who is to be told of little stock is told by the order's job.
pub(crate) async fn sell_held(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<()> {
    let lines = held(tx, id).await?;
    sell_all(tx, id, &lines).await
}

/// Sells those of the named lines that an order still holds, as [`sell_held`] does all.
pub(super) async fn sell_named(tx: &mut PgConnection, id: OrderId, named: &[OrderItemId]) -> sqlx::Result<()> {
    let mut lines = held(tx, id).await?;
    lines.retain(|(item, _)| named.contains(item));
    sell_all(tx, id, &lines).await
}

async fn sell_all(tx: &mut PgConnection, id: OrderId, lines: &[(OrderItemId, Line)]) -> sqlx::Result<()> {
    for (item, line) in lines {
        sell(tx, *item, *line).await?;
    }
    note(tx, id, lines.len()).await
}

async fn note(tx: &mut PgConnection, id: OrderId, lines: usize) -> sqlx::Result<()> {
    if lines == 0 {
        return Ok(());
    }
    timeline::record(tx, id, "stock.decremented", Actor::System, json!({ "lines": lines })).await
}

async fn sell(tx: &mut PgConnection, item: OrderItemId, line: Line) -> sqlx::Result<Sale> {
    let quantity = i64::from(line.quantity);
    sqlx::query!("UPDATE order_items SET reservation = 'consumed' WHERE id = $1", item.0).execute(&mut *tx).await?;
    let left = sqlx::query!(
        r#"UPDATE products SET stock = stock - $2, reserved = reserved - $2 WHERE id = $1
           RETURNING stock, low_stock_told IS NOT NULL AS "is_told!""#,
        line.product_id.0,
        quantity
    )
    .fetch_one(&mut *tx)
    .await?;
    let movement = record(tx, line.product_id, -quantity, Movement::Sale(item), Actor::System).await?;
    Ok(Sale { movement, stock: left.stock, is_told: left.is_told })
}
