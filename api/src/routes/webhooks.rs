//! `POST /webhooks/stripe`: an event is checked and stored, nothing more; a job applies it.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use common::webhook::{self, InvalidEvent, InvalidSignature, Received};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::{
    extract::RawBody,
    problem::{Kind, Problem, kinds},
    state::AppState,
};

/// Where Stripe sends its events.
pub(crate) const PATH: &str = "/webhooks/stripe";

/// Largest event, in bytes.
const EVENT_LIMIT: usize = 1024 * 1024;

const EVENTS_RECEIVED: &str = "kassa_webhook_events_received_total";

/// Tells what the metric means.
pub(crate) fn describe() {
    metrics::describe_counter!(EVENTS_RECEIVED, "Events that somebody sent, by what became of them.");
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route(PATH, post(receive)).layer(DefaultBodyLimit::max(EVENT_LIMIT))
}

async fn receive(
    State(app): State<AppState>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<Value>, Problem> {
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = app.clock.now();
    if let Err(error) = webhook::verify(&body, signature, &app.config.stripe_webhook_secrets, now) {
        count("invalid_signature");
        return Err(error.into());
    }
    let event = webhook::parse(&body).inspect_err(|_| count("malformed"))?;
    let received = webhook::receive(&app.pool, &event).await.inspect_err(|_| count("not_stored"))?;
    count(match received {
        Received::Stored => "stored",
        Received::Duplicate => "duplicate",
    });
    Ok(Json(json!({ "received": true })))
}

fn count(outcome: &'static str) {
    metrics::counter!(EVENTS_RECEIVED, "outcome" => outcome).increment(1);
}

const INVALID_SIGNATURE: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "invalid_signature", "The event is not signed as it must be");

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
