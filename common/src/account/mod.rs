//! Accounts: who may come in, how they prove it, and what they may do.
//!
//! Passwords are kept as argon2id hashes, refresh tokens as SHA-256 hashes, the tokens of password resets not at all; none is ever
//! logged or given back. A role is read from the user's row at each request, never from a token.

mod admin;
mod argon2id;
mod email;
mod login;
mod password;
mod password_reset;
mod register;
mod reset_token;
mod session;
mod store;
mod token;
pub mod users;

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;

pub use admin::{AdminCreated, CreateAdminError, create_admin};
pub use email::{Email, NotAName, NotAnEmail, PersonName};
pub use login::LoginError;
pub use password::{HashError, NewPassword, Passwords, TooManyHashes, UnfitLength};
pub use password_reset::ResetError;
pub use register::{NewAccount, RegisterError};
pub use reset_token::{NotAResetToken, ResetTokens};
pub use session::{RefreshError, Session};
pub(crate) use store::beginning_with;
pub use token::{AccessTokens, Claims, NotAnAccessToken};
pub use users::{EmailBeginning, NotABeginning, RoleError, set_role};

use crate::{clock::Clock, config::Secret, id::UserId};

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Customer,
    /// Runs the shop.
    Admin,
}

impl Role {
    const ALL: [Self; 2] = [Self::Customer, Self::Admin];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// Nothing that a user may be.
#[derive(Debug, thiserror::Error)]
#[error("must be customer or admin")]
pub struct UnknownRole;

/// A user, as the user may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Where mails go; unique without regard to case.
    pub email: String,
    /// How the user wants to be called.
    pub name: Option<String>,
    /// What the user may do.
    pub role: Role,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// Registers users, logs them in and recognises them: what that takes besides the database.
#[derive(Debug)]
pub struct Accounts {
    passwords: Passwords,
    tokens: AccessTokens,
    resets: ResetTokens,
    refresh_lifetime: Duration,
}

/// Why a token's bearer isn't let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token is no good: forged, expired, or ended by its user.
    #[error("the access token is not valid")]
    Invalid,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Accounts {
    /// Makes one dummy hash, which takes as long as a login. `secrets` is not empty: the first signs, all verify.
    pub fn new(secrets: &[Secret], access_lifetime: Duration, refresh_lifetime: Duration, clock: Clock) -> Self {
        Self {
            passwords: Passwords::new(),
            tokens: AccessTokens::new(secrets, access_lifetime, clock),
            resets: ResetTokens::new(secrets),
            refresh_lifetime,
        }
    }

    /// The user who carries this access token, as the row is now: a deleted user's token, or one from before the user's
    /// sessions were ended, is no good.
    ///
    /// # Errors
    /// See [`AuthenticateError`].
    pub async fn authenticate(&self, pool: &PgPool, token: &str) -> Result<User, AuthenticateError> {
        let claims = self.tokens.verify(token).map_err(|_| AuthenticateError::Invalid)?;
        store::user_at_version(pool, claims.user, claims.version).await?.ok_or(AuthenticateError::Invalid)
    }
}
