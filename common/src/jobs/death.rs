//! What a job's death does to the row that it was about, and how that is undone.

use serde_json::Value;
use sqlx::PgConnection;

use super::payload::{
    CancelIntent, CreateIntent, DecrementInventory, ExpireOrder, Payload, ProcessImage, ProcessWebhook, RefundPayment,
    SendEmail,
};
use crate::{images, mail, order, webhook};

/// Marks the row of a dead job as failed; run in the transaction in which the job dies, wherever that is. A payload that
/// names no row changes nothing, nor does a row whose fate is decided already.
///
/// # Errors
/// The database's.
pub async fn on_death(tx: &mut PgConnection, queue: &str, payload: &Value, error: &str) -> sqlx::Result<()> {
    if let Some(job) = read::<SendEmail>(queue, payload) {
        mail::failed(tx, job.email_id, error).await?;
    }
    if let Some(job) = read::<ProcessWebhook>(queue, payload) {
        webhook::failed(tx, job.webhook_log_id, error).await?;
    }
    if let Some(job) = read::<RefundPayment>(queue, payload) {
        order::refund_failed(tx, job.refund_id, error).await?;
    }
    if let Some(job) = read::<ProcessImage>(queue, payload) {
        images::failed(tx, job.image_id).await?;
    }
    Ok(())
}

/// Marks the row as waiting again, in the transaction in which the job is enqueued again. False where the row needs the job no more.
pub(super) async fn undo(tx: &mut PgConnection, queue: &str, payload: &Value) -> sqlx::Result<bool> {
    if let Some(job) = read::<SendEmail>(queue, payload) {
        return mail::wait_again(tx, job.email_id).await;
    }
    if let Some(job) = read::<ProcessWebhook>(queue, payload) {
        return webhook::wait_again(tx, job.webhook_log_id).await;
    }
    if let Some(job) = read::<RefundPayment>(queue, payload) {
        return order::refund_again(tx, job.refund_id).await;
    }
    if let Some(job) = read::<ProcessImage>(queue, payload) {
        return images::wait_again(tx, job.image_id).await;
    }
    Ok(true)
}

/// Whether an order waits for this job, and nothing else will ever do what it does: without it the order's stock would be held for ever.
pub(super) fn is_owed(queue: &str, payload: &Value) -> bool {
    read::<CreateIntent>(queue, payload).is_some()
        || read::<CancelIntent>(queue, payload).is_some()
        || read::<DecrementInventory>(queue, payload).is_some()
        || read::<ExpireOrder>(queue, payload).is_some()
}

/// Counts the row of a dismissed job no more.
pub(super) async fn dismiss(tx: &mut PgConnection, queue: &str, payload: &Value) -> sqlx::Result<()> {
    if let Some(job) = read::<SendEmail>(queue, payload) {
        mail::dismiss(tx, job.email_id).await?;
    }
    if let Some(job) = read::<ProcessWebhook>(queue, payload) {
        webhook::dismiss(tx, job.webhook_log_id).await?;
    }
    Ok(())
}

fn read<P: Payload>(queue: &str, payload: &Value) -> Option<P> {
    if queue == P::QUEUE.name() { P::deserialize(payload).ok() } else { None }
}
