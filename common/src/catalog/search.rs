//! The SQL of searching: one statement, in two steps. What has all the words, or words that begin so, is found by them; only
//! if there is no such product, whatever it costs and whether or not it is in stock, each word is also taken for the words that
//! it is close to: with two neighbouring letters swapped, or with enough trigrams in common with a name.
//!
//! The migration that adds the search says what is indexed, docs/adr/0007 why.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{ListProducts, Listing, Product, ProductStatus, SearchText};
use crate::{
    id::ProductId,
    images::Image,
    money::{MAX_CHARGE, Money},
};

/// A product on a page.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub product: Product,
    /// Whether the search found it in its second step; `None` if nothing was searched for.
    pub loose: Option<bool>,
    /// Comparable within the step only; 0 in any order but the one by relevance.
    pub relevance: i32,
}

impl From<Product> for Found {
    fn from(product: Product) -> Self {
        Self { product, loose: None, relevance: 0 }
    }
}

/// What to find, and behind which row the page starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub wanted: &'a ListProducts,
    pub text: &'a SearchText,
    /// Which step the page before was found in; the first page finds out.
    pub loose: Option<bool>,
    /// The id of that row.
    pub id: Uuid,
}

/// A page in one order: by `$exact` in the first step, by `$loose` in the second. The trigrams of short words say nothing, and
/// who writes nine words doesn't mean others: there the second step ends before it costs much.
macro_rules! search {
    ($pool:expr, $search:expr, $exact:tt, $loose:tt, $order:tt, $behind:tt, $relevance:tt, $value:expr) => {{
        let search = $search;
        let wanted = search.wanted;
        let rows = sqlx::query!(
            r#"
            WITH asked AS MATERIALIZED (
              SELECT search_text($1) AS text
            ), word AS MATERIALIZED (
              SELECT lexeme, starts::tsquery AS starts, CASE WHEN length(lexeme) < 3 THEN starts::tsquery ELSE (
                SELECT string_agg('''' || left(lexeme, n - 1) || substr(lexeme, n + 1, 1) || substr(lexeme, n, 1)
                                       || substr(lexeme, n + 2) || ''':*', ' | ')::tsquery || starts::tsquery
                FROM generate_series(1, length(lexeme) - 1) n
              ) END AS swapped
              FROM asked, unnest(to_tsvector('simple', text)), LATERAL (SELECT '''' || lexeme || ''':*' AS starts) quoted
            ), query AS MATERIALIZED (
              SELECT string_agg(starts::text, ' & ')::tsquery AS every_word, count(*) AS words FROM word
            ), exact AS MATERIALIZED (
              SELECT id, price, stock > reserved AS available, "#
                + $exact
                + r#" AS key
              FROM products
              WHERE search @@ (SELECT every_word FROM query) AND ($2 = 'all' OR status = $2) AND $3 IS DISTINCT FROM true
            ), alike AS (
              SELECT lexeme, id, max(closeness) AS closeness, max(max(closeness)) OVER (PARTITION BY lexeme) AS closest
              FROM word CROSS JOIN LATERAL (
                SELECT id, 1::real AS closeness FROM products
                WHERE search @@ swapped AND ($2 = 'all' OR status = $2)
                UNION ALL
                SELECT id, word_similarity(lexeme, search_name) FROM products
                WHERE lexeme <% search_name AND length(lexeme) >= 4 AND ($2 = 'all' OR status = $2)
              ) hit
              WHERE (SELECT words FROM query) <= 8
                AND CASE WHEN $3::boolean IS NULL THEN NOT EXISTS (SELECT FROM exact) ELSE $3 END
              GROUP BY lexeme, id
            ), loose AS (
              SELECT id, avg(closeness) AS closeness FROM alike WHERE closeness >= 0.8 * closest
              GROUP BY id HAVING count(*) = (SELECT words FROM query)
            ), hit AS (
              SELECT false AS loose, id, price, available, key FROM exact
              UNION ALL
              SELECT true, id, price, stock > reserved, "#
                + $loose
                + r#"
              FROM loose JOIN products USING (id)
            ), page AS (
              SELECT * FROM hit WHERE price BETWEEN $4 AND $5 AND (NOT $6 OR available) AND "#
                + $behind
                + " ORDER BY "
                + $order
                + r#" LIMIT $7
            )
            SELECT id AS "id!: ProductId", name, slug, description, products.price AS "price: Money", stock, reserved,
                   status AS "status: ProductStatus", version, created_at, updated_at,
                   (SELECT coalesce(json_agg(image_json(i) ORDER BY i.position, i.id), '[]')
                    FROM product_images i
                    WHERE i.product_id = products.id AND i.status <> 'removed') AS "images!: Json<Vec<Image>>",
                   loose AS "loose!", "#
                + $relevance
                + r#" AS "relevance!"
            FROM page JOIN products USING (id) ORDER BY "#
                + $order,
            search.text.as_str(),
            status(wanted.listing),
            search.loose,
            wanted.min_price.map_or(0, |price| price.money().0),
            wanted.max_price.map_or(MAX_CHARGE.0, |price| price.money().0),
            wanted.in_stock,
            wanted.limit.one_more(),
            $value,
            search.id,
        )
        .fetch_all($pool)
        .await?;
        let found = rows.into_iter().map(|row| Found {
            product: Product {
                id: row.id,
                name: row.name,
                slug: row.slug,
                description: row.description,
                price: row.price,
                stock: row.stock,
                reserved: row.reserved,
                status: row.status,
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
                images: row.images,
            },
            loose: Some(row.loose),
            relevance: row.relevance,
        });
        Ok(found.collect())
    }};
}

const fn status(listing: Listing) -> &'static str {
    match listing {
        Listing::Active => "active",
        Listing::Archived => "archived",
        Listing::All => "all",
    }
}

pub(super) async fn newest(pool: &PgPool, search: Search<'_>, before: DateTime<Utc>) -> sqlx::Result<Vec<Found>> {
    search!(pool, search, "created_at", "created_at", "key DESC, id DESC", "(key, id) < ($8, $9)", "0", before)
}

pub(super) async fn price(pool: &PgPool, search: Search<'_>, above: i64) -> sqlx::Result<Vec<Found>> {
    search!(pool, search, "price", "price", "key, id", "(key, id) > ($8, $9)", "0", above)
}

pub(super) async fn price_descending(pool: &PgPool, search: Search<'_>, below: i64) -> sqlx::Result<Vec<Found>> {
    search!(pool, search, "price", "price", "key DESC, id DESC", "(key, id) < ($8, $9)", "0", below)
}

pub(super) async fn name(pool: &PgPool, search: Search<'_>, behind: &str) -> sqlx::Result<Vec<Found>> {
    search!(pool, search, "lower(name)", "lower(name)", "key, id", "(key, id) > (lower($8), $9)", "0", behind)
}

/// Words in the name weigh more than words in the description, and short names that are much like the text come first. In whole
/// numbers, so that a cursor holds exactly what the next page is compared with.
pub(super) async fn relevance(pool: &PgPool, search: Search<'_>, below: i32) -> sqlx::Result<Vec<Found>> {
    search!(
        pool,
        search,
        "(1000000 * (ts_rank(search, (SELECT every_word FROM query))
                     + similarity((SELECT text FROM asked), search_name)))::integer",
        "(1000000 * (closeness + similarity((SELECT text FROM asked), search_name)))::integer",
        "key DESC, id DESC",
        "(key, id) < ($8, $9)",
        "key",
        below
    )
}
