//! Taking a product off the shelves. Nothing is deleted: orders, and the ledger, name it.

use serde_json::json;
use sqlx::PgPool;

use super::{EditError, Precondition, ProductStatus, store};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{ProductId, UserId},
};

/// Archives a product, again and again without harm.
///
/// # Errors
/// When there is none, or it is not the version that is to be archived; or the database's.
pub async fn archive(
    pool: &PgPool,
    actor: UserId,
    id: ProductId,
    precondition: &Precondition,
) -> Result<(), EditError> {
    db::retrying(|| async {
        let mut tx = db::begin(pool).await?;
        let product = store::lock(&mut tx, id).await?.ok_or(EditError::NotFound)?;
        precondition.check(&product)?;
        if product.status == ProductStatus::Archived {
            return Ok(());
        }
        store::archive(&mut tx, id).await?;
        let act = Act {
            action: Action::ProductArchived,
            object: Object::Product(id),
            before: Some(json!({ "status": product.status })),
            after: Some(json!({ "status": ProductStatus::Archived })),
        };
        audit::record(&mut tx, Actor::User(actor), act).await?;
        Ok(tx.commit().await?)
    })
    .await
}
