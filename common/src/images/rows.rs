//! The SQL that several operations on images share. Whoever changes an image has changed what is shown of its product: they raise its
//! version first, which also takes its lock, before they touch the image.

use sqlx::{PgConnection, types::Json};

use super::Image;
use crate::id::{ImageId, ProductId};

/// Raises the product's version, which a trigger does with each update; false where there is no such product.
pub(super) async fn touch(tx: &mut PgConnection, product: ProductId) -> sqlx::Result<bool> {
    let touched = sqlx::query!("UPDATE products SET updated_at = now() WHERE id = $1", product.0).execute(tx).await?;
    Ok(touched.rows_affected() == 1)
}

/// The same for the product of an image.
pub(super) async fn touch_product_of(tx: &mut PgConnection, image: ImageId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE products SET updated_at = now() WHERE id = (SELECT product_id FROM product_images WHERE id = $1)",
        image.0
    )
    .execute(tx)
    .await
    .map(|_| ())
}

pub(super) async fn by_id(tx: &mut PgConnection, id: ImageId) -> sqlx::Result<Option<Image>> {
    let row = sqlx::query_scalar!(
        r#"SELECT image_json(i) AS "image!: Json<Image>" FROM product_images i WHERE id = $1 AND status <> 'removed'"#,
        id.0
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|Json(image)| image))
}
