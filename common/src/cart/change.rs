//! Changing a cart.

use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db,
    id::{CartItemId, ProductId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    inventory::Line,
};

/// The most units that a line of a cart may have.
pub const MAX_QUANTITY: i32 = 999;

/// Units of one product in a cart: 1 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 999)]
pub struct Quantity(i32);

impl TryFrom<i64> for Quantity {
    type Error = &'static str;

    fn try_from(n: i64) -> Result<Self, Self::Error> {
        i32::try_from(n)
            .ok()
            .filter(|n| (1..=MAX_QUANTITY).contains(n))
            .map(Self)
            .ok_or("must be a whole number from 1 to 999")
    }
}

/// Why a cart was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such product on sale.
    #[error("there is no such product")]
    NoSuchProduct,
    /// There is no such line in this user's cart.
    #[error("there is no such line in the cart")]
    NoSuchItem,
    /// There are fewer units than the line would then want.
    #[error("there is not enough stock")]
    InsufficientStock {
        /// How many there are.
        available: i64,
    },
    /// The line would want more than 999.
    #[error("a line may have at most 999 units")]
    TooMany,
    /// The idempotency key forbids it.
    #[error(transparent)]
    Key(#[from] ClaimError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Adds units to the user's line of a product; `true` when the client's key had done so before.
///
/// # Errors
/// See [`ChangeError`].
pub async fn add(
    pool: &PgPool,
    user: UserId,
    product: ProductId,
    quantity: Quantity,
    key: Option<&KeyedRequest>,
) -> Result<bool, ChangeError> {
    let mut tx = db::begin(pool).await?;
    if let Some(key) = key
        && let Claim::Replay(_) = key.claim(&mut tx, user).await?
    {
        return Ok(true);
    }
    let available = available(&mut tx, product).await?.ok_or(ChangeError::NoSuchProduct)?;
    let line = sqlx::query!(
        r#"INSERT INTO cart_items AS c (id, user_id, product_id, quantity) VALUES ($1, $2, $3, $4)
           ON CONFLICT (user_id, product_id) DO UPDATE
             SET quantity = c.quantity + excluded.quantity, updated_at = now()
             WHERE c.quantity + excluded.quantity <= $5
           RETURNING id AS "id: CartItemId", quantity"#,
        Uuid::now_v7(),
        user.0,
        product.0,
        quantity.0,
        MAX_QUANTITY,
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(ChangeError::TooMany)?;
    if i64::from(line.quantity) > available {
        return Err(ChangeError::InsufficientStock { available });
    }
    if let Some(key) = key {
        key.keep(&mut tx, user, line.id.0).await?;
    }
    tx.commit().await?;
    Ok(false)
}

/// Sets the units of a line of the user's.
///
/// # Errors
/// See [`ChangeError`].
pub async fn set_quantity(
    pool: &PgPool,
    user: UserId,
    item: CartItemId,
    quantity: Quantity,
) -> Result<(), ChangeError> {
    let mut tx = db::begin(pool).await?;
    let product = sqlx::query_scalar!(
        r#"UPDATE cart_items SET quantity = $3, updated_at = now() WHERE id = $1 AND user_id = $2
           RETURNING product_id AS "product_id: ProductId""#,
        item.0,
        user.0,
        quantity.0,
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(ChangeError::NoSuchItem)?;
    let available = available(&mut tx, product).await?.unwrap_or(0);
    if i64::from(quantity.0) > available {
        return Err(ChangeError::InsufficientStock { available });
    }
    Ok(tx.commit().await?)
}

/// Takes a line out of the user's cart.
///
/// # Errors
/// See [`ChangeError`].
pub async fn remove(pool: &PgPool, user: UserId, item: CartItemId) -> Result<(), ChangeError> {
    let removed =
        sqlx::query!("DELETE FROM cart_items WHERE id = $1 AND user_id = $2", item.0, user.0).execute(pool).await?;
    if removed.rows_affected() == 0 { Err(ChangeError::NoSuchItem) } else { Ok(()) }
}

/// Units of a product on sale that can be bought now.
async fn available(tx: &mut PgConnection, product: ProductId) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"SELECT stock - reserved AS "available!" FROM products WHERE id = $1 AND status = 'active'"#,
        product.0
    )
    .fetch_optional(tx)
    .await
}

/// Empties the cart: its lines, in the order in which products are locked. The user is locked first, so that whoever takes the same
/// cart at the same time waits for this transaction's end, and finds nothing.
pub(crate) async fn take(tx: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<Line>> {
    let mut lines = sqlx::query_as!(
        Line,
        r#"DELETE FROM cart_items c USING (SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE) u WHERE c.user_id = u.id
           RETURNING c.product_id AS "product_id: ProductId", c.quantity"#,
        user.0
    )
    .fetch_all(tx)
    .await?;
    lines.sort_unstable_by_key(|line| line.product_id);
    Ok(lines)
}

/// Puts the lines of a canceled order back, on top of what is in the cart, at most 999 of each.
pub(crate) async fn put_back(tx: &mut PgConnection, user: UserId, lines: &[Line]) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user.0).fetch_optional(&mut *tx).await?;
    for line in lines {
        sqlx::query!(
            "INSERT INTO cart_items AS c (id, user_id, product_id, quantity) VALUES ($1, $2, $3, least($4, $5::integer))
             ON CONFLICT (user_id, product_id) DO UPDATE
               SET quantity = least(c.quantity + excluded.quantity, $5), updated_at = now()",
            Uuid::now_v7(),
            user.0,
            line.product_id.0,
            line.quantity,
            MAX_QUANTITY,
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
