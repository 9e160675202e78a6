//! The payment log: one row for each call to Stripe and for each payment event applied.

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{cause, id::OrderId, money::Money};

/// A row of the log. It holds Stripe's words for what happened, never a secret.
#[derive(Clone, Debug, Default)]
pub struct LogEntry<'a> {
    /// Which order it was about.
    pub order_id: Option<OrderId>,
    /// What was done: `create_intent`, `event:payment_intent.succeeded`, …
    pub operation: &'a str,
    /// `pi_…`, `re_…`
    pub stripe_object_id: Option<&'a str>,
    /// The amount it was about.
    pub amount: Option<Money>,
    /// Lower-case ISO 4217 code, where it may be another than the order's.
    pub currency: Option<&'a str>,
    /// `ok`, `declined`, `error`, or the status that Stripe gave.
    pub outcome: &'a str,
    /// Stripe's error type, or ours for a call that did not come through.
    pub error_type: Option<&'a str>,
    /// The issuer's reason.
    pub decline_code: Option<&'a str>,
    /// `req_…`, to look it up in Stripe's dashboard.
    pub stripe_request_id: Option<&'a str>,
}

/// Adds a row.
///
/// # Errors
/// The database's.
pub async fn log(executor: impl PgExecutor<'_>, entry: &LogEntry<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO payment_logs
           (id, order_id, operation, stripe_object_id, amount, outcome, error_type, decline_code, stripe_request_id, request_id,
            trace_id, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        Uuid::now_v7(),
        entry.order_id.map(|id| id.0),
        entry.operation,
        entry.stripe_object_id,
        entry.amount.map(|m| m.0),
        entry.outcome,
        entry.error_type,
        entry.decline_code,
        entry.stripe_request_id,
        cause::request_id(),
        cause::trace_id(),
        entry.currency,
    )
    .execute(executor)
    .await
    .map(|_| ())
}
