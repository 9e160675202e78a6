//! The books of reconciliation: what is to be compared with Stripe, and what was found to differ. The worker asks Stripe.

mod left;
mod runs;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

pub use left::{dismiss, left_before, settle};
pub use runs::{Enqueued, ListedDifference, Run, Settled, differences, enqueue, runs};

use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{OrderId, ReconciliationId},
    money::Money,
    payment::{IntentReport, Seen},
};

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = DifferenceKind)]
pub enum Kind {
    /// A payment.
    Intent,
    /// A refund.
    Refund,
    /// A dispute.
    Dispute,
    /// An event that Stripe could not deliver.
    Event,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Intent, Self::Refund, Self::Dispute, Self::Event];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Event => "event",
        }
    }
}

/// What became of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// Our books say what Stripe's say.
    Healed,
    /// Nothing was done, and why.
    Left(String),
}

/// Something that our books and Stripe's do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// `pi_…`, `re_…`, `dp_…` or `evt_…`
    pub stripe_object_id: String,
    /// Whose, where that is known.
    pub order_id: Option<OrderId>,
    /// What our books said.
    pub ours: String,
    /// What Stripe's say.
    pub theirs: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// From when on Stripe's lists are to be read: a day before the last run that was finished, else a month ago, which is as far as
/// Stripe's events reach back (<https://docs.stripe.com/api/events>).
///
/// # Errors
/// The database's.
pub async fn since(pool: &PgPool) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(
             (SELECT max(started_at) - interval '1 day' FROM reconciliation_runs WHERE finished_at IS NOT NULL),
             now() - interval '30 days') AS "since!""#
    )
    .fetch_one(pool)
    .await
}

/// From when on Stripe's refunds are to be read: those of 35 days, for a bank takes up to 30 to send one back
/// (<https://docs.stripe.com/refunds#failed-refunds>), or more where the last run that was finished is longer ago.
///
/// # Errors
/// The database's.
pub async fn refunds_since(pool: &PgPool, since: DateTime<Utc>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"SELECT least($1, now() - interval '35 days') AS "since!""#, since).fetch_one(pool).await
}

/// Notes that a run begins. What somebody began by hand is an act of theirs.
///
/// # Errors
/// The database's.
pub async fn begin(pool: &PgPool, actor: Actor, since: DateTime<Utc>) -> sqlx::Result<ReconciliationId> {
    let id = ReconciliationId::new();
    let mut tx = db::begin(pool).await?;
    sqlx::query!("INSERT INTO reconciliation_runs (id, since) VALUES ($1, $2)", id.0, since).execute(&mut *tx).await?;
    if actor != Actor::System {
        let (object, after) = (Object::Reconciliation(id), Some(json!({ "since": since })));
        let act = Act { action: Action::ReconciliationStarted, object, before: None, after };
        audit::record(&mut tx, actor, act).await?;
    }
    tx.commit().await?;
    Ok(id)
}

/// Notes a difference, in place of what was left of the same object before. One that was dismissed, and is as it was then, is settled.
///
/// # Errors
/// The database's.
pub async fn record(pool: &PgPool, run: ReconciliationId, difference: &Difference) -> sqlx::Result<()> {
    let (outcome, detail) = match &difference.outcome {
        Outcome::Healed => ("healed", None),
        Outcome::Left(why) => ("left", Some(why)),
    };
    sqlx::query!(
        "WITH settled AS (
           UPDATE reconciliation_differences SET settled_at = now()
           WHERE stripe_object_id = $4 AND outcome = 'left' AND settled_at IS NULL)
         INSERT INTO reconciliation_differences
           (id, run_id, kind, stripe_object_id, order_id, ours, theirs, outcome, detail, settled_at)
         VALUES ($1, $2, $3, $4, (SELECT id FROM orders WHERE id = $5), $6, $7, $8, $9,
                 CASE WHEN EXISTS (SELECT FROM reconciliation_differences
                                   WHERE stripe_object_id = $4 AND theirs = $7 AND dismissed) THEN now() END)",
        Uuid::now_v7(),
        run.0,
        difference.kind.name(),
        difference.stripe_object_id,
        difference.order_id.map(|id| id.0),
        difference.ours,
        difference.theirs,
        outcome,
        detail,
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Notes that a run has come to its end: the next one looks back to a day before it began, see [`since`].
///
/// # Errors
/// The database's.
pub async fn finish(pool: &PgPool, run: ReconciliationId, checked: u64) -> sqlx::Result<()> {
    let checked = i64::try_from(checked).unwrap_or(i64::MAX);
    sqlx::query!("UPDATE reconciliation_runs SET finished_at = now(), checked = $2 WHERE id = $1", run.0, checked)
        .execute(pool)
        .await
        .map(|_| ())
}

/// The next intents to be asked about, `limit` of them: those of orders that have not ended, and of those that were canceled within a
/// month, which somebody may have paid all the same.
///
/// # Errors
/// The database's.
pub async fn open_intents(pool: &PgPool, after: Uuid, limit: i64) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"SELECT p.id, p.stripe_id AS "stripe_id!" FROM payment_intents p JOIN orders o ON o.id = p.order_id
           WHERE p.id > $1 AND p.stripe_id IS NOT NULL
             AND (o.status IN ('pending', 'awaiting_payment', 'processing', 'payment_failed', 'canceling')
                  OR (o.status = 'canceled' AND o.updated_at > now() - interval '30 days')
                  OR p.status NOT IN ('succeeded', 'canceled'))
           ORDER BY p.id LIMIT $2"#,
        after,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.stripe_id)).collect())
}

