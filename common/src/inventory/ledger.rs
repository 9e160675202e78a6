//! The stock ledger: a row for each unit that came or went, never changed afterwards. A product's stock is the sum of its rows.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    actor::Actor,
    cause,
    id::{OrderItemId, ProductId},
};

/// Why stock came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement {
    /// The first count.
    Initial,
    /// An administrator has counted again.
    Adjustment,
    /// An order's line was sold.
    Sale(OrderItemId),
    /// Some of a sold line came back.
    Return(OrderItemId),
}

impl Movement {
    const fn kind(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment => "adjustment",
            Self::Sale(_) => "sale",
            Self::Return(_) => "return",
        }
    }

    const fn item(self) -> Option<OrderItemId> {
        match self {
            Self::Initial | Self::Adjustment => None,
            Self::Sale(item) | Self::Return(item) => Some(item),
        }
    }
}

/// Books `delta` units, in the transaction that changes the product's stock by as many; the id of the row.
pub(crate) async fn record(
    tx: &mut PgConnection,
    product: ProductId,
    delta: i64,
    movement: Movement,
    actor: Actor,
) -> sqlx::Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO stock_movements (id, product_id, delta, kind, order_item_id, actor, request_id, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        product.0,
        delta,
        movement.kind(),
        movement.item().map(|item| item.0),
        actor.to_string(),
        cause::request_id(),
        cause::trace_id(),
    )
    .execute(tx)
    .await
    .map(|_| id)
}
