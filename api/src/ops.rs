//! What operators and their machines ask: is it alive, is it ready, how is it doing.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use chrono::TimeDelta;
use common::{
    health,
    metrics::{self, Exposition},
};
use http::header;
use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    cause::Origin,
    problem::{Problem, kinds},
    state::AppState,
};

/// What was found last, and when the looking began. Whoever had asked before that may have it, too: however many ask, one connection looks.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Result<(), &'static str>)>>);

/// The routes of `METRICS_ADDR`, which is never public.
pub(crate) fn router(app: AppState, metrics: Exposition) -> Router {
    let metrics = Arc::new(metrics);
    let scrape = move |State(app): State<AppState>| async move {
        app.load.measure();
        ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.render())
    };
    Router::new()
        .route("/metrics", get(scrape))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(async || Problem::new(kinds::NOT_FOUND, "There are /metrics, /health/live and /health/ready."))
        .layer(middleware::from_fn(with_an_id))
        .with_state(app)
}

async fn with_an_id(request: Request, next: Next) -> Response {
    Origin::of(request.headers()).answer(next.run(request)).await
}

/// What a probe is told when all is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// The routes of these that the API has, too.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Whether the process runs
///
/// Nothing else is asked: a restart would not bring a database back.
#[utoipa::path(
    get, path = "/health/live", operation_id = "get_live", tag = "operations",
    responses((status = 200, description = "It does.", body = Health)),
    security(())
)]
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Whether requests can be answered
///
/// They can when the database is there, its schema is one that this program knows, its currency the right one, and the clock
/// good enough to judge tokens and signatures by.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "get_ready", tag = "operations",
    responses((status = 200, description = "They can.", body = Health)),
    security(())
)]
pub(crate) async fn ready(State(app): State<AppState>) -> Result<Json<Health>, Problem> {
    let found = readiness(&app).await;
    found.map(|()| Json(Health { status: "ready" })).map_err(|why| Problem::new(kinds::UNAVAILABLE, why).retry_after(1))
}

/// Looks for ever whether requests can be answered, for the metrics.
pub(crate) async fn watch(app: AppState) {
    let mut ticks = tokio::time::interval(health::EVERY);
    loop {
        ticks.tick().await;
        let _told_by_the_metrics = readiness(&app).await;
    }
}

async fn readiness(app: &AppState) -> Result<(), &'static str> {
    let asked = Instant::now();
    let mut last = app.readiness.0.lock().await;
    match *last {
        Some((began, found)) if began >= asked => found,
        _ => {
            let began = Instant::now();
            let (found, clock_off) = match look(app).await {
                Ok(None) => (Ok(()), None),
                Ok(off) => (Err(CLOCK_OFF), off),
                Err(why) => (Err(why), None),
            };
            health::found(found.is_ok(), clock_off);
            *last = Some((began, found));
            found
        }
    }
}

const CLOCK_OFF: &str = "This machine's clock is off: tokens and webhooks would be judged wrongly. Set it right.";

/// How far the clock is off, if it is, or why requests can't be answered.
async fn look(app: &AppState) -> Result<Option<TimeDelta>, &'static str> {
    if !app.gate.is_open() {
        return Err("The database has not been prepared yet.");
    }
    health::look(&app.pool, app.config.currency, app.clock).await
}
