//! Adding an image to a product.

use bytes::Bytes;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Image, Storage, StorageError, key, rows};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{ImageId, ProductId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    jobs::{self, ProcessImage},
};

/// How many images a product may have.
pub const MAX_PER_PRODUCT: i64 = 50;

/// What an image shows, in at most 500 characters and one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alt(String);

/// Not what an image shows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most 500 characters, no control characters among them")]
pub struct NotAnAlt;

impl Alt {
    /// Parses a text; blanks around it are taken off.
    ///
    /// # Errors
    /// When it is too long, or has control characters.
    pub fn parse(raw: &str) -> Result<Self, NotAnAlt> {
        let alt = raw.trim();
        let fits = alt.chars().count() <= 500 && !alt.chars().any(char::is_control);
        if fits { Ok(Self(alt.to_owned())) } else { Err(NotAnAlt) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was uploaded, and found to be an image.
#[derive(Clone, Debug)]
pub struct Upload {
    /// As it came.
    pub bytes: Bytes,
    /// What it shows.
    pub alt: Alt,
}

/// An image that was added: now, or by an earlier request with the same idempotency key.
#[derive(Clone, Debug)]
pub struct Added {
    /// The image as it is now.
    pub image: Image,
    /// Whether an earlier request added it.
    pub replayed: bool,
}

/// Why no image was added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// There is no such product; or the image that was added under the key is gone.
    #[error("there is no such product")]
    NotFound,
    /// The product has as many as it may have.
    #[error("the product has {MAX_PER_PRODUCT} images")]
    TooMany,
    /// The bytes can't be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The idempotency key stands in the way, or the database failed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl From<sqlx::Error> for AddError {
    fn from(error: sqlx::Error) -> Self {
        Self::Claim(error.into())
    }
}

impl db::AsDatabaseError for AddError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Claim(ClaimError::Database(error)) => Some(error),
            _ => None,
        }
    }
}

/// Stores the bytes; then the image becomes the product's last one, to be processed.
///
/// # Errors
/// See [`AddError`]. After any of them nothing was added, but for a database that broke off and may have committed.
pub async fn add(
    pool: &PgPool,
    storage: &Storage,
    actor: UserId,
    product: ProductId,
    upload: &Upload,
    key: Option<&KeyedRequest>,
) -> Result<Added, AddError> {
    if !exists(pool, product).await? {
        return Err(AddError::NotFound);
    }
    if let Some(earlier) = earlier(pool, actor, key).await? {
        return Ok(earlier); // the store isn't asked for what is there already
    }
    let original = key::original();
    storage.put(&original, upload.bytes.clone()).await?;
    let added = db::retrying(|| add_once(pool, actor, product, &original, &upload.alt, key)).await;
    let is_of_no_use = match &added {
        Ok(added) => added.replayed,
        Err(error) => db::AsDatabaseError::as_database_error(error).is_none(),
    };
    if is_of_no_use {
        storage.forget(&original).await;
    }
    added
}

/// What an earlier request added under this key.
async fn earlier(pool: &PgPool, actor: UserId, key: Option<&KeyedRequest>) -> Result<Option<Added>, AddError> {
    let Some(key) = key else { return Ok(None) };
    let mut tx = db::begin(pool).await?;
    let earlier = match key.claim(&mut tx, actor).await? {
        Claim::Fresh => None,
        Claim::Replay(added) => Some(replayed(&mut tx, added).await?),
    };
    tx.rollback().await?;
    Ok(earlier)
}

async fn replayed(tx: &mut PgConnection, added: Uuid) -> Result<Added, AddError> {
    let image = rows::by_id(tx, ImageId(added)).await?.ok_or(AddError::NotFound)?;
    Ok(Added { image, replayed: true })
}

async fn exists(pool: &PgPool, product: ProductId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM products WHERE id = $1) AS "exists!""#, product.0)
        .fetch_one(pool)
        .await
}

async fn add_once(
    pool: &PgPool,
    actor: UserId,
    product: ProductId,
    original: &str,
    alt: &Alt,
    key: Option<&KeyedRequest>,
) -> Result<Added, AddError> {
    let mut tx = db::begin(pool).await?;
    if let Some(key) = key
        && let Claim::Replay(added) = key.claim(&mut tx, actor).await?
    {
        return replayed(&mut tx, added).await;
    }
    if !rows::touch(&mut tx, product).await? {
        return Err(AddError::NotFound);
    }
    let id = ImageId::new();
    if !insert(&mut tx, id, product, original, alt).await? {
        return Err(AddError::TooMany);
    }
    jobs::enqueue(&mut tx, &ProcessImage { image_id: id }).await?;
    let act = Act {
        action: Action::ProductImageAdded,
        object: Object::Product(product),
        before: None,
        after: Some(json!({ "image_id": id, "alt": alt.as_str() })),
    };
    audit::record(&mut tx, Actor::User(actor), act).await?;
    if let Some(key) = key {
        key.keep(&mut tx, actor, id.0).await?;
    }
    let image = rows::by_id(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    tx.commit().await?;
    Ok(Added { image, replayed: false })
}

/// Inserts it behind the others; false where there are enough. The product is locked.
async fn insert(
    tx: &mut PgConnection,
    id: ImageId,
    product: ProductId,
    original: &str,
    alt: &Alt,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO product_images (id, product_id, position, alt, original_key)
         SELECT $1, $2, coalesce(max(position), 0) + 1, $3, $4 FROM product_images
         WHERE product_id = $2 AND status <> 'removed' HAVING count(*) < $5",
        id.0,
        product.0,
        alt.as_str(),
        original,
        MAX_PER_PRODUCT,
    )
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alt_is_a_line() {
        assert_eq!(Alt::parse(" Ein Becher, 茶 ").expect("an alt").as_str(), "Ein Becher, 茶");
        assert_eq!(Alt::parse(""), Ok(Alt::default()));
        assert_eq!(Alt::parse(&"é".repeat(500)).expect("an alt").as_str().len(), 1000);
        for wrong in ["a\nb", "a\0b", &"x".repeat(501)] {
            assert_eq!(Alt::parse(wrong), Err(NotAnAlt));
        }
    }
}
