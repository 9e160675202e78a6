//! The refunds of an order's intents, as we have them stored, and what Stripe says of them.

use std::str::FromStr;

use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use super::Seen;
use crate::{
    id::{OrderId, PaymentIntentId, RefundId},
    jobs::{self, RefundPayment},
    money::Money,
};

/// Stripe's `status` of a refund (<https://docs.stripe.com/refunds>). None is for ever: even one that has succeeded can fail, where
/// the shopper's bank sends it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RefundStatus {
    /// Under way: at Stripe, or still with us.
    Pending,
    /// The shopper has to do something, such as naming a bank account.
    RequiresAction,
    /// The money is with the shopper.
    Succeeded,
    /// The money came back, or never left.
    Failed,
    /// Taken back before it left.
    Canceled,
}

impl RefundStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::RequiresAction, Self::Succeeded, Self::Failed, Self::Canceled];

    /// Its name in the database, which is Stripe's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the money stays with the shop.
    pub fn is_off(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled)
    }
}

impl FromStr for RefundStatus {
    type Err = UnknownRefundStatus;

    /// From what somebody asks for. What Stripe says may be new to us, and is read by `From<&str>`.
    fn from_str(name: &str) -> Result<Self, UnknownRefundStatus> {
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(UnknownRefundStatus)
    }
}

/// Not where a refund can stand.
#[derive(Debug, thiserror::Error)]
#[error("must be pending, requires_action, succeeded, failed or canceled")]
pub struct UnknownRefundStatus;

impl From<&str> for RefundStatus {
    /// One that we have never heard of is taken for one that is under way: it is asked about again.
    fn from(name: &str) -> Self {
        match name {
            "requires_action" => Self::RequiresAction,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => Self::Pending,
        }
    }
}

/// Who asked for a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RefundOrigin {
    /// An administrator.
    Operator,
    /// `UNFULFILLABLE_POLICY`: the order could not be completed.
    Policy,
    /// Nobody: it was the second payment of one order.
    Duplicate,
    /// Somebody at Stripe, in its dashboard for one.
    Stripe,
}

impl RefundOrigin {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Policy => "policy",
            Self::Duplicate => "duplicate",
            Self::Stripe => "stripe",
        }
    }
}

/// The state of a refund at one moment, as Stripe tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundReport {
    /// `re_…`
    pub stripe_id: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// How much of the money goes back.
    pub amount: Money,
    /// `pi_…`: whose money.
    pub intent: Option<String>,
    /// `ch_…`: the same, where no intent is named.
    pub charge: Option<String>,
    /// `metadata.refund_id`, as it was sent to Stripe.
    pub refund_id: Option<RefundId>,
    /// Why it failed, in Stripe's word.
    pub failure_reason: Option<String>,
}

/// A refund that Stripe doesn't know of yet, as far as we know.
#[derive(Clone, Debug)]
pub struct RefundToMake {
    /// Ours.
    pub id: RefundId,
    /// Whose order.
    pub order_id: OrderId,
    /// `pi_…`
    pub intent: String,
    /// How much is to go back.
    pub amount: Money,
    /// Who asked for it.
    pub origin: RefundOrigin,
    /// Part of the idempotency key.
    pub generation: i32,
    /// Whether Stripe may have forgotten a first try's idempotency key, which it keeps for 24 hours
    /// (<https://docs.stripe.com/api/idempotent_requests>).
    pub key_may_be_forgotten: bool,
}

/// What is to be refunded; `None` when Stripe knows of it, or it was given up.
///
/// # Errors
/// The database's.
pub async fn refund_to_make(pool: &PgPool, id: RefundId) -> sqlx::Result<Option<RefundToMake>> {
    sqlx::query_as!(
        RefundToMake,
        r#"SELECT r.id AS "id: RefundId", r.order_id AS "order_id: OrderId", p.stripe_id AS "intent!",
                  r.amount AS "amount: Money", r.origin AS "origin: RefundOrigin", r.generation,
                  now() - r.created_at > interval '23 hours' AS "key_may_be_forgotten!"
           FROM refunds r JOIN payment_intents p ON p.id = r.payment_intent_id
           WHERE r.id = $1 AND r.status = 'pending' AND r.stripe_refund_id IS NULL AND p.stripe_id IS NOT NULL"#,
        id.0
    )
    .fetch_optional(pool)
    .await
}

