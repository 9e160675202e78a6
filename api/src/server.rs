//! The router, and the layers that every request goes through.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, header};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    access, gate, ops,
    problem::{Problem, kinds},
    request_id, routes,
    state::AppState,
};

/// Largest JSON body, in bytes. Routes with larger ones say so themselves.
const BODY_LIMIT: usize = 64 * 1024;

/// Longest that one request may take, its body's arrival included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The whole API.
pub fn router(app: AppState) -> Router {
    let health = Router::new()
        .route("/health/live", get(ops::live))
        .route("/health/ready", get(ops::ready))
        .method_not_allowed_fallback(method_not_allowed);
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(request_id::keep_or_make))
        .layer(middleware::from_fn(access::record))
        .layer(middleware::from_fn(common_headers))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(within_time_limit))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    routes::router()
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), gate::pass))
        .merge(health)
        .fallback(unknown_path)
        .layer(layers)
        .with_state(app)
}

async fn unknown_path() -> Problem {
    Problem::new(kinds::NOT_FOUND, "There is nothing at this path.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(kinds::METHOD_NOT_ALLOWED, "The `Allow` header says which methods this path knows.")
}

async fn within_time_limit(request: Request, next: Next) -> Response {
    tokio::time::timeout(TIME_LIMIT, next.run(request)).await.unwrap_or_else(|_| {
        tracing::warn!("a request was given up after {} s", TIME_LIMIT.as_secs());
        Problem::new(kinds::UNAVAILABLE, "The request took too long; nothing of it was done, or all of it.")
            .retry_after(1)
            .into_response()
    })
}

/// Headers that are right for every answer, unless its handler has said otherwise: what the API tells is nobody's to keep,
/// and JSON is JSON.
async fn common_headers(request: Request, next: Next) -> Response {
    const DEFAULTS: [(HeaderName, HeaderValue); 2] = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let mut response = next.run(request).await;
    for (name, value) in DEFAULTS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    Problem::of(kinds::INTERNAL).into_response()
}
