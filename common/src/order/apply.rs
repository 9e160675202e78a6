//! What Stripe says of an intent, applied to its order: the one place where a payment moves an order.

use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::{CancelReason, Event, Next, Order, Status, store, timeline};
use crate::{
    actor::Actor,
    cart,
    id::OrderId,
    inventory,
    jobs::{self, CancelIntent, CompleteError, DecrementInventory, Lease},
    mail::{self, Kind},
    payment::{self, IntentReport, IntentStatus, LogEntry, Seen, Stored},
};

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is booked; the order stands here now.
    To(Status),
    /// There is no such order.
    UnknownOrder,
    /// Something newer may have been booked since Stripe was asked: nothing is booked, ask again.
    Stale,
}

/// Where a report comes from, for the payment log.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What Stripe answered, or the event: `create_intent`, `event:payment_intent.succeeded`, …
    pub operation: &'a str,
    /// `req_…`, where Stripe was asked.
    pub stripe_request_id: Option<&'a str>,
    /// What was seen of the intent before Stripe was asked.
    pub seen: Seen,
}

/// What [`book`] did.
pub(crate) enum Booked {
    /// It is booked; the order as it stands then, still locked.
    Order(Order),
    /// See [`Applied::UnknownOrder`] and [`Applied::Stale`].
    Not(Applied),
}

/// Books what Stripe answered about an order's intent, moves the order, and completes the job if `lease` is given, all in one
/// transaction. Where nothing is booked the job is not completed either.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn apply_intent(
    pool: &PgPool,
    lease: Option<&Lease>,
    id: OrderId,
    report: &IntentReport,
    source: Source<'_>,
) -> Result<Applied, CompleteError> {
    let mut tx = pool.begin().await?;
    let order = match book(&mut tx, id, report, source).await? {
        Booked::Order(order) => order,
        Booked::Not(why) => return Ok(why),
    };
    if let Some(lease) = lease {
        lease.complete(&mut tx).await?;
    }
    store::commit(tx, &order).await?;
    Ok(Applied::To(order.status))
}

/// Cancels an order that Stripe will never take a payment for, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn refuse(pool: &PgPool, lease: &Lease, id: OrderId, reason: &str) -> Result<(), CompleteError> {
    let mut tx = pool.begin().await?;
    let Some(mut order) = store::lock(&mut tx, id).await? else {
        lease.complete(&mut tx).await?;
        return Ok(tx.commit().await?);
    };
    timeline::record(&mut tx, id, "payment.refused", Actor::Stripe, json!({ "reason": reason })).await?;
    advance(&mut tx, &mut order, Event::Refused, Actor::Stripe).await?;
    cancel_needless_intents(&mut tx, &order).await?;
    lease.complete(&mut tx).await?;
    Ok(store::commit(tx, &order).await?)
}

/// The body of [`apply_intent`], for callers with a transaction of their own.
pub(crate) async fn book(
    tx: &mut PgConnection,
    id: OrderId,
    report: &IntentReport,
    source: Source<'_>,
) -> sqlx::Result<Booked> {
    let Some(mut order) = store::lock(tx, id).await? else { return Ok(Booked::Not(Applied::UnknownOrder)) };
    let Stored::Written(intent) = payment::store(tx, &order, report, source.seen).await? else {
        return Ok(Booked::Not(Applied::Stale));
    };
    let entry = LogEntry {
        order_id: Some(id),
        operation: source.operation,
        stripe_request_id: source.stripe_request_id,
        stripe_object_id: Some(&report.stripe_id),
        amount: Some(report.amount),
        outcome: report.status.as_str(),
        decline_code: report.last_error.as_ref().map(|e| e.code.as_str()),
        ..LogEntry::default()
    };
    payment::log(&mut *tx, &entry).await?;
    if intent.current {
        advance(tx, &mut order, Event::IntentStored, Actor::Stripe).await?;
    }
    match &report.status {
        IntentStatus::Succeeded if intent.other_succeeded => {
            tracing::error!(order_id = %id, intent = report.stripe_id, "a second intent of one order has succeeded");
            let data = json!({ "intent": report.stripe_id, "amount": report.amount_received });
            timeline::record(tx, id, "payment.duplicate", Actor::Stripe, data).await?;
        }
        IntentStatus::Succeeded => {
            let exact = report.amount_received == order.total && report.currency == order.currency;
            let event = if exact { Event::Succeeded } else { Event::AmountMismatch };
            advance(tx, &mut order, event, Actor::Stripe).await?;
        }
        // An order that is being canceled ends with the last of its intents: until then it can be paid.
        IntentStatus::Canceled if intent.current || order.status == Status::Canceling => {
            if payment::open_intents(tx, id).await?.is_empty() {
                advance(tx, &mut order, Event::IntentCanceled, Actor::Stripe).await?;
            }
        }
        _ if !intent.current => {}
        IntentStatus::Processing => advance(tx, &mut order, Event::Processing, Actor::Stripe).await?,
        IntentStatus::RequiresPaymentMethod if report.last_error.is_some() => {
            advance(tx, &mut order, Event::Declined, Actor::Stripe).await?;
        }
        // The payment that was under way has failed, although its event has not come, or the shopper has begun another since.
        IntentStatus::RequiresPaymentMethod | IntentStatus::Other(_) if order.status == Status::Processing => {
            advance(tx, &mut order, Event::Declined, Actor::Stripe).await?;
        }
        IntentStatus::RequiresPaymentMethod | IntentStatus::Canceled | IntentStatus::Other(_) => {}
    }
    cancel_needless_intents(tx, &order).await?;
    store::announce(tx, id).await?; // its last error may have changed, where its status has not
    Ok(Booked::Order(order))
}

