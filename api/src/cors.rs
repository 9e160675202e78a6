//! Which other origins' scripts may call the API (the Fetch standard's CORS protocol): those that are configured. Without any,
//! no answer says anything of it, and browsers keep strangers out.

use std::{convert::Infallible, time::Duration};

use axum::{extract::Request, response::Response};
use common::config;
use http::{HeaderName, HeaderValue, Method, header};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;

use crate::{
    cause,
    extract::{key, prefer},
    limits,
    respond::IDEMPOTENCY_REPLAYED,
};

/// What a script may send beyond what any may.
const TAKEN: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    key::HEADER,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    prefer::HEADER,
    cause::REQUEST_ID,
    cause::TRACEPARENT,
];

/// What a script may read beyond what any may.
const SHOWN: [HeaderName; 10] = [
    header::ALLOW,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    IDEMPOTENCY_REPLAYED,
    limits::LIMIT,
    limits::REMAINING,
    limits::RESET,
    cause::REQUEST_ID,
];

/// How long a browser may remember what it was allowed; none does so for longer than two hours.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// The layer, where any origin is configured. Cookies are not allowed for: there are none.
pub(crate) fn layer(http: &config::Http) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = http.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let layer = CorsLayer::new()
        .allow_origin(origins.clone())
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(TAKEN)
        .expose_headers(SHOWN)
        .max_age(REMEMBERED);
    (!origins.is_empty()).then_some(layer)
}

/// Has a request answered, and says of the answer what the protocol asks for. Whether a script may ask at all is answered here.
pub(crate) async fn answer<F: Future<Output = Response>>(
    layer: &CorsLayer,
    request: Request,
    answer: impl Fn(Request) -> F,
) -> Response {
    let answer = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
    layer.layer(answer).oneshot(request).await.unwrap_or_else(|never| match never {})
}
