//! The listener for operators: metrics and health, on an address that is never public.

use std::{future::IntoFuture as _, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use common::{db, money::Currency};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;

use crate::{figures::POOL_CONNECTIONS, runtime::Listening};

/// Longest wait for the database; probes give up soon, too.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Shared {
    pool: PgPool,
    currency: Currency,
    metrics: PrometheusHandle,
    listening: Listening,
}

/// Serves `/metrics`, `/health/live` and `/health/ready` until the process ends.
///
/// # Errors
/// When the address can't be listened on.
pub async fn serve(
    addr: SocketAddr,
    pool: PgPool,
    currency: Currency,
    metrics: PrometheusHandle,
    listening: Listening,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(addr).await?;
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/health/live", get(async || "ok\n"))
        .route("/health/ready", get(ready))
        .with_state(Shared { pool, currency, metrics, listening });
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(())
}

async fn render(State(shared): State<Shared>) -> impl IntoResponse {
    let idle = u32::try_from(shared.pool.num_idle()).unwrap_or(u32::MAX);
    let size = shared.pool.size();
    metrics::gauge!(POOL_CONNECTIONS, "state" => "idle").set(idle);
    metrics::gauge!(POOL_CONNECTIONS, "state" => "used").set(size.saturating_sub(idle));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render())
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    match tokio::time::timeout(READY_TIMEOUT, db::check(&shared.pool, shared.currency)).await {
        Ok(Ok(())) if shared.listening.is_on() => (StatusCode::OK, "ready\n"),
        Ok(Ok(())) => (StatusCode::SERVICE_UNAVAILABLE, "new jobs are not heard of as they come\n"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database is not ready\n"),
    }
}
