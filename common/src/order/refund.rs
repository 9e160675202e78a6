//! Refunds: how one is asked for, and what Stripe's word on one does to its order.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{Applied, Booked, Event, Order, Settled, Source, Status, advance::advance, store, timeline};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError, retrying},
    id::{OrderId, OrderItemId, PaymentIntentId, RefundId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    inventory::{self, RestockError},
    jobs::{CompleteError, Lease},
    mail,
    money::Money,
    payment::{self, LogEntry, RefundOrigin, RefundReport, RefundStatus, StoredRefund},
    reason::Reason,
};

/// What an administrator asks for.
#[derive(Clone, Debug)]
pub struct RequestRefund {
    /// Which order.
    pub order: OrderId,
    /// Who asks.
    pub admin: UserId,
    /// The client's idempotency key.
    pub key: KeyedRequest,
    /// How much; all that is left where it isn't said.
    pub amount: Option<Money>,
    /// For the books.
    pub reason: Option<Reason>,
    /// What comes back into the stock.
    pub restock: Vec<Restock>,
}

/// Units of a line that come back into the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restock {
    /// Which line of the order.
    pub item: OrderItemId,
    /// How many units, at least one.
    pub quantity: i32,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRequested {
    /// A job will make it.
    New(RefundId),
    /// The key had asked for this one before.
    Replayed(RefundId),
}

/// Why nothing is refunded. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// More is asked for than is left.
    #[error("more is asked for than is left")]
    TooLarge {
        /// What is left.
        refundable: Money,
    },
    /// A dispute is open, or lost: Stripe would refuse.
    #[error("the payment is disputed")]
    Disputed,
    /// A line can't come back.
    #[error(transparent)]
    Restock(#[from] RestockError),
    /// The idempotency key forbids it.
    #[error(transparent)]
    Key(#[from] ClaimError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for RefundError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(e) | Self::Key(ClaimError::Database(e)) | Self::Restock(RestockError::Database(e)) => {
                Some(e)
            }
            _ => None,
        }
    }
}

/// Asks for a refund: books it with what comes back into the stock, and enqueues the job that makes it at Stripe, all or nothing.
///
/// # Errors
/// See [`RefundError`].
pub async fn request_refund(pool: &PgPool, request: &RequestRefund) -> Result<RefundRequested, RefundError> {
    retrying(|| request_once(pool, request)).await
}

async fn request_once(pool: &PgPool, request: &RequestRefund) -> Result<RefundRequested, RefundError> {
    let mut tx = db::begin(pool).await?;
    if let Claim::Replay(refund) = request.key.claim(&mut tx, request.admin).await? {
        return Ok(RefundRequested::Replayed(RefundId(refund)));
    }
    let order = store::lock(&mut tx, request.order).await?.ok_or(RefundError::NotFound)?;
    if payment::is_blocked(&mut tx, order.id).await? {
        return Err(RefundError::Disputed);
    }
    let Some(intent) = payment::intent_to_refund(&mut tx, order.id).await? else {
        return Err(RefundError::TooLarge { refundable: Money::ZERO });
    };
    let refundable = payment::refundable(&mut tx, intent).await?;
    let amount = request.amount.unwrap_or(refundable);
    if amount > refundable || refundable <= Money::ZERO {
        return Err(RefundError::TooLarge { refundable });
    }
    let actor = Actor::User(request.admin);
    inventory::restock(&mut tx, &order, &request.restock, actor).await?;
    let reason = request.reason.as_ref().map(Reason::as_str);
    let refund = payment::ask_for_refund(&mut tx, order.id, intent, amount, RefundOrigin::Operator, reason)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?; // only those that nobody asked for are asked for once
    let units: i64 = request.restock.iter().map(|r| i64::from(r.quantity)).sum();
    let data = json!({ "refund_id": refund, "amount": amount, "reason": reason, "restocked": units });
    timeline::record(&mut tx, order.id, "refund.requested", actor, data.clone()).await?;
    let act =
        Act { action: Action::OrderRefundRequested, object: Object::Order(order.id), before: None, after: Some(data) };
    audit::record(&mut tx, actor, act).await?;
    request.key.keep(&mut tx, request.admin, refund.0).await?;
    store::announce(&mut tx, order.id).await?;
    store::commit(tx, &order).await?;
    Ok(RefundRequested::New(refund))
}

/// Gives back all that an intent received, because nothing else can be done with it; once.
pub(super) async fn give_back(
    tx: &mut PgConnection,
    order: OrderId,
    intent: PaymentIntentId,
    origin: RefundOrigin,
    reason: &str,
) -> sqlx::Result<()> {
    let amount = payment::refundable(tx, intent).await?;
    if amount <= Money::ZERO {
        return Ok(()); // somebody was faster, at Stripe
    }
    if let Some(refund) = payment::ask_for_refund(tx, order, intent, amount, origin, Some(reason)).await? {
        let data = json!({ "refund_id": refund, "amount": amount, "reason": reason });
        timeline::record(tx, order, "refund.requested", Actor::System, data).await?;
    }
    Ok(())
}

