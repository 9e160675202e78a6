//! Reserving stock for an order and letting it go again.

use sqlx::PgConnection;

use super::Line;
use crate::{
    id::{OrderId, OrderItemId, ProductId},
    money::Money,
};

/// A product as it was when its stock was reserved: the snapshots of the order's line.
#[derive(Clone, Debug)]
pub(crate) struct Reserved {
    pub line: Line,
    pub name: String,
    pub price: Money,
}

/// Reserves the lines, which must be in ascending id order; gives back those that were reserved. Where one is missing the
/// caller rolls back.
pub(crate) async fn reserve(tx: &mut PgConnection, lines: &[Line]) -> sqlx::Result<Vec<Reserved>> {
    debug_assert!(lines.is_sorted_by_key(|line| line.product_id), "locked out of order, two checkouts could deadlock");
    let mut reserved = Vec::with_capacity(lines.len());
    for line in lines {
        let snapshot = sqlx::query!(
            r#"UPDATE products SET reserved = reserved + $2
               WHERE id = $1 AND status = 'active' AND stock - reserved >= $2
               RETURNING name, price AS "price: Money""#,
            line.product_id.0,
            i64::from(line.quantity),
        )
        .fetch_optional(&mut *tx)
        .await?;
        reserved.extend(snapshot.map(|row| Reserved { line: *line, name: row.name, price: row.price }));
    }
    Ok(reserved)
}

/// Marks the released lines of an order as held again, once [`reserve`] has reserved them.
pub(crate) async fn hold_again(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE order_items SET reservation = 'held' WHERE order_id = $1 AND reservation = 'released'",
        order.0
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// The lines that an order has let go of, in the order in which their products are locked.
pub(crate) async fn released(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<Vec<Line>> {
    sqlx::query_as!(
        Line,
        r#"SELECT product_id AS "product_id: ProductId", quantity
           FROM order_items WHERE order_id = $1 AND reservation = 'released' ORDER BY product_id"#,
        order.0
    )
    .fetch_all(tx)
    .await
}

/// Lets go of all that the order still holds.
pub(crate) async fn release(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<()> {
    for (item, line) in held(tx, order).await? {
        sqlx::query!("UPDATE order_items SET reservation = 'released' WHERE id = $1", item.0).execute(&mut *tx).await?;
        sqlx::query!(
            "UPDATE products SET reserved = reserved - $2 WHERE id = $1",
            line.product_id.0,
            i64::from(line.quantity)
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Whether the order still holds a line.
pub(crate) async fn holds(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM order_items WHERE order_id = $1 AND reservation = 'held') AS "holds!""#,
        order.0
    )
    .fetch_one(tx)
    .await
}

/// The lines that the order still holds, in the order in which their products are locked.
pub(super) async fn held(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<Vec<(OrderItemId, Line)>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: OrderItemId", product_id AS "product_id: ProductId", quantity
           FROM order_items WHERE order_id = $1 AND reservation = 'held' ORDER BY product_id"#,
        order.0
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|r| (r.id, Line { product_id: r.product_id, quantity: r.quantity })).collect())
}
