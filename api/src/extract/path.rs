//! Ids in paths.

use std::str::FromStr;

use axum::{
    RequestPartsExt as _,
    extract::{FromRequestParts, Path},
};
use http::request::Parts;

use crate::problem::Problem;

/// The one variable part of a path: an id, or something else that is found by its name. What isn't one is nobody's: 404.
pub(crate) struct PathId<T>(pub(crate) T);

/// Both variable parts of a path.
pub(crate) struct PathIds<T, U>(pub(crate) T, pub(crate) U);

impl<T: FromStr, U: FromStr, S: Send + Sync> FromRequestParts<S> for PathIds<T, U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Path((first, second)) =
            parts.extract::<Path<(String, String)>>().await.map_err(|_| Problem::not_found())?;
        match (first.parse(), second.parse()) {
            (Ok(first), Ok(second)) => Ok(Self(first, second)),
            _ => Err(Problem::not_found()),
        }
    }
}

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Path(raw) = parts.extract::<Path<String>>().await.map_err(|_| Problem::not_found())?;
        raw.parse().map(Self).map_err(|_| Problem::not_found())
    }
}
