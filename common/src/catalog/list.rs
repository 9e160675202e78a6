//! Lists of products, page by page. A page starts behind the last row of the one before, so that what is made, sold or
//! renamed between two pages is neither shown twice nor hides another.

use chrono::DateTime;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Price, Product, SearchText,
    search::{self, Found, Search},
    store,
};
use crate::page::{BadCursor, Limit, Page, decode_cursor};

/// Which products a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Sort {
    /// The last made first.
    #[default]
    Newest,
    /// The cheapest first.
    Price,
    /// The dearest first.
    #[schema(rename = "-price")]
    PriceDescending,
    /// By name, without regard to case.
    Name,
    /// What fits the text best first; the newest where there is no text.
    Relevance,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListProducts {
    /// Which ones.
    pub listing: Listing,
    /// In which order.
    pub sort: Sort,
    /// Those in whose name or description it is, typing errors forgiven.
    pub text: Option<SearchText>,
    /// Those that cost at least this.
    pub min_price: Option<Price>,
    /// Those that cost at most this.
    pub max_price: Option<Price>,
    /// Only those that can be bought now.
    pub in_stock: bool,
    /// At most so many.
    pub limit: Limit,
    /// Behind the page that ended with this cursor.
    pub cursor: Option<String>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of this list: not in this order, or of products that were chosen otherwise.
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
    match wanted.sort {
        Sort::Newest => newest(pool, wanted).await,
        Sort::Relevance if wanted.text.is_none() => newest(pool, wanted).await,
        Sort::Relevance => {
            let from = wanted.behind((i32::MAX, Uuid::max()))?;
            let found = match wanted.search(&from) {
                Some(search) => search::relevance(pool, search, from.value).await?,
                None => vec![],
            };
            Ok(wanted.page(found, |found| found.relevance))
        }
        Sort::Price => {
            let from = wanted.behind((-1, Uuid::nil()))?;
            let found = match wanted.search(&from) {
                Some(search) => search::price(pool, search, from.value).await?,
                None => all_found(store::list_price(pool, wanted, from.value, from.id).await?),
            };
            Ok(wanted.page(found, |found| found.product.price.0))
        }
        Sort::PriceDescending => {
            let from = wanted.behind((i64::MAX, Uuid::max()))?;
            let found = match wanted.search(&from) {
                Some(search) => search::price_descending(pool, search, from.value).await?,
                None => all_found(store::list_price_descending(pool, wanted, from.value, from.id).await?),
            };
            Ok(wanted.page(found, |found| found.product.price.0))
        }
        Sort::Name => {
            let from: Place<String> = wanted.behind((String::new(), Uuid::nil()))?;
            if from.value.contains('\0') {
                return Err(BadCursor.into()); // no name has one, and Postgres would refuse it
            }
            let found = match wanted.search(&from) {
                Some(search) => search::name(pool, search, &from.value).await?,
                None => all_found(store::list_name(pool, wanted, &from.value, from.id).await?),
            };
            Ok(wanted.page(found, |found| found.product.name.clone()))
        }
    }
}

async fn newest(pool: &PgPool, wanted: &ListProducts) -> Result<Page<Product>, ListError> {
    let from = wanted.behind((END_OF_TIME, Uuid::max()))?;
    let moment = DateTime::from_timestamp_micros(from.value).filter(|_| (0..=END_OF_TIME).contains(&from.value));
    let moment = moment.ok_or(BadCursor)?;
    let found = match wanted.search(&from) {
        Some(search) => search::newest(pool, search, moment).await?,
        None => all_found(store::list_newest(pool, wanted, moment, from.id).await?),
    };
    Ok(wanted.page(found, |found| found.product.created_at.timestamp_micros()))
}

fn all_found(products: Vec<Product>) -> Vec<Found> {
    products.into_iter().map(Found::from).collect()
}

