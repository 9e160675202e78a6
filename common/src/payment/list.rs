//! The payment log, for people.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    db,
    id::{OrderId, PaymentLogId},
    money::Money,
    page::Page,
};

/// What people call an order: its id or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// Its id.
    Id(OrderId),
    /// Its number.
    Number(i64),
}

/// Neither an id nor a number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an order's id or its number")]
pub struct NotAnOrder;

impl FromStr for OrderRef {
    type Err = NotAnOrder;

    fn from_str(raw: &str) -> Result<Self, NotAnOrder> {
        let is_number = raw.bytes().all(|b| b.is_ascii_digit());
        let parsed = if is_number { raw.parse().ok().map(Self::Number) } else { raw.parse().ok().map(Self::Id) };
        parsed.ok_or(NotAnOrder)
    }
}

/// Which rows of the log to list.
#[derive(Clone, Debug, Default)]
pub struct ListPayments {
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
    pub limit: usize,
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
pub async fn list(pool: &PgPool, wanted: &ListPayments) -> sqlx::Result<Page<LoggedPayment>> {
    let mut tx = db::begin_list(pool).await?;
    let order = match wanted.order {
        None => None,
        Some(OrderRef::Id(id)) => Some(id),
        Some(OrderRef::Number(number)) => {
            let id = sqlx::query_scalar!(r#"SELECT id AS "id: OrderId" FROM orders WHERE number = $1"#, number);
            match id.fetch_optional(&mut *tx).await? {
                None => return Ok(Page { items: vec![], next_cursor: None }),
                found => found,
            }
        }
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
        wanted.operation,
        wanted.outcome,
        wanted.error_type,
        wanted.before.map(|id| id.0),
        i64::try_from(wanted.limit).unwrap_or(i64::MAX).saturating_add(1),
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Page::from_rows(rows, wanted.limit, |row| row.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_named_by_its_number_or_its_id() {
        let id = OrderId::new();
        assert_eq!(id.to_string().parse(), Ok(OrderRef::Id(id)));
        assert_eq!("1002".parse(), Ok(OrderRef::Number(1002)));
        for neither in ["", "-1", "+1", "1.0", "abc", "9223372036854775808"] {
            assert_eq!(neither.parse::<OrderRef>(), Err(NotAnOrder), "{neither}");
        }
    }
}
