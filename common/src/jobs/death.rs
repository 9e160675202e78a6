//! What a job's death does to the row that it was about.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::queue::Queue;

/// Marks the row of a dead job as failed; run in the transaction in which the job dies, wherever that is. A payload that
/// names no row changes nothing, nor does a row whose fate is decided already.
pub async fn on_death(conn: &mut PgConnection, queue: &str, payload: &Value, error: &str) -> sqlx::Result<()> {
    let id = |field: &str| payload.get(field).and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
    if queue == Queue::SEND_EMAIL.name() {
        if let Some(email_id) = id("email_id") {
            sqlx::query!(
                "UPDATE emails SET status = 'failed', error = $2 WHERE id = $1 AND status = 'pending'",
                email_id,
                error
            )
            .execute(conn)
            .await?;
        }
    } else if queue == Queue::PROCESS_WEBHOOK.name()
        && let Some(webhook_log_id) = id("webhook_log_id")
    {
        sqlx::query!(
            "UPDATE webhook_logs SET status = 'failed', error = $2 WHERE id = $1 AND status IN ('received', 'parked')",
            webhook_log_id,
            error
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}
