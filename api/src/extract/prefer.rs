//! The header `Prefer` (RFC 7240), of which we know `wait`. A preference that makes no sense is none.

use std::{convert::Infallible, time::Duration};

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, request::Parts};
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterIn},
    },
};

use crate::openapi::request_header;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("prefer");
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What the client prefers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// How long it would wait for a better answer; ten seconds at most.
    pub(crate) wait: Option<Duration>,
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

impl IntoParams for Prefer {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "`wait=N` (RFC 7240): how many seconds the client would wait for a better answer; ten at most. A preference \
                           that makes no sense is none.";
        vec![request_header("Prefer", Required::False, description, None)]
    }
}

impl Prefer {
    /// The first `wait` counts, as section 2 wants it; parameters behind a semicolon are not ours.
    fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
        let mut waits = values.flat_map(|value| value.split(',')).filter_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse::<u64>())
        });
        let wait = waits.next().and_then(Result::ok).map(|seconds| Duration::from_secs(seconds).min(MAX_WAIT));
        Self { wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_found_and_bounded() {
        let read = |value: &'static str| {
            Prefer::read(&HeaderMap::from_iter([(HEADER, value.parse().expect("a value"))])).wait.map(|w| w.as_secs())
        };
        assert_eq!(read("wait=5"), Some(5));
        assert_eq!(read("respond-async, Wait = \"3\"; x=y"), Some(3));
        assert_eq!(read("wait=600"), Some(10));
        assert_eq!(read("wait=2, wait=9"), Some(2));
        for none in ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=99999999999999999999", "return=minimal"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
