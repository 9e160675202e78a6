//! The SQL of the catalogue.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{ListProducts, Listing, NewProduct, Product, ProductStatus, Slug};
use crate::{
    id::ProductId,
    images::Image,
    money::{MAX_CHARGE, Money},
};

/// A product's columns stand in many queries; each is checked at compile time all the same.
macro_rules! products {
    ($before:tt, [$($after:tt)*] $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Product,
            $before
                + r#" id AS "id: ProductId", name, slug, description, price AS "price: Money", stock, reserved,
                      status AS "status: ProductStatus", version, created_at, updated_at,
                      (SELECT coalesce(json_agg(image_json(i) ORDER BY i.position, i.id), '[]')
                       FROM product_images i
                       WHERE i.product_id = products.id AND i.status <> 'removed') AS "images!: Json<Vec<Image>>" "#
                + $($after)*
            $(, $value)*
        )
    };
}

/// A page in one order. The condition on the status is a literal where it matters, so that the planner sees that the index of
/// active products fits.
macro_rules! page {
    ($pool:expr, $wanted:expr, $order:tt, $value:expr, $id:expr) => {{
        let wanted = $wanted;
        let least = wanted.min_price.map_or(0, |price| price.money().0);
        let most = wanted.max_price.map_or(MAX_CHARGE.0, |price| price.money().0);
        let rows = wanted.limit.one_more();
        // Where nobody asks for prices the statement may not speak of them: what is not known when it is planned is taken for narrow, and
        // the whole catalogue would be found by its prices and sorted, for one page of it.
        let all_prices = wanted.min_price.is_none() && wanted.max_price.is_none();
        let args = (least, most, wanted.in_stock, rows, $value, $id);
        match (wanted.listing, all_prices) {
            (Listing::Active, true) => page!(@ $pool, "$1::bigint <= $2::bigint", "status = 'active'", $order, args),
            (Listing::Active, false) => page!(@ $pool, "price BETWEEN $1 AND $2", "status = 'active'", $order, args),
            (Listing::Archived, true) => page!(@ $pool, "$1::bigint <= $2::bigint", "status = 'archived'", $order, args),
            (Listing::Archived, false) => page!(@ $pool, "price BETWEEN $1 AND $2", "status = 'archived'", $order, args),
            (Listing::All, true) => page!(@ $pool, "$1::bigint <= $2::bigint", "true", $order, args),
            (Listing::All, false) => page!(@ $pool, "price BETWEEN $1 AND $2", "true", $order, args),
        }
    }};
    (@ $pool:expr, $prices:tt, $status:tt, $order:tt, $args:ident) => {
        products!(
            "SELECT",
            [" FROM products WHERE " + $prices + " AND (NOT $3 OR stock > reserved) AND "
                + $status + " AND " + $order + " LIMIT $4"],
            $args.0,
            $args.1,
            $args.2,
            $args.3,
            $args.4,
            $args.5,
        )
        .fetch_all($pool)
        .await
    };
}

pub(super) async fn list_newest(
    pool: &PgPool,
    wanted: &ListProducts,
    before: DateTime<Utc>,
    id: Uuid,
) -> sqlx::Result<Vec<Product>> {
    page!(pool, wanted, "(created_at, id) < ($5, $6) ORDER BY created_at DESC, id DESC", before, id)
}

pub(super) async fn list_price(
    pool: &PgPool,
    wanted: &ListProducts,
    above: i64,
    id: Uuid,
) -> sqlx::Result<Vec<Product>> {
    page!(pool, wanted, "(price, id) > ($5, $6) ORDER BY price, id", above, id)
}

pub(super) async fn list_price_descending(
    pool: &PgPool,
    wanted: &ListProducts,
    below: i64,
    id: Uuid,
) -> sqlx::Result<Vec<Product>> {
    page!(pool, wanted, "(price, id) < ($5, $6) ORDER BY price DESC, id DESC", below, id)
}

pub(super) async fn list_name(
    pool: &PgPool,
    wanted: &ListProducts,
    behind: &str,
    id: Uuid,
) -> sqlx::Result<Vec<Product>> {
    page!(pool, wanted, "(lower(name), id) > (lower($5), $6) ORDER BY lower(name), id", behind, id)
}

pub(super) async fn by_id(connection: &mut PgConnection, id: ProductId) -> sqlx::Result<Option<Product>> {
    products!("SELECT", ["FROM products WHERE id = $1"], id.0).fetch_optional(connection).await
}

pub(super) async fn by_slug(connection: &mut PgConnection, slug: &Slug) -> sqlx::Result<Option<Product>> {
    products!("SELECT", ["FROM products WHERE slug = $1"], slug.as_str()).fetch_optional(connection).await
}

/// The product, locked until the transaction's end.
pub(super) async fn lock(tx: &mut PgConnection, id: ProductId) -> sqlx::Result<Option<Product>> {
    products!("SELECT", ["FROM products WHERE id = $1 FOR UPDATE"], id.0).fetch_optional(tx).await
}

/// Inserts a product under this slug; `None` where that is taken, perhaps by a transaction that this one waited for.
pub(super) async fn insert(tx: &mut PgConnection, new: &NewProduct, slug: &Slug) -> sqlx::Result<Option<Product>> {
    products!(
        "INSERT INTO products (id, name, slug, description, price, stock) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (slug) DO NOTHING RETURNING",
        [""],
        ProductId::new().0,
        new.name.as_str(),
        slug.as_str(),
        new.description.as_str(),
        new.price.money().0,
        new.stock.units(),
    )
    .fetch_optional(tx)
    .await
}

/// Writes what an admin may change of a product whose row is locked.
pub(super) async fn update(tx: &mut PgConnection, product: &Product) -> sqlx::Result<Product> {
    products!(
        "UPDATE products SET name = $2, slug = $3, description = $4, price = $5, status = $6, stock = $7
         WHERE id = $1 RETURNING",
        [""],
        product.id.0,
        product.name,
        product.slug,
        product.description,
        product.price.0,
        product.status as ProductStatus,
        product.stock,
    )
    .fetch_one(tx)
    .await
}

/// Archives a product.
pub(super) async fn archive(tx: &mut PgConnection, id: ProductId) -> sqlx::Result<()> {
    sqlx::query!("UPDATE products SET status = 'archived' WHERE id = $1", id.0).execute(tx).await.map(|_| ())
}
