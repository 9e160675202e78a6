//! What is in the inbox, for people.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;

use crate::id::{OrderId, WebhookLogId};

/// Where an event of the inbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EventStatus {
    /// It waits to be applied.
    Received,
    /// It was applied.
    Processed,
    /// It was not for us.
    Ignored,
    /// What it is about isn't known yet: it is looked at again.
    Parked,
    /// It was given up, and waits for somebody.
    Failed,
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Received, Self::Processed, Self::Ignored, Self::Parked, Self::Failed];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processed => "processed",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for EventStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EventStatus {
    type Err = UnknownEventStatus;

    fn from_str(name: &str) -> Result<Self, UnknownEventStatus> {
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(UnknownEventStatus)
    }
}

/// Not where an event can stand.
#[derive(Debug, thiserror::Error)]
#[error("must be received, processed, ignored, parked or failed")]
pub struct UnknownEventStatus;

/// Which events to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only those that stand there.
    pub status: Option<EventStatus>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// At most as many.
    pub limit: i64,
}

/// One event of the inbox.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Ours.
    pub id: WebhookLogId,
    /// `evt_…`
    pub stripe_event_id: String,
    /// `payment_intent.succeeded`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// Where it stands.
    pub status: EventStatus,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it was ignored, is parked, or was given up.
    pub error: Option<String>,
    /// The order that it was applied to.
    pub order_id: Option<OrderId>,
    /// The request that brought it.
    pub request_id: Option<String>,
    /// The trace that it is part of: that of its order's checkout, where that is known.
    pub trace_id: Option<String>,
    /// When it came.
    pub created_at: DateTime<Utc>,
    /// When it was applied or ignored.
    pub processed_at: Option<DateTime<Utc>>,
}

/// The newest events that match.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, filter: &Filter) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"SELECT id AS "id: WebhookLogId", stripe_event_id, type AS kind, livemode, status AS "status: EventStatus", attempts,
                  error, order_id AS "order_id: OrderId", request_id, trace_id, created_at, processed_at
           FROM webhook_logs
           WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR type = $2)
           ORDER BY id DESC LIMIT $3"#,
        filter.status.map(EventStatus::name),
        filter.kind,
        filter.limit,
    )
    .fetch_all(pool)
    .await
}

/// One event, by Stripe's id (`evt_…`) or by ours.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: &str) -> sqlx::Result<Option<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"SELECT id AS "id: WebhookLogId", stripe_event_id, type AS kind, livemode, status AS "status: EventStatus", attempts,
                  error, order_id AS "order_id: OrderId", request_id, trace_id, created_at, processed_at
           FROM webhook_logs WHERE stripe_event_id = $1 OR id = $2"#,
        id,
        id.parse::<WebhookLogId>().ok().map(|id| id.0),
    )
    .fetch_optional(pool)
    .await
}

/// What Stripe sent, without client secrets, which are good for paying.
///
/// # Errors
/// The database's.
pub async fn payload(pool: &PgPool, id: WebhookLogId) -> sqlx::Result<Value> {
    let text = sqlx::query_scalar!("SELECT payload FROM webhook_logs WHERE id = $1", id.0).fetch_one(pool).await?;
    let mut payload: Value = serde_json::from_str(&text).unwrap_or_default(); // it parsed when it was stored
    withhold_secrets(&mut payload);
    Ok(payload)
}

fn withhold_secrets(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name.ends_with("client_secret") && member.is_string() {
                    *member = "(withheld)".into();
                } else {
                    withhold_secrets(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(withhold_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn client_secrets_are_withheld_wherever_they_stand() {
        let mut payload = json!({ "data": { "object": { "client_secret": "pi_1_secret_x", "charges": [{ "client_secret": "y" }],
                                                        "amount": 5, "client_secrets": null } } });
        withhold_secrets(&mut payload);
        assert_eq!(
            payload,
            json!({ "data": { "object": { "client_secret": "(withheld)", "charges": [{ "client_secret": "(withheld)" }],
                                          "amount": 5, "client_secrets": null } } })
        );
    }
}
