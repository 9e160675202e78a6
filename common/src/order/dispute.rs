//! What a dispute does to its order: it moves nothing, but blocks refunds and fulfilment, and somebody has to know.

use serde_json::json;
use sqlx::PgConnection;

use super::{Applied, Booked, Order, Source, store, timeline};
use crate::{
    actor::Actor,
    payment::{self, DisputeReport, DisputeStatus, LogEntry, StoredDispute},
};

/// Books what Stripe says of a dispute over the intent `intent` (`pi_…`).
pub(super) async fn book_dispute(
    tx: &mut PgConnection,
    mut order: Order,
    report: &DisputeReport,
    intent: &str,
    source: Source<'_>,
) -> sqlx::Result<Booked> {
    let id = order.id;
    let stored = payment::store_dispute(tx, id, report, source.seen).await?;
    if stored == StoredDispute::Stale {
        return Ok(Booked::Not(Applied::Stale));
    }
    let intent = payment::intent_of(tx, id, intent).await?;
    let entry = LogEntry {
        order_id: Some(id),
        operation: source.operation,
        stripe_request_id: source.stripe_request_id,
        stripe_object_id: Some(&report.stripe_id),
        amount: Some(report.amount),
        currency: intent.as_ref().map(|intent| intent.currency.as_str()),
        outcome: report.status.name(),
        error_type: report.reason.as_deref(),
        ..LogEntry::default()
    };
    payment::log(&mut *tx, &entry).await?;
    if stored == StoredDispute::Changed {
        match report.status {
            DisputeStatus::Open => tracing::error!(order_id = %id, dispute = report.stripe_id, "a payment is disputed"),
            DisputeStatus::Lost => tracing::error!(order_id = %id, dispute = report.stripe_id, "a dispute is lost"),
            DisputeStatus::Warning | DisputeStatus::Won => {}
        }
        let data = json!({ "dispute": report.stripe_id, "amount": report.amount, "reason": report.reason });
        timeline::record(tx, id, &format!("dispute.{}", report.status.name()), Actor::Stripe, data).await?;
        order.disputes.push(report.status);
        store::announce(tx, id).await?;
    }
    Ok(Booked::Order(order))
}
