//! The SQL of accounts. E-mails compare as `citext`: without regard to case.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Email, PersonName, Role, User};
use crate::id::UserId;

/// A user with what logs in.
pub(super) struct Credentials {
    pub(super) user: User,
    pub(super) password_hash: String,
    pub(super) version: i32,
}

/// Inserts a user and returns it with its `token_version`; `None` where the e-mail is taken, perhaps by a transaction that this
/// one waited for.
pub(super) async fn insert_user(
    tx: &mut PgConnection,
    email: &Email,
    password_hash: &str,
    name: Option<&PersonName>,
    role: Role,
) -> sqlx::Result<Option<(User, i32)>> {
    let row = sqlx::query!(
        r#"INSERT INTO users (id, email, password_hash, name, role) VALUES ($1, $2::text::citext, $3, $4, $5)
           ON CONFLICT (email) DO NOTHING
           RETURNING id AS "id: UserId", email::text AS "email!", name, role AS "role: Role", created_at, token_version"#,
        UserId::new() as UserId,
        email.as_str(),
        password_hash,
        name.map(PersonName::as_str),
        role as Role,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| {
        let user = User { id: row.id, email: row.email, name: row.name, role: row.role, created_at: row.created_at };
        (user, row.token_version)
    }))
}

/// Makes the user with this e-mail an admin with this password, and ends all its sessions.
pub(super) async fn take_over_as_admin(
    tx: &mut PgConnection,
    email: &Email,
    password_hash: &str,
) -> sqlx::Result<UserId> {
    let id = sqlx::query_scalar!(
        r#"UPDATE users
           SET role = 'admin', password_hash = $2, token_version = token_version + 1, updated_at = now()
           WHERE email = $1::text::citext RETURNING id AS "id: UserId""#,
        email.as_str(),
        password_hash,
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!("UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", id.0)
        .execute(tx)
        .await?;
    Ok(id)
}

/// The user with this e-mail.
pub(super) async fn credentials(pool: &PgPool, email: &Email) -> sqlx::Result<Option<Credentials>> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, role AS "role: Role", created_at, password_hash,
                  token_version
           FROM users WHERE email = $1::text::citext"#,
        email.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Credentials {
        user: User { id: row.id, email: row.email, name: row.name, role: row.role, created_at: row.created_at },
        password_hash: row.password_hash,
        version: row.token_version,
    }))
}

/// The user, if its `token_version` is still this one.
pub(super) async fn user_at_version(pool: &PgPool, id: UserId, version: i32) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, role AS "role: Role", created_at
           FROM users WHERE id = $1 AND token_version = $2"#,
        id.0,
        version,
    )
    .fetch_optional(pool)
    .await
}

/// Replaces a password's hash, unless it has been replaced meanwhile.
pub(super) async fn replace_hash(pool: &PgPool, id: UserId, old: &str, new: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET password_hash = $3, updated_at = now() WHERE id = $1 AND password_hash = $2",
        id.0,
        old,
        new,
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Stores a refresh token for a user whose `token_version` is still this one, and tells whether it did.
pub(super) async fn insert_refresh_token(
    connection: &mut PgConnection,
    user: UserId,
    version: i32,
    family: Uuid,
    hash: &[u8],
    lifetime: Duration,
) -> sqlx::Result<bool> {
    let stored = sqlx::query!(
        "INSERT INTO refresh_tokens (id, user_id, family, token_hash, expires_at)
         SELECT $1, id, $2, $3, now() + make_interval(secs => $4) FROM users WHERE id = $5 AND token_version = $6",
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
