//! Units of a sold line come back into the stock.

use sqlx::PgConnection;

use super::{
    decrement::sell_named,
    ledger::{Movement, record},
};
use crate::{
    actor::Actor,
    id::{OrderId, OrderItemId, ProductId},
    order::{Order, Restock},
};

/// Why a line can't come back.
#[derive(Debug, thiserror::Error)]
pub enum RestockError {
    /// The order has no such line.
    #[error("the order has no such line")]
    NoSuchLine(OrderItemId),
    /// More units than the shopper still has of it.
    #[error("more units than were sold and have not come back")]
    TooMany {
        /// Which line.
        item: OrderItemId,
        /// How many can still come back.
        left: i32,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whether units of an order have come back into the stock.
pub(crate) async fn has_come_back(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM order_items WHERE order_id = $1 AND restocked > 0) AS "has!""#,
        order.0
    )
    .fetch_one(tx)
    .await
}

/// Whether an order has units that have not come back into the stock.
pub(crate) async fn has_units_left(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM order_items WHERE order_id = $1 AND restocked < quantity) AS "has!""#,
        order.0
    )
    .fetch_one(tx)
    .await
}

/// Takes the named units back, in the transaction that has the order locked. A named line that the order still holds is sold first, so
/// that each unit that comes back has gone before.
pub(crate) async fn restock(
    tx: &mut PgConnection,
    order: &Order,
    wanted: &[Restock],
    actor: Actor,
) -> Result<(), RestockError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = wanted.iter().map(|w| w.item).collect();
    sell_named(tx, order.id, &named).await?;
    let lines = sqlx::query!(
        r#"SELECT id AS "id: OrderItemId", product_id AS "product_id: ProductId",
                  CASE WHEN reservation = 'consumed' THEN quantity - restocked ELSE 0 END AS "left!"
           FROM order_items WHERE order_id = $1 ORDER BY product_id"#,
        order.id.0
    )
    .fetch_all(&mut *tx)
    .await?;
    if let Some(unknown) = wanted.iter().find(|w| lines.iter().all(|line| line.id != w.item)) {
        return Err(RestockError::NoSuchLine(unknown.item));
    }
    // In the order of their products, in which rows of products are locked everywhere.
    for line in &lines {
        let Some(quantity) = wanted.iter().find(|w| w.item == line.id).map(|w| w.quantity) else { continue };
        if quantity > line.left {
            return Err(RestockError::TooMany { item: line.id, left: line.left });
        }
        sqlx::query!("UPDATE order_items SET restocked = restocked + $2 WHERE id = $1", line.id.0, quantity)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("UPDATE products SET stock = stock + $2 WHERE id = $1", line.product_id.0, i64::from(quantity))
            .execute(&mut *tx)
            .await?;
        record(tx, line.product_id, i64::from(quantity), Movement::Return(line.id), actor).await?;
    }
    Ok(())
}
