//! The inbox over HTTP: JSON for programs, pages for people, faults for tests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{delete, get},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};
use uuid::Uuid;

use super::{
    App,
    faults::{Fault, InForce},
    message::Message,
    page,
};

/// The longest wait for a mail.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Nothing but what is on the page itself: a mail shown here may be anybody's.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'none'; base-uri 'none'";

pub(super) async fn serve(listener: TcpListener, app: Arc<App>) {
    let stop = app.stop.clone();
    let router = Router::new()
        .route("/", get(index))
        .route("/read/{id}", get(read))
        .route("/messages", get(list).delete(clear))
        .route("/messages/{id}", get(raw))
        .route("/_control/faults", get(faults).post(add_fault).delete(remove_faults))
        .route("/_control/faults/{id}", delete(remove_fault))
        .with_state(app);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the mail inbox ended");
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only mails to this address.
    to: Option<String>,
    /// Waits so many seconds, 60 at most, until there are `count`.
    wait: Option<f64>,
    #[serde(default = "one")]
    count: usize,
}

fn one() -> usize {
    1
}

async fn list(State(app): State<Arc<App>>, Query(which): Query<Which>) -> Response {
    let find = || app.mailbox.list(which.to.as_deref());
    let mut arrivals = app.mailbox.arrivals();
    let limit = Duration::try_from_secs_f64(which.wait.unwrap_or_default()).unwrap_or_default().min(LONGEST_WAIT);
    let enough = async { while find().len() < which.count && arrivals.changed().await.is_ok() {} };
    tokio::select! {
        _ = timeout(limit, enough) => {}
        () = app.stop.cancelled() => {}
    }
    let found = find();
    Json(found.iter().map(Arc::as_ref).collect::<Vec<&Message>>()).into_response()
}

async fn raw(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    match find(&app, &id) {
        Some(message) => {
            let kind = [(header::CONTENT_TYPE, "message/rfc822"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (kind, message.raw.clone()).into_response()
        }
        None => missing("message", &id),
    }
}

fn find(app: &App, id: &str) -> Option<Arc<Message>> {
    app.mailbox.get(Uuid::parse_str(id).ok()?)
}

async fn clear(State(app): State<Arc<App>>) -> Response {
    match app.mailbox.clear() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            let answer = json!({ "error": format!("a file could not be removed: {error}") });
            (StatusCode::INTERNAL_SERVER_ERROR, Json(answer)).into_response()
        }
    }
}

async fn index(State(app): State<Arc<App>>) -> Response {
    guarded(page::index(&app.mailbox.list(None)))
}

async fn read(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    match find(&app, &id) {
        Some(message) => guarded(page::read(&message)),
        None => missing("message", &id),
    }
}

fn guarded(html: String) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(html)).into_response()
}

fn missing(what: &str, id: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": format!("no {what} has the id {id}") }))).into_response()
}

async fn faults(State(app): State<Arc<App>>) -> Json<BTreeMap<u64, InForce>> {
    Json(app.faults.list())
}

async fn add_fault(State(app): State<Arc<App>>, Json(fault): Json<Fault>) -> Response {
    match fault.problem() {
        Some(problem) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": problem }))).into_response(),
        None => (StatusCode::CREATED, Json(json!({ "id": app.faults.add(fault) }))).into_response(),
    }
}

async fn remove_faults(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "removed": app.faults.remove(None) }))
}

async fn remove_fault(State(app): State<Arc<App>>, Path(id): Path<u64>) -> Response {
    match app.faults.remove(Some(id)) {
        0 => missing("fault", &id.to_string()),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}
