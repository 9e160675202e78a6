//! Who is told when sales leave little in stock.

use sqlx::PgConnection;

use super::decrement::Sale;
use crate::{
    id::{MovementId, OrderItemId, ProductId},
    mail,
};

/// Who is told, and from when on.
#[derive(Clone, Debug)]
pub struct LowStock {
    /// An operator's mail address.
    pub to: String,
    /// The most units that count as few.
    pub threshold: i64,
}

/// Tells of a sale that left few, unless somebody was told since there were more. Most sales leave many, and cost nothing more.
pub(super) async fn tell(
    tx: &mut PgConnection,
    low: Option<&LowStock>,
    product: ProductId,
    sale: &Sale,
) -> sqlx::Result<()> {
    match low {
        Some(low) if sale.stock <= low.threshold && !sale.is_told && mark(tx, low, product).await? => {
            mail::enqueue_low_stock(tx, sale.movement, &low.to).await
        }
        _ => Ok(()),
    }
}

/// Tells of a line that was sold where nobody knew whom to tell: by the API, with a refund that was faster than the order's job.
pub(super) async fn catch_up(
    tx: &mut PgConnection,
    low: Option<&LowStock>,
    item: OrderItemId,
    product: ProductId,
) -> sqlx::Result<()> {
    let Some(low) = low else { return Ok(()) };
    if !mark(tx, low, product).await? {
        return Ok(());
    }
    let movement = sqlx::query_scalar!(
        r#"SELECT id AS "id: MovementId" FROM stock_movements WHERE order_item_id = $1 AND kind = 'sale'"#,
        item.0
    )
    .fetch_one(&mut *tx)
    .await?;
    mail::enqueue_low_stock(tx, movement, &low.to).await
}

/// Notes that somebody is told that few are left of a product; false where there are more, or somebody was told. A trigger takes the note
/// off once there are more again.
async fn mark(tx: &mut PgConnection, low: &LowStock, product: ProductId) -> sqlx::Result<bool> {
    let marked = sqlx::query!(
        "UPDATE products SET low_stock_told = $2::bigint WHERE id = $1 AND stock <= $2 AND low_stock_told IS NULL",
        product.0,
        low.threshold
    )
    .execute(tx)
    .await?;
    Ok(marked.rows_affected() == 1)
}
