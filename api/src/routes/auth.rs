//! `/auth`: registering, logging in, and who one is.

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use common::account::{
    Email, HashError, LoginError, NewAccount, NewPassword, PersonName, RegisterError, Session, TooManyHashes, User,
};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::{
    extract::{Attempt, Body, Caller},
    limits::Purpose,
    load,
    problem::{Invalid, Kind, Problem},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/auth/register", post(register)).route("/auth/login", post(login)).route("/auth/me", get(me))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    email: String,
    password: String,
    name: Option<String>,
}

impl Registration {
    fn parse(self) -> Result<NewAccount, Problem> {
        let mut invalid = Invalid::default();
        let email = invalid.field("/email", Email::parse(&self.email));
        let password = invalid.field("/password", NewPassword::parse(self.password));
        let name = self.name.filter(|name| !name.is_empty()); // a form's empty field
        let name = invalid.optional("/name", name.as_deref().map(PersonName::parse));
        let (Some(email), Some(password), Some(name)) = (email, password, name) else { return Err(invalid.into()) };
        Ok(NewAccount { email, password, name })
    }
}

async fn register(
    State(app): State<AppState>,
    attempt: Attempt,
    body: Body<Registration>,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let account = body.value.parse()?;
    attempt.at(Purpose::Register, account.email.as_str())?;
    let session = app.accounts.register(&app.pool, account).await?;
    attempt.was_the_owners(&session.user.email);
    Ok((StatusCode::CREATED, Json(session)))
}

const EMAIL_TAKEN: Kind = Kind::new(StatusCode::CONFLICT, "email_taken", "There is an account with this e-mail");

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => Self::new(EMAIL_TAKEN, "Log in, or register with another e-mail."),
            RegisterError::Password(error) => error.into(),
            RegisterError::Database(error) => error.into(),
        }
    }
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::WellKnown => Self::invalid("/password", error),
            HashError::Busy(error) => error.into(),
            HashError::Failed(_) => Self::internal(&error),
        }
    }
}

impl From<TooManyHashes> for Problem {
    fn from(_: TooManyHashes) -> Self {
        load::shed("hashes")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

async fn login(
    State(app): State<AppState>,
    attempt: Attempt,
    body: Body<Credentials>,
) -> Result<Json<Session>, Problem> {
    let Credentials { email, password } = body.value;
    attempt.at(Purpose::LogIn, &email)?;
    let session = app.accounts.login(&app.pool, &email, password).await?;
    attempt.was_the_owners(&email);
    Ok(Json(session))
}

const INVALID_CREDENTIALS: Kind =
    Kind::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "The e-mail or the password is wrong");

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::new(INVALID_CREDENTIALS, "Check both, and try again.")
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="kassa""#)),
            LoginError::Busy(error) => error.into(),
            LoginError::Database(error) => error.into(),
        }
    }
}

async fn me(caller: Caller) -> Json<User> {
    Json(caller.user)
}
