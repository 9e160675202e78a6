//! A session: the pair of tokens that a client gets when it registers or logs in, its next pair, and its end.
//!
//! The refresh tokens of one session are a family. Each is good once; the next one of the family comes with the new pair. So a
//! spent one that comes again has been stolen, or its successor has: the family ends, whoever of the two it was that came.

use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Accounts, User,
    store::{
        self,
        refresh_tokens::{self, State},
    },
    token::{Claims, RefreshToken},
};
use crate::db;

/// What a client gets; the one place where a refresh token is seen.
#[derive(Clone, Serialize, ToSchema)]
pub struct Session {
    /// A JWT for the `Authorization` header.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// How long the access token is good for, in seconds.
    pub expires_in: u64,
    /// Good for one more session.
    pub refresh_token: String,
    /// Whose it is.
    pub user: User,
}

/// Why a session doesn't go on.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is no good: unknown, expired, spent, or of a session that has ended.
    #[error("the refresh token is not valid")]
    Invalid,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Accounts {
    /// Spends a refresh token for the next session of its family, of the user as the row is now. A spent one that comes again
    /// ends its family, except within ten seconds of its spending: a browser's two tabs may well send the same one at once.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub async fn refresh(&self, pool: &PgPool, token: &str) -> Result<Session, RefreshError> {
        let hash = RefreshToken::hash_of(token);
        let mut tx = db::begin(pool).await?;
        let owner = refresh_tokens::owner(&mut tx, &hash).await?.ok_or(RefreshError::Invalid)?;
        let (user, version) = store::lock_user(&mut tx, owner).await?.ok_or(RefreshError::Invalid)?;
        let token = refresh_tokens::find(&mut tx, &hash).await?.ok_or(RefreshError::Invalid)?;
        match token.state {
            State::Good => {}
            State::SpentJustNow | State::Ended => return Err(RefreshError::Invalid),
            State::Spent => {
                refresh_tokens::revoke_family(&mut tx, token.family).await?;
                tx.commit().await?;
                tracing::warn!(user_id = %user.id, "a spent refresh token came again: its session has been ended");
                return Err(RefreshError::Invalid);
            }
        }
        refresh_tokens::spend(&mut tx, token.id).await?;
        let session = self.open_session(&mut tx, user, version, token.family).await?.ok_or(RefreshError::Invalid)?;
        tx.commit().await?;
        Ok(session)
    }

    /// Ends the session of a refresh token, be that spent or not; nothing happens if there is none any more. Its last access token
    /// is good until it expires.
    ///
    /// # Errors
    /// The database's.
    pub async fn logout(&self, pool: &PgPool, token: &str) -> sqlx::Result<()> {
        let hash = RefreshToken::hash_of(token);
        let mut tx = db::begin(pool).await?;
        let Some(owner) = refresh_tokens::owner(&mut tx, &hash).await? else { return Ok(()) };
        store::lock_user(&mut tx, owner).await?;
        if let Some(token) = refresh_tokens::find(&mut tx, &hash).await? {
            refresh_tokens::revoke_family(&mut tx, token.family).await?;
        }
        tx.commit().await
    }

    /// Opens a session for a user whose `token_version` is still this one; `None` where it isn't, or the user is gone. `family`
    /// is a new id, or that of the session that goes on.
    pub(super) async fn open_session(
        &self,
        connection: &mut PgConnection,
        user: User,
        version: i32,
        family: Uuid,
    ) -> sqlx::Result<Option<Session>> {
        let refresh_token = RefreshToken::new();
        let hash = refresh_token.hash();
        let stored = refresh_tokens::insert(connection, user.id, version, family, &hash, self.refresh_lifetime).await?;
        Ok(stored.then(|| Session {
            access_token: self.tokens.issue(Claims { user: user.id, version }),
            token_type: "Bearer",
            expires_in: self.tokens.lifetime().as_secs(),
            refresh_token: refresh_token.reveal(),
            user,
        }))
    }
}
