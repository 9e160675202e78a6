//! Headers that are right for every answer, unless its handler has said otherwise: what the API tells is nobody's to keep, JSON
//! is JSON, and nothing of it is a page (OWASP REST Security Cheat Sheet, "Security Headers").

use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

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
pub(crate) fn add(response: &mut Response, over_tls: bool) {
    for (name, value) in defaults(over_tls) {
        response.headers_mut().entry(name).or_insert(value);
    }
}
