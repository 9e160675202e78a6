//! The intents of an order, as we have them stored.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::{IntentReport, IntentStatus};
use crate::{
    id::{OrderId, PaymentIntentId},
    money::Money,
    order::{Order, Status},
};

/// An order that has no intent at Stripe yet, as far as we know.
#[derive(Clone, Debug)]
pub struct IntentToCreate {
    /// Which order.
    pub order_id: OrderId,
    /// What people call it.
    pub number: i64,
    /// What is to be charged.
    pub amount: Money,
    /// Lower-case ISO 4217 code.
    pub currency: String,
    /// Part of the idempotency key.
    pub generation: i32,
    /// When the order was placed: no try is older than that.
    pub placed_at: DateTime<Utc>,
    /// Whether Stripe may have forgotten a first try's idempotency key, which it keeps for 24 hours
    /// (<https://docs.stripe.com/api/idempotent_requests>).
    pub key_may_be_forgotten: bool,
}

/// What is to be created for an order; `None` when an intent is stored, or the order has ended without one.
///
/// # Errors
/// The database's.
pub async fn intent_to_create(pool: &PgPool, id: OrderId) -> sqlx::Result<Option<IntentToCreate>> {
    sqlx::query_as!(
        IntentToCreate,
        r#"SELECT o.id AS "order_id: OrderId", o.number, o.total AS "amount: Money", o.currency,
                  coalesce((SELECT max(generation) FROM payment_intents p WHERE p.order_id = o.id AND generation > 0), 1) AS "generation!",
                  o.created_at AS placed_at,
                  now() - o.created_at > interval '23 hours' AS "key_may_be_forgotten!"
           FROM orders o
           WHERE o.id = $1 AND o.status = 'pending'
             AND NOT EXISTS (SELECT FROM payment_intents p WHERE p.order_id = o.id AND p.stripe_id IS NOT NULL AND generation > 0)"#,
        id.0
    )
    .fetch_optional(pool)
    .await
}

/// Asks for another intent under another idempotency key, because the answer under the last one is of no use and no intent of the
/// order was found at Stripe.
///
/// # Errors
/// The database's.
pub async fn raise_generation(pool: &PgPool, wanted: &IntentToCreate) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO payment_intents (id, order_id, generation, amount, currency, status)
         VALUES ($1, $2, $3, $4, $5, 'requested') ON CONFLICT DO NOTHING",
        PaymentIntentId::new().0,
        wanted.order_id.0,
        wanted.generation + 1,
        wanted.amount.0,
        wanted.currency,
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// When an intent's row was last written, before Stripe was asked about it: what Stripe answered may be older than what is in the
/// row by then. `None` where there was no row.
pub type Seen = Option<DateTime<Utc>>;

/// An intent that we have stored.
#[derive(Clone, Debug)]
pub struct KnownIntent {
    /// Whose payment it is. That counts for more than its metadata, which can be edited at Stripe.
    pub order_id: OrderId,
    /// `pi_…`
    pub stripe_id: String,
    /// See [`Seen`].
    pub seen: DateTime<Utc>,
}

/// An intent of an order's.
#[derive(Clone, Debug)]
pub(crate) struct OwnIntent {
    /// Ours.
    pub id: PaymentIntentId,
    /// Lower-case ISO 4217 code, which may be another than the order's.
    pub currency: String,
}

/// Which of the order's intents has this id at Stripe.
pub(crate) async fn intent_of(
    tx: &mut PgConnection,
    order: OrderId,
    stripe_id: &str,
) -> sqlx::Result<Option<OwnIntent>> {
    sqlx::query_as!(
        OwnIntent,
        r#"SELECT id AS "id: PaymentIntentId", currency FROM payment_intents WHERE order_id = $1 AND stripe_id = $2"#,
        order.0,
        stripe_id
    )
    .fetch_optional(tx)
    .await
}

/// What we know of an intent of Stripe's.
///
/// # Errors
/// The database's.
pub async fn known_intent(pool: &PgPool, stripe_id: &str) -> sqlx::Result<Option<KnownIntent>> {
    sqlx::query_as!(
        KnownIntent,
        r#"SELECT order_id AS "order_id: OrderId", stripe_id AS "stripe_id!", updated_at AS seen
           FROM payment_intents WHERE stripe_id = $1"#,
        stripe_id
    )
    .fetch_optional(pool)
    .await
}

