//! The SQL of accounts: users here, what opens sessions beside. E-mails compare as `citext`: without regard to case.

pub(super) mod password_resets;
pub(super) mod refresh_tokens;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Email, EmailBeginning, PersonName, Role, User, users::Filter};
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

/// Makes the user with this e-mail an admin with this password, and tells what the user was. The sessions are still to be ended.
pub(super) async fn take_over_as_admin(
    tx: &mut PgConnection,
    email: &Email,
    password_hash: &str,
) -> sqlx::Result<(UserId, Role)> {
    let row = sqlx::query!(
        r#"UPDATE users SET role = 'admin', password_hash = $2, updated_at = now()
           FROM (SELECT id, role FROM users WHERE email = $1::text::citext FOR NO KEY UPDATE) was
           WHERE users.id = was.id RETURNING users.id AS "id: UserId", was.role AS "role: Role""#,
        email.as_str(),
        password_hash,
    )
    .fetch_one(tx)
    .await?;
    Ok((row.id, row.role))
}

/// Sets a user's password. The sessions are still to be ended.
pub(super) async fn set_password(tx: &mut PgConnection, id: UserId, password_hash: &str) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1", id.0, password_hash)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Ends every session of a user whose row is locked: access tokens, refresh tokens, and links that reset the password.
pub(super) async fn end_sessions(tx: &mut PgConnection, id: UserId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET token_version = token_version + 1, updated_at = now() WHERE id = $1", id.0)
        .execute(&mut *tx)
        .await?;
    refresh_tokens::revoke_all(tx, id).await?;
    password_resets::spend_all(tx, id).await
}

/// The user with the `token_version`, locked until the transaction ends. Whoever changes what lets a user in, or goes by it, takes this
/// lock first, and all else after it: else a token could be made while all of them are revoked, and be overlooked.
pub(super) async fn lock_user(tx: &mut PgConnection, id: UserId) -> sqlx::Result<Option<(User, i32)>> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, role AS "role: Role", created_at, token_version
           FROM users WHERE id = $1 FOR NO KEY UPDATE"#,
        id.0,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| {
        let user = User { id: row.id, email: row.email, name: row.name, role: row.role, created_at: row.created_at };
        (user, row.token_version)
    }))
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

/// This user and all administrators, in the order of their ids and locked until the transaction ends.
pub(super) async fn lock_with_admins(tx: &mut PgConnection, id: UserId) -> sqlx::Result<Vec<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, role AS "role: Role", created_at
           FROM users WHERE id = $1 OR role = 'admin' ORDER BY id FOR NO KEY UPDATE"#,
        id.0,
    )
    .fetch_all(tx)
    .await
}

/// Sets what a user may do, whose row is locked.
pub(super) async fn set_role(tx: &mut PgConnection, id: UserId, role: Role) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET role = $2, updated_at = now() WHERE id = $1", id.0, role as Role)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Users whose e-mail begins so, at most so many, in no order.
pub(crate) async fn beginning_with(
    conn: &mut PgConnection,
    email: &EmailBeginning,
    most: usize,
) -> sqlx::Result<Vec<Uuid>> {
    let (from, behind) = email.range();
    // The comparisons of the index: by code points, whatever the collation.
    sqlx::query_scalar!(
        "SELECT id FROM users WHERE lower(email::text) ~>=~ $1 AND ($2::text IS NULL OR lower(email::text) ~<~ $2) LIMIT $3",
        from,
        behind,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(conn)
    .await
}

/// Users, the newest first, one more than is wanted. Those whose e-mail begins as is wanted are `few`, unless they are many.
pub(super) async fn list_users(
    conn: &mut PgConnection,
    filter: &Filter,
    few: Option<&[Uuid]>,
) -> sqlx::Result<Vec<User>> {
    let email = filter.email.as_ref().filter(|_| few.is_none());
    let (from, behind) = email.map(EmailBeginning::range).unzip();
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: UserId", email::text AS "email!", name, role AS "role: Role", created_at
           FROM users
           WHERE ($1::uuid[] IS NULL OR id = ANY($1))
             AND ($2::text IS NULL OR lower(email::text) ~>=~ $2)
             AND ($3::text IS NULL OR lower(email::text) ~<~ $3)
             AND ($4::text IS NULL OR role = $4)
             AND ($5::uuid IS NULL OR id < $5)
           ORDER BY id DESC LIMIT $6"#,
        few,
        from,
        behind.flatten(),
        filter.role.map(Role::name),
        filter.before.map(|id| id.0),
        filter.limit.one_more(),
    )
    .fetch_all(conn)
    .await
}
