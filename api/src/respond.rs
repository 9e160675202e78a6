//! Parts of answers that several routes share.

use axum::response::AppendHeaders;
use http::{HeaderName, HeaderValue};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Says that an earlier request with the same idempotency key did the work, where one did.
pub(crate) fn replayed(replayed: bool) -> AppendHeaders<Option<(HeaderName, HeaderValue)>> {
    AppendHeaders(replayed.then_some((IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))))
}
