//! Until the database has been migrated, or found to be, nothing is let through to it: a half-made schema would turn into
//! errors that nobody can explain.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use crate::{
    problem::{Problem, kinds},
    state::AppState,
};

/// Closed at first; once open, open for good.
#[derive(Debug, Default)]
pub struct Gate(AtomicBool);

impl Gate {
    /// Lets requests through from now on.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether requests are let through.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Lets a request through if the gate is open.
pub(crate) async fn pass(State(app): State<AppState>, request: Request, next: Next) -> Result<Response, Problem> {
    if app.gate.is_open() {
        Ok(next.run(request).await)
    } else {
        Err(Problem::new(kinds::UNAVAILABLE, "The shop is starting.").retry_after(1))
    }
}
