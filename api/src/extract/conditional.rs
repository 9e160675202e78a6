//! Conditional requests (RFC 9110, section 13): `If-Match` and `If-None-Match`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use common::catalog::Precondition;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterIn},
    },
};

use crate::{
    openapi::request_header,
    problem::{Problem, kinds},
};

/// For which versions a change was made. Tags compare strongly: a weak one matches nothing.
pub(crate) struct IfMatch(pub(crate) Precondition);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let malformed =
            || Problem::new(kinds::MALFORMED_REQUEST, "`If-Match` must hold `ETag`s in double quotes, or be `*`.");
        match tags(&parts.headers, header::IF_MATCH) {
            Tags::Absent => Ok(Self(Precondition::Unknown)),
            Tags::Any => Ok(Self(Precondition::Any)),
            Tags::Malformed => Err(malformed()),
            Tags::These(tags) => {
                let strong = tags.iter().filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.split_once('.'));
                let ours = strong.filter_map(|(id, version)| Some((id.parse().ok()?, version.parse().ok()?)));
                Ok(Self(Precondition::Versions(ours.collect())))
            }
        }
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "The `ETag`s for which the change is meant, or `*` for whatever there is (RFC 9110, section 13.1.1).";
        let tags = r#"^(\*|"[!#-+.-~-]*"(, "[!#-+.-~-]*")*)$"#; // ours hold no commas
        vec![request_header("If-Match", Required::False, description, Some(tags))]
    }
}

/// What the client has already. Tags compare weakly, and a malformed header is as good as none.
pub(crate) struct IfNoneMatch(Tags);

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `ETag`s that the client has already, or `*` (RFC 9110, section 13.1.2). What is none is as good as none.";
        vec![request_header("If-None-Match", Required::False, description, None)]
    }
}

impl IfNoneMatch {
    /// Whether the client has this already, so that 304 is the answer.
    pub(crate) fn matches(&self, etag: &HeaderValue) -> bool {
        match &self.0 {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| tag.trim_start_matches("W/").as_bytes() == etag.as_bytes()),
            Tags::Absent | Tags::Malformed => false,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tags(&parts.headers, header::IF_NONE_MATCH)))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Absent,
    Any,
    These(Vec<String>),
    Malformed,
}

/// The tags of a header, quotes and all. Ours hold no commas, so that others may be torn without harm.
fn tags(headers: &HeaderMap, name: HeaderName) -> Tags {
    let mut tags = vec![];
    for value in headers.get_all(&name) {
        let Ok(value) = value.to_str() else { return Tags::Malformed };
        tags.extend(value.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned));
    }
    match tags.as_slice() {
        [] if headers.contains_key(name) => Tags::Malformed,
        [] => Tags::Absent,
        [any] if any == "*" => Tags::Any,
        these if these.iter().all(|tag| tag.contains('"')) => Tags::These(tags),
        _ => Tags::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Tags {
        tags(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))]), header::IF_MATCH)
    }

    #[test]
    fn tags_are_read_as_a_list() {
        assert_eq!(tags(&HeaderMap::new(), header::IF_MATCH), Tags::Absent);
        assert_eq!(read("*"), Tags::Any);
        assert_eq!(read("\"3\", W/\"4\""), Tags::These(vec!["\"3\"".into(), "W/\"4\"".into()]));
        assert_eq!(read("3"), Tags::Malformed);
        assert_eq!(read(""), Tags::Malformed);
        assert_eq!(read("*, \"3\""), Tags::Malformed);
    }

    #[test]
    fn what_the_client_has_is_compared_weakly() {
        let tag = HeaderValue::from_static("\"3\"");
        assert!(IfNoneMatch(read("\"2\", W/\"3\"")).matches(&tag));
        assert!(IfNoneMatch(read("*")).matches(&tag));
        assert!(!IfNoneMatch(read("\"4\"")).matches(&tag));
        assert!(!IfNoneMatch(Tags::Absent).matches(&tag));
    }
}
