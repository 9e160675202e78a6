//! The ways in which an unpaid order ends: its shopper cancels it, or its time is over.

use std::time::Duration;

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    CancelReason, Event, Next, Order, Status,
    advance::{advance, cancel_needless_intents},
    store,
};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError, retrying},
    id::{OrderId, UserId},
    jobs::{CompleteError, Lease},
    payment,
};

/// Why an order was not canceled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is none with this id, or it is another user's: the two are not told apart.
    #[error("there is no such order")]
    NotFound,
    /// It is paid, being paid, or ended otherwise.
    #[error("an order that is {0} can't be canceled")]
    NotCancelable(Status),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for CancelError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(e) = self { Some(e) } else { None }
    }
}

/// Cancels an order of the user's: at once where nobody could pay it yet, else by way of its intent at Stripe. One that is
/// canceled stays as it is; one that is being canceled gets the jobs again that it lacks.
///
/// # Errors
/// See [`CancelError`].
pub async fn cancel(pool: &PgPool, user: UserId, id: OrderId) -> Result<(), CancelError> {
    retrying(|| async {
        let mut tx = db::begin(pool).await?;
        let mut order =
            store::lock(&mut tx, id).await?.filter(|order| order.user_id == user).ok_or(CancelError::NotFound)?;
        if order.status.next(Event::Cancel) == Next::Refused {
            return Err(CancelError::NotCancelable(order.status));
        }
        end(&mut tx, &mut order, Event::Cancel, CancelReason::Shopper, Actor::User(user)).await?;
        Ok(store::commit(tx, &order).await?)
    })
    .await
}

/// Cancels anybody's order as [`cancel`] does, at an operator's wish: its lines don't go back into the cart.
///
/// # Errors
/// See [`CancelError`].
pub async fn cancel_as_operator(pool: &PgPool, admin: UserId, id: OrderId) -> Result<(), CancelError> {
    retrying(|| async {
        let mut tx = db::begin(pool).await?;
        let mut order = store::lock(&mut tx, id).await?.ok_or(CancelError::NotFound)?;
        let (actor, before) = (Actor::User(admin), order.status);
        if before.next(Event::Cancel) == Next::Refused {
            return Err(CancelError::NotCancelable(before));
        }
        end(&mut tx, &mut order, Event::Cancel, CancelReason::Operator, actor).await?;
        if order.status != before {
            let act = Act {
                action: Action::OrderCanceled,
                object: Object::Order(id),
                before: Some(json!({ "status": before })),
                after: Some(json!({ "status": order.status })),
            };
            audit::record(&mut tx, actor, act).await?;
        }
        Ok(store::commit(tx, &order).await?)
    })
    .await
}

/// What the job of an order's expiry is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing: the order has ended, is paid, or its cancel is under way, and the job is complete.
    Done,
    /// Its time is not over yet: look again after this long.
    NotBefore(Duration),
    /// Its payment is under way: ask Stripe, apply the answer, and look again later.
    AskStripe,
}

/// Starts the end of an order that was not paid in time, and completes the job where nothing is left to be done.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn expire(pool: &PgPool, lease: &Lease, id: OrderId) -> Result<Expiry, CompleteError> {
    let mut tx = db::begin(pool).await?;
    let Some(mut order) = store::lock(&mut tx, id).await? else {
        lease.complete(&mut tx).await?;
        tx.commit().await?;
        return Ok(Expiry::Done);
    };
    let left = seconds_left(&mut tx, id).await?;
    if left > 0.0 && matches!(order.status.next(Event::Expire), Next::To(_)) {
        return Ok(Expiry::NotBefore(Duration::from_secs_f64(left)));
    }
    if order.status == Status::Processing {
        return Ok(Expiry::AskStripe);
    }
    end(&mut tx, &mut order, Event::Expire, CancelReason::Expired, Actor::System).await?;
    lease.complete(&mut tx).await?;
    store::commit(tx, &order).await?;
    Ok(Expiry::Done)
}

/// Moves the order toward its end, if the table lets it, and remembers why.
async fn end(
    tx: &mut PgConnection,
    order: &mut Order,
    event: Event,
    reason: CancelReason,
    actor: Actor,
) -> sqlx::Result<()> {
    if let Next::To(_) = order.status.next(event) {
        store::set_cancel_reason(tx, order, Some(reason)).await?;
        advance(tx, order, event, actor).await?;
    } else if order.status != Status::Canceling {
        return Ok(());
    }
    // For one that is being canceled, too: whoever asks again mends what has become of the jobs.
    cancel_needless_intents(tx, order).await?;
    if order.status == Status::Canceling && payment::open_intents(tx, order.id).await?.is_empty() {
        // All of its intents have ended already: there is none whose end would end the order.
        advance(tx, order, Event::IntentCanceled, actor).await?;
    }
    Ok(())
}

/// By the database's clock, which every due time comes from.
async fn seconds_left(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<f64> {
    sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM expires_at - now())::float8 AS "left!" FROM orders WHERE id = $1"#,
        id.0
    )
    .fetch_one(tx)
    .await
}
