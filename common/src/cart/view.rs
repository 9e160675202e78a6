//! What a shopper sees of the cart.

use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    id::{CartItemId, ProductId, UserId},
    images::Links,
    money::{Currency, Money},
};

/// A cart as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Cart)]
pub struct CartView {
    /// Its lines, oldest first.
    pub items: Vec<CartItemView>,
    /// Minor units, at today's prices.
    pub total: Money,
    /// Lower-case ISO 4217 code.
    pub currency: Currency,
}

/// A line of a cart.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CartItem)]
pub struct CartItemView {
    /// Its id.
    pub id: CartItemId,
    /// What is to be bought.
    pub product: CartProduct,
    /// Units.
    pub quantity: i32,
    /// Minor units.
    pub line_total: Money,
    /// Why checkout would refuse this line now.
    pub problem: Option<Problem>,
}

/// What a cart shows of a product.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CartProduct {
    /// Its id.
    pub id: ProductId,
    /// Its name.
    pub name: String,
    /// Its name in URLs.
    pub slug: String,
    /// Minor units for one.
    pub price: Money,
    /// Lower-case ISO 4217 code.
    pub currency: Currency,
    /// Units that can be bought now.
    pub available: i64,
    /// A small picture.
    pub thumbnail_url: Option<String>,
}

/// Why a line can't be bought as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CartItemProblem)]
pub enum Problem {
    /// There is none left.
    OutOfStock,
    /// There are fewer than wanted.
    InsufficientStock,
    /// It is no longer sold.
    Unavailable,
}

/// The user's cart, at today's prices and stock.
///
/// # Errors
/// The database's.
pub async fn view(pool: &PgPool, user: UserId, currency: Currency, links: &Links) -> sqlx::Result<CartView> {
    let rows = sqlx::query!(
        r#"SELECT c.id AS "id: CartItemId", c.quantity, p.id AS "product_id: ProductId", p.name, p.slug, p.price,
                  p.stock - p.reserved AS "available!", p.status = 'active' AS "active!",
                  (SELECT small_thumbnail_key FROM product_images i
                   WHERE i.product_id = p.id AND i.status = 'ready' ORDER BY i.position, i.id LIMIT 1) AS thumbnail_key
           FROM cart_items c JOIN products p ON p.id = c.product_id
           WHERE c.user_id = $1 ORDER BY c.created_at, c.id"#,
        user.0
    )
    .fetch_all(pool)
    .await?;
    let items: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let available = if row.active { row.available } else { 0 };
            let problem = match available {
                _ if !row.active => Some(Problem::Unavailable),
                0 => Some(Problem::OutOfStock),
                n if n < i64::from(row.quantity) => Some(Problem::InsufficientStock),
                _ => None,
            };
            CartItemView {
                id: row.id,
                quantity: row.quantity,
                line_total: Money(row.price.saturating_mul(i64::from(row.quantity))),
                product: CartProduct {
                    id: row.product_id,
                    name: row.name,
                    slug: row.slug,
                    price: Money(row.price),
                    currency,
                    available,
                    thumbnail_url: row.thumbnail_key.map(|key| links.to(&key)),
                },
                problem,
            }
        })
        .collect();
    let total = Money(items.iter().fold(0, |sum: i64, item| sum.saturating_add(item.line_total.0)));
    Ok(CartView { items, total, currency })
}
