//! What an administrator sees of an order, beyond what its shopper does.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{CancelReason, OrderView, view::view_by};
use crate::{
    db,
    id::{DisputeId, OrderId, RefundId, UserId},
    money::Money,
    payment::{DisputeStatus, RefundOrigin, RefundStatus},
};

/// An order as the API shows it to administrators.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AdminOrder)]
pub struct AdminOrderView {
    /// What its shopper sees, without the client secret, which is nobody else's.
    #[serde(flatten)]
    pub order: OrderView,
    /// Whose it is.
    pub user: Shopper,
    /// Why it is in review, or was when it was refunded.
    pub review_reason: Option<String>,
    /// Why it is being canceled, or was.
    pub cancel_reason: Option<CancelReason>,
    /// Its refunds, the oldest first.
    pub refunds: Vec<RefundView>,
    /// Its disputes, the oldest first.
    pub disputes: Vec<DisputeView>,
}

/// Whose order it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Shopper {
    /// The account.
    pub id: UserId,
    /// Where mails go.
    pub email: String,
    /// What they are called.
    pub name: Option<String>,
}

/// A refund of an order's.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundView {
    /// Ours.
    pub id: RefundId,
    /// Minor units.
    pub amount: Money,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
    /// Where it stands.
    pub status: RefundStatus,
    /// Who asked for it.
    pub origin: RefundOrigin,
    /// `re_…`, once Stripe knows of it.
    pub stripe_refund_id: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// Whether it was given up without knowing what became of it at Stripe.
    pub outcome_unknown: bool,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A dispute over an order's payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Dispute)]
pub struct DisputeView {
    /// Ours.
    pub id: DisputeId,
    /// `dp_…` or `du_…`
    pub stripe_dispute_id: String,
    /// Minor units.
    pub amount: Money,
    /// `fraudulent`, `product_not_received`, …
    pub reason: Option<String>,
    /// Where it stands.
    pub status: DisputeStatus,
    /// When we heard of it.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One order, whoever's it is, as it was at one moment with all that belongs to it. `key` is the publishable one.
///
/// # Errors
/// The database's.
pub async fn admin_view(pool: &PgPool, id: OrderId, key: &str) -> sqlx::Result<Option<AdminOrderView>> {
    let mut tx = db::begin_snapshot(pool).await?;
    let Some(row) = sqlx::query!(
        r#"SELECT u.id AS "user_id: UserId", u.email::text AS "email!", u.name, o.review_reason,
                  o.cancel_reason AS "cancel_reason: CancelReason"
           FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id = $1"#,
        id.0
    )
    .fetch_optional(&mut *tx)
    .await?
    else {
        return Ok(None);
    };
    let Some(mut order) = view_by(&mut tx, row.user_id, id, key).await? else { return Ok(None) };
    order.payment.client_secret = None;
    let refunds = sqlx::query_as!(
        RefundView,
        r#"SELECT id AS "id: RefundId", amount AS "amount: Money", reason, status AS "status: RefundStatus",
                  origin AS "origin: RefundOrigin", stripe_refund_id, failure_reason, outcome_unknown, created_at, updated_at
           FROM refunds WHERE order_id = $1 ORDER BY id"#,
        id.0
    )
    .fetch_all(&mut *tx)
    .await?;
    let disputes = sqlx::query_as!(
        DisputeView,
        r#"SELECT id AS "id: DisputeId", stripe_dispute_id, amount AS "amount: Money", reason,
                  status AS "status: DisputeStatus", created_at, updated_at
           FROM disputes WHERE order_id = $1 ORDER BY id"#,
        id.0
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Some(AdminOrderView {
        order,
        user: Shopper { id: row.user_id, email: row.email, name: row.name },
        review_reason: row.review_reason,
        cancel_reason: row.cancel_reason,
        refunds,
        disputes,
    }))
}