/// What is to be canceled at Stripe; `None` when the intent has ended, or its order may yet be paid: by its current intent, for one whose
/// current intent was canceled ends with the others.
pub(crate) async fn intent_to_cancel(
    executor: impl PgExecutor<'_>,
    id: PaymentIntentId,
) -> sqlx::Result<Option<KnownIntent>> {
    sqlx::query_as!(
        KnownIntent,
        r#"SELECT p.order_id AS "order_id: OrderId", p.stripe_id AS "stripe_id!", p.updated_at AS seen
           FROM payment_intents p JOIN orders o ON o.id = p.order_id
           WHERE p.id = $1 AND p.stripe_id IS NOT NULL AND p.status NOT IN ('succeeded', 'canceled')
             AND (o.status NOT IN ('pending', 'awaiting_payment', 'processing', 'payment_failed')
                  OR 'canceled' = (SELECT c.status FROM payment_intents c
                                   WHERE c.order_id = o.id AND c.generation > 0 AND c.stripe_id IS NOT NULL
                                   ORDER BY c.generation DESC LIMIT 1))"#,
        id.0
    )
    .fetch_optional(executor)
    .await
}

/// Whose payment an intent is, by our id of it.
pub(crate) async fn order_of_intent(tx: &mut PgConnection, id: PaymentIntentId) -> sqlx::Result<Option<OrderId>> {
    sqlx::query_scalar!(r#"SELECT order_id AS "id: OrderId" FROM payment_intents WHERE id = $1"#, id.0)
        .fetch_optional(tx)
        .await
}

/// An intent's row after what Stripe said was written into it.
#[derive(Clone, Debug)]
pub(crate) struct StoredIntent {
    /// Ours.
    pub id: PaymentIntentId,
    /// Whether it is the one that the shopper was given.
    pub current: bool,
    /// Whether we knew that it has succeeded.
    pub had_succeeded: bool,
    /// Whether another intent of the order had succeeded before.
    pub other_succeeded: bool,
    /// Whether the order has refunds, of this intent or another.
    pub has_refunds: bool,
}

/// What [`store`] did.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// It is written.
    Written(StoredIntent),
    /// The row has changed since Stripe was asked, so the answer may be the older one: nothing is written.
    Stale,
}

/// Writes what Stripe says of an intent into its row, in the transaction that has the order locked; a row that isn't there is
/// made, so that an event which comes before our own reply is stored brings the id. A success stands for ever, and overwrites
/// even a cancelation: money that came must be seen. What is not final is written only into a row that is as it was `seen`.
pub(crate) async fn store(
    tx: &mut PgConnection,
    order: &Order,
    report: &IntentReport,
    seen: Seen,
) -> sqlx::Result<Stored> {
    let rows = find_rows(tx, order.id, &report.stripe_id).await?;
    let known = rows.iter().find(|row| row.stripe_id.as_deref() == Some(&*report.stripe_id));
    let is_its = known.is_none_or(|row| row.order_id == order.id); // only this order is locked
    if !is_its || (!report.status.is_final() && known.map(|row| row.updated_at) != seen) {
        return Ok(Stored::Stale);
    }
    let (row, generation) = match known {
        Some(row) => (Some(row), row.generation),
        None => place(&rows, report),
    };
    let id = row.map_or_else(PaymentIntentId::new, |row| row.id);
    let others = || rows.iter().filter(|other| other.id != id);
    let other_succeeded = others().any(|other| other.succeeded && !other.duplicate);
    let newest = others().filter(|other| other.stripe_id.is_some()).map(|other| other.generation).max();
    let duplicate = other_succeeded && report.status == IntentStatus::Succeeded;
    match row {
        Some(_) => update(tx, id, report, duplicate).await?,
        None => insert(tx, id, order.id, generation, report, duplicate).await?,
    }
    Ok(Stored::Written(StoredIntent {
        id,
        current: generation > 0 && newest.is_none_or(|newest| generation > newest),
        had_succeeded: known.is_some_and(|row| row.succeeded),
        other_succeeded,
        has_refunds: rows.iter().any(|row| row.has_refunds),
    }))
}

/// The row of an intent as it is found.
struct Row {
    id: PaymentIntentId,
    order_id: OrderId,
    generation: i32,
    stripe_id: Option<String>,
    updated_at: DateTime<Utc>,
    succeeded: bool,
    duplicate: bool,
    /// Whether the order has refunds, of this intent or another; there are none without an intent.
    has_refunds: bool,
}