/// Asks for a refund under another idempotency key, because the answer under the last one is of no use and none of our refunds was
/// found at Stripe.
///
/// # Errors
/// The database's.
pub async fn raise_refund_generation(pool: &PgPool, wanted: &RefundToMake) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE refunds SET generation = $2 + 1 WHERE id = $1 AND generation = $2",
        wanted.id.0,
        wanted.generation
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// A refund of Stripe's that is in our books.
#[derive(Clone, Debug)]
pub struct KnownRefund {
    /// Whose order.
    pub order_id: OrderId,
    /// When its row was last written: see [`Seen`].
    pub seen: Seen,
}

/// What we know of a refund of Stripe's.
///
/// # Errors
/// The database's.
pub async fn known_refund(pool: &PgPool, stripe_id: &str) -> sqlx::Result<Option<KnownRefund>> {
    sqlx::query_as!(
        KnownRefund,
        r#"SELECT order_id AS "order_id: OrderId", updated_at AS "seen?" FROM refunds WHERE stripe_refund_id = $1"#,
        stripe_id
    )
    .fetch_optional(pool)
    .await
}

/// Asks for a refund in the transaction that has the order locked, with the job that makes it. What a policy or a duplicate asks for is
/// asked for once: `None` where it was.
pub(crate) async fn ask_for_refund(
    tx: &mut PgConnection,
    order: OrderId,
    intent: PaymentIntentId,
    amount: Money,
    origin: RefundOrigin,
    reason: Option<&str>,
) -> sqlx::Result<Option<RefundId>> {
    let id = RefundId::new();
    let written = sqlx::query!(
        "INSERT INTO refunds (id, order_id, payment_intent_id, amount, origin, reason) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (payment_intent_id) WHERE origin IN ('policy', 'duplicate') DO NOTHING",
        id.0,
        order.0,
        intent.0,
        amount.0,
        origin.name(),
        reason,
    )
    .execute(&mut *tx)
    .await?;
    if written.rows_affected() == 0 {
        return Ok(None);
    }
    jobs::enqueue(tx, &RefundPayment { refund_id: id }).await?;
    Ok(Some(id))
}

/// What an intent has received and neither gave back nor is about to. The order has to be locked.
pub(crate) async fn refundable(tx: &mut PgConnection, intent: PaymentIntentId) -> sqlx::Result<Money> {
    sqlx::query_scalar!(
        r#"SELECT p.amount_received - coalesce((
             SELECT sum(r.amount) FROM refunds r
             WHERE r.payment_intent_id = p.id
               AND (r.status IN ('pending', 'requires_action', 'succeeded') OR r.outcome_unknown)
           ), 0)::bigint AS "left!: Money"
           FROM payment_intents p WHERE p.id = $1"#,
        intent.0
    )
    .fetch_one(tx)
    .await
}

/// The intent whose money is to go back first: a second payment that is still here, because giving it back has failed; else the one that
/// paid the order. The order has to be locked.
pub(crate) async fn intent_to_refund(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<Option<PaymentIntentId>> {
    sqlx::query_scalar!(
        r#"SELECT p.id AS "id: PaymentIntentId" FROM payment_intents p
           LEFT JOIN LATERAL (
             SELECT sum(r.amount) AS back FROM refunds r
             WHERE r.payment_intent_id = p.id
               AND (r.status IN ('pending', 'requires_action', 'succeeded') OR r.outcome_unknown)
           ) r ON true
           WHERE p.order_id = $1 AND p.status = 'succeeded'
             AND (NOT p.duplicate OR p.amount_received > coalesce(r.back, 0))
           ORDER BY p.duplicate DESC, p.id LIMIT 1"#,
        order.0
    )
    .fetch_optional(tx)
    .await
}

/// What an order has received and given back, duplicates aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Balance {
    /// In the order's currency; nothing where it came in another one.
    pub received: Money,
    /// In whatever currency.
    pub received_in_any: Money,
    /// By refunds that have succeeded.
    pub refunded: Money,
    /// Whether a refund is on its way, or may be.
    pub refund_under_way: bool,
}

