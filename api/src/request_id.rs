//! The request's id: in each answer, each log line, and each job that follows from the request.

use axum::{extract::Request, response::Response};
use common::request_id;
use http::{HeaderName, HeaderValue};
use tracing::Instrument as _;
use uuid::Uuid;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LEN: usize = 128;

/// Takes the client's own id if it is sane, else makes one; runs the request on its behalf.
pub(crate) async fn keep_or_make<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let id = request.headers().get(HEADER).and_then(sane).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let header = HeaderValue::from_str(&id).expect("sane ids and UUIDs are visible ASCII");
    let span = tracing::info_span!("request", request_id = id);
    let mut response = request_id::scope(Some(id), next(request).instrument(span)).await;
    response.headers_mut().insert(HEADER, header);
    response
}

/// An id that can be logged and sent back: 1 to 128 characters of visible ASCII.
fn sane(header: &HeaderValue) -> Option<&str> {
    let id = header.to_str().ok()?;
    ((1..=MAX_LEN).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())).then_some(id)
}
