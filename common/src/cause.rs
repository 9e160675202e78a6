//! What all this follows from: a request's id and its trace go from the request to its jobs, to their jobs, into the logs of all, into
//! the rows that tell what happened, and to Stripe.

use crate::traceparent::{TraceId, Traceparent};

/// See the module.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The request; none for what nobody has asked for.
    pub request_id: Option<String>,
    /// The span that this is: what it does is part of it.
    pub trace: Traceparent,
}

tokio::task_local! {
    static CAUSE: Cause;
}

/// Runs `future` on behalf of this cause: what it writes and enqueues remembers it. Tasks that it spawns don't.
pub async fn scope<F: Future>(cause: Cause, future: F) -> F::Output {
    CAUSE.scope(cause, future).await
}

/// Runs `future` on behalf of the same request, as a part of another trace.
pub(crate) async fn within<F: Future>(trace: Option<TraceId>, future: F) -> F::Output {
    let Some(id) = trace else { return future.await };
    let trace = trace_or_new().of(id);
    scope(Cause { request_id: request_id(), trace }, future).await
}

/// The request on whose behalf this runs, if any.
pub fn request_id() -> Option<String> {
    CAUSE.try_with(|cause| cause.request_id.clone()).ok().flatten()
}

/// Where in which trace this runs, if in any.
pub fn trace() -> Option<Traceparent> {
    CAUSE.try_with(|cause| cause.trace).ok()
}

/// The trace's id, as it is stored.
pub fn trace_id() -> Option<String> {
    trace().map(|trace| trace.trace_id().to_string())
}

/// The trace in which this runs; a new one where it runs in none.
pub(crate) fn trace_or_new() -> Traceparent {
    trace().unwrap_or_else(Traceparent::start)
}
