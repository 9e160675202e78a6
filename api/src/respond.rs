//! Parts of answers that several routes share.

use axum::response::{AppendHeaders, IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{extract::IfNoneMatch, problem::Problem};
use common::id::ProductId;

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

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
    let body = serde_json::to_vec(shown).map_err(|error| Problem::internal(&error))?;
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let etag = HeaderValue::try_from(etag).map_err(|error| Problem::internal(&error))?;
    if known.matches(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::ETAG, etag), (header::CONTENT_TYPE, json)], body).into_response())
}
