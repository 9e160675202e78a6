//! An attempt at an account: to register, to log in, and whatever else costs a hash or a mail, or may be a guess. It is counted
//! against the caller's address before the body is read, and against the account before anything is hashed.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{
    client::{self, Client},
    limits::Purpose,
    problem::Problem,
    state::{App, AppState},
};

/// To be taken by each handler of such a route. One that knows of which account it is says so by [`Attempt::at`].
pub(crate) struct Attempt {
    app: Arc<App>,
    client: Client,
}

impl Attempt {
    /// Counts it against the account with this e-mail, as it was typed, whether or not there is one.
    pub(crate) fn at(&self, purpose: Purpose, email: &str) -> Result<(), Problem> {
        self.app.limits.attempt_at(purpose, email, self.client)
    }

    /// It was the owner of the account, who is not to be locked out by those who guess.
    pub(crate) fn was_the_owners(&self, email: &str) {
        self.app.limits.logged_in(email, self.client);
    }
}

impl FromRequestParts<AppState> for Attempt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let client = client::of(app, &parts.extensions, &parts.headers);
        app.limits.attempt(client)?;
        Ok(Self { app: app.clone(), client })
    }
}
