//! What Stripe says of an order's intent: the one place where a payment moves an order.

use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    Applied, Booked, CancelReason, Event, FoundBy, Order, Source, Status, Unfulfillable,
    advance::{advance, cancel_needless_intents, review_reason},
    refund, store, timeline,
};
use crate::{
    actor::Actor,
    db,
    id::{OrderId, PaymentIntentId},
    jobs::{self, CancelIntent, CompleteError, Lease},
    payment::{self, IntentReport, IntentStatus, KnownIntent, LogEntry, RefundOrigin, Stored, StoredIntent},
    webhook,
};

/// Books what Stripe says of one of the order's intents.
pub(super) async fn book_intent(
    tx: &mut PgConnection,
    id: OrderId,
    report: &IntentReport,
    source: Source<'_>,
    policy: Unfulfillable,
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
        currency: Some(&report.currency),
        outcome: report.status.as_str(),
        decline_code: report.last_error.as_ref().map(|e| e.code.as_str()),
        ..LogEntry::default()
    };
    payment::log(&mut *tx, &entry).await?;
    if report.status == IntentStatus::Succeeded && !intent.had_succeeded {
        order.found_paid_by = found_by(tx, &order, report, source).await?;
    }
    if intent.current {
        advance(tx, &mut order, Event::IntentStored, Actor::Stripe).await?;
    }
    match &report.status {
        IntentStatus::Succeeded => succeeded(tx, &mut order, &intent, report, policy).await?,
        // An order ends with the last of its intents: until then it can be paid. While the first one is still being created, the end of
        // another one says nothing.
        IntentStatus::Canceled if intent.current || order.status != Status::Pending => {
            let open = payment::open_intents(tx, id).await?;
            if open.is_empty() {
                advance(tx, &mut order, Event::IntentCanceled, Actor::Stripe).await?;
            }
            for other in open.into_iter().filter(|_| intent.current) {
                jobs::enqueue(tx, &CancelIntent { payment_intent_id: other }).await?;
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
    if order.moves.is_empty() {
        store::announce(tx, id).await?; // its last error may have changed, where its status has not
    }
    Ok(Booked::Order(order))
}

/// What found this payment, where it was asked about as its order expired or an intent was canceled, and its event has not come by then.
async fn found_by(
    tx: &mut PgConnection,
    order: &Order,
    report: &IntentReport,
    source: Source<'_>,
) -> sqlx::Result<Option<FoundBy>> {
    let by = match (source.operation, order.cancel_reason) {
        ("retrieve_intent", _) | ("cancel_intent", Some(CancelReason::Expired)) => FoundBy::Expiry,
        ("cancel_intent", _) => FoundBy::Cancel,
        _ => return Ok(None), // an event, or a comparison, which counts by itself
    };
    if webhook::is_about_to_be_told(&mut *tx, &report.stripe_id).await? {
        return Ok(None);
    }
    let by_name = by.name();
    tracing::error!(order_id = %order.id, intent = report.stripe_id, by = by_name, "a payment was found that no event has told of");
    Ok(Some(by))
}

/// The money of one of the order's intents is here.
async fn succeeded(
    tx: &mut PgConnection,
    order: &mut Order,
    intent: &StoredIntent,
    report: &IntentReport,
    policy: Unfulfillable,
) -> sqlx::Result<()> {
    if intent.other_succeeded {
        tracing::error!(order_id = %order.id, intent = report.stripe_id, "a second intent of one order has succeeded");
        let data = json!({ "intent": report.stripe_id, "amount": report.amount_received });
        timeline::record(tx, order.id, "payment.duplicate", Actor::Stripe, data).await?;
        return refund::give_back(tx, order.id, intent.id, RefundOrigin::Duplicate, "duplicate_payment").await;
    }
    let exact = report.amount_received == order.total && report.currency == order.currency;
    let event = if exact { Event::Succeeded } else { Event::AmountMismatch };
    let before = order.status;
    advance(tx, order, event, Actor::Stripe).await?;
    let in_review = order.status == Status::PaymentReview && before != order.status;
    if in_review && policy == Unfulfillable::Refund {
        refund::give_back(tx, order.id, intent.id, RefundOrigin::Policy, review_reason(event)).await?;
    }
    if intent.has_refunds {
        refund::settle(tx, order).await?; // they may have come first
    }
    Ok(())
}

/// What is to be canceled at Stripe. Where there is nothing, the job is completed while its order is locked: whoever finds after that that
/// the intent has to be canceled enqueues another, which an unfinished one would have swallowed.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn intent_to_cancel_or_done(
    pool: &PgPool,
    lease: &Lease,
    id: PaymentIntentId,
) -> Result<Option<KnownIntent>, CompleteError> {
    if let Some(intent) = payment::intent_to_cancel(pool, id).await? {
        return Ok(Some(intent));
    }
    let mut tx = db::begin(pool).await?;
    if let Some(order) = payment::order_of_intent(&mut tx, id).await? {
        store::lock(&mut tx, order).await?;
    }
    let intent = payment::intent_to_cancel(&mut *tx, id).await?;
    if intent.is_none() {
        lease.complete(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(intent)
}

/// Cancels an order that Stripe will never take a payment for, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn refuse(pool: &PgPool, lease: &Lease, id: OrderId, reason: &str) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
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
