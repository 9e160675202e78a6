//! Turns what a paid order holds into units sold.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    Line,
    ledger::{Movement, record},
    reserve::held,
};
use crate::{
    actor::Actor,
    db,
    id::{OrderId, OrderItemId},
    jobs::{CompleteError, Lease},
    order::{self, Status, timeline},
};

/// Takes the held lines of a paid order out of the stock, with a row each in the ledger, and completes the job. Does nothing
/// to an order that isn't paid, or whose lines were taken already.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn decrement(pool: &PgPool, lease: &Lease, id: OrderId) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    if let Some(order) = order::lock(&mut tx, id).await?
        && order.status == Status::Paid
    {
        sell_held(&mut tx, id).await?;
    }
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Sells all that an order holds, in the transaction that has it locked.
pub(crate) async fn sell_held(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<()> {
    let lines = held(tx, id).await?;
    sell_all(tx, id, &lines).await
}

/// Sells those of the named lines that an order still holds, in the transaction that has it locked.
pub(super) async fn sell_named(tx: &mut PgConnection, id: OrderId, named: &[OrderItemId]) -> sqlx::Result<()> {
    let mut lines = held(tx, id).await?;
    lines.retain(|(item, _)| named.contains(item));
    sell_all(tx, id, &lines).await
}

async fn sell_all(tx: &mut PgConnection, id: OrderId, lines: &[(OrderItemId, Line)]) -> sqlx::Result<()> {
    for (item, line) in lines {
        sell(tx, *item, *line).await?;
    }
    if !lines.is_empty() {
        timeline::record(tx, id, "stock.decremented", Actor::System, json!({ "lines": lines.len() })).await?;
    }
    Ok(())
}

async fn sell(tx: &mut PgConnection, item: OrderItemId, line: Line) -> sqlx::Result<()> {
    let quantity = i64::from(line.quantity);
    sqlx::query!("UPDATE order_items SET reservation = 'consumed' WHERE id = $1", item.0).execute(&mut *tx).await?;
    sqlx::query!(
        "UPDATE products SET stock = stock - $2, reserved = reserved - $2 WHERE id = $1",
        line.product_id.0,
        quantity
    )
    .execute(&mut *tx)
    .await?;
    record(tx, line.product_id, -quantity, Movement::Sale(item), Actor::System).await.map(|_| ())
}
