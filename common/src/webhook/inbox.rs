//! The inbox: an event is stored with the job that applies it, in one transaction, before Stripe is answered.

use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};

use crate::{
    cause, db,
    id::{OrderId, WebhookLogId},
    jobs::{self, ProcessWebhook},
    traceparent::TraceId,
};

/// What we must know of an event in order to store it. The rest is kept as it came, so that no type, enum value or API version
/// that we have never heard of can be a reason to refuse it.
#[derive(Debug, Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    livemode: bool,
}

/// A signed body that is no event.
#[derive(Debug, thiserror::Error)]
#[error("the body is not an event")]
pub struct InvalidEvent;

/// An event that can be stored.
#[derive(Debug)]
pub struct Parsed<'a> {
    envelope: Envelope,
    payload: &'a str,
    /// The payment that it is about, if any: `pi_…`, or an id that is no payment's.
    intent: Option<String>,
    /// The order that its metadata name.
    order: Option<OrderId>,
}

impl Parsed<'_> {
    /// `evt_…`
    pub fn id(&self) -> &str {
        &self.envelope.id
    }

    /// `payment_intent.succeeded`, …
    pub fn kind(&self) -> &str {
        &self.envelope.kind
    }
}

/// Reads as much of an event as is needed to store it.
///
/// # Errors
/// When it is not JSON with an `id` and a `type`, or nested deeper than JSON parsers go.
pub fn parse(body: &[u8]) -> Result<Parsed<'_>, InvalidEvent> {
    let payload = str::from_utf8(body).map_err(|_| InvalidEvent)?;
    let envelope: Envelope = serde_json::from_str(payload).map_err(|_| InvalidEvent)?;
    let sane = |s: &str| (1..=255).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic());
    // The whole of it must be readable later on; a parser that skips a field still counts its depth.
    let whole: Value = serde_json::from_str(payload).map_err(|_| InvalidEvent)?;
    if !sane(&envelope.id) || !sane(&envelope.kind) {
        return Err(InvalidEvent);
    }
    let object = &whole["data"]["object"];
    let intent = object["payment_intent"].as_str().or(object["id"].as_str()).filter(|id| sane(id)).map(str::to_owned);
    let order = object["metadata"]["order_id"].as_str().and_then(|id| id.parse().ok());
    Ok(Parsed { envelope, payload, intent, order })
}

/// The payment (`pi_…`, or an id that is no payment's) and the order that a stored event names.
pub(crate) fn names(payload: &str) -> (Option<String>, Option<OrderId>) {
    parse(payload.as_bytes()).map_or((None, None), |event| (event.intent, event.order))
}

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is stored, and a job will apply it, as a part of this trace: that of its order's checkout, where that is known already.
    Stored(Option<TraceId>),
    /// It had been stored before.
    Duplicate,
}

/// Stores an event and enqueues its job; one that is there already is left alone, unless it was given up: then Stripe was asked to
/// send it again, and it gets another job. What follows from it is a part of the trace that its order's checkout began.
///
/// # Errors
/// The database's: then nothing is stored, and Stripe has to send it again.
pub async fn receive(pool: &PgPool, event: &Parsed<'_>) -> sqlx::Result<Received> {
    let mut tx = db::begin(pool).await?;
    let stored = sqlx::query!(
        r#"INSERT INTO webhook_logs AS w (id, stripe_event_id, type, payload, livemode, request_id, trace_id)
           VALUES ($1, $2, $3, $4, $5, $6, coalesce(
             (SELECT trace_id FROM order_events
              WHERE order_id = coalesce((SELECT order_id FROM payment_intents WHERE stripe_id = $8), $9) ORDER BY id LIMIT 1), $7))
           ON CONFLICT (stripe_event_id) DO UPDATE SET status = 'received', error = NULL WHERE w.status = 'failed'
           RETURNING id AS "id: WebhookLogId", trace_id, xmax <> '0' AS "was_given_up!""#,
        WebhookLogId::new().0,
        event.envelope.id,
        event.envelope.kind,
        event.payload,
        event.envelope.livemode,
        cause::request_id(),
        cause::trace_id(),
        event.intent,
        event.order.map(|order| order.0),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(stored) = stored else { return Ok(Received::Duplicate) };
    let trace = stored.trace_id.and_then(|id| id.parse().ok());
    let job = ProcessWebhook { webhook_log_id: stored.id };
    if stored.was_given_up {
        jobs::supersede(&mut tx, &job, "Stripe has sent the event again").await?;
    }
    cause::within(trace, jobs::enqueue(&mut tx, &job)).await?;
    tx.commit().await?;
    Ok(Received::Stored(trace))
}

/// Whether an event of this id (`evt_…`) is in the inbox, and was not given up.
///
/// # Errors
/// The database's.
pub async fn is_stored(pool: &PgPool, stripe_event_id: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM webhook_logs WHERE stripe_event_id = $1 AND status <> 'failed') AS "stored!""#,
        stripe_event_id
    )
    .fetch_one(pool)
    .await
}

/// A stored event that has not been applied yet.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Its row.
    pub id: WebhookLogId,
    /// `payment_intent.succeeded`, …
    pub kind: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// `data.object` as it was when the event happened; null where the event had none.
    pub object: Value,
    /// When it came, in seconds before now, by the database's clock.
    pub age_seconds: f64,
    /// When Stripe made it, likewise; `None` where it doesn't say, or a clock is off.
    pub created_seconds_ago: Option<f64>,
}

/// The event of a job, with one more attempt counted; `None` once it has been applied or ignored.
///
/// # Errors
/// The database's.
pub async fn begin_attempt(pool: &PgPool, id: WebhookLogId) -> sqlx::Result<Option<Inbound>> {
    let row = sqlx::query!(
        r#"UPDATE webhook_logs SET attempts = attempts + 1
           WHERE id = $1 AND status IN ('received', 'parked', 'failed')
           RETURNING type, livemode, payload, extract(epoch FROM now() - created_at)::float8 AS "age_seconds!",
                     extract(epoch FROM now())::float8 AS "now!""#,
        id.0
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| {
        let mut event: Value = serde_json::from_str(&row.payload).unwrap_or_default(); // it parsed when it was stored
        Inbound {
            id,
            kind: row.r#type,
            livemode: row.livemode,
            object: event["data"]["object"].take(),
            age_seconds: row.age_seconds,
            created_seconds_ago: event["created"].as_f64().map(|created| row.now - created).filter(|ago| *ago >= 0.0),
        }
    }))
}

/// Whether an event about this object has come and is about to be applied: then our books are late, and not wrong.
///
/// # Errors
/// The database's.
pub async fn is_about_to_be_told(database: impl PgExecutor<'_>, stripe_id: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM webhook_logs WHERE status = 'received' AND created_at > now() - interval '1 minute' AND strpos(payload, $1) > 0
           ) AS "told!""#,
        stripe_id
    )
    .fetch_one(database)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_needs_an_id_and_a_type_and_nothing_else() {
        assert!(parse(br#"{"id":"evt_1","type":"tomorrow.invented","novelty":[1]}"#).is_ok());
        let deep = format!(r#"{{"id":"evt_1","type":"a.b","data":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        let nul = br#"{"id":"evt_\u0000","type":"a.b"}"#;
        for body in [
            &b""[..],
            b"[]",
            b"{}",
            br#"{"id":1,"type":"a.b"}"#,
            br#"{"id":"","type":"a.b"}"#,
            b"\xff",
            deep.as_bytes(),
            nul,
        ] {
            assert!(parse(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
