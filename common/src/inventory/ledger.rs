//! The stock ledger: a row for each unit that came or went, never changed afterwards. A product's stock is the sum of its rows.

use sqlx::PgConnection;

use crate::{
    actor::Actor,
    cause,
    id::{MovementId, OrderItemId, ProductId},
};

/// Why stock came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement<'a> {
    /// The first count.
    Initial,
    /// An administrator has counted again, or has changed the figure by hand.
    Adjustment {
        /// Why, where that was said.
        reason: Option<&'a str>,
    },
    /// An order's line was sold.
    Sale(OrderItemId),
    /// Some of a sold line came back.
    Return(OrderItemId),
}

impl Movement<'_> {
    const fn kind(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment { .. } => "adjustment",
            Self::Sale(_) => "sale",
            Self::Return(_) => "return",
        }
    }

    const fn item(self) -> Option<OrderItemId> {
        match self {
            Self::Initial | Self::Adjustment { .. } => None,
            Self::Sale(item) | Self::Return(item) => Some(item),
        }
    }

    const fn reason(&self) -> Option<&str> {
        match self {
            Self::Adjustment { reason } => *reason,
            Self::Initial | Self::Sale(_) | Self::Return(_) => None,
        }
    }
}

/// Books `delta` units, in the transaction that changes the product's stock by as many; the id of the row.
pub(crate) async fn record(
    tx: &mut PgConnection,
    product: ProductId,
    delta: i64,
    movement: Movement<'_>,
    actor: Actor,
) -> sqlx::Result<MovementId> {
    let id = MovementId::new();
    sqlx::query!(
        "INSERT INTO stock_movements (id, product_id, delta, kind, order_item_id, actor, reason, request_id, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id.0,
        product.0,
        delta,
        movement.kind(),
        movement.item().map(|item| item.0),
        actor.to_string(),
        movement.reason(),
        cause::request_id(),
        cause::trace_id(),
    )
    .execute(tx)
    .await
    .map(|_| id)
}