/// The place behind which a page starts, or the one that a cursor names.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place<V> {
    /// The list that it is in: see [`ListProducts::fingerprint`].
    #[serde(rename = "l")]
    list: String,
    /// What the row before is sorted by, and its id.
    #[serde(rename = "v")]
    value: V,
    id: Uuid,
    /// Which step of a search the list is from, so that its pages are all from the same.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    loose: Option<bool>,
}

impl ListProducts {
    /// The place behind which the wanted page starts: that of its cursor, or `start`, which lies before all products.
    fn behind<V: DeserializeOwned>(&self, start: (V, Uuid)) -> Result<Place<V>, BadCursor> {
        let list = self.fingerprint();
        match &self.cursor {
            None => Ok(Place { list, value: start.0, id: start.1, loose: None }),
            Some(cursor) => decode_cursor(cursor).and_then(|place: Place<V>| {
                let fits = place.list == list && place.loose.is_some() == self.text.is_some();
                if fits { Ok(place) } else { Err(BadCursor) }
            }),
        }
    }

    fn search<V>(&self, from: &Place<V>) -> Option<Search<'_>> {
        self.text.as_ref().map(|text| Search { wanted: self, text, loose: from.loose, id: from.id })
    }

    fn page<V: Serialize>(&self, found: Vec<Found>, value: impl FnOnce(&Found) -> V) -> Page<Product> {
        let place = |last: &Found| Place {
            list: self.fingerprint(),
            value: value(last),
            id: last.product.id.0,
            loose: last.loose,
        };
        Page::from_rows(found, self.limit, place).map(|found| found.product)
    }

    /// Says in short which list this is, whatever the page: a cursor leads on in the list that gave it out only. It is no secret,
    /// and no proof: who forges one gets a page that they could have had without.
    fn fingerprint(&self) -> String {
        let text = self.text.as_ref().map(SearchText::as_str);
        let prices = [self.min_price, self.max_price].map(|price| price.map(|price| price.money().0));
        let list = serde_json::to_vec(&(self.listing, self.sort, text, prices, self.in_stock));
        hex::encode(&Sha256::digest(list.expect("plain values are JSON"))[..6])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::encode_cursor;

    #[test]
    fn a_cursor_leads_on_in_the_list_that_gave_it_out_only() {
        let start = || (-1_i64, Uuid::nil());
        let list = || ListProducts { sort: Sort::Price, limit: Limit::new(20), ..ListProducts::default() };
        assert_eq!(list().behind(start()).map(|place| place.value), Ok(-1));
        let place = Place { list: list().fingerprint(), value: 5_i64, id: Uuid::max(), loose: None };
        let cursor = Some(encode_cursor(&place));
        assert_eq!(ListProducts { limit: Limit::new(7), cursor: cursor.clone(), ..list() }.behind(start()), Ok(place));
        let price = |units| Some(Price::parse(units).expect("a price"));
        let text = SearchText::parse("mug").expect("a text");
        for other in [
            ListProducts { sort: Sort::PriceDescending, ..list() },
            ListProducts { listing: Listing::All, ..list() },
            ListProducts { min_price: price(1), ..list() },
            ListProducts { max_price: price(1), ..list() },
            ListProducts { in_stock: true, ..list() },
            ListProducts { text, ..list() },
        ] {
            assert_eq!(ListProducts { cursor: cursor.clone(), ..other }.behind(start()), Err(BadCursor));
        }
    }

    #[test]
    fn a_searchs_cursor_says_in_which_step_it_was_found() {
        let text = SearchText::parse("mug").expect("a text");
        let list = ListProducts { sort: Sort::Relevance, text, ..ListProducts::default() };
        let cursor = |loose| {
            let place = Place { list: list.fingerprint(), value: 5, id: Uuid::nil(), loose };
            ListProducts { cursor: Some(encode_cursor(&place)), ..list.clone() }
        };
        assert_eq!(cursor(None).behind((i32::MAX, Uuid::max())), Err(BadCursor));
        assert!(cursor(Some(true)).behind((i32::MAX, Uuid::max())).is_ok_and(|place| place.loose == Some(true)));
    }
}
