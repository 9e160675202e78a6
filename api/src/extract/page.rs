//! Which page of a list: `limit` and `cursor`.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;

use super::Query;
use crate::problem::Problem;

const DEFAULT: usize = 20;
const MOST: i64 = 100;

/// How many rows, and from where on; `cursor` is as the client sent it.
pub(crate) struct Paging {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

#[derive(Deserialize)]
struct Parameters {
    limit: Option<i64>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(Parameters { limit, cursor }) = Query::from_request_parts(parts, state).await?;
        let limit = match limit {
            None => DEFAULT,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|_| (1..=MOST).contains(&limit))
                .ok_or_else(|| Problem::invalid("/limit", "must be from 1 to 100"))?,
        };
        Ok(Self { limit, cursor: cursor.filter(|cursor| !cursor.is_empty()) })
    }
}