/// The order's rows, and that of this intent of Stripe's, whosever it is.
async fn find_rows(tx: &mut PgConnection, order: OrderId, stripe_id: &str) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: PaymentIntentId", order_id AS "order_id: OrderId", generation, stripe_id, updated_at,
                  status = 'succeeded' AS "succeeded!", duplicate,
                  EXISTS (SELECT FROM refunds WHERE order_id = $1) AS "has_refunds!"
           FROM payment_intents WHERE order_id = $1 OR stripe_id = $2"#,
        order.0,
        stripe_id
    )
    .fetch_all(tx)
    .await
}

/// Where an intent that we see for the first time belongs: the row of its generation that has no id of Stripe's yet, a new row for that
/// generation, or a new one beside (generation 0) where it is taken.
fn place<'a>(rows: &'a [Row], report: &IntentReport) -> (Option<&'a Row>, i32) {
    let asked_for = report.generation.filter(|g| *g > 0).unwrap_or(1);
    match rows.iter().find(|row| row.generation == asked_for) {
        Some(row) if row.stripe_id.is_none() => (Some(row), asked_for),
        Some(_) => (None, 0),
        None => (None, asked_for),
    }
}

/// Writes it into a row that is there, which may have been without its id.
async fn update(
    tx: &mut PgConnection,
    id: PaymentIntentId,
    report: &IntentReport,
    duplicate: bool,
) -> sqlx::Result<()> {
    let error = report.last_error.as_ref();
    sqlx::query!(
        "UPDATE payment_intents
         SET status = CASE WHEN status = 'succeeded' OR status = 'canceled' AND $2 <> 'succeeded' THEN status ELSE $2 END,
             amount = $3,
             currency = $4,
             amount_received = greatest(amount_received, $5),
             client_secret = coalesce($6, client_secret),
             last_error_code = coalesce($7, last_error_code),
             last_error_message = coalesce($8, last_error_message),
             stripe_id = $9,
             duplicate = duplicate OR $10,
             updated_at = clock_timestamp()
         WHERE id = $1",
        id.0,
        report.status.as_str(),
        report.amount.0,
        report.currency,
        report.amount_received.0,
        report.client_secret,
        error.map(|e| e.code.as_str()),
        error.map(|e| e.message.as_str()),
        report.stripe_id,
        duplicate,
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Writes it into a row of its own.
async fn insert(
    tx: &mut PgConnection,
    id: PaymentIntentId,
    order: OrderId,
    generation: i32,
    report: &IntentReport,
    duplicate: bool,
) -> sqlx::Result<()> {
    let error = report.last_error.as_ref();
    sqlx::query!(
        "INSERT INTO payment_intents
           (id, order_id, generation, stripe_id, client_secret, amount, currency, status, amount_received, last_error_code,
            last_error_message, duplicate, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, clock_timestamp())",
        id.0,
        order.0,
        generation,
        report.stripe_id,
        report.client_secret,
        report.amount.0,
        report.currency,
        report.status.as_str(),
        report.amount_received.0,
        error.map(|e| e.code.as_str()),
        error.map(|e| e.message.as_str()),
        duplicate,
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// The order's intents that have not ended at Stripe, as far as we know.
pub(crate) async fn open_intents(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<Vec<PaymentIntentId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: PaymentIntentId" FROM payment_intents
           WHERE order_id = $1 AND stripe_id IS NOT NULL AND status NOT IN ('succeeded', 'canceled')"#,
        order.0
    )
    .fetch_all(tx)
    .await
}

/// The order's current intent while its payment is under way at Stripe: what is to be asked about again.
///
/// # Errors
/// The database's.
pub async fn intent_under_way(pool: &PgPool, order: OrderId) -> sqlx::Result<Option<KnownIntent>> {
    sqlx::query_as!(
        KnownIntent,
        r#"SELECT p.order_id AS "order_id: OrderId", p.stripe_id AS "stripe_id!", p.updated_at AS seen
           FROM payment_intents p JOIN orders o ON o.id = p.order_id
           WHERE p.order_id = $1 AND p.generation > 0 AND p.stripe_id IS NOT NULL AND o.status = $2
           ORDER BY p.generation DESC LIMIT 1"#,
        order.0,
        Status::Processing.name(),
    )
    .fetch_optional(pool)
    .await
}
