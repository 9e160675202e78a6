//! The request's id and its trace: in each log line, and in each job that follows from the request; the id in each answer, too.

use axum::response::Response;
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

/// Where a request is from: who asked, in which trace.
pub(crate) struct Origin {
    id: HeaderValue,
    cause: Cause,
    span: Span,
}

impl Origin {
    /// Takes the client's own id if it is sane, else makes one, and goes on with the client's trace, or begins one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let id = headers.get(REQUEST_ID).and_then(sane).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let trace = trace(headers).map_or_else(Traceparent::start, Traceparent::child);
        Self {
            id: HeaderValue::from_str(&id).expect("sane ids and UUIDs are visible ASCII"),
            span: tracing::info_span!(
                "request",
                request_id = id,
                trace_id = %trace.trace_id(),
                linked_trace_id = Empty
            ),
            cause: Cause { request_id: Some(id), trace },
        }
    }

    /// Runs what answers the request under its id and in its trace, and puts the id into the answer.
    pub(crate) async fn answer(self, answer: impl Future<Output = Response>) -> Response {
        let mut response = cause::scope(self.cause, answer.instrument(self.span)).await;
        response.headers_mut().insert(REQUEST_ID, self.id);
        response
    }
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
