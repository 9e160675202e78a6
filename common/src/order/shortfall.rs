//! How short an order fell, for whoever is told so.

use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    id::{OrderId, ProductId, UserId},
    inventory::Line,
};

/// A line that could not be reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shortfall {
    /// Which product.
    pub product_id: ProductId,
    /// How many were wanted.
    pub requested: i32,
    /// How many there are; 0 for a product that is no longer sold.
    pub available: i64,
    /// How many the shopper's own unpaid orders hold.
    pub held_by_your_orders: i64,
}

/// How short each line fell, and the shopper's unpaid orders that hold some of it.
pub(super) async fn shortfalls(
    tx: &mut PgConnection,
    user: UserId,
    short: &[Line],
) -> sqlx::Result<(Vec<Shortfall>, Vec<OrderId>)> {
    let products: Vec<Uuid> = short.iter().map(|line| line.product_id.0).collect();
    let available = sqlx::query!(
        r#"SELECT id AS "id: ProductId", CASE WHEN status = 'active' THEN stock - reserved ELSE 0 END AS "available!"
           FROM products WHERE id = ANY($1)"#,
        &products
    )
    .fetch_all(&mut *tx)
    .await?;
    let held = sqlx::query!(
        r#"SELECT i.product_id AS "product_id: ProductId", i.quantity, o.id AS "order_id: OrderId"
           FROM order_items i JOIN orders o ON o.id = i.order_id
           WHERE o.user_id = $1 AND i.product_id = ANY($2) AND i.reservation = 'held'
             AND o.status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling')"#,
        user.0,
        &products,
    )
    .fetch_all(tx)
    .await?;
    let lines = short
        .iter()
        .map(|line| Shortfall {
            product_id: line.product_id,
            requested: line.quantity,
            available: available.iter().find(|a| a.id == line.product_id).map_or(0, |a| a.available),
            held_by_your_orders: held
                .iter()
                .filter(|h| h.product_id == line.product_id)
                .map(|h| i64::from(h.quantity))
                .sum(),
        })
        .collect();
    Ok((lines, held.into_iter().map(|h| h.order_id).collect()))
}
