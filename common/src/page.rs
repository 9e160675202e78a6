//! Pages of a list: how many rows, from where on, and the opaque cursor that leads to the next page.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;
use uuid::Uuid;

/// How many rows of a list are wanted at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit(u32);

impl Limit {
    /// As many as there are: more than a program can hold.
    pub const ALL: Self = Self(u32::MAX);

    /// So many.
    pub const fn new(rows: u32) -> Self {
        Self(rows)
    }

    /// What the database is asked for: one more row than is wanted tells whether there is another page.
    pub fn one_more(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    /// What a screen holds.
    fn default() -> Self {
        Self(20)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A page of a list, as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// At most as many rows as were asked for.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page from rows of which [one more](Limit::one_more) than wanted was fetched, if there was one. `cursor` names the place behind a row.
    pub fn from_rows<P: Serialize>(mut rows: Vec<T>, limit: Limit, cursor: impl FnOnce(&T) -> P) -> Self {
        let limit = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| encode_cursor(&cursor(last)));
        Self { items: rows, next_cursor }
    }

    /// The same page with each row shown as something else.
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(show).collect(), next_cursor: self.next_cursor }
    }
}

/// The place behind a row of a list that is in the order of time: the row's time, to the microsecond, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(i64, Uuid)", into = "(i64, Uuid)")]
pub struct TimePlace {
    /// The row's time.
    pub time: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

impl From<TimePlace> for (i64, Uuid) {
    fn from(place: TimePlace) -> Self {
        (place.time.timestamp_micros(), place.id)
    }
}

impl TryFrom<(i64, Uuid)> for TimePlace {
    type Error = BadCursor;

    fn try_from((micros, id): (i64, Uuid)) -> Result<Self, BadCursor> {
        /// Microseconds since 1970; the year 9999. Postgres knows no times far beyond.
        const END_OF_TIME: i64 = 253_402_300_799_000_000;
        let time = DateTime::from_timestamp_micros(micros).filter(|_| (0..=END_OF_TIME).contains(&micros));
        time.map(|time| Self { time, id }).ok_or(BadCursor)
    }
}

/// A cursor that this list never gave out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list; take next_cursor of the page before")]
pub struct BadCursor;

/// A place in a list as a cursor: opaque to clients, and safe in a URL as it is.
pub fn encode_cursor<P: Serialize>(place: &P) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("a place is made of plain values"))
}

/// The place that a cursor names. Clients may send anything: what comes out has the right type, but need not be a place
/// that exists.
///
/// # Errors
/// When it isn't one of this list's.
pub fn decode_cursor<P: DeserializeOwned>(cursor: &str) -> Result<P, BadCursor> {
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
    serde_json::from_slice(&json).map_err(|_| BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_leads_to_the_next_and_the_last_to_none() {
        let page = Page::from_rows(vec![1, 2, 3], Limit::new(2), |row| ("id", *row));
        assert_eq!(page.items, [1, 2]);
        let place: (String, i32) = decode_cursor(&page.next_cursor.expect("there is more")).expect("our own cursor");
        assert_eq!(place, ("id".into(), 2));
        assert_eq!(Page::from_rows(vec![1, 2], Limit::new(2), |row| *row).next_cursor, None);
        assert_eq!((Limit::new(2).one_more(), Limit::ALL.one_more()), (3, 4_294_967_296));
    }

    #[test]
    fn a_place_in_time_is_one_that_postgres_knows() {
        let place = TimePlace {
            time: DateTime::from_timestamp_micros(1_700_000_000_000_001).expect("a time"),
            id: Uuid::max(),
        };
        assert_eq!(decode_cursor(&encode_cursor(&place)), Ok(place));
        for micros in [-1, i64::MIN, i64::MAX, 253_402_300_799_000_001] {
            assert_eq!(decode_cursor::<TimePlace>(&encode_cursor(&(micros, Uuid::nil()))), Err(BadCursor), "{micros}");
        }
    }

    #[test]
    fn strange_cursors_are_refused() {
        for cursor in ["", "x", "%00", "e30", "bnVsbA", &encode_cursor(&"text"), &"A".repeat(10_000)] {
            assert_eq!(decode_cursor::<(i64, i64)>(cursor), Err(BadCursor), "{cursor:?}");
        }
    }
}
