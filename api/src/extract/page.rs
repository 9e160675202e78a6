//! Which page of a list: `limit` and `cursor`.

use axum::extract::FromRequestParts;
use common::page::{BadCursor, Limit, decode_cursor};
use http::request::Parts;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};

use super::Query;
use crate::problem::Problem;

const MOST: u32 = 100;

/// How many rows, and from where on; `cursor` is as the client sent it.
pub(crate) struct Paging {
    pub(crate) limit: Limit,
    pub(crate) cursor: Option<String>,
}

impl Paging {
    /// The place behind which the page starts: an id in a list that goes by ids, a time and an id in one that goes by time.
    pub(crate) fn before<I: DeserializeOwned>(&self) -> Result<Option<I>, BadCursor> {
        self.cursor.as_deref().map(decode_cursor).transpose()
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before; opaque, and good for the same list alone.
    cursor: Option<String>,
}

impl IntoParams for Paging {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        Parameters::into_params(place)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(Parameters { limit, cursor }) = Query::from_request_parts(parts, state).await?;
        let limit = match limit {
            None => Limit::default(),
            Some(limit) => u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .map(Limit::new)
                .ok_or_else(|| Problem::invalid("/limit", "must be from 1 to 100"))?,
        };
        Ok(Self { limit, cursor: cursor.filter(|cursor| !cursor.is_empty()) })
    }
}
