//! Checkout: turns a cart into an order that holds its stock, in one transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Shortfall, Status, metrics, shortfall::shortfalls, timeline};
use crate::{
    actor::Actor,
    cart,
    db::{self, AsDatabaseError, retrying},
    id::{OrderId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    inventory::{self, Line, Reserved},
    jobs::{self, CreateIntent, ExpireOrder, NewJob},
    money::{Currency, MAX_CHARGE, Money},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// Whose cart becomes an order.
    pub user: UserId,
    /// The client's idempotency key, if it sent one.
    pub key: Option<KeyedRequest>,
    /// What the shopper was shown, if it is to be held to.
    pub expected_total: Option<Money>,
    /// The shop's currency.
    pub currency: Currency,
    /// How long the order may hold its stock unpaid.
    pub reservation: Duration,
    /// How many unpaid orders a shopper may have.
    pub max_unpaid_orders: i64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// A new order.
    New(OrderId),
    /// The order that the key made before.
    Replayed(OrderId),
}

/// An order of the shopper's that is neither paid nor ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenOrder {
    /// Its id.
    pub id: OrderId,
    /// What people call it.
    pub number: i64,
    /// Where it stands.
    pub status: Status,
    /// Until when it holds its stock.
    pub expires_at: DateTime<Utc>,
}

/// Why no order was placed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is nothing in the cart.
    #[error("the cart is empty")]
    CartEmpty,
    /// Some lines fell short.
    #[error("there is not enough stock")]
    InsufficientStock {
        /// All that fell short.
        lines: Vec<Shortfall>,
        /// The shopper's own unpaid orders that hold some of it.
        orders: Vec<OpenOrder>,
    },
    /// The prices have changed since the shopper saw them.
    #[error("the total has changed")]
    TotalChanged {
        /// What it is now.
        total: Money,
    },
    /// The shopper has as many unpaid orders as the shop allows.
    #[error("there are too many unpaid orders")]
    TooManyOpenOrders {
        /// Those orders.
        orders: Vec<OpenOrder>,
    },
    /// Stripe would not charge this total.
    #[error("the total can't be charged")]
    TotalOutOfRange {
        /// What it came to, if it could be summed up at all.
        total: Option<Money>,
        /// The least that can be charged.
        least: Money,
    },
    /// The idempotency key forbids it.
    #[error(transparent)]
    Key(#[from] ClaimError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for PlaceError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(e) | Self::Key(ClaimError::Database(e)) => Some(e),
            _ => None,
        }
    }
}

/// Places an order from the user's whole cart: takes the key, the cart and the stock, writes the order, and enqueues what
/// follows, all or nothing.
///
/// # Errors
/// See [`PlaceError`]; the cart is as it was.
pub async fn place(pool: &PgPool, request: &PlaceOrder) -> Result<Placed, PlaceError> {
    retrying(|| place_once(pool, request)).await
}

async fn place_once(pool: &PgPool, request: &PlaceOrder) -> Result<Placed, PlaceError> {
    let order = OrderId::new();
    let mut tx = db::begin(pool).await?;
    if let Some(key) = &request.key
        && let Claim::Replay(earlier) = key.claim_for(&mut tx, request.user, order.0).await?
    {
        return Ok(Placed::Replayed(OrderId(earlier)));
    }
    let lines = cart::take(&mut tx, request.user).await?;
    if lines.is_empty() {
        return Err(PlaceError::CartEmpty);
    }
    let reserved = inventory::reserve(&mut tx, &lines).await?;
    let total = match total(&reserved, request) {
        Ok(total) if reserved.len() == lines.len() => total,
        outcome => return Err(refused(&mut tx, request, &lines, &reserved, outcome.err()).await?),
    };
    if !insert(&mut tx, request, order, total, &reserved).await? {
        return Err(PlaceError::TooManyOpenOrders { orders: open_orders(&mut tx, request.user).await? });
    }
    let data = json!({ "total": total, "lines": reserved.len() });
    timeline::record(&mut tx, order, "order.placed", Actor::User(request.user), data).await?;
    let follow = vec![
        NewJob::now(&CreateIntent { order_id: order })?,
        NewJob::after(&ExpireOrder { order_id: order }, request.reservation)?,
    ];
    jobs::enqueue_all(&mut tx, follow).await?;
    tx.commit().await?;
    metrics::placed();
    Ok(Placed::New(order))
}

