//! Disputes: a shopper's bank wants the money back.

use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use super::Seen;
use crate::{
    id::{DisputeId, OrderId},
    money::Money,
};

/// Where a dispute stands, as far as it matters to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DisputeStatus {
    /// An inquiry, open or closed: no money has moved, and nothing is blocked.
    Warning,
    /// The bank has taken the money; Stripe refuses refunds.
    Open,
    /// The money is back with the shop.
    Won,
    /// It is not.
    Lost,
}

impl DisputeStatus {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// Whether nothing follows upon it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Won | Self::Lost)
    }

    /// Whether refunds and fulfilment have to wait.
    pub fn blocks(self) -> bool {
        matches!(self, Self::Open | Self::Lost)
    }
}

impl From<&str> for DisputeStatus {
    /// From Stripe's `status` of a dispute (<https://docs.stripe.com/api/disputes/object#dispute_object-status>). One that we have never
    /// heard of is taken for open: it blocks until it is clear.
    fn from(name: &str) -> Self {
        match name {
            "warning_needs_response" | "warning_under_review" | "warning_closed" => Self::Warning,
            "won" | "prevented" => Self::Won,
            "lost" => Self::Lost,
            _ => Self::Open,
        }
    }
}

/// The state of a dispute at one moment, as Stripe tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeReport {
    /// `dp_…` or `du_…`
    pub stripe_id: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// What is disputed.
    pub amount: Money,
    /// `fraudulent`, `product_not_received`, …
    pub reason: Option<String>,
    /// `pi_…`: whose payment.
    pub intent: Option<String>,
    /// `ch_…`: the same, where no intent is named.
    pub charge: Option<String>,
}

/// A dispute of Stripe's that is in our books.
#[derive(Clone, Debug)]
pub struct KnownDispute {
    /// Whose order.
    pub order_id: OrderId,
    /// When its row was last written: see [`Seen`].
    pub seen: Seen,
}

/// What we know of a dispute of Stripe's.
///
/// # Errors
/// The database's.
pub async fn known_dispute(pool: &PgPool, stripe_id: &str) -> sqlx::Result<Option<KnownDispute>> {
    sqlx::query_as!(
        KnownDispute,
        r#"SELECT order_id AS "order_id: OrderId", updated_at AS "seen?" FROM disputes WHERE stripe_dispute_id = $1"#,
        stripe_id
    )
    .fetch_optional(pool)
    .await
}

/// What [`store_dispute`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredDispute {
    /// It was as Stripe says, or had ended: a late report never undoes an end.
    Unchanged,
    /// It is written.
    Changed,
    /// The row was written since Stripe was asked, or is another order's.
    Stale,
}

/// Writes what Stripe says of a dispute into its row, in the transaction that has the order locked.
pub(crate) async fn store_dispute(
    tx: &mut PgConnection,
    order: OrderId,
    report: &DisputeReport,
    seen: Seen,
) -> sqlx::Result<StoredDispute> {
    let known = sqlx::query!(
        r#"SELECT order_id AS "order_id: OrderId", status AS "status: DisputeStatus", amount, updated_at
           FROM disputes WHERE stripe_dispute_id = $1"#,
        report.stripe_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(row) = known {
        if row.order_id != order {
            return Ok(StoredDispute::Stale);
        }
        if row.status.is_final() || (row.status == report.status && row.amount == report.amount.0) {
            return Ok(StoredDispute::Unchanged);
        }
        if !report.status.is_final() && seen != Some(row.updated_at) {
            return Ok(StoredDispute::Stale);
        }
    }
    sqlx::query!(
        "INSERT INTO disputes (id, order_id, stripe_dispute_id, amount, reason, status) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (stripe_dispute_id) DO UPDATE
           SET status = excluded.status, amount = excluded.amount, reason = excluded.reason, updated_at = clock_timestamp()",
        DisputeId::new().0,
        order.0,
        report.stripe_id,
        report.amount.0,
        report.reason,
        report.status.name(),
    )
    .execute(tx)
    .await?;
    Ok(StoredDispute::Changed)
}

/// Whether a dispute forbids to refund or to fulfil this order.
pub(crate) async fn is_blocked(tx: &mut PgConnection, order: OrderId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM disputes WHERE order_id = $1 AND status IN ('open', 'lost')) AS "blocked!""#,
        order.0
    )
    .fetch_one(tx)
    .await
}
