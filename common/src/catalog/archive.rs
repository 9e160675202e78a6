//! Taking a product off the shelves. Nothing is deleted: orders, and the ledger, name it.

use sqlx::PgPool;

use super::store;
use crate::id::ProductId;

/// Archives a product, again and again without harm; `false` where there is none.
///
/// # Errors
/// The database's.
pub async fn archive(pool: &PgPool, id: ProductId) -> sqlx::Result<bool> {
    store::archive(pool, id).await
}
