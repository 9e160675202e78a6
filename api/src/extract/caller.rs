//! Who asks: the bearer of an access token (RFC 6750), as its user's row is now.

use axum::extract::FromRequestParts;
use common::{
    account::{AuthenticateError, Role, User},
    id::UserId,
};
use http::{HeaderMap, header, request::Parts};

use crate::{
    problem::{Problem, kinds},
    state::AppState,
};

/// A user; nobody else is let through.
pub(crate) struct Caller {
    pub(crate) user: User,
}

impl Caller {
    pub(crate) fn id(&self) -> UserId {
        self.user.id
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let token = bearer_token(&parts.headers).ok_or_else(|| {
            unauthenticated(r#"Bearer realm="kassa""#, "Send `Authorization: Bearer <access token>`.")
        })?;
        match app.accounts.authenticate(&app.pool, token).await {
            Ok(user) => Ok(Self { user }),
            Err(AuthenticateError::Invalid) => Err(unauthenticated(
                r#"Bearer realm="kassa", error="invalid_token""#,
                "The access token has expired or is not valid. Log in, or refresh the session.",
            )),
            Err(AuthenticateError::Database(error)) => Err(error.into()),
        }
    }
}

/// A user where a token was sent; one that is no good is refused all the same.
pub(crate) struct OptionalCaller(Option<Caller>);

impl OptionalCaller {
    pub(crate) fn is_admin(&self) -> bool {
        self.0.as_ref().is_some_and(Caller::is_admin)
    }
}

impl FromRequestParts<AppState> for OptionalCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let caller = Caller::from_request_parts(parts, app).await?;
            Ok(Self(Some(caller)))
        } else {
            Ok(Self(None))
        }
    }
}

/// An admin; other users get 403.
pub(crate) struct Admin(pub(crate) User);

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.is_admin() {
            Ok(Self(caller.user))
        } else {
            Err(Problem::new(kinds::FORBIDDEN, "This needs the role `admin`."))
        }
    }
}

/// The token of the one `Authorization` header; its scheme is read without regard to case (RFC 9110, section 11.1).
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthenticated(challenge: &'static str, detail: &'static str) -> Problem {
    Problem::new(kinds::UNAUTHENTICATED, detail).challenge(challenge)
}
