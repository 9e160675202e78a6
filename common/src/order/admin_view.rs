//! What an administrator sees of an order, beyond what its shopper does.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{CancelReason, OrderView, view::views_of};
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
    /// What was sent, once the order was fulfilled.
    pub shipment: Option<ShipmentView>,
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
    /// Lower-case ISO 4217 code: that of the payment, which may be another than the order's.
    pub currency: String,
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
    /// When somebody put it aside after it had failed, or was canceled.
    pub dismissed_at: Option<DateTime<Utc>>,
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
    /// Lower-case ISO 4217 code: that of the payment, which may be another than the order's.
    pub currency: String,
    /// `fraudulent`, `product_not_received`, …
    pub reason: Option<String>,
    /// Where it stands.
    pub status: DisputeStatus,
    /// When we heard of it.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Shipment)]
pub struct ShipmentView {
    /// Who brings it.
    pub carrier: Option<String>,
    /// Under which number the carrier knows it.
    pub tracking_number: Option<String>,
    /// When it was booked.
    pub created_at: DateTime<Utc>,
}

/// One order, whoever's it is, as it was at one moment with all that belongs to it. `key` is the publishable one.
///
/// # Errors
/// The database's.
pub async fn admin_view(pool: &PgPool, id: OrderId, key: &str) -> sqlx::Result<Option<AdminOrderView>> {
    let mut tx = db::begin_snapshot(pool).await?;
    Ok(admin_views(&mut tx, &[id.0], key).await?.pop())
}

/// These orders, the newest first, in the caller's snapshot.
pub(super) async fn admin_views(tx: &mut PgConnection, ids: &[Uuid], key: &str) -> sqlx::Result<Vec<AdminOrderView>> {
    let mut orders = views_of(tx, ids, key).await?.into_iter();
    let rows = sqlx::query!(
        r#"SELECT u.id AS "user_id: UserId", u.email::text AS "email!", u.name, o.review_reason,
                  o.cancel_reason AS "cancel_reason: CancelReason", s.carrier AS "carrier?",
                  s.tracking_number AS "tracking_number?", s.created_at AS "shipped_at?"
           FROM orders o JOIN users u ON u.id = o.user_id LEFT JOIN shipments s ON s.order_id = o.id
           WHERE o.id = ANY($1) ORDER BY o.id DESC"#,
        ids
    )
    .fetch_all(&mut *tx)
    .await?;
    let (mut refunds, mut disputes) = (refunds(tx, ids).await?, disputes(tx, ids).await?);
    let views = rows.into_iter().filter_map(|row| {
        let mut order = orders.next()?;
        order.payment.client_secret = None;
        let shipped =
            |created_at| ShipmentView { carrier: row.carrier, tracking_number: row.tracking_number, created_at };
        Some(AdminOrderView {
            user: Shopper { id: row.user_id, email: row.email, name: row.name },
            review_reason: row.review_reason,
            cancel_reason: row.cancel_reason,
            refunds: refunds.extract_if(.., |(of, _)| *of == order.id).map(|(_, refund)| refund).collect(),
            disputes: disputes.extract_if(.., |(of, _)| *of == order.id).map(|(_, dispute)| dispute).collect(),
            shipment: row.shipped_at.map(shipped),
            order,
        })
    });
    Ok(views.collect())
}

async fn refunds(tx: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<(OrderId, RefundView)>> {
    let rows = sqlx::query!(
        r#"SELECT r.id AS "id: RefundId", r.order_id AS "order_id: OrderId", r.amount AS "amount: Money", p.currency, r.reason,
                  r.status AS "status: RefundStatus", r.origin AS "origin: RefundOrigin", r.stripe_refund_id,
                  r.failure_reason, r.outcome_unknown, r.dismissed_at, r.created_at, r.updated_at
           FROM refunds r JOIN payment_intents p ON p.id = r.payment_intent_id WHERE r.order_id = ANY($1) ORDER BY r.id"#,
        orders
    )
    .fetch_all(tx)
    .await?;
    let views = rows.into_iter().map(|row| {
        let refund = RefundView {
            id: row.id,
            amount: row.amount,
            currency: row.currency,
            reason: row.reason,
            status: row.status,
            origin: row.origin,
            stripe_refund_id: row.stripe_refund_id,
            failure_reason: row.failure_reason,
            outcome_unknown: row.outcome_unknown,
            dismissed_at: row.dismissed_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        (row.order_id, refund)
    });
    Ok(views.collect())
}

async fn disputes(tx: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<(OrderId, DisputeView)>> {
    let rows = sqlx::query!(
        r#"SELECT d.id AS "id: DisputeId", d.order_id AS "order_id: OrderId", d.stripe_dispute_id, d.amount AS "amount: Money",
                  coalesce(l.currency, o.currency) AS "currency!", d.reason, d.status AS "status: DisputeStatus", d.created_at,
                  d.updated_at
           FROM disputes d JOIN orders o ON o.id = d.order_id
           -- Which payment it is over stands in the log alone.
           LEFT JOIN LATERAL (
             SELECT currency FROM payment_logs
             WHERE order_id = d.order_id AND stripe_object_id = d.stripe_dispute_id AND currency IS NOT NULL
             ORDER BY id DESC LIMIT 1) l ON true
           WHERE d.order_id = ANY($1) ORDER BY d.id"#,
        orders
    )
    .fetch_all(tx)
    .await?;
    let views = rows.into_iter().map(|row| {
        let dispute = DisputeView {
            id: row.id,
            stripe_dispute_id: row.stripe_dispute_id,
            amount: row.amount,
            currency: row.currency,
            reason: row.reason,
            status: row.status,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        (row.order_id, dispute)
    });
    Ok(views.collect())
}
