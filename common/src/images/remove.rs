//! Taking an image away: at once from what is shown, then, by a job, its objects and its row.

use serde_json::json;
use sqlx::PgPool;

use super::rows;
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{ImageId, ProductId, UserId},
    jobs::{self, CompleteError, Lease, RemoveImage},
};

/// Why no image was removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The product has no such image.
    #[error("there is no such image")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl db::AsDatabaseError for RemoveError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::NotFound => None,
        }
    }
}

/// Removes an image of a product. Nobody sees it any more, and its objects follow.
///
/// # Errors
/// See [`RemoveError`].
pub async fn remove(pool: &PgPool, actor: UserId, product: ProductId, image: ImageId) -> Result<(), RemoveError> {
    db::retrying(|| async {
        let mut tx = db::begin(pool).await?;
        rows::touch(&mut tx, product).await?;
        let removed = sqlx::query!(
            "UPDATE product_images SET status = 'removed', updated_at = now()
             WHERE id = $1 AND product_id = $2 AND status <> 'removed' RETURNING alt",
            image.0,
            product.0,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(RemoveError::NotFound)?;
        let act = Act {
            action: Action::ProductImageRemoved,
            object: Object::Product(product),
            before: Some(json!({ "image_id": image, "alt": removed.alt })),
            after: None,
        };
        audit::record(&mut tx, Actor::User(actor), act).await?;
        jobs::enqueue(&mut tx, &RemoveImage { image_id: image }).await?;
        Ok(tx.commit().await?)
    })
    .await
}

/// The objects of an image that was removed, if it is still there.
///
/// # Errors
/// The database's.
pub async fn to_remove(pool: &PgPool, id: ImageId) -> sqlx::Result<Option<Vec<String>>> {
    let row = sqlx::query!(
        "SELECT original_key, image_key, thumbnail_key, small_thumbnail_key FROM product_images WHERE id = $1 AND status = 'removed'",
        id.0
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| {
        let keys = [row.original_key, row.image_key, row.thumbnail_key, row.small_thumbnail_key];
        keys.into_iter().flatten().collect()
    }))
}

/// Forgets an image whose objects are gone, and completes the job.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn gone(pool: &PgPool, lease: &Lease, id: ImageId) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    sqlx::query!("DELETE FROM product_images WHERE id = $1 AND status = 'removed'", id.0).execute(&mut *tx).await?;
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}
