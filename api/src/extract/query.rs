//! Query strings. Parameters that a route doesn't know are ignored, as caches and trackers add their own; but for the lists of
//! administrators, of which nobody links to a page: there a filter with a typing error would list all that there is.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::{Paging, body::escape};
use crate::problem::{Invalid, Problem};

/// The parameters that `T` names.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let deserializer = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| {
            let message = error.inner().to_string();
            match message.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
                Some(name) => Problem::invalid(format!("/{name}"), "is there twice"),
                None => Problem::invalid(format!("/{}", error.path()), message),
            }
        })
    }
}

/// The page of an administrator's list, with the filters that `T` names. A parameter of another name is refused.
pub(crate) struct Filtered<T>(pub(crate) Paging, pub(crate) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Filtered<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let names = names::<T>();
        only(parts, &names.iter().map(String::as_str).chain(PAGING).collect())?;
        let paging = Paging::from_request_parts(parts, state).await?;
        let Query(filters) = Query::from_request_parts(parts, state).await?;
        Ok(Self(paging, filters))
    }
}

/// The page of an administrator's list that has no filters. A parameter of another name is refused.
pub(crate) struct Unfiltered(pub(crate) Paging);

impl<S: Send + Sync> FromRequestParts<S> for Unfiltered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        only(parts, &PAGING.into())?;
        Ok(Self(Paging::from_request_parts(parts, state).await?))
    }
}

const PAGING: [&str; 2] = ["limit", "cursor"];

/// The names that the document tells of.
fn names<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
}

/// Refuses each parameter of another name.
fn only(parts: &Parts, known: &BTreeSet<&str>) -> Result<(), Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let given: BTreeSet<_> = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name).collect();
    let mut invalid = Invalid::default();
    for name in given.iter().filter(|name| !known.contains(name.as_ref())) {
        let expected: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        let detail = format!("is not known here; expected one of {}", expected.join(", "));
        invalid.field(&format!("/{}", escape(name)), Err::<(), _>(detail));
    }
    if invalid.is_empty() { Ok(()) } else { Err(invalid.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_paging_are_those_of_the_document() {
        assert_eq!(names::<Paging>(), PAGING);
    }
}
