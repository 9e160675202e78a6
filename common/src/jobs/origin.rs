//! Which request all this follows from: it goes from the request to its jobs, to their jobs, and into their logs.

tokio::task_local! {
    static REQUEST_ID: Option<String>;
}

/// Runs `future` on behalf of a request: what it enqueues remembers the id. Tasks that it spawns don't.
pub async fn with_request_id<F: Future>(id: Option<String>, future: F) -> F::Output {
    REQUEST_ID.scope(id, future).await
}

/// The request on whose behalf this runs, if any.
pub fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok().flatten()
}
