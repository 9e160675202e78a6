//! Moves an order as the table says, with all that follows from where it arrives.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::{CancelReason, Event, Next, Order, Status, store, timeline};
use crate::{
    actor::Actor,
    cart, inventory,
    jobs::{self, CancelIntent, DecrementInventory},
    mail::{self, Kind},
    payment,
};

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

/// Why an order that this brought into review is there.
pub(super) const fn review_reason(event: Event) -> &'static str {
    match event {
        Event::AmountMismatch => "amount_mismatch",
        Event::RefundFailed => "refund_failed",
        _ => "late_payment",
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
    if from == Status::PaymentReview && status == Status::Paid {
        store::set_review_reason(tx, order.id, None).await?;
        order.was_paid = timeline::has(tx, order.id, "order.paid").await?;
    }
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
            let reason = review_reason(event);
            tracing::error!(order_id = %order.id, reason, "an order needs a look: its payment does not fit");
            store::set_review_reason(tx, order.id, Some(reason)).await?;
        }
        // What was paid for and is not named as coming back has gone, whether or not its job was faster.
        Status::Refunded if from == Status::Paid => inventory::sell_held(tx, order.id).await?,
        Status::Refunded => inventory::release(tx, order.id).await?,
        Status::Fulfilled => mail::enqueue(tx, Kind::Shipped, order).await?,
        Status::Pending | Status::AwaitingPayment | Status::Processing | Status::Canceling => {}
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
