//! Changing a product: all that an admin may set of it at once, under the row's lock.

use sqlx::PgPool;

use super::{Description, Price, Product, ProductName, ProductStatus, Slug, Stock, store};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{ProductId, UserId},
    inventory::{self, Movement},
};

/// What a product is to be.
#[derive(Clone, Debug)]
pub struct ProductEdit {
    /// What it is called.
    pub name: ProductName,
    /// Its readable address.
    pub slug: Slug,
    /// What there is to say about it.
    pub description: Description,
    /// What one costs.
    pub price: Price,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// How many there are; left alone where this is `None`.
    pub stock: Option<Stock>,
}

/// Which versions of the product a change was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The client doesn't say.
    Unknown,
    /// Whichever there is.
    Any,
    /// One of these.
    Versions(Vec<(ProductId, i64)>),
}

impl Precondition {
    /// Checks it against the product as it is now.
    pub(super) fn check(&self, product: &Product) -> Result<(), EditError> {
        match self {
            Self::Versions(versions) if !versions.contains(&(product.id, product.version)) => Err(EditError::Changed),
            Self::Unknown | Self::Any | Self::Versions(_) => Ok(()),
        }
    }
}

/// Why a product was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is no such product.
    #[error("there is no such product")]
    NotFound,
    /// It has changed since the client read it.
    #[error("the product has changed since it was read")]
    Changed,
    /// Stock changes only for a version that the client has read: a unit may have been sold since.
    #[error("a change of stock must name the version that it was made for")]
    VersionRequired,
    /// So many units are promised to orders.
    #[error("{reserved} units are promised to orders")]
    StockReserved {
        /// How many.
        reserved: i64,
    },
    /// The slug belongs to another product.
    #[error("another product has this slug")]
    SlugTaken,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl db::AsDatabaseError for EditError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// Changes a product and tells what it is now. A change of stock is booked in the ledger as this actor's adjustment; an edit
/// that changes nothing leaves the version as it is.
///
/// # Errors
/// See [`EditError`].
pub async fn edit(
    pool: &PgPool,
    actor: UserId,
    id: ProductId,
    edit: &ProductEdit,
    precondition: &Precondition,
) -> Result<Product, EditError> {
    db::retrying(|| edit_once(pool, actor, id, edit, precondition)).await
}

async fn edit_once(
    pool: &PgPool,
    actor: UserId,
    id: ProductId,
    edit: &ProductEdit,
    precondition: &Precondition,
) -> Result<Product, EditError> {
    let mut tx = db::begin(pool).await?;
    let old = store::lock(&mut tx, id).await?.ok_or(EditError::NotFound)?;
    let new = apply(&old, edit);
    check(&old, &new, precondition)?;
    if new == old {
        return Ok(old);
    }
    let stored = store::update(&mut tx, &new).await.map_err(slug_taken)?;
    if new.stock != old.stock {
        let adjustment = Movement::Adjustment { reason: None };
        inventory::record(&mut tx, id, new.stock - old.stock, adjustment, Actor::User(actor)).await?;
    }
    let (before, after) = audit::difference(old.settable(), &stored.settable());
    let act =
        Act { action: Action::ProductEdited, object: Object::Product(id), before: Some(before), after: Some(after) };
    audit::record(&mut tx, Actor::User(actor), act).await?;
    tx.commit().await?;
    Ok(stored)
}

fn apply(old: &Product, edit: &ProductEdit) -> Product {
    Product {
        name: edit.name.as_str().to_owned(),
        slug: edit.slug.as_str().to_owned(),
        description: edit.description.as_str().to_owned(),
        price: edit.price.money(),
        status: edit.status,
        stock: edit.stock.map_or(old.stock, Stock::units),
        ..old.clone()
    }
}

fn check(old: &Product, new: &Product, precondition: &Precondition) -> Result<(), EditError> {
    precondition.check(old)?;
    if new.stock != old.stock && !matches!(precondition, Precondition::Versions(_)) {
        return Err(EditError::VersionRequired);
    }
    if new.stock < new.reserved {
        return Err(EditError::StockReserved { reserved: new.reserved });
    }
    Ok(())
}

fn slug_taken(error: sqlx::Error) -> EditError {
    match &error {
        sqlx::Error::Database(e) if e.constraint() == Some("products_slug_key") => EditError::SlugTaken,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sqlx::types::Json;

    use super::*;
    use crate::money::Money;

    fn product(version: i64, stock: i64, reserved: i64) -> Product {
        Product {
            id: ProductId(uuid::Uuid::nil()),
            name: "Mug".into(),
            slug: "mug".into(),
            description: String::new(),
            price: Money(500),
            stock,
            reserved,
            status: ProductStatus::Active,
            version,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            images: Json(vec![]),
        }
    }

    #[test]
    fn stock_changes_only_for_a_version_that_was_read() {
        let (old, new) = (product(3, 10, 0), product(3, 9, 0));
        assert!(matches!(check(&old, &new, &Precondition::Unknown), Err(EditError::VersionRequired)));
        assert!(matches!(check(&old, &new, &Precondition::Any), Err(EditError::VersionRequired)));
        assert!(matches!(check(&old, &new, &Precondition::Versions(vec![(old.id, 2)])), Err(EditError::Changed)));
        assert!(check(&old, &new, &Precondition::Versions(vec![(old.id, 2), (old.id, 3)])).is_ok());
        assert!(check(&old, &old, &Precondition::Unknown).is_ok());
        assert!(matches!(check(&old, &old, &Precondition::Versions(vec![])), Err(EditError::Changed)));
    }

    #[test]
    fn stock_never_falls_below_what_is_promised() {
        let precondition = Precondition::Versions(vec![(ProductId(uuid::Uuid::nil()), 3)]);
        assert!(check(&product(3, 10, 4), &product(3, 4, 4), &precondition).is_ok());
        let short = check(&product(3, 10, 4), &product(3, 3, 4), &precondition);
        assert!(matches!(short, Err(EditError::StockReserved { reserved: 4 })));
    }
}
