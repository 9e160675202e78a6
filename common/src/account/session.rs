//! A session: the pair of tokens that a client gets when it registers or logs in.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Accounts, User, store,
    token::{Claims, RefreshToken},
};

/// What a client gets; the one place where a refresh token is seen.
#[derive(Clone, Serialize)]
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

impl Accounts {
    /// Opens a session of a new family for a user whose `token_version` is still this one; `None` where it isn't, or the
    /// user is gone.
    pub(super) async fn open_session(
        &self,
        connection: &mut PgConnection,
        user: User,
        version: i32,
    ) -> sqlx::Result<Option<Session>> {
        let refresh_token = RefreshToken::new();
        let stored = store::insert_refresh_token(
            connection,
            user.id,
            version,
            Uuid::now_v7(),
            &refresh_token.hash(),
            self.refresh_lifetime,
        )
        .await?;
        Ok(stored.then(|| Session {
            access_token: self.tokens.issue(Claims { user: user.id, version }),
            token_type: "Bearer",
            expires_in: self.tokens.lifetime().as_secs(),
            refresh_token: refresh_token.reveal(),
            user,
        }))
    }
}
