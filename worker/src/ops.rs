//! The listener for operators: metrics and health, on an address that is never public. It answers as the API's does.

use std::{future::IntoFuture as _, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::TimeDelta;
use common::{
    clock::Clock,
    health,
    metrics::{self, Exposition},
    money::Currency,
};
use serde_json::json;
use sqlx::PgPool;

use crate::runtime::Listening;

/// What the answers are made of.
pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) currency: Currency,
    pub(crate) metrics: Exposition,
    pub(crate) listening: Listening,
}

/// Serves `/metrics`, `/health/live` and `/health/ready` until the process ends.
///
/// # Errors
/// When the address can't be listened on.
pub(crate) async fn serve(addr: SocketAddr, shared: Arc<Shared>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(addr).await?;
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/health/live", get(async || Json(json!({ "status": "live" }))))
        .route("/health/ready", get(ready))
        .fallback(async || {
            problem(StatusCode::NOT_FOUND, "not_found", "There are /metrics, /health/live and /health/ready.")
        })
        .with_state(shared);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(())
}

async fn render(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], shared.metrics.render())
}

/// Looks for ever whether jobs can be run, for the metrics.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(health::EVERY);
    loop {
        ticks.tick().await;
        let _told_by_the_metrics = look(&shared).await;
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match look(&shared).await {
        Ok(None) => Json(json!({ "status": "ready" })).into_response(),
        Ok(Some(off)) => Json(json!({ "status": "ready", "clock_off_by_seconds": off.num_seconds() })).into_response(),
        Err(why) => not_ready(why),
    }
}

/// Jobs can be run: the database is there, its schema and its currency are right, and new jobs are heard of as they come. All due times
/// go by the database's clock: one of this machine's that is off does no harm here, but is told of.
async fn look(shared: &Shared) -> Result<Option<TimeDelta>, &'static str> {
    let found = match health::look(&shared.pool, shared.currency, Clock::System).await {
        Ok(_) if !shared.listening.is_on() => Err("New jobs are not heard of; they are looked for each second."),
        found => found,
    };
    health::found(found.is_ok(), found.ok().flatten());
    found
}

fn not_ready(detail: &str) -> Response {
    ([(RETRY_AFTER, "1")], problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)).into_response()
}

/// A problem (RFC 9457), as the API tells it.
fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = json!({
        "type": format!("urn:kassa:problem:{code}"),
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    (status, [(CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}