/// Books what Stripe says of a refund of the intent `intent` (`pi_…`).
pub(super) async fn book_refund(
    tx: &mut PgConnection,
    mut order: Order,
    report: &RefundReport,
    intent: &str,
    source: Source<'_>,
) -> sqlx::Result<Booked> {
    let id = order.id;
    let Some(intent) = payment::intent_of(tx, id, intent).await? else {
        return Ok(Booked::Not(Applied::Stale)); // another order's by now
    };
    let Some(refund) = payment::store_refund(tx, id, intent.id, report, source.seen).await? else {
        return Ok(Booked::Not(Applied::Stale));
    };
    let entry = LogEntry {
        order_id: Some(id),
        operation: source.operation,
        stripe_request_id: source.stripe_request_id,
        stripe_object_id: Some(&report.stripe_id),
        amount: Some(report.amount),
        currency: Some(&intent.currency),
        outcome: report.status.name(),
        error_type: report.failure_reason.as_deref(),
        ..LogEntry::default()
    };
    payment::log(&mut *tx, &entry).await?;
    if refund.before != Some(report.status) {
        let data = json!({ "refund_id": refund.id, "amount": report.amount, "origin": refund.origin,
                           "reason": report.failure_reason });
        timeline::record(tx, id, &format!("refund.{}", report.status.name()), Actor::Stripe, data).await?;
        if report.status == RefundStatus::Succeeded {
            mail::enqueue_refunded(tx, refund.id, order.user_id).await?;
        }
        order.refunds.push(Settled {
            origin: refund.origin,
            before: refund.before,
            status: report.status,
            amount: report.amount,
            currency: intent.currency,
        });
        if report.status.is_off() {
            came_to_nothing(tx, &mut order, &refund).await?;
        }
    }
    settle(tx, &mut order).await?;
    store::announce(tx, id).await?;
    Ok(Booked::Order(order))
}

/// Gives up a refund that Stripe refuses for good, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn refuse_refund(pool: &PgPool, lease: &Lease, id: RefundId, why: &str) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    let order = give_up(&mut tx, id, why, false).await?;
    lease.complete(&mut tx).await?;
    match order {
        Some(order) => Ok(store::commit(tx, &order).await?),
        None => Ok(tx.commit().await?),
    }
}

/// Notes that nobody asks Stripe for a refund any more, in the transaction in which its job dies. It may have been made all the same:
/// until that is known, its money is not there for another one.
pub(crate) async fn refund_failed(tx: &mut PgConnection, id: RefundId, why: &str) -> sqlx::Result<()> {
    give_up(tx, id, why, true).await.map(|_| ())
}

/// Gives up a refund of which Stripe has not told yet; the order as it is then.
async fn give_up(tx: &mut PgConnection, id: RefundId, why: &str, outcome_unknown: bool) -> sqlx::Result<Option<Order>> {
    let Some(order) = payment::order_of_refund(tx, id).await? else { return Ok(None) };
    let Some(mut order) = store::lock(tx, order).await? else { return Ok(None) }; // orders are locked before their refunds
    let given_up = payment::give_up_refund(tx, id, why, outcome_unknown).await?;
    let Some((refund, currency)) = given_up else { return Ok(None) };
    let data = json!({ "refund_id": id, "origin": refund.origin, "reason": why });
    timeline::record(tx, order.id, "refund.failed", Actor::System, data).await?;
    if !outcome_unknown {
        // The refusal is Stripe's word on it.
        let (origin, before, status, amount) = (refund.origin, refund.before, RefundStatus::Failed, refund.amount);
        order.refunds.push(Settled { origin, before, status, amount, currency });
    }
    came_to_nothing(tx, &mut order, &refund).await?;
    store::announce(tx, order.id).await?;
    Ok(Some(order))
}

/// Has a refund wait again that was given up before Stripe knew of it; false where Stripe knows of it, or so much is no longer left.
pub(crate) async fn refund_again(tx: &mut PgConnection, id: RefundId) -> sqlx::Result<bool> {
    let Some(order) = payment::order_of_refund(tx, id).await? else { return Ok(false) };
    let Some(order) = store::lock(tx, order).await? else { return Ok(false) };
    let waits = payment::refund_again(tx, id).await?;
    if waits {
        timeline::record(tx, order.id, "refund.requested", Actor::System, json!({ "refund_id": id, "again": true }))
            .await?;
        store::announce(tx, order.id).await?;
    }
    Ok(waits)
}

/// Money that was to go back stays here: somebody has to look at it, whoever had asked for it.
async fn came_to_nothing(tx: &mut PgConnection, order: &mut Order, refund: &StoredRefund) -> sqlx::Result<()> {
    tracing::error!(order_id = %order.id, refund_id = %refund.id, origin = refund.origin.name(), "a refund has failed");
    if order.status == Status::PaymentReview && refund.origin == RefundOrigin::Policy {
        store::set_review_reason(tx, order.id, Some("refund_failed")).await?;
    }
    Ok(())
}

/// Sums up what the order has given back, and moves it where that is all that it had received, or no longer is.
pub(super) async fn settle(tx: &mut PgConnection, order: &mut Order) -> sqlx::Result<()> {
    let balance = payment::balance(tx, order.id).await?;
    store::set_refunded_total(tx, order.id, balance.refunded).await?;
    if balance.received_in_any > Money::ZERO && balance.refunded >= balance.received_in_any {
        advance(tx, order, Event::FullyRefunded, Actor::Stripe).await
    } else if order.status == Status::Refunded {
        advance(tx, order, Event::RefundFailed, Actor::Stripe).await
    } else {
        Ok(())
    }
}
