//! The control endpoints, in plain JSON, for tests and for people. What Stripe's own dashboard, banks and accidents do at
//! Stripe is done here. `GET /_control` prints this list.
#![doc = include_str!("endpoints.md")]

mod faults;
mod objects;
mod webhooks;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{App, desk::Settings, errors::ApiError, idempotency, requests::Seen};

/// The routes under `/_control`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/_control", get(help))
        .route("/_control/reset", post(reset))
        .route("/_control/requests", get(list_requests).delete(clear_requests))
        .route("/_control/settings", get(settings).put(set_settings))
        .route("/_control/clock", get(clock).post(shift_clock))
        .route("/_control/idempotency_keys", delete(forget_keys))
        .route("/_control/restricted_keys", put(restrict))
        .merge(objects::routes())
        .merge(webhooks::routes())
        .merge(faults::routes())
}

/// Why a control call did not do its work.
#[derive(Debug)]
pub(crate) struct Refused(StatusCode, String);

impl Refused {
    fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }

    fn invalid(why: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, why.into())
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let message = error.kept()["message"].as_str().unwrap_or_default().to_owned();
        Self(if error.status == StatusCode::NOT_FOUND { error.status } else { StatusCode::CONFLICT }, message)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answered<T> = Result<Json<T>, Refused>;

async fn help() -> &'static str {
    include_str!("endpoints.md")
}

async fn reset(State(app): State<Arc<App>>) -> Answered<Value> {
    app.reset().map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
struct Which {
    method: Option<String>,
    path: Option<String>,
}

async fn list_requests(State(app): State<Arc<App>>, Query(which): Query<Which>) -> Json<Vec<Seen>> {
    Json(app.requests().list(which.method.as_deref(), which.path.as_deref()))
}

async fn clear_requests(State(app): State<Arc<App>>) -> Json<Value> {
    app.requests().clear();
    Json(json!({}))
}

async fn settings(State(app): State<Arc<App>>) -> Json<Settings> {
    Json(app.state().settings.clone())
}

async fn set_settings(
    State(app): State<Arc<App>>,
    Json(changes): Json<serde_json::Map<String, Value>>,
) -> Answered<Settings> {
    let mut state = app.state();
    let mut merged = serde_json::to_value(&state.settings).unwrap_or_default();
    for (name, value) in changes {
        merged[name] = value;
    }
    state.settings = serde_json::from_value(merged).map_err(|error| Refused::invalid(error.to_string()))?;
    Ok(Json(state.settings.clone()))
}

#[derive(Debug, Serialize)]
struct Now {
    now_ms: i64,
}

async fn clock(State(app): State<Arc<App>>) -> Json<Now> {
    Json(Now { now_ms: app.clock.now_ms() })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shift {
    shift_ms: i64,
}

async fn shift_clock(State(app): State<Arc<App>>, Json(shift): Json<Shift>) -> Json<Now> {
    app.clock.shift(shift.shift_ms);
    app.due.notify_one();
    Json(Now { now_ms: app.clock.now_ms() })
}

async fn forget_keys(State(app): State<Arc<App>>) -> Json<Value> {
    app.change_books(idempotency::forget_all);
    Json(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Restricted {
    key: String,
    permissions: Vec<String>,
}

async fn restrict(State(app): State<Arc<App>>, Json(restricted): Json<Restricted>) -> Answered<Value> {
    if !restricted.key.starts_with("rk_test_") {
        return Err(Refused::invalid("a restricted key has to begin with rk_test_"));
    }
    app.keys.restrict(restricted.key, restricted.permissions);
    Ok(Json(json!({})))
}
