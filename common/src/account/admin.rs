//! Making an administrator, from the operator's command line: the API has no way to it.

use serde_json::json;
use sqlx::PgPool;

use super::{Email, HashError, NewPassword, Passwords, Role, store};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::UserId,
};

/// What [`create_admin`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminCreated {
    /// There was nobody with this e-mail.
    New(UserId),
    /// There was, a customer or an admin: now an admin with the given password, every former session ended.
    TakenOver(UserId),
}

/// Why no administrator was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateAdminError {
    /// The password is well known, or could not be hashed.
    #[error("the password {0}")]
    Password(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Sees to it that this e-mail belongs to an administrator who has this password. E-mails aren't verified, so whoever
/// registered the address first might be a stranger: an account that exists gets the new password, and its sessions end.
///
/// # Errors
/// See [`CreateAdminError`].
pub async fn create_admin(
    pool: &PgPool,
    actor: Actor,
    passwords: &Passwords,
    email: &Email,
    password: NewPassword,
) -> Result<AdminCreated, CreateAdminError> {
    let hash = passwords.hash(password, vec![email.as_str().to_owned()]).await?;
    let mut tx = db::begin(pool).await?;
    let (created, id, before) = match store::insert_user(&mut tx, email, &hash, None, Role::Admin).await? {
        Some((user, _)) => (AdminCreated::New(user.id), user.id, None),
        None => {
            let (id, before) = store::take_over_as_admin(&mut tx, email, &hash).await?;
            store::end_sessions(&mut tx, id).await?;
            (AdminCreated::TakenOver(id), id, Some(json!({ "role": before })))
        }
    };
    let after = Some(json!({ "role": Role::Admin }));
    audit::record(&mut tx, actor, Act { action: Action::UserMadeAdmin, object: Object::User(id), before, after })
        .await?;
    tx.commit().await?;
    Ok(created)
}
