//! Parts of answers that several routes share.

use axum::response::{AppendHeaders, IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{extract::IfNoneMatch, problem::Problem};
use common::id::ProductId;

pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Room for the headers of most answers, those of `headers::add` included: a map that grows is copied each time.
const USUAL_HEADERS: usize = 16;

/// Says that an earlier request with the same idempotency key did the work, where one did.
pub(crate) fn replayed(replayed: bool) -> AppendHeaders<Option<(HeaderName, HeaderValue)>> {
    AppendHeaders(replayed.then_some((IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))))
}

/// The entity tag of a product: its id too, for the product that a slug leads to may become another one.
pub(crate) fn etag(product: ProductId, version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{product}.{version}\"")).expect("an id and a number are visible ASCII")
}

/// What no version stands for, tagged by all that is shown of it: 304 where the client has it already.
pub(crate) fn tagged(shown: &impl Serialize, known: &IfNoneMatch) -> Result<Response, Problem> {
    Ok(Rendered::new(shown)?.unless_known(known))
}

/// JSON as it is sent, with its entity tag. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    etag: HeaderValue,
    body: Bytes,
}

impl Rendered {
    /// Tagged by all that is shown.
    pub(crate) fn new(shown: &impl Serialize) -> Result<Self, Problem> {
        let body = to_json(shown)?;
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
        let etag = HeaderValue::try_from(etag).map_err(|error| Problem::internal(&error))?;
        Ok(Self { etag, body })
    }

    /// With a tag of its own.
    pub(crate) fn tagged(shown: &impl Serialize, etag: HeaderValue) -> Result<Self, Problem> {
        Ok(Self { etag, body: to_json(shown)? })
    }

    /// 304 where the client has it already.
    pub(crate) fn unless_known(self, known: &IfNoneMatch) -> Response {
        if known.matches(&self.etag) {
            return (StatusCode::NOT_MODIFIED, [(header::ETAG, self.etag)]).into_response();
        }
        let mut response = Response::new(self.body.into());
        let headers = response.headers_mut();
        headers.reserve(USUAL_HEADERS);
        headers.insert(header::ETAG, self.etag);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// How many bytes the body has.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }
}

fn to_json(shown: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(shown).map(Bytes::from).map_err(|error| Problem::internal(&error))
}
