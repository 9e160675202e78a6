//! Lists of products, page by page. A page starts behind the last row of the one before, so that what is made, sold or
//! renamed between two pages is neither shown twice nor hides another.

use chrono::DateTime;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Price, Product, store};
use crate::page::{BadCursor, Page, decode_cursor};

/// Which products a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// Those for sale.
    #[default]
    Active,
    /// Those that aren't any more.
    Archived,
    /// All.
    All,
}

/// In which order a list stands; ties are broken by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The last made first.
    #[default]
    Newest,
    /// The cheapest first.
    Price,
    /// The dearest first.
    PriceDescending,
    /// By name, without regard to case.
    Name,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListProducts {
    /// Which ones.
    pub listing: Listing,
    /// In which order.
    pub sort: Sort,
    /// Those that cost at least this.
    pub min_price: Option<Price>,
    /// Those that cost at most this.
    pub max_price: Option<Price>,
    /// Only those that can be bought now.
    pub in_stock: bool,
    /// At most so many.
    pub limit: usize,
    /// Behind the page that ended with this cursor.
    pub cursor: Option<String>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of a list in this order.
    #[error(transparent)]
    Cursor(#[from] BadCursor),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Where the list of the newest starts: later than any product is made. Microseconds since 1970; the year 9999.
const END_OF_TIME: i64 = 253_402_300_799_000_000;

/// A page of products.
///
/// # Errors
/// See [`ListError`].
pub async fn list(pool: &PgPool, wanted: &ListProducts) -> Result<Page<Product>, ListError> {
    let limit = wanted.limit;
    match wanted.sort {
        Sort::Newest => {
            let (micros, id) = behind(wanted, "newest", (END_OF_TIME, Uuid::max()))?;
            let moment = DateTime::from_timestamp_micros(micros).filter(|_| (0..=END_OF_TIME).contains(&micros));
            let rows = store::list_newest(pool, wanted, moment.ok_or(BadCursor)?, id).await?;
            Ok(Page::from_rows(rows, limit, |p| ("newest", p.created_at.timestamp_micros(), p.id)))
        }
        Sort::Price => {
            let (price, id) = behind(wanted, "price", (-1, Uuid::nil()))?;
            let rows = store::list_price(pool, wanted, price, id).await?;
            Ok(Page::from_rows(rows, limit, |p| ("price", p.price, p.id)))
        }
        Sort::PriceDescending => {
            let (price, id) = behind(wanted, "-price", (i64::MAX, Uuid::max()))?;
            let rows = store::list_price_descending(pool, wanted, price, id).await?;
            Ok(Page::from_rows(rows, limit, |p| ("-price", p.price, p.id)))
        }
        Sort::Name => {
            let (name, id): (String, Uuid) = behind(wanted, "name", (String::new(), Uuid::nil()))?;
            if name.contains('\0') {
                return Err(BadCursor.into()); // no name has one, and Postgres would refuse it
            }
            let rows = store::list_name(pool, wanted, &name, id).await?;
            Ok(Page::from_rows(rows, limit, |p| ("name", p.name.clone(), p.id)))
        }
    }
}

/// The place behind which the wanted page starts: that of its cursor, or `start`, which lies before all products.
fn behind<V: DeserializeOwned>(wanted: &ListProducts, sort: &str, start: (V, Uuid)) -> Result<(V, Uuid), BadCursor> {
    let Some(cursor) = &wanted.cursor else { return Ok(start) };
    let (sort_of_cursor, value, id): (String, V, Uuid) = decode_cursor(cursor)?;
    if sort_of_cursor == sort { Ok((value, id)) } else { Err(BadCursor) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::encode_cursor;

    #[test]
    fn a_cursor_fits_the_order_that_it_came_from() {
        let start = || (-1_i64, Uuid::nil());
        let cursor = encode_cursor(&("price", 5, Uuid::max()));
        let wanted = ListProducts { cursor: Some(cursor), ..ListProducts::default() };
        assert_eq!(behind(&wanted, "price", start()), Ok((5, Uuid::max())));
        assert_eq!(behind(&wanted, "-price", start()), Err(BadCursor));
        assert_eq!(behind(&ListProducts::default(), "price", start()), Ok(start()));
    }
}
