//! Which request all this follows from: its id goes from the request to its jobs, to their jobs, and into the logs of all.

tokio::task_local! {
    static REQUEST_ID: Option<String>;
}

/// Runs `future` on behalf of a request: what it enqueues remembers the id. Tasks that it spawns don't.
pub async fn scope<F: Future>(id: Option<String>, future: F) -> F::Output {
    REQUEST_ID.scope(id, future).await
}

/// The request on whose behalf this runs, if any.
pub fn current() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok().flatten()
}
