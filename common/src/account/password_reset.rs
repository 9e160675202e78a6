//! A forgotten password: a link by mail, and what its token is good for.

use std::time::Duration;

use sqlx::PgPool;

use super::{
    Accounts, Email, HashError, NewPassword,
    store::{self, password_resets},
};
use crate::{
    db,
    id::PasswordResetId,
    jobs::{self, SendEmail},
    mail,
};

/// How long a link is good for: long enough for a slow mail server, too short for an old mailbox to be worth a search.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The token is no good: forged, expired, used, or closed when the user's sessions were ended.
    #[error("the token of the password reset is not valid")]
    InvalidToken,
    /// The password is well known, or could not be hashed. The token can be used again.
    #[error(transparent)]
    Password(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Accounts {
    /// Sends a link by which the password can be reset to the user with this e-mail, as it was typed; to nobody if there is none.
    ///
    /// The caller is not to learn which, and takes as long for either: for an unknown e-mail all is written for somebody else, and
    /// undone before the commit, which waits for the disk and wakes the workers in both cases.
    ///
    /// # Errors
    /// The database's.
    pub async fn forgot_password(&self, pool: &PgPool, email: &str) -> sqlx::Result<()> {
        let mut tx = db::begin(pool).await?;
        let Some(candidate) = password_resets::candidate(&mut tx, Email::parse(email).ok().as_ref()).await? else {
            return Ok(()); // the shop has no user at all
        };
        let mut draft = sqlx::Acquire::begin(&mut *tx).await?;
        let id = PasswordResetId::new();
        password_resets::insert(&mut draft, id, candidate.user, LIFETIME).await?;
        mail::enqueue_password_reset(&mut draft, id, candidate.user).await?;
        if candidate.is_meant {
            draft.commit().await?;
        } else {
            draft.rollback().await?;
        }
        jobs::wake::<SendEmail>(&mut tx).await?; // what was enqueued does so already, what was undone no more
        tx.commit().await
    }

    /// Sets the password of the user who was sent this token, and ends all the user's sessions. The token is then spent, and so is
    /// every other one that the user was sent.
    ///
    /// # Errors
    /// See [`ResetError`].
    pub async fn reset_password(&self, pool: &PgPool, token: &str, password: NewPassword) -> Result<(), ResetError> {
        let id = self.resets.verify(token).map_err(|_| ResetError::InvalidToken)?;
        let mut connection = pool.acquire().await?;
        let holder = password_resets::holder(&mut connection, id).await?.ok_or(ResetError::InvalidToken)?;
        drop(connection); // none is held while the password is hashed
        let personal = [Some(holder.email), holder.name].into_iter().flatten().collect();
        let hash = self.passwords.hash(password, personal).await?;

        let mut tx = db::begin(pool).await?;
        let locked = store::lock_user(&mut tx, holder.user).await?.is_some();
        if !locked || !password_resets::spend(&mut tx, id).await? {
            return Err(ResetError::InvalidToken);
        }
        store::set_password(&mut tx, holder.user, &hash).await?;
        store::end_sessions(&mut tx, holder.user).await?;
        tx.commit().await?;
        tracing::info!(user_id = %holder.user, "a password was reset: all sessions of its user have been ended");
        Ok(())
    }
}
