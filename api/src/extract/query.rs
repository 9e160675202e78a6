//! Query strings. Parameters that a route doesn't know are ignored, as caches and trackers add their own.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

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
