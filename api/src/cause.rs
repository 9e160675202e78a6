//! The request's id and its trace: in each log line, and in each job that follows from the request; the id in each answer, too.

use axum::{extract::Request, response::Response};
use common::{
    cause::{self, Cause},
    traceparent::{TraceId, Traceparent},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::{
    Instrument as _, Span,
    field::{self, Empty},
};
use uuid::Uuid;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const MAX_LEN: usize = 128;

/// Takes the client's own id if it is sane, else makes one, and goes on with the client's trace, or begins one; runs the request on
/// their behalf.
pub(crate) async fn keep_or_make<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let headers = request.headers();
    let id = headers.get(REQUEST_ID).and_then(sane).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let header = HeaderValue::from_str(&id).expect("sane ids and UUIDs are visible ASCII");
    let trace = trace(headers).map_or_else(Traceparent::start, Traceparent::child);
    let span = tracing::info_span!("request", request_id = id, trace_id = %trace.trace_id(), linked_trace_id = Empty);
    let mut response = cause::scope(Cause { request_id: Some(id), trace }, next(request).instrument(span)).await;
    response.headers_mut().insert(REQUEST_ID, header);
    response
}

/// Has the log lines of this request tell of another trace, too: that of what it brings news of.
pub(crate) fn link(trace: Option<TraceId>) {
    if let Some(trace) = trace {
        Span::current().record("linked_trace_id", field::display(trace));
    }
}

/// An id that can be logged and sent back: 1 to 128 characters of visible ASCII.
fn sane(header: &HeaderValue) -> Option<&str> {
    let id = header.to_str().ok()?;
    ((1..=MAX_LEN).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())).then_some(id)
}

/// The caller's trace. One that is invalid, or told twice, is none, and is not told to anybody.
fn trace(headers: &HeaderMap) -> Option<Traceparent> {
    let mut told = headers.get_all(TRACEPARENT).iter();
    match (told.next(), told.next()) {
        (Some(header), None) => header.to_str().ok()?.parse().ok(),
        _ => None,
    }
}
