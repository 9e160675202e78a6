//! Users, as administrators see them, and what these may do.

use serde_json::json;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{Role, User, store};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db::{self, AsDatabaseError},
    id::UserId,
    page::{Limit, Page},
};

/// The beginning of an e-mail, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 254, pattern = r"^[^\u0000]*$")]
pub struct EmailBeginning(String);

/// Not the beginning of an e-mail.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most 254 characters, NUL not among them")]
pub struct NotABeginning;

impl EmailBeginning {
    /// Takes the beginning as it is, without regard to case.
    ///
    /// # Errors
    /// When no e-mail can begin so.
    pub fn parse(raw: &str) -> Result<Self, NotABeginning> {
        let fits = raw.chars().count() <= 254 && !raw.contains('\0');
        if fits { Ok(Self(raw.to_lowercase())) } else { Err(NotABeginning) }
    }

    /// Of what the database has put into lower case, as its indexes have it.
    pub(crate) const fn of_lower_case(text: String) -> Self {
        Self(text)
    }

    /// What begins so, and what comes behind all that does, in the order of code points; `None` where nothing comes behind it.
    pub(crate) fn range(&self) -> (&str, Option<String>) {
        let mut behind: Vec<char> = self.0.chars().collect();
        while let Some(last) = behind.pop() {
            // The next code point; surrogates are none.
            let next = (u32::from(last) + 1..).take(0x801).find_map(char::from_u32);
            if let Some(next) = next {
                behind.push(next);
                return (&self.0, Some(behind.into_iter().collect()));
            }
        }
        (&self.0, None)
    }
}

/// So many users are looked up one by one. Where more begin so, a page of them, or of their orders, is found sooner by going through all.
pub(crate) const FEW: usize = 1_000;

/// Which users to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those whose e-mail begins so.
    pub email: Option<EmailBeginning>,
    /// Those who may do this.
    pub role: Option<Role>,
    /// Those who came before this one.
    pub before: Option<UserId>,
    /// At most so many.
    pub limit: Limit,
}

/// A page of users, the newest first.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter) -> sqlx::Result<Page<User>> {
    let mut tx = db::begin_list(pool).await?;
    let few = match &filter.email {
        None => None,
        Some(email) => Some(store::beginning_with(&mut tx, email, FEW + 1).await?).filter(|ids| ids.len() <= FEW),
    };
    let rows = store::list_users(&mut tx, filter, few.as_deref()).await?;
    Ok(Page::from_rows(rows, filter.limit, |user| user.id))
}

/// Why a role was not changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// Whoever asks is no administrator any more.
    #[error("only administrators change roles")]
    NotAnAdmin,
    /// Nobody would be left who runs the shop.
    #[error("this is the last administrator")]
    LastAdmin,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl AsDatabaseError for RoleError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

/// Sets what a user may do, from the next request on, and gives the user. Two administrators who demote each other at once take turns:
/// one of them stays.
///
/// # Errors
/// See [`RoleError`].
pub async fn set_role(pool: &PgPool, admin: UserId, id: UserId, role: Role) -> Result<User, RoleError> {
    db::retrying(|| set_role_once(pool, admin, id, role)).await
}

async fn set_role_once(pool: &PgPool, admin: UserId, id: UserId, role: Role) -> Result<User, RoleError> {
    let mut tx = db::begin(pool).await?;
    let locked = store::lock_with_admins(&mut tx, id).await?;
    let is_admin = |user: &&User| user.role == Role::Admin;
    if !locked.iter().filter(is_admin).any(|user| user.id == admin) {
        return Err(RoleError::NotAnAdmin); // demoted since the request came in
    }
    let user = locked.iter().find(|user| user.id == id).ok_or(RoleError::NotFound)?.clone();
    if user.role == role {
        return Ok(user);
    }
    if user.role == Role::Admin && locked.iter().filter(is_admin).count() == 1 {
        return Err(RoleError::LastAdmin);
    }
    store::set_role(&mut tx, id, role).await?;
    let act = Act {
        action: Action::UserRoleChanged,
        object: Object::User(id),
        before: Some(json!({ "role": user.role })),
        after: Some(json!({ "role": role })),
    };
    audit::record(&mut tx, Actor::User(admin), act).await?;
    tx.commit().await?;
    Ok(User { role, ..user })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(beginning: &str) -> (String, Option<String>) {
        let beginning = EmailBeginning::parse(beginning).expect("a beginning");
        let (from, behind) = beginning.range();
        (from.to_owned(), behind)
    }

    #[test]
    fn a_beginning_is_a_range() {
        assert_eq!(range("Ad"), ("ad".into(), Some("ae".into())));
        assert_eq!(range("a\u{10ffff}"), ("a\u{10ffff}".into(), Some("b".into())));
        assert_eq!(range("\u{d7ff}"), ("\u{d7ff}".into(), Some("\u{e000}".into())));
        assert_eq!(range("\u{10ffff}"), ("\u{10ffff}".into(), None));
        assert_eq!(range(""), (String::new(), None));
        assert_eq!(EmailBeginning::parse("a\0"), Err(NotABeginning));
    }
}
