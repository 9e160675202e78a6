//! Headers that are right for every answer, unless its handler has said otherwise: what the API tells is nobody's to keep, JSON
//! is JSON, and nothing of it is a page (OWASP REST Security Cheat Sheet, "Security Headers").

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, header};

use crate::state::AppState;

const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A year of HTTPS alone (RFC 6797). Other names of the domain are not ours to speak for.
const HTTPS_ONLY: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

/// The headers of an answer over TLS, or without.
pub(crate) fn defaults(over_tls: bool) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    DEFAULTS.into_iter().chain(over_tls.then_some(HTTPS_ONLY))
}

/// Adds them.
pub(crate) async fn add(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in defaults(app.config.http.tls.is_some()) {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