/// What an order has received and given back. The order has to be locked.
pub(crate) async fn balance(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<Balance> {
    sqlx::query_as!(
        Balance,
        r#"SELECT coalesce(sum(p.amount_received) FILTER (WHERE p.currency = o.currency), 0)::bigint AS "received!: Money",
                  coalesce(sum(p.amount_received), 0)::bigint AS "received_in_any!: Money",
                  coalesce(sum(r.succeeded), 0)::bigint AS "refunded!: Money",
                  coalesce(bool_or(r.under_way), false) AS "refund_under_way!"
           FROM orders o
           LEFT JOIN payment_intents p ON p.order_id = o.id AND NOT p.duplicate
           LEFT JOIN LATERAL (
             SELECT sum(amount) FILTER (WHERE status = 'succeeded') AS succeeded,
                    bool_or(status IN ('pending', 'requires_action') OR outcome_unknown) AS under_way
             FROM refunds WHERE payment_intent_id = p.id
           ) r ON true
           WHERE o.id = $1"#,
        order.0
    )
    .fetch_one(tx)
    .await
}

/// A refund's row, before what Stripe said was written into it.
#[derive(Clone, Debug)]
pub(crate) struct StoredRefund {
    /// Ours.
    pub id: RefundId,
    /// Who asked for it.
    pub origin: RefundOrigin,
    /// What we took it for; `None` where we had not heard of it.
    pub before: Option<RefundStatus>,
    /// How much was to go back.
    pub amount: Money,
}

/// Writes what Stripe says of a refund into its row, in the transaction that has the order locked. The row is found by Stripe's id,
/// then by ours in the metadata; one that somebody made at Stripe gets a row. `None` where the row was written since Stripe was
/// asked, or is another order's: the answer may be the older one.
pub(crate) async fn store_refund(
    tx: &mut PgConnection,
    order: OrderId,
    intent: PaymentIntentId,
    report: &RefundReport,
    seen: Seen,
) -> sqlx::Result<Option<StoredRefund>> {
    let known = sqlx::query!(
        r#"SELECT id AS "id: RefundId", order_id AS "order_id: OrderId", origin AS "origin: RefundOrigin",
                  status AS "status: RefundStatus", stripe_refund_id, updated_at
           FROM refunds
           WHERE stripe_refund_id = $1 OR (id = $2 AND stripe_refund_id IS NULL AND payment_intent_id = $3)
           ORDER BY stripe_refund_id NULLS LAST LIMIT 1"#,
        report.stripe_id,
        report.refund_id.map(|id| id.0),
        intent.0,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = known else {
        let id = RefundId::new();
        sqlx::query!(
            "INSERT INTO refunds (id, order_id, payment_intent_id, amount, origin, status, stripe_refund_id, failure_reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            id.0,
            order.0,
            intent.0,
            report.amount.0,
            RefundOrigin::Stripe.name(),
            report.status.name(),
            report.stripe_id,
            report.failure_reason,
        )
        .execute(tx)
        .await?;
        return Ok(Some(StoredRefund { id, origin: RefundOrigin::Stripe, before: None, amount: report.amount }));
    };
    let is_newer = row.stripe_refund_id.is_none() || seen == Some(row.updated_at);
    if row.order_id != order || !is_newer {
        return Ok(None);
    }
    sqlx::query!(
        "UPDATE refunds SET stripe_refund_id = $2, status = $3, amount = $4, failure_reason = $5, outcome_unknown = false,
                dismissed_at = CASE WHEN status = $3 THEN dismissed_at END, updated_at = clock_timestamp()
         WHERE id = $1",
        row.id.0,
        report.stripe_id,
        report.status.name(),
        report.amount.0,
        report.failure_reason,
    )
    .execute(&mut *tx)
    .await?;
    if row.stripe_refund_id.is_none() {
        jobs::supersede(tx, &RefundPayment { refund_id: row.id }, "Stripe has told of the refund").await?;
    }
    Ok(Some(StoredRefund { id: row.id, origin: row.origin, before: Some(row.status), amount: report.amount }))
}
