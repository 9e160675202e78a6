//! Making an account.

use sqlx::PgPool;
use uuid::Uuid;

use crate::db;

use super::{Accounts, Email, HashError, NewPassword, PersonName, Role, Session, store};

/// What an account is made of. Its role is not: everybody starts as a customer.
#[derive(Debug)]
pub struct NewAccount {
    /// Where mails go.
    pub email: Email,
    /// What logs in.
    pub password: NewPassword,
    /// How the user wants to be called.
    pub name: Option<PersonName>,
}

/// Why no account was made.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Somebody has this address already, in whatever case.
    #[error("there is an account with this e-mail already")]
    EmailTaken,
    /// The password is well known, or could not be hashed.
    #[error(transparent)]
    Password(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Accounts {
    /// Makes a customer's account and its first session. Of several at once with one address, one succeeds.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub async fn register(&self, pool: &PgPool, account: NewAccount) -> Result<Session, RegisterError> {
        let NewAccount { email, password, name } = account;
        let personal = [Some(email.as_str()), name.as_ref().map(PersonName::as_str)];
        let personal = personal.into_iter().flatten().map(str::to_owned).collect();
        let hash = self.passwords.hash(password, personal).await?; // no connection is held meanwhile

        let mut tx = db::begin(pool).await?;
        let inserted = store::insert_user(&mut tx, &email, &hash, name.as_ref(), Role::Customer).await?;
        let (user, version) = inserted.ok_or(RegisterError::EmailTaken)?;
        let session = self.open_session(&mut tx, user, version, Uuid::now_v7()).await?;
        let session = session.ok_or(sqlx::Error::RowNotFound)?;
        tx.commit().await?;
        Ok(session)
    }
}
