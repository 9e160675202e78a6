//! The SQL of password resets. One is open until it is used or expires.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{
    account::Email,
    id::{PasswordResetId, UserId},
};

/// For whom a reset is written.
pub(in crate::account) struct Candidate {
    pub(in crate::account) user: UserId,
    /// Whether this user has asked for it.
    pub(in crate::account) is_meant: bool,
}

/// Whose password would be reset, with what an attacker would guess it from.
pub(in crate::account) struct Holder {
    pub(in crate::account) user: UserId,
    pub(in crate::account) email: String,
    pub(in crate::account) name: Option<String>,
}

/// How many of a user's resets may be open: nobody is to fill another's mailbox.
const MOST_OPEN: i64 = 5;

/// The user with this e-mail; somebody else if there is none, or if this user has been sent enough, for a reset that is not to stay.
pub(in crate::account) async fn candidate(
    tx: &mut PgConnection,
    email: Option<&Email>,
) -> sqlx::Result<Option<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"SELECT user_id AS "user!: UserId", is_meant AS "is_meant!"
           FROM ((SELECT u.id AS user_id, (SELECT count(*) FROM password_resets r
                    WHERE r.user_id = u.id AND r.used_at IS NULL AND r.expires_at > now()) < $2 AS is_meant
                  FROM users u WHERE u.email = $1::text::citext)
                 UNION ALL (SELECT id, false FROM users ORDER BY id DESC LIMIT 1)) AS candidates
           ORDER BY is_meant DESC LIMIT 1"#,
        email.map_or("", Email::as_str),
        MOST_OPEN,
    )
    .fetch_optional(tx)
    .await
}

/// Writes a reset.
pub(in crate::account) async fn insert(
    tx: &mut PgConnection,
    id: PasswordResetId,
    user: UserId,
    lifetime: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO password_resets (id, user_id, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))",
        id.0,
        user.0,
        lifetime.as_secs_f64(),
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Whose reset this is, if it is open.
pub(in crate::account) async fn holder(
    connection: &mut PgConnection,
    id: PasswordResetId,
) -> sqlx::Result<Option<Holder>> {
    sqlx::query_as!(
        Holder,
        r#"SELECT u.id AS "user: UserId", u.email::text AS "email!", u.name
           FROM password_resets r JOIN users u ON u.id = r.user_id
           WHERE r.id = $1 AND r.used_at IS NULL AND r.expires_at > now()"#,
        id.0
    )
    .fetch_optional(connection)
    .await
}

/// Uses a reset, and says whether it was still open.
pub(in crate::account) async fn spend(tx: &mut PgConnection, id: PasswordResetId) -> sqlx::Result<bool> {
    let spent = sqlx::query!(
        "UPDATE password_resets SET used_at = now() WHERE id = $1 AND used_at IS NULL AND expires_at > now()",
        id.0
    )
    .execute(tx)
    .await?;
    Ok(spent.rows_affected() == 1)
}

/// Closes all resets of a user that are open.
pub(super) async fn spend_all(tx: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE password_resets SET used_at = now() WHERE user_id = $1 AND used_at IS NULL", user.0)
        .execute(tx)
        .await
        .map(|_| ())
}
