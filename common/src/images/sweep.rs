//! Removes objects that no row names: of uploads that came to nothing, and of processes that died between the store and the database.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::PgPool;

use super::{Storage, StorageError, key};

/// Keys that are looked up at once.
const BATCH: usize = 500;

/// Why the store was not swept to its end; what was removed is.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Removes what is older than this, has a name that the shop gives, and belongs to no image, and says how many objects these were. The age must be longer than any
/// upload takes between its object and its row.
///
/// # Errors
/// See [`SweepError`].
pub async fn sweep(pool: &PgPool, storage: &Storage, older_than: Duration) -> Result<u64, SweepError> {
    let mut removed = storage.remove_torn(older_than).await?;
    let mut batches = storage.list(older_than).try_chunks(BATCH).boxed();
    while let Some(keys) = batches.try_next().await.map_err(|error| error.1)? {
        let known = known(pool, &keys).await?;
        for key in keys.iter().filter(|key| key::is_ours(key) && !known.contains(*key)) {
            storage.delete(key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

async fn known(pool: &PgPool, keys: &[String]) -> sqlx::Result<HashSet<String>> {
    let rows = sqlx::query!(
        "SELECT original_key, image_key, thumbnail_key, small_thumbnail_key FROM product_images
         WHERE original_key = ANY ($1) OR image_key = ANY ($1) OR thumbnail_key = ANY ($1) OR small_thumbnail_key = ANY ($1)",
        keys
    )
    .fetch_all(pool)
    .await?;
    let keys =
        rows.into_iter().map(|row| [row.original_key, row.image_key, row.thumbnail_key, row.small_thumbnail_key]);
    Ok(keys.flatten().flatten().collect())
}