/// The next refunds that Stripe knows of and that have not come to an end, `limit` of them.
///
/// # Errors
/// The database's.
pub async fn open_refunds(pool: &PgPool, after: Uuid, limit: i64) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"SELECT id, stripe_refund_id AS "stripe_id!" FROM refunds
           WHERE id > $1 AND stripe_refund_id IS NOT NULL AND status IN ('pending', 'requires_action')
           ORDER BY id LIMIT $2"#,
        after,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.stripe_id)).collect())
}

/// The next disputes that have not come to an end, `limit` of them.
///
/// # Errors
/// The database's.
pub async fn open_disputes(pool: &PgPool, after: Uuid, limit: i64) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"SELECT id, stripe_dispute_id FROM disputes WHERE id > $1 AND status IN ('warning', 'open') ORDER BY id LIMIT $2"#,
        after,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.stripe_dispute_id)).collect())
}

/// What our books say of an object of Stripe's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InOurBooks {
    /// Whose.
    pub order_id: OrderId,
    /// Where it stands, with what makes it comparable: see [`intent_state`].
    pub state: String,
    /// When that was written.
    pub seen: Seen,
}

/// An intent's state in words, to be compared and to be shown.
pub fn intent_state(status: &str, received: Money, declined: Option<&str>) -> String {
    match (received, declined) {
        (Money::ZERO, None) => status.to_owned(),
        (Money::ZERO, Some(code)) => format!("{status}, declined: {code}"),
        (received, _) => format!("{status}, received {}", received.0),
    }
}

/// What our books say of an intent; `asked` is what Stripe says, whose decline counts only where it says so.
///
/// # Errors
/// The database's.
pub async fn booked_intent(pool: &PgPool, asked: &IntentReport) -> sqlx::Result<Option<InOurBooks>> {
    let row = sqlx::query!(
        r#"SELECT order_id AS "order_id: OrderId", status, amount_received AS "received: Money", last_error_code, updated_at
           FROM payment_intents WHERE stripe_id = $1"#,
        asked.stripe_id
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| {
        let declined = row.last_error_code.filter(|_| asked.last_error.is_some());
        let state = intent_state(&row.status, row.received, declined.as_deref());
        InOurBooks { order_id: row.order_id, state, seen: Some(row.updated_at) }
    }))
}

/// What our books say of a refund.
///
/// # Errors
/// The database's.
pub async fn booked_refund(pool: &PgPool, stripe_id: &str) -> sqlx::Result<Option<InOurBooks>> {
    sqlx::query_as!(
        InOurBooks,
        r#"SELECT order_id AS "order_id: OrderId", status AS state, updated_at AS "seen?" FROM refunds WHERE stripe_refund_id = $1"#,
        stripe_id
    )
    .fetch_optional(pool)
    .await
}

/// What our books say of a dispute.
///
/// # Errors
/// The database's.
pub async fn booked_dispute(pool: &PgPool, stripe_id: &str) -> sqlx::Result<Option<InOurBooks>> {
    sqlx::query_as!(
        InOurBooks,
        r#"SELECT order_id AS "order_id: OrderId", status AS state, updated_at AS "seen?" FROM disputes WHERE stripe_dispute_id = $1"#,
        stripe_id
    )
    .fetch_optional(pool)
    .await
}
