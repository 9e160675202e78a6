//! The timeline of an order: what happened to it, in the order in which it happened.

mod list;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use list::{Entry, Place, Source, page};

use crate::{actor::Actor, cause, id::OrderId};

/// Adds an entry in the caller's transaction. `kind` is a permanent name such as `order.placed`; `data` holds ids and figures,
/// no addresses or secrets.
///
/// # Errors
/// The database's.
pub async fn record(tx: &mut PgConnection, order: OrderId, kind: &str, actor: Actor, data: Value) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO order_events (id, order_id, kind, actor, data, request_id, trace_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        Uuid::now_v7(),
        order.0,
        kind,
        actor.to_string(),
        data,
        cause::request_id(),
        cause::trace_id(),
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Whether something has happened to an order before.
pub(super) async fn has(tx: &mut PgConnection, order: OrderId, kind: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM order_events WHERE order_id = $1 AND kind = $2) AS "has!""#,
        order.0,
        kind
    )
    .fetch_one(tx)
    .await
}
