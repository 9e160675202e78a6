//! Answers: the genuine ones with Stripe's headers, and what a fault makes of them.

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{
    desk::API_VERSION,
    errors::ApiError,
    faults::{Answer, Held, Hit},
    idempotency::SavedAnswer,
    wire::Scissors,
};

/// An answer to a call.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) value: Value,
    /// In the place of the value: a proxy's page, or a part of the JSON.
    raw: Option<(&'static str, Bytes)>,
    /// Whether the connection breaks off after the body.
    breaks_off: bool,
    retry_after: Option<u64>,
    /// The request whose kept answer this is.
    pub(crate) replay_of: Option<String>,
    pub(crate) request_id: String,
    pub(crate) version: HeaderValue,
    pub(crate) idempotency_key: Option<HeaderValue>,
}

impl Reply {
    pub(crate) fn json(status: StatusCode, value: Value) -> Self {
        Self {
            status,
            value,
            raw: None,
            breaks_off: false,
            retry_after: None,
            replay_of: None,
            request_id: String::new(),
            version: HeaderValue::from_static(API_VERSION),
            idempotency_key: None,
        }
    }

    /// Stands where a fault's answer will be put.
    pub(crate) fn empty() -> Self {
        Self::json(StatusCode::OK, Value::Null)
    }

    pub(crate) fn error(error: &ApiError, request_id: &str, now: i64) -> Self {
        Self { request_id: request_id.to_owned(), ..Self::json(error.status, error.body(request_id, now)) }
    }

    pub(crate) fn replay(saved: SavedAnswer) -> Self {
        let status = StatusCode::from_u16(saved.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { replay_of: Some(saved.request_id), ..Self::json(status, saved.body) }
    }

    fn bytes(&self) -> Bytes {
        let bytes = serde_json::to_vec_pretty(&self.value);
        bytes.expect("JSON values have string keys and are written to memory").into()
    }

    /// As it goes over the wire.
    pub(crate) fn into_response(self) -> Response {
        let (content_type, bytes) = match &self.raw {
            Some((content_type, bytes)) => (*content_type, bytes.clone()),
            None => ("application/json", self.bytes()),
        };
        let body = if self.breaks_off {
            let broken = std::future::ready(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
            // The first part is on its way once the second one isn't there yet.
            let second = async {
                tokio::task::yield_now().await;
                broken.await
            };
            Body::from_stream(stream::once(std::future::ready(Ok(bytes))).chain(stream::once(second)))
        } else {
            Body::from(bytes)
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Request-Id, Stripe-Manage-Version, Stripe-Version"),
        );
        headers.insert(HeaderName::from_static("stripe-version"), self.version);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Stripe\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(HeaderName::from_static("request-id"), id);
        }
        if let Some(key) = self.idempotency_key {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        if let Some(Ok(original)) = self.replay_of.map(|id| HeaderValue::from_str(&id)) {
            headers.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
            headers.insert(HeaderName::from_static("original-request"), original);
        }
        response
    }
}

/// What a fault keeps under the idempotency key in the place of the genuine answer.
pub(crate) fn saved(answer: &Answer, request_id: &str, now: i64) -> Option<(u16, Value)> {
    match answer {
        Answer::Status { status, saved: true, body, .. } => {
            Some((*status, body_of(*status, body.as_ref(), request_id, now)))
        }
        _ => None,
    }
}

fn body_of(status: u16, body: Option<&Value>, request_id: &str, now: i64) -> Value {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    body.cloned().unwrap_or_else(|| ApiError::fault(status).body(request_id, now))
}

/// Puts a fault's answer in the place of the genuine one. `None` if the caller gets nothing at all.
pub(crate) async fn replace(
    answer: &Answer,
    genuine: Reply,
    hit: &Hit,
    held: &Held,
    scissors: &Scissors,
    now: i64,
) -> Option<Reply> {
    match answer {
        Answer::Status { status, retry_after, body, .. } => {
            let value = body_of(*status, body.as_ref(), &held.request_id, now);
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Some(Reply { retry_after: *retry_after, ..Reply::json(status, value) })
        }
        Answer::Html { status } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
            Some(Reply { raw: Some(("text/html", page.into())), ..Reply::json(status, Value::Null) })
        }
        Answer::Truncated | Answer::Cut => {
            let bytes = genuine.bytes();
            let half = bytes.slice(..bytes.len() / 2);
            let breaks_off = *answer == Answer::Cut;
            Some(Reply { raw: Some(("application/json", half)), breaks_off, ..genuine })
        }
        Answer::Reset => {
            scissors.cut();
            None
        }
        Answer::Hang => {
            hit.hang(held).await;
            scissors.cut();
            None
        }
    }
}

/// Never arrives: the connection is cut.
pub(crate) fn nothing() -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// What a browser asks before it calls from another origin.
pub(crate) fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT, PATCH, POST, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Idempotency-Key, Stripe-Account, Stripe-Version, X-Stripe-User-Agent",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "300"),
    ];
    (StatusCode::OK, headers).into_response()
}
