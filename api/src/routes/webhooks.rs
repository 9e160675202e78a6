//! `POST /webhooks/stripe`: an event is checked and stored, nothing more; a job applies it.

use axum::{
    Json,
    extract::{DefaultBodyLimit, State},
};
use common::webhook::{self, InvalidEvent, InvalidSignature, Received};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    cause,
    extract::RawBody,
    openapi::{Problems, tells},
    problem::{Kind, Problem, kinds},
    state::AppState,
};

/// Where Stripe sends its events.
pub(crate) const PATH: &str = "/webhooks/stripe";

/// Largest event, in bytes.
const EVENT_LIMIT: usize = 1024 * 1024;

const EVENTS_RECEIVED: &str = "kassa_webhook_events_received_total";

/// Tells what the metric means, and begins to count.
pub(crate) fn describe() {
    metrics::describe_counter!(
        EVENTS_RECEIVED,
        "Events that somebody sent, by what became of them: stored, duplicate, not_stored, invalid_signature or malformed."
    );
    for outcome in ["duplicate", "invalid_signature", "malformed", "not_stored", "stored"] {
        metrics::counter!(EVENTS_RECEIVED, "outcome" => outcome).increment(0);
    }
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(receive)).layer(DefaultBodyLimit::max(EVENT_LIMIT))
}

/// What is read of an event of Stripe's; it may have any other member.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document; it is read from its bytes, once its signature has been verified")]
struct Event {
    /// `evt_…`
    id: String,
    r#type: String,
    data: EventData,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "as `Event`")]
struct EventData {
    object: Map<String, Value>,
}

/// The event is stored.
#[derive(Serialize, ToSchema)]
struct Receipt {
    received: bool,
}

/// Take an event of Stripe's
///
/// It is stored, and applied soon. One that was stored before, or of a type that is of no use here, is answered in the same way. At
/// most 1 MiB; 503 makes Stripe send it again.
#[utoipa::path(
    post, path = "/webhooks/stripe", operation_id = "receive_stripe_event", tag = "webhooks",
    params(("Stripe-Signature" = String, Header, description = "`t=…,v1=…`, over the bytes of the body, not older than five minutes.")),
    request_body = Event,
    responses((status = 200, description = "It is stored.", body = Receipt), Problems<InvalidSignature>),
    security(())
)]
async fn receive(
    State(app): State<AppState>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<Receipt>, Problem> {
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = app.clock.now();
    if let Err(error) = webhook::verify(&body, signature, &app.config.stripe_webhook_secrets, now) {
        count("invalid_signature");
        return Err(error.into());
    }
    let event = webhook::parse(&body).inspect_err(|_| count("malformed"))?;
    let received = webhook::receive(&app.webhooks, &event).await.inspect_err(|_| count("not_stored"))?;
    count(match received {
        Received::Stored(trace) => {
            cause::link(trace);
            "stored"
        }
        Received::Duplicate => "duplicate",
    });
    Ok(Json(Receipt { received: true }))
}

fn count(outcome: &'static str) {
    metrics::counter!(EVENTS_RECEIVED, "outcome" => outcome).increment(1);
}

const INVALID_SIGNATURE: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "invalid_signature", "The event is not signed as it must be");

tells! { InvalidSignature: INVALID_SIGNATURE }

impl From<InvalidSignature> for Problem {
    fn from(error: InvalidSignature) -> Self {
        Self::new(INVALID_SIGNATURE, format!("{error}. Check STRIPE_WEBHOOK_SECRET and the clock."))
    }
}

impl From<InvalidEvent> for Problem {
    fn from(error: InvalidEvent) -> Self {
        Self::new(kinds::MALFORMED_REQUEST, format!("{error}."))
    }
}
