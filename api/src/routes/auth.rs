//! `/auth`: registering, logging in and out, sessions that go on, forgotten passwords, and who one is.

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use common::account::{
    Email, HashError, LoginError, NewAccount, NewPassword, PersonName, RefreshError, RegisterError, ResetError,
    Session, TooManyHashes, User,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    extract::{Attempt, Body, Caller},
    limits::Purpose,
    load,
    problem::{Invalid, Kind, Problem, kinds},
    state::AppState,
};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/auth/register", post(register))
        .route("/auth/login", post(login))
        .route("/auth/refresh", post(refresh))
        .route("/auth/logout", post(logout))
        .route("/auth/me", get(me))
        .route("/auth/password/forgot", post(forgot_password))
        .route("/auth/password/reset", post(reset_password))
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

const CHALLENGE: &str = r#"Bearer realm="kassa""#;
const INVALID_CREDENTIALS: Kind =
    Kind::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "The e-mail or the password is wrong");

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                Self::new(INVALID_CREDENTIALS, "Check both, and try again.").challenge(CHALLENGE)
            }
            LoginError::Busy(error) => error.into(),
            LoginError::Database(error) => error.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshToken {
    refresh_token: String,
}

async fn refresh(State(app): State<AppState>, body: Body<RefreshToken>) -> Result<Json<Session>, Problem> {
    Ok(Json(app.accounts.refresh(&app.pool, &body.value.refresh_token).await?))
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid => Self::new(
                kinds::UNAUTHENTICATED,
                "The refresh token has expired, was used before, or is not valid. Log in again.",
            )
            .challenge(CHALLENGE),
            RefreshError::Database(error) => error.into(),
        }
    }
}

/// A session that has ended already is as good as one that ends now.
async fn logout(State(app): State<AppState>, body: Body<RefreshToken>) -> Result<StatusCode, Problem> {
    app.accounts.logout(&app.pool, &body.value.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(caller: Caller) -> Json<User> {
    Json(caller.user)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgottenPassword {
    email: String,
}

/// What is no address is answered like one that nobody has.
async fn forgot_password(
    State(app): State<AppState>,
    attempt: Attempt,
    body: Body<ForgottenPassword>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    attempt.at(Purpose::ForgotPassword, &body.value.email)?;
    app.accounts.forgot_password(&app.pool, &body.value.email).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordReset {
    token: String,
    password: String,
}

async fn reset_password(
    State(app): State<AppState>,
    _: Attempt,
    body: Body<PasswordReset>,
) -> Result<StatusCode, Problem> {
    let PasswordReset { token, password } = body.value;
    let password = NewPassword::parse(password).map_err(|unfit| Problem::invalid("/password", unfit))?;
    app.accounts.reset_password(&app.pool, &token, password).await?;
    Ok(StatusCode::NO_CONTENT)
}

const INVALID_RESET_TOKEN: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "invalid_reset_token", "The link to reset the password is not valid");

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::InvalidToken => {
                Self::new(INVALID_RESET_TOKEN, "It has expired, was used before, or is not whole. Ask for a new one.")
            }
            ResetError::Password(error) => error.into(),
            ResetError::Database(error) => error.into(),
        }
    }
}
