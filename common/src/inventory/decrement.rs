//! Turns what a paid order holds into units sold.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    Line, LowStock,
    ledger::{Movement, record},
    reserve::held,
};
use crate::{
    actor::Actor,
    db,
    id::{MovementId, OrderId, OrderItemId},
    jobs::{CompleteError, Lease},
    mail,
    order::{self, Status, timeline},
};

/// Takes the held lines of a paid order out of the stock, with a row each in the ledger, and completes the job. Does nothing
/// to an order that isn't paid, or whose lines were taken already. Where a sale leaves little in stock, `low` says who is told.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn decrement(pool: &PgPool, lease: &Lease, id: OrderId, low: Option<&LowStock>) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    if let Some(order) = order::lock(&mut tx, id).await?
        && order.status == Status::Paid
    {
        for sale in sell_held(&mut tx, id).await? {
            if let Some(low) = low.filter(|low| low.is_reached(sale.stock, sale.quantity)) {
                mail::enqueue_low_stock(&mut tx, sale.movement, &low.to).await?;
            }
        }
    }
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// A line that was sold.
pub(crate) struct Sale {
    /// Its row in the ledger.
    movement: MovementId,
    quantity: i64,
    /// What it has left of its product.
    stock: i64,
}

/// Sells all that an order holds, in the transaction that has it locked.
pub(crate) async fn sell_held(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<Vec<Sale>> {
    let lines = held(tx, id).await?;
    sell_all(tx, id, &lines).await
}

/// Sells those of the named lines that an order still holds, in the transaction that has it locked.
pub(super) async fn sell_named(tx: &mut PgConnection, id: OrderId, named: &[OrderItemId]) -> sqlx::Result<Vec<Sale>> {
    let mut lines = held(tx, id).await?;
    lines.retain(|(item, _)| named.contains(item));
    sell_all(tx, id, &lines).await
}

async fn sell_all(tx: &mut PgConnection, id: OrderId, lines: &[(OrderItemId, Line)]) -> sqlx::Result<Vec<Sale>> {
    let mut sales = Vec::with_capacity(lines.len());
    for (item, line) in lines {
        sales.push(sell(tx, *item, *line).await?);
    }
    if !lines.is_empty() {
        timeline::record(tx, id, "stock.decremented", Actor::System, json!({ "lines": lines.len() })).await?;
    }
    Ok(sales)
}

async fn sell(tx: &mut PgConnection, item: OrderItemId, line: Line) -> sqlx::Result<Sale> {
    let quantity = i64::from(line.quantity);
    sqlx::query!("UPDATE order_items SET reservation = 'consumed' WHERE id = $1", item.0).execute(&mut *tx).await?;
    let stock = sqlx::query_scalar!(
        "UPDATE products SET stock = stock - $2, reserved = reserved - $2 WHERE id = $1 RETURNING stock",
        line.product_id.0,
        quantity
    )
    .fetch_one(&mut *tx)
    .await?;
    let movement = record(tx, line.product_id, -quantity, Movement::Sale(item), Actor::System).await?;
    Ok(Sale { movement, quantity, stock })
}
