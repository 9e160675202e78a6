//! Control of faults, and of the calls that they hold.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        App,
        faults::{Fault, Held, Shown},
    },
    Answered, Refused,
    objects::done,
};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/_control/faults", get(list).post(add).delete(remove_all))
        .route("/_control/faults/{id}", delete(remove))
        .route("/_control/faults/{id}/release", post(release))
        .route("/_control/faults/{id}/held", get(held))
}

async fn list(State(app): State<Arc<App>>) -> Json<Vec<Shown>> {
    Json(app.faults.list())
}

async fn add(State(app): State<Arc<App>>, Json(fault): Json<Fault>) -> Json<Value> {
    Json(json!({ "id": app.faults.add(fault) }))
}

async fn remove_all(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "removed": app.faults.remove(None) }))
}

async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answered<Value> {
    if app.faults.remove(Some(&id)) == 0 { Err(unknown(&id)) } else { Ok(done()) }
}

async fn release(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answered<Value> {
    if app.faults.release(&id) { Ok(done()) } else { Err(unknown(&id)) }
}

#[derive(Debug, Deserialize)]
struct Patience {
    #[serde(default = "one")]
    count: usize,
    #[serde(default = "ten_seconds")]
    timeout_ms: u64,
}

fn one() -> usize {
    1
}

fn ten_seconds() -> u64 {
    10_000
}

async fn held(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(patience): Query<Patience>,
) -> Answered<Vec<Held>> {
    let limit = Duration::from_millis(patience.timeout_ms);
    app.faults.wait_for_held(&id, patience.count, limit).await.map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> Refused {
    Refused::not_found(format!("no fault has the id {id}"))
}