/// Why a cart can't be ordered: for `error`, where there was enough of everything. Whoever has too many unpaid orders is told that before
/// anything else.
async fn refused(
    tx: &mut PgConnection,
    request: &PlaceOrder,
    lines: &[Line],
    reserved: &[Reserved],
    error: Option<PlaceError>,
) -> sqlx::Result<PlaceError> {
    let open = open_orders(tx, request.user).await?;
    if i64::try_from(open.len()).is_ok_and(|n| n >= request.max_unpaid_orders) {
        return Ok(PlaceError::TooManyOpenOrders { orders: open });
    }
    match error {
        Some(error) if reserved.len() == lines.len() => Ok(error),
        _ => {
            let short = lines.iter().filter(|line| reserved.iter().all(|r| r.line.product_id != line.product_id));
            let (lines, held_by) = shortfalls(tx, request.user, &short.copied().collect::<Vec<_>>()).await?;
            let orders = open.into_iter().filter(|order| held_by.contains(&order.id)).collect();
            Ok(PlaceError::InsufficientStock { lines, orders })
        }
    }
}

fn total(reserved: &[Reserved], request: &PlaceOrder) -> Result<Money, PlaceError> {
    let total = reserved.iter().try_fold(Money::ZERO, |sum, r| sum.checked_add(r.price.checked_mul(r.line.quantity)?));
    let least = request.currency.smallest_charge();
    let total = match total {
        Some(total) if (least..=MAX_CHARGE).contains(&total) => total,
        total => return Err(PlaceError::TotalOutOfRange { total, least }),
    };
    match request.expected_total {
        Some(expected) if expected != total => Err(PlaceError::TotalChanged { total }),
        _ => Ok(total),
    }
}

/// Writes an order and its lines; not, and then this is false, where its shopper has as many unpaid orders as the shop allows. Two
/// checkouts of one shopper have taken turns at the cart: the second counts the first one's order.
async fn insert(
    tx: &mut PgConnection,
    request: &PlaceOrder,
    order: OrderId,
    total: Money,
    reserved: &[Reserved],
) -> sqlx::Result<bool> {
    let ids: Vec<Uuid> = reserved.iter().map(|_| Uuid::now_v7()).collect();
    let products: Vec<Uuid> = reserved.iter().map(|r| r.line.product_id.0).collect();
    let names: Vec<String> = reserved.iter().map(|r| r.name.clone()).collect();
    let prices: Vec<i64> = reserved.iter().map(|r| r.price.0).collect();
    let quantities: Vec<i32> = reserved.iter().map(|r| r.line.quantity).collect();
    let written = sqlx::query!(
        "WITH placed AS (
           INSERT INTO orders (id, user_id, total, currency, expires_at)
           SELECT $1, $2, $3, $4, now() + $5 * interval '1 second'
           WHERE (
             SELECT count(*) FROM orders
             WHERE user_id = $2 AND status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling')
           ) < $6
           RETURNING id
         )
         INSERT INTO order_items (id, order_id, product_id, name_snapshot, price_snapshot, quantity)
         SELECT i.id, placed.id, i.product_id, i.name, i.price, i.quantity
         FROM placed, unnest($7::uuid[], $8::uuid[], $9::text[], $10::bigint[], $11::integer[])
                      AS i (id, product_id, name, price, quantity)",
        order.0,
        request.user.0,
        total.0,
        request.currency.code(),
        request.reservation.as_secs_f64(),
        request.max_unpaid_orders,
        &ids,
        &products,
        &names,
        &prices,
        &quantities,
    )
    .execute(tx)
    .await?;
    Ok(written.rows_affected() > 0)
}

async fn open_orders(tx: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<OpenOrder>> {
    sqlx::query_as!(
        OpenOrder,
        r#"SELECT id AS "id: OrderId", number, status AS "status: Status", expires_at FROM orders
           WHERE user_id = $1 AND status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling')
           ORDER BY id"#,
        user.0
    )
    .fetch_all(tx)
    .await
}
