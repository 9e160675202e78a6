//! The SQL of refresh tokens. What becomes of one is decided under its user's lock, so that a read tells the truth.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::id::UserId;

/// A refresh token that was given out once.
pub(in crate::account) struct RefreshToken {
    pub(in crate::account) id: Uuid,
    /// All tokens that came from one login.
    pub(in crate::account) family: Uuid,
    pub(in crate::account) state: State,
}

/// What a refresh token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(in crate::account) enum State {
    /// One more session.
    Good,
    /// Nothing, within ten seconds of its use.
    SpentJustNow,
    /// Nothing, and its use is longer ago.
    Spent,
    /// Nothing: it has expired, or was revoked.
    Ended,
}

/// Stores a new token for a user whose `token_version` is still this one, and tells whether it did. It waits for whoever has the
/// user's lock, and may be about to raise the version.
pub(in crate::account) async fn insert(
    connection: &mut PgConnection,
    user: UserId,
    version: i32,
    family: Uuid,
    hash: &[u8],
    lifetime: Duration,
) -> sqlx::Result<bool> {
    let stored = sqlx::query!(
        "INSERT INTO refresh_tokens (id, user_id, family, token_hash, expires_at)
         SELECT $1, id, $2, $3, now() + make_interval(secs => $4)
         FROM users WHERE id = $5 AND token_version = $6 FOR SHARE",
        Uuid::now_v7(),
        family,
        hash,
        lifetime.as_secs_f64(),
        user.0,
        version,
    )
    .execute(connection)
    .await?;
    Ok(stored.rows_affected() == 1)
}

/// Whose token has this hash.
pub(in crate::account) async fn owner(tx: &mut PgConnection, hash: &[u8]) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(r#"SELECT user_id AS "id: UserId" FROM refresh_tokens WHERE token_hash = $1"#, hash)
        .fetch_optional(tx)
        .await
}

/// The token with this hash, whose user is locked.
pub(in crate::account) async fn find(tx: &mut PgConnection, hash: &[u8]) -> sqlx::Result<Option<RefreshToken>> {
    sqlx::query_as!(
        RefreshToken,
        r#"SELECT id, family,
                  CASE WHEN revoked_at IS NOT NULL OR expires_at <= now() THEN 'ended'
                       WHEN used_at IS NULL THEN 'good'
                       WHEN used_at > now() - interval '10 s' THEN 'spent_just_now'
                       ELSE 'spent' END AS "state!: State"
           FROM refresh_tokens WHERE token_hash = $1"#,
        hash
    )
    .fetch_optional(tx)
    .await
}

/// Notes that a token was used.
pub(in crate::account) async fn spend(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("UPDATE refresh_tokens SET used_at = now() WHERE id = $1", id).execute(tx).await.map(|_| ())
}

/// Ends a session.
pub(in crate::account) async fn revoke_family(tx: &mut PgConnection, family: Uuid) -> sqlx::Result<()> {
    sqlx::query!("UPDATE refresh_tokens SET revoked_at = now() WHERE family = $1 AND revoked_at IS NULL", family)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Ends all sessions of a user.
pub(super) async fn revoke_all(tx: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", user.0)
        .execute(tx)
        .await
        .map(|_| ())
}
