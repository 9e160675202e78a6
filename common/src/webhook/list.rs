//! What is in the inbox, for people.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    db,
    id::{OrderId, WebhookLogId},
    page::{Limit, Page},
};

/// Where an event of the inbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
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
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that stand there.
    pub status: Option<EventStatus>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Only those that came before this one.
    pub before: Option<WebhookLogId>,
    /// At most so many.
    pub limit: Limit,
}

/// One event of the inbox.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StripeEvent)]
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
    #[serde(rename = "last_error")]
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
    /// When somebody put it aside after it was given up.
    pub dismissed_at: Option<DateTime<Utc>>,
}

/// The columns of a [`Listed`] are asked for twice; each query is checked at compile time all the same.
macro_rules! events {
    ($conditions:tt $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Listed,
            r#"SELECT id AS "id: WebhookLogId", stripe_event_id, type AS kind, livemode, status AS "status: EventStatus", attempts,
                      error, order_id AS "order_id: OrderId", request_id, trace_id, created_at, processed_at, dismissed_at
               FROM webhook_logs WHERE "# + $conditions
            $(, $value)*
        )
    };
}

/// A page of the events that match, the newest first.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter) -> sqlx::Result<Page<Listed>> {
    let mut tx = db::begin_list(pool).await?;
    let rows = events!(
        "($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR type = $2) AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        filter.status.map(EventStatus::name),
        filter.kind,
        filter.before.map(|id| id.0),
        filter.limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Page::from_rows(rows, filter.limit, |event| event.id))
}

/// One event, by Stripe's id (`evt_…`) or by ours.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: &str) -> sqlx::Result<Option<Listed>> {
    if id.contains('\0') {
        return Ok(None); // no id has one, and Postgres would refuse it
    }
    let ours = id.parse::<WebhookLogId>().ok().map(|id| id.0);
    events!("stripe_event_id = $1 OR id = $2", id, ours).fetch_optional(pool).await
}

/// One event with what Stripe sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StripeEventWithPayload)]
pub struct Shown {
    /// What became of it.
    #[serde(flatten)]
    pub event: Listed,
    /// What Stripe sent, without secrets.
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// One event with what Stripe sent, by Stripe's id (`evt_…`) or by ours.
///
/// # Errors
/// The database's.
pub async fn show(pool: &PgPool, id: &str) -> sqlx::Result<Option<Shown>> {
    let Some(event) = find(pool, id).await? else { return Ok(None) };
    let payload = payload(pool, event.id).await?;
    Ok(Some(Shown { event, payload }))
}

/// What Stripe sent, without what is good for paying, or for signing: client secrets, and whatever else calls itself a secret.
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
                let is_secret = name == "secret" || name.ends_with("_secret");
                if is_secret && !member.is_null() {
                    *member = WITHHELD.into();
                } else {
                    withhold_secrets(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(withhold_secrets),
        // A client secret is `pi_…_secret_…`; Stripe also writes it into the addresses that a browser is sent to.
        Value::String(text) if text.contains("_secret_") || text.contains("client_secret=") => *value = WITHHELD.into(),
        _ => {}
    }
}

/// What stands where a secret stood.
const WITHHELD: &str = "(withheld)";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_withheld_wherever_they_stand() {
        let mut payload = json!({ "data": { "object": {
            "client_secret": "pi_1_secret_x", "charges": [{ "client_secret": "y" }], "amount": 5, "client_secrets": null,
            "secret": "whsec_1", "ephemeral_secret": { "of": "a structure" }, "setup_secret": null, "secrets_kept": "none",
            "next_action": { "redirect_to_url": { "url": "https://hooks.stripe.com/3ds?client_secret=src_1" } },
            "note": "paid with pi_1_secret_x",
        } } });
        withhold_secrets(&mut payload);
        assert_eq!(
            payload,
            json!({ "data": { "object": {
                "client_secret": "(withheld)", "charges": [{ "client_secret": "(withheld)" }], "amount": 5, "client_secrets": null,
                "secret": "(withheld)", "ephemeral_secret": "(withheld)", "setup_secret": null, "secrets_kept": "none",
                "next_action": { "redirect_to_url": { "url": "(withheld)" } }, "note": "(withheld)",
            } } })
        );
    }
}
