//! `/auth`: registering, logging in and out, sessions that go on, forgotten passwords, and who one is.

use axum::{Json, extract::State};
use common::account::{
    Email, HashError, LoginError, NewAccount, NewPassword, PersonName, RefreshError, RegisterError, ResetError,
    Session, TooManyHashes, User,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Attempt, Body, Caller},
    limits::Purpose,
    load,
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem, kinds},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    #[schema(value_type = Email)]
    email: String,
    #[schema(value_type = NewPassword)]
    password: String,
    /// How the user wants to be called.
    #[schema(
        max_length = 100,
        pattern = r"^([^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u001f\u007f-\u009f\s][^\u0000-\u001f\u007f-\u009f]*)?$"
    )]
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

/// Make an account, and log in
#[utoipa::path(
    post, path = "/auth/register", operation_id = "register", tag = "accounts",
    request_body = Registration,
    responses((status = 201, description = "The first session.", body = Session), Problems<RegisterError>),
    security(())
)]
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

tells! { RegisterError: EMAIL_TAKEN }

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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

/// Log in
///
/// An unknown e-mail is answered like a wrong password, and as late.
#[utoipa::path(
    post, path = "/auth/login", operation_id = "log_in", tag = "accounts",
    request_body = Credentials,
    responses((status = 200, description = "A session.", body = Session), Problems<LoginError>),
    security(())
)]
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

tells! { LoginError: INVALID_CREDENTIALS }

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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshToken {
    refresh_token: String,
}

/// Spend a refresh token for the next session
///
/// One that was spent before ends all sessions that came of it.
#[utoipa::path(
    post, path = "/auth/refresh", operation_id = "refresh_session", tag = "accounts",
    request_body = RefreshToken,
    responses((status = 200, description = "The next session.", body = Session), Problems<RefreshError>),
    security(())
)]
async fn refresh(State(app): State<AppState>, body: Body<RefreshToken>) -> Result<Json<Session>, Problem> {
    Ok(Json(app.accounts.refresh(&app.pool, &body.value.refresh_token).await?))
}

tells! { RefreshError: kinds::UNAUTHENTICATED }

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

/// End a session
///
/// One that has ended already is as good as one that ends now. The last access token is good until it expires.
#[utoipa::path(
    post, path = "/auth/logout", operation_id = "log_out", tag = "accounts",
    request_body = RefreshToken,
    responses((status = 204, description = "It has ended.")),
    security(())
)]
async fn logout(State(app): State<AppState>, body: Body<RefreshToken>) -> Result<StatusCode, Problem> {
    app.accounts.logout(&app.pool, &body.value.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who the caller is
#[utoipa::path(
    get, path = "/auth/me", operation_id = "get_me", tag = "accounts",
    responses((status = 200, description = "The caller.", body = User)),
    security(("bearer" = []))
)]
async fn me(caller: Caller) -> Json<User> {
    Json(caller.user)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForgottenPassword {
    email: String,
}

/// Nothing is told.
#[derive(Serialize, ToSchema)]
struct Accepted {}

/// Have a link sent by which the password can be reset
///
/// The answer is the same whether there is such an account or not, and also for what is no address.
#[utoipa::path(
    post, path = "/auth/password/forgot", operation_id = "forget_password", tag = "accounts",
    request_body = ForgottenPassword,
    responses((status = 202, description = "A mail is sent if there is an account.", body = Accepted)),
    security(())
)]
async fn forgot_password(
    State(app): State<AppState>,
    attempt: Attempt,
    body: Body<ForgottenPassword>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    attempt.at(Purpose::ForgotPassword, &body.value.email)?;
    app.accounts.forgot_password(&app.pool, &body.value.email).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted {})))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordReset {
    /// That of the link in the mail.
    token: String,
    #[schema(value_type = NewPassword)]
    password: String,
}

/// Choose a new password by the token of such a link
///
/// All sessions of the user end.
#[utoipa::path(
    post, path = "/auth/password/reset", operation_id = "reset_password", tag = "accounts",
    request_body = PasswordReset,
    responses((status = 204, description = "It is the new password."), Problems<ResetError>),
    security(())
)]
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

tells! { ResetError: INVALID_RESET_TOKEN }

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
