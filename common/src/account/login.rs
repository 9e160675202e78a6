//! Logging in. An unknown e-mail gets the same answer as a wrong password, after the same time.

use sqlx::PgPool;
use uuid::Uuid;

use super::{Accounts, Email, NewPassword, Session, TooManyHashes, store};
use crate::id::UserId;

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No account has this e-mail and this password.
    #[error("the e-mail or the password is wrong")]
    InvalidCredentials,
    /// Too many log in at once.
    #[error(transparent)]
    Busy(#[from] TooManyHashes),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Accounts {
    /// Opens a session for the user with this e-mail and password, both as they were typed.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn login(&self, pool: &PgPool, email: &str, password: String) -> Result<Session, LoginError> {
        let found = match Email::parse(email) {
            Ok(email) => store::credentials(pool, &email).await?,
            Err(_) => None,
        };
        let hash = found.as_ref().map(|found| found.password_hash.clone());
        if !self.passwords.verify(password.clone(), hash).await? {
            return Err(LoginError::InvalidCredentials);
        }
        let found = found.ok_or(LoginError::InvalidCredentials)?;
        if self.passwords.is_outdated(&found.password_hash) {
            self.hash_anew(pool, found.user.id, password, &found.password_hash).await?;
        }
        let mut connection = pool.acquire().await?;
        let session = self.open_session(&mut connection, found.user, found.version, Uuid::now_v7()).await?;
        session.ok_or(LoginError::InvalidCredentials)
    }

    /// Replaces a hash that was made with other figures. A password that would not be taken today keeps its old hash.
    async fn hash_anew(&self, pool: &PgPool, user: UserId, password: String, old: &str) -> sqlx::Result<()> {
        let Ok(password) = NewPassword::parse(password) else { return Ok(()) };
        match self.passwords.hash(password, vec![]).await {
            Ok(hash) => store::replace_hash(pool, user, old, &hash).await,
            Err(_) => Ok(()),
        }
    }
}
