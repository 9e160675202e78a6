//! Control of events and of their delivery.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    super::{
        App,
        desk::Origin,
        objects::Event,
        signature::sign,
        webhooks::{Mode, Plan, Status, Tried, payload, try_once},
    },
    Answered, Refused,
};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/_control/webhooks", get(plan).put(set_plan))
        .route("/_control/webhooks/release", post(release))
        .route("/_control/webhooks/send", post(send))
        .route("/_control/events", post(invent))
        .route("/_control/events/{id}/send", post(resend))
}

/// The plan, and how many events have still to be delivered.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    plan: Plan,
    waiting: usize,
}

async fn plan(State(app): State<Arc<App>>) -> Json<Shown> {
    let plan = app.webhooks.plan.borrow().clone();
    Json(Shown { plan, waiting: app.books(|books| books.events.all().iter().filter(|event| waits(event)).count()) })
}

fn waits(event: &Event) -> bool {
    event.pending_webhooks > 0 && !event.lost
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanChange {
    /// `null` takes the target away.
    #[serde(default, with = "some_if_present")]
    target: Option<Option<Url>>,
    mode: Option<Mode>,
    secrets: Option<Vec<String>>,
    delay_ms: Option<u64>,
    status: Option<Status>,
    enabled_events: Option<Vec<String>>,
}

/// Tells a member that is null from one that is absent.
mod some_if_present {
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
        T::deserialize(from).map(Some)
    }
}

async fn set_plan(State(app): State<Arc<App>>, Json(change): Json<PlanChange>) -> Json<Shown> {
    app.webhooks.plan.send_modify(|plan| {
        plan.target = change.target.unwrap_or(plan.target.take());
        plan.mode = change.mode.unwrap_or(plan.mode);
        plan.delay_ms = change.delay_ms.unwrap_or(plan.delay_ms);
        plan.status = change.status.unwrap_or(plan.status);
        if let Some(kinds) = change.enabled_events {
            plan.enabled_events = kinds;
        }
        if let Some(secrets) = change.secrets {
            plan.secrets = secrets;
        }
    });
    plan(State(app)).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Order {
    events: Option<Vec<String>>,
    reverse: bool,
}

/// Sends what waits, one after the other, whatever the mode.
async fn release(State(app): State<Arc<App>>, Json(order): Json<Order>) -> Answered<Value> {
    let mut ids = order.events.unwrap_or_else(|| {
        app.books(|books| {
            books.events.all().iter().filter(|event| waits(event)).map(|event| event.id.clone()).collect()
        })
    });
    if order.reverse {
        ids.reverse();
    }
    let mut sent = Vec::new();
    for id in ids {
        let tried = try_once(&app, &id).await.ok_or_else(|| nowhere(&id))?;
        sent.push(json!({ "event": id, "outcome": tried }));
    }
    Ok(Json(json!({ "sent": sent })))
}

fn nowhere(id: &str) -> Refused {
    Refused::not_found(format!("no event has the id {id}, or webhooks have no target"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Again {
    times: usize,
}

impl Default for Again {
    fn default() -> Self {
        Self { times: 1 }
    }
}

/// Sends one event so many times at once, whatever the mode.
async fn resend(State(app): State<Arc<App>>, Path(id): Path<String>, Json(again): Json<Again>) -> Answered<Value> {
    let tries = join_all((0..again.times).map(|_| try_once(&app, &id))).await;
    let outcomes: Option<Vec<Tried>> = tries.into_iter().collect();
    outcomes.map(|outcomes| Json(json!({ "outcomes": outcomes }))).ok_or_else(|| nowhere(&id))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invention {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
    api_version: Option<String>,
}

/// Records an event of any type about any object, and delivers it as any other.
async fn invent(State(app): State<Arc<App>>, Json(invention): Json<Invention>) -> Answered<Value> {
    let shown = app.at_desk(Origin::default(), |desk| {
        desk.emit(&invention.kind, invention.object);
        let id = desk.books.events.all().last().map(|event| event.id.clone()).unwrap_or_default();
        let event = desk.books.events.get_mut(&id)?;
        event.api_version = invention.api_version.unwrap_or(event.api_version.clone());
        Some(event.show())
    });
    shown.map(Json).ok_or_else(|| Refused::invalid("the event could not be recorded"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgery {
    /// A JSON value, or the very bytes as a string in `raw`.
    payload: Option<Value>,
    raw: Option<String>,
    /// In the place of the account's.
    secret: Option<String>,
    /// In the place of a computed one; empty sends none that is valid.
    signature: Option<String>,
    /// How long ago it was signed.
    #[serde(default)]
    age_seconds: i64,
    #[serde(default = "once")]
    times: usize,
    /// In the place of the target.
    target: Option<Url>,
}

fn once() -> usize {
    1
}

/// Sends anything, signed as the caller likes, past the books.
async fn send(State(app): State<Arc<App>>, Json(forgery): Json<Forgery>) -> Answered<Value> {
    let body = match (&forgery.raw, &forgery.payload) {
        (Some(raw), None) => raw.clone(),
        (None, Some(value)) => payload(value),
        _ => return Err(Refused::invalid("give one of payload and raw")),
    };
    let plan = app.webhooks.plan.borrow().clone();
    let target = forgery.target.or(plan.target).ok_or_else(|| Refused::invalid("webhooks have no target"))?;
    let secrets = forgery.secret.map_or(plan.secrets, |secret| vec![secret]);
    let signed_at = app.clock.now() - forgery.age_seconds;
    let signature = forgery.signature.unwrap_or_else(|| sign(&body, signed_at, &secrets));
    let tries = (0..forgery.times).map(|_| app.webhooks.send(&target, body.clone(), signature.clone()));
    Ok(Json(json!({ "outcomes": join_all(tries).await })))
}
