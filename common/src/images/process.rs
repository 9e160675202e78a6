//! What becomes of an upload: it is ready, or can't be.

use sqlx::{PgConnection, PgPool};

use super::{Keys, rows};
use crate::{
    db,
    id::ImageId,
    jobs::{CompleteError, Lease},
};

/// An upload that waits to be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToProcess {
    /// The image.
    pub id: ImageId,
    /// What was uploaded.
    pub original: String,
}

/// What was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its objects.
    pub keys: Keys,
    /// Pixels of the image as it is shown.
    pub width: i32,
    /// Pixels of the image as it is shown.
    pub height: i32,
}

/// The image, if it still has to be processed.
///
/// # Errors
/// The database's.
pub async fn to_process(pool: &PgPool, id: ImageId) -> sqlx::Result<Option<ToProcess>> {
    sqlx::query_as!(
        ToProcess,
        r#"SELECT id AS "id: ImageId", original_key AS "original!" FROM product_images WHERE id = $1 AND status = 'processing'"#,
        id.0
    )
    .fetch_optional(pool)
    .await
}

/// Has the image shown from now on, and completes the job. False where it was removed meanwhile: then nobody needs what was made.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn ready(pool: &PgPool, lease: &Lease, id: ImageId, finished: &Finished) -> Result<bool, CompleteError> {
    let Keys { image, thumbnail, small_thumbnail } = &finished.keys;
    let mut tx = db::begin(pool).await?;
    rows::touch_product_of(&mut tx, id).await?;
    let is_shown = sqlx::query!(
        "UPDATE product_images
         SET status = 'ready', original_key = NULL, image_key = $2, thumbnail_key = $3, small_thumbnail_key = $4, width = $5, height = $6,
             error = NULL, updated_at = now()
         WHERE id = $1 AND status = 'processing'",
        id.0,
        image,
        thumbnail,
        small_thumbnail,
        finished.width,
        finished.height,
    )
    .execute(&mut *tx)
    .await?;
    lease.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(is_shown.rows_affected() == 1)
}

/// Notes that this upload will never be an image, and completes the job. Its bytes are of no use any more.
///
/// # Errors
/// The database's, or that another worker has the job.
pub async fn refuse(pool: &PgPool, lease: &Lease, id: ImageId, why: &str) -> Result<(), CompleteError> {
    let mut tx = db::begin(pool).await?;
    rows::touch_product_of(&mut tx, id).await?;
    sqlx::query!(
        "UPDATE product_images SET status = 'failed', error = $2, original_key = NULL, updated_at = now()
         WHERE id = $1 AND status = 'processing'",
        id.0,
        why
    )
    .execute(&mut *tx)
    .await?;
    lease.complete(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// What admins are told of an image whose job is dead.
const GIVEN_UP: &str = "could not be processed: `kassa jobs list --state dead` says why";

/// Notes that an image was given up, in the transaction in which its job dies. Its bytes are kept for another try.
/// What went wrong is for operators, and is with the job.
pub(crate) async fn failed(tx: &mut PgConnection, id: ImageId) -> sqlx::Result<()> {
    rows::touch_product_of(tx, id).await?;
    sqlx::query!(
        "UPDATE product_images SET status = 'failed', error = $2, updated_at = now() WHERE id = $1 AND status = 'processing'",
        id.0,
        GIVEN_UP
    )
    .execute(tx)
    .await
    .map(|_| ())
}

/// Has an image that was given up wait again; false where it is ready, gone, or can never be one.
pub(crate) async fn wait_again(tx: &mut PgConnection, id: ImageId) -> sqlx::Result<bool> {
    rows::touch_product_of(tx, id).await?;
    let waits = sqlx::query!(
        "UPDATE product_images SET status = 'processing', error = NULL, updated_at = now()
         WHERE id = $1 AND status IN ('failed', 'processing') AND original_key IS NOT NULL",
        id.0
    )
    .execute(tx)
    .await?;
    Ok(waits.rows_affected() == 1)
}
