//! Taking a product off the shelves. Nothing is deleted: orders, and the ledger, name it.

use sqlx::PgPool;

use super::{EditError, Precondition, store};
use crate::{db, id::ProductId};

/// Archives a product, again and again without harm.
///
/// # Errors
/// When there is none, or it is not the version that is to be archived; or the database's.
pub async fn archive(pool: &PgPool, id: ProductId, precondition: &Precondition) -> Result<(), EditError> {
    db::retrying(|| async {
        let mut tx = db::begin(pool).await?;
        let product = store::lock(&mut tx, id).await?.ok_or(EditError::NotFound)?;
        precondition.check(&product)?;
        store::archive(&mut tx, id).await?;
        Ok(tx.commit().await?)
    })
    .await
}