/// Sees to it that nobody can pay an order that is paid, or ended, or about to be: by none of the intents that it ever had, for
/// a shopper may have been shown any of them.
pub(super) async fn cancel_needless_intents(tx: &mut PgConnection, order: &Order) -> sqlx::Result<()> {
    if order.status.awaits_payment() {
        return Ok(());
    }
    for intent in payment::open_intents(tx, order.id).await? {
        jobs::enqueue(tx, &CancelIntent { payment_intent_id: intent }).await?;
    }
    Ok(())
}

/// Moves a locked order as the table says, with all that follows from where it arrives.
pub(super) async fn advance(tx: &mut PgConnection, order: &mut Order, event: Event, actor: Actor) -> sqlx::Result<()> {
    match order.status.next(event) {
        Next::To(status) => enter(tx, order, status, event, actor).await,
        Next::ReserveAgain if reserve_again(tx, order).await? => enter(tx, order, Status::Paid, event, actor).await,
        Next::ReserveAgain => enter(tx, order, Status::PaymentReview, event, actor).await,
        Next::Unchanged | Next::Refused => Ok(()),
    }
}

async fn enter(
    tx: &mut PgConnection,
    order: &mut Order,
    status: Status,
    event: Event,
    actor: Actor,
) -> sqlx::Result<()> {
    let from = order.status;
    store::set_status(tx, order, status).await?;
    match (status, order.cancel_reason) {
        (Status::Paid, Some(_)) => store::set_cancel_reason(tx, order, None).await?,
        (Status::Canceled, None) => {
            let reason = if event == Event::Refused { CancelReason::Refused } else { CancelReason::IntentCanceled };
            store::set_cancel_reason(tx, order, Some(reason)).await?;
        }
        _ => {}
    }
    let data = json!({ "from": from, "reason": order.cancel_reason });
    timeline::record(tx, order.id, &format!("order.{status}"), actor, data).await?;
    match status {
        Status::Paid => {
            jobs::enqueue(tx, &DecrementInventory { order_id: order.id }).await?;
            mail::enqueue(tx, Kind::OrderConfirmed, order).await?;
        }
        Status::PaymentFailed => mail::enqueue(tx, Kind::PaymentFailed, order).await?,
        Status::Canceled => end_unpaid(tx, order).await?,
        Status::PaymentReview => {
            let reason = if event == Event::AmountMismatch { "amount_mismatch" } else { "late_payment" };
            tracing::error!(order_id = %order.id, reason, "an order needs a look: its payment does not fit");
            store::set_review_reason(tx, order.id, reason).await?;
        }
        Status::Pending
        | Status::AwaitingPayment
        | Status::Processing
        | Status::Canceling
        | Status::Fulfilled
        | Status::Refunded => {}
    }
    Ok(())
}

/// Gives back what an unpaid order held: the lines to the cart if its shopper canceled it, then the stock. In this order, which
/// is checkout's: the user's row, the cart, the products.
async fn end_unpaid(tx: &mut PgConnection, order: &Order) -> sqlx::Result<()> {
    if order.cancel_reason == Some(CancelReason::Shopper) {
        let lines = store::lines(tx, order.id).await?;
        cart::put_back(tx, order.user_id, &lines).await?;
    }
    inventory::release(tx, order.id).await?;
    mail::enqueue(tx, Kind::OrderCanceled, order).await
}

/// All lines of a canceled order or none.
async fn reserve_again(tx: &mut PgConnection, order: &Order) -> sqlx::Result<bool> {
    let lines = store::lines(tx, order.id).await?;
    let mut attempt = tx.begin().await?;
    if inventory::reserve(&mut attempt, &lines).await?.len() < lines.len() {
        attempt.rollback().await?;
        return Ok(false);
    }
    inventory::hold_again(&mut attempt, order.id).await?;
    attempt.commit().await?;
    Ok(true)
}
