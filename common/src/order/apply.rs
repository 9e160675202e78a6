//! What Stripe says, by an answer or by an event, applied to the order that it is about: in one transaction with all that follows.

use sqlx::{PgConnection, PgPool};

use super::{Order, Status, Unfulfillable, dispute::book_dispute, intent::book_intent, refund::book_refund, store};
use crate::{
    db,
    id::OrderId,
    jobs::{CompleteError, Lease},
    payment::{DisputeReport, IntentReport, RefundReport, Seen},
};

/// What Stripe says.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// Of an intent of the order's.
    Intent(&'a IntentReport),
    /// Of a refund of its money.
    Refund(&'a RefundReport, Payment<'a>),
    /// Of a dispute over its money.
    Dispute(&'a DisputeReport, Payment<'a>),
}

/// The payment that a refund or a dispute is about.
#[derive(Clone, Copy, Debug)]
pub struct Payment<'a> {
    /// `pi_…`
    pub intent: &'a str,
    /// What Stripe says of it, where our tables didn't know it: it is booked first.
    pub unknown: Option<&'a IntentReport>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is booked; the order stands here now.
    To(Status),
    /// There is no such order.
    UnknownOrder,
    /// Something newer may have been booked since Stripe was asked: nothing is booked, ask again.
    Stale,
}

/// Where news come from, for the payment log.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What Stripe answered, or the event: `create_intent`, `event:payment_intent.succeeded`, …
    pub operation: &'a str,
    /// `req_…`, where Stripe was asked.
    pub stripe_request_id: Option<&'a str>,
    /// What was seen of the intent, refund or dispute before Stripe was asked.
    pub seen: Seen,
}

/// What [`book`] did.
pub(crate) enum Booked {
    /// It is booked; the order as it stands then, still locked.
    Order(Order),
    /// See [`Applied::UnknownOrder`] and [`Applied::Stale`].
    Not(Applied),
}

/// Books what Stripe says, moves the order, and completes the job if `lease` is given, all in one transaction. Where nothing is
/// booked the job is not completed either.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn apply(
    pool: &PgPool,
    lease: Option<&Lease>,
    id: OrderId,
    news: News<'_>,
    source: Source<'_>,
    policy: Unfulfillable,
) -> Result<Applied, CompleteError> {
    let mut tx = db::begin(pool).await?;
    let order = match book(&mut tx, id, news, source, policy).await? {
        Booked::Order(order) => order,
        Booked::Not(why) => return Ok(why),
    };
    if let Some(lease) = lease {
        lease.complete(&mut tx).await?;
    }
    store::commit(tx, &order).await?;
    Ok(Applied::To(order.status))
}

/// The body of [`apply`], for callers with a transaction of their own.
pub(crate) async fn book(
    tx: &mut PgConnection,
    id: OrderId,
    news: News<'_>,
    source: Source<'_>,
    policy: Unfulfillable,
) -> sqlx::Result<Booked> {
    match news {
        News::Intent(report) => book_intent(tx, id, report, source, policy).await,
        News::Refund(report, payment) => match book_payment(tx, id, payment, source, policy).await? {
            Booked::Order(order) => book_refund(tx, order, report, payment.intent, source).await,
            not => Ok(not),
        },
        News::Dispute(report, payment) => match book_payment(tx, id, payment, source, policy).await? {
            Booked::Order(order) => book_dispute(tx, order, report, payment.intent, source).await,
            not => Ok(not),
        },
    }
}

/// The payment first, where it is news as well.
async fn book_payment(
    tx: &mut PgConnection,
    id: OrderId,
    payment: Payment<'_>,
    source: Source<'_>,
    policy: Unfulfillable,
) -> sqlx::Result<Booked> {
    if let Some(report) = payment.unknown {
        return book_intent(tx, id, report, Source { seen: None, ..source }, policy).await;
    }
    Ok(store::lock(tx, id).await?.map_or(Booked::Not(Applied::UnknownOrder), Booked::Order))
}
