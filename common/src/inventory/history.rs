//! The stock ledger, for people: what came and went, and how many there were at some time.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use crate::{
    db,
    id::{MovementId, OrderId, OrderItemId, ProductId},
    page::{Limit, Page, TimePlace},
};

/// Why stock came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum MovementKind {
    /// The first count.
    Initial,
    /// An order's line was sold.
    Sale,
    /// Some of a sold line came back.
    Return,
    /// An administrator has counted again.
    Adjustment,
}

impl MovementKind {
    const ALL: [Self; 4] = [Self::Initial, Self::Sale, Self::Return, Self::Adjustment];

    const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Sale => "sale",
            Self::Return => "return",
            Self::Adjustment => "adjustment",
        }
    }
}

impl FromStr for MovementKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownKind)
    }
}

/// Not why stock comes or goes.
#[derive(Debug, thiserror::Error)]
#[error("must be initial, sale, return or adjustment")]
pub struct UnknownKind;

/// A row of the ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StockMovement)]
pub struct MovementView {
    /// Its id.
    pub id: MovementId,
    /// Whose stock.
    pub product_id: ProductId,
    /// How many units came; negative for those that went.
    pub delta: i64,
    /// Why.
    pub kind: MovementKind,
    /// The order, of a sale or a return.
    pub order_id: Option<OrderId>,
    /// Its line.
    pub order_item_id: Option<OrderItemId>,
    /// Who did it: `user:` and an id, or `system` for a job of ours.
    pub actor: String,
    /// Why, in the words of whoever adjusted it.
    pub reason: Option<String>,
    /// The request that it follows from.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The ledger of a product as it was at some time, page by page, with the stock that it adds up to.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StockLedger)]
pub struct Ledger {
    /// Whose.
    pub product_id: ProductId,
    /// Up to when it was read.
    pub as_of: DateTime<Utc>,
    /// How many units there were then: the sum of all that came and went, whichever kinds are shown.
    pub stock: i64,
    /// A page of it, the newest first.
    #[serde(flatten)]
    pub page: Page<MovementView>,
}

/// What to show of the ledger.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub product: ProductId,
    /// As it was then; as it is now where that isn't said.
    pub as_of: Option<DateTime<Utc>>,
    /// Only movements of this kind.
    pub kind: Option<MovementKind>,
    /// Behind the page that ended here.
    pub before: Option<TimePlace>,
    /// At most so many.
    pub limit: Limit,
}

/// The columns of a [`MovementView`] are asked for twice; each query is checked at compile time all the same.
macro_rules! movements {
    ($conditions:tt $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            MovementView,
            r#"SELECT m.id AS "id: MovementId", m.product_id AS "product_id: ProductId", m.delta, m.kind AS "kind: MovementKind",
                      i.order_id AS "order_id?: OrderId", m.order_item_id AS "order_item_id: OrderItemId", m.actor, m.reason,
                      m.request_id, m.trace_id, m.created_at
               FROM stock_movements m LEFT JOIN order_items i ON i.id = m.order_item_id
               WHERE "# + $conditions
            $(, $value)*
        )
    };
}

/// The ledger of a product; `None` where there is no such product.
///
/// # Errors
/// The database's.
pub async fn ledger(pool: &PgPool, wanted: &Filter) -> sqlx::Result<Option<Ledger>> {
    let mut tx = db::begin_list(pool).await?;
    let then = sqlx::query!(
        r#"WITH asked AS (SELECT coalesce($2, now()) AS at)
           SELECT asked.at AS "at!", (SELECT coalesce(sum(delta), 0)::bigint FROM stock_movements
                                      WHERE product_id = $1 AND created_at <= asked.at) AS "stock!"
           FROM products, asked WHERE products.id = $1"#,
        wanted.product.0,
        wanted.as_of,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(then) = then else { return Ok(None) };
    let rows = movements!(
        "m.product_id = $1 AND m.created_at <= $2
           AND ($3::text IS NULL OR m.kind = $3)
           AND ($4::timestamptz IS NULL OR (m.created_at, m.id) < ($4, $5))
         ORDER BY m.created_at DESC, m.id DESC LIMIT $6",
        wanted.product.0,
        then.at,
        wanted.kind.map(MovementKind::name),
        wanted.before.map(|place| place.time),
        wanted.before.map(|place| place.id),
        wanted.limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let page = Page::from_rows(rows, wanted.limit, |row| TimePlace { time: row.created_at, id: row.id.0 });
    Ok(Some(Ledger { product_id: wanted.product, as_of: then.at, stock: then.stock, page }))
}

/// A row of the ledger.
///
/// # Errors
/// The database's.
pub async fn movement(conn: &mut PgConnection, id: MovementId) -> sqlx::Result<MovementView> {
    movements!("m.id = $1", id.0).fetch_one(conn).await
}
