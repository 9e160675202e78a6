//! The payment log, for people.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    db,
    id::{OrderId, PaymentLogId},
    money::Money,
    order::OrderRef,
    page::{Limit, Page},
};

/// Which rows of the log to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this order.
    pub order: Option<OrderRef>,
    /// Those that did this.
    pub operation: Option<String>,
    /// Those that ended so.
    pub outcome: Option<String>,
    /// Those with this type of error.
    pub error_type: Option<String>,
    /// Those that were written before this one.
    pub before: Option<PaymentLogId>,
    /// At most so many.
    pub limit: Limit,
}

/// A call to Stripe, or a payment event that was applied.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PaymentLogEntry)]
pub struct LoggedPayment {
    /// Its id.
    pub id: PaymentLogId,
    /// The order that it was about.
    pub order_id: Option<OrderId>,
    /// What people call that order.
    pub order_number: Option<i64>,
    /// What was done: `create_intent`, `event:payment_intent.succeeded`, …
    pub operation: String,
    /// `pi_…`, `re_…`
    pub stripe_object_id: Option<String>,
    /// Minor units.
    pub amount: Option<Money>,
    /// Lower-case ISO 4217 code: that of the payment, which may be another than the order's.
    pub currency: Option<String>,
    /// `ok`, `declined`, `error`, or the status that Stripe gave.
    pub outcome: String,
    /// Stripe's error type, or ours for a call that did not come through.
    pub error_type: Option<String>,
    /// The issuer's reason.
    pub decline_code: Option<String>,
    /// `req_…`, to look it up in Stripe's dashboard.
    pub stripe_request_id: Option<String>,
    /// The request that it follows from.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A page of the log, the newest first.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter) -> sqlx::Result<Page<LoggedPayment>> {
    let mut tx = db::begin_list(pool).await?;
    let order = match filter.order {
        None => None,
        Some(order) => match order.id(&mut *tx).await? {
            None => return Ok(Page { items: vec![], next_cursor: None }),
            found => found,
        },
    };
    let rows = sqlx::query_as!(
        LoggedPayment,
        r#"SELECT l.id AS "id: PaymentLogId", l.order_id AS "order_id: OrderId", o.number AS "order_number?", l.operation,
                  l.stripe_object_id, l.amount AS "amount: Money", coalesce(l.currency, o.currency) AS currency, l.outcome, l.error_type,
                  l.decline_code, l.stripe_request_id, l.request_id, l.trace_id, l.created_at
           FROM payment_logs l LEFT JOIN orders o ON o.id = l.order_id
           WHERE ($1::uuid IS NULL OR l.order_id = $1)
             AND ($2::text IS NULL OR l.operation = $2)
             AND ($3::text IS NULL OR l.outcome = $3)
             AND ($4::text IS NULL OR l.error_type = $4)
             AND ($5::uuid IS NULL OR l.id < $5)
           ORDER BY l.id DESC LIMIT $6"#,
        order.map(|id| id.0),
        filter.operation,
        filter.outcome,
        filter.error_type,
        filter.before.map(|id| id.0),
        filter.limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Page::from_rows(rows, filter.limit, |row| row.id))
}
