//! The header `Idempotency-Key`: a client's promise that two requests with one key are one request.

use axum::extract::FromRequestParts;
use common::idempotency::{KeyedRequest, MAX_KEY_LEN};
use http::{HeaderName, request::Parts};
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

pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, if one was sent, with the method and the path that it belongs to.
pub(crate) struct IdempotencyKey {
    endpoint: String,
    key: Option<String>,
}

impl IdempotencyKey {
    /// This request under its key; `raw` is its body, byte by byte.
    pub(crate) fn request(self, raw: &[u8]) -> Option<KeyedRequest> {
        self.key.map(|key| KeyedRequest::new(self.endpoint, key, raw))
    }

    /// The same, where a request without a key is refused: what it does twice can't be undone.
    pub(crate) fn required(self, raw: &[u8]) -> Result<KeyedRequest, Problem> {
        self.request(raw).ok_or_else(|| {
            Problem::new(
                kinds::IDEMPOTENCY_KEY_REQUIRED,
                "Send `Idempotency-Key` with a value of your own, and the same one with each repeat of this request.",
            )
        })
    }
}

/// In the document: an operation that honours a key.
impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![document(Required::False)]
    }
}

/// In the document: an operation that requires a key.
pub(crate) struct RequiredIdempotencyKey;

impl IntoParams for RequiredIdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![document(Required::True)]
    }
}

fn document(required: Required) -> Parameter {
    let description = "A value of the client's own. Requests with the same key, path and body are one request, and get the same \
                       resource; kept for 24 hours after a success.";
    request_header("Idempotency-Key", required, description, Some(r"^[!-~]([ -~]{0,253}[!-~])?$"))
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let malformed = || {
            Problem::new(
                kinds::MALFORMED_REQUEST,
                format!("`Idempotency-Key` must be one value of 1 to {MAX_KEY_LEN} visible ASCII characters."),
            )
        };
        let mut values = parts.headers.get_all(HEADER).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => {
                let key = value.to_str().map_err(|_| malformed())?.trim();
                let is_fit =
                    (1..=MAX_KEY_LEN).contains(&key.len()) && key.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
                Some(key.to_owned()).filter(|_| is_fit).ok_or_else(malformed).map(Some)?
            }
            (Some(_), Some(_)) => return Err(malformed()),
        };
        Ok(Self { endpoint: format!("{} {}", parts.method, parts.uri.path()), key })
    }
}
