//! An operator takes the money of an order in review as it is.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{Event, Next, Order, Shortfall, Status, advance::advance, shortfall::shortfalls, store, timeline};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError, retrying},
    id::{OrderId, UserId},
    inventory, payment,
};

/// Why an order was not accepted. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// It isn't in review.
    #[error("an order that is {0} can't be accepted")]
    NotInReview(Status),
    /// Its money is about to go back.
    #[error("a refund is under way")]
    RefundUnderWay,
    /// A dispute is open, or lost.
    #[error("the payment is disputed")]
    Disputed,
    /// What came and was not given back is less than its total.
    #[error("less was received than the order's total")]
    Underpaid,
    /// Units of it came back into the stock, and may have been sold to others since.
    #[error("units of it came back into the stock")]
    Restocked,
    /// What it had let go of is no longer there.
    #[error("there is not enough stock")]
    InsufficientStock(Vec<Shortfall>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for AcceptError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(e) = self { Some(e) } else { None }
    }
}

/// Makes an order in review a paid one: what it still holds or has taken stays, what it had let go of is reserved again, all or
/// nothing.
///
/// # Errors
/// See [`AcceptError`].
pub async fn accept(pool: &PgPool, admin: UserId, id: OrderId) -> Result<(), AcceptError> {
    retrying(|| async {
        let mut tx = db::begin(pool).await?;
        let mut order = store::lock(&mut tx, id).await?.ok_or(AcceptError::NotFound)?;
        if order.status.next(Event::Accept) == Next::Refused {
            return Err(AcceptError::NotInReview(order.status));
        }
        if payment::is_blocked(&mut tx, id).await? {
            return Err(AcceptError::Disputed);
        }
        let balance = payment::balance(&mut tx, id).await?;
        if balance.refund_under_way {
            return Err(AcceptError::RefundUnderWay);
        }
        if balance.received.0 - balance.refunded.0 < order.total.0 {
            return Err(AcceptError::Underpaid);
        }
        if inventory::has_come_back(&mut tx, id).await? {
            return Err(AcceptError::Restocked);
        }
        reserve_released(&mut tx, &order).await?;
        timeline::record(&mut tx, id, "order.accepted", Actor::User(admin), json!({})).await?;
        let before = json!({ "status": order.status });
        advance(&mut tx, &mut order, Event::Accept, Actor::User(admin)).await?;
        let act = Act {
            action: Action::OrderAccepted,
            object: Object::Order(id),
            before: Some(before),
            after: Some(json!({ "status": order.status })),
        };
        audit::record(&mut tx, Actor::User(admin), act).await?;
        Ok(store::commit(tx, &order).await?)
    })
    .await
}

async fn reserve_released(tx: &mut PgConnection, order: &Order) -> Result<(), AcceptError> {
    let lines = inventory::released(tx, order.id).await?;
    let reserved = inventory::reserve(tx, &lines).await?;
    if reserved.len() < lines.len() {
        let short: Vec<_> =
            lines.iter().filter(|l| reserved.iter().all(|r| r.line.product_id != l.product_id)).copied().collect();
        let (lines, _) = shortfalls(tx, order.user_id, &short).await?;
        return Err(AcceptError::InsufficientStock(lines));
    }
    Ok(inventory::hold_again(tx, order.id).await?)
}
