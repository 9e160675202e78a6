//! Problems (RFC 9457): what a client is told when a request can't be answered as it wished.
//!
//! A client reads what stands in a [`Problem`] and nothing else: the cause of a 5xx goes to the log, once, and the client
//! gets a general sentence.

use std::{borrow::Cow, error::Error, fmt::Display};

use axum::response::{IntoResponse, Response};
use common::{cause, db, idempotency::ClaimError, page::BadCursor};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

/// A kind of problem, which clients tell by its `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

impl Kind {
    pub(crate) const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title }
    }

    pub(crate) fn status(self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn code(self) -> &'static str {
        self.code
    }

    pub(crate) fn title(self) -> &'static str {
        self.title
    }
}

/// The kinds that several endpoints know.
pub(crate) mod kinds {
    use http::StatusCode;

    use super::Kind;

    macro_rules! kinds {
        ($($name:ident $status:ident $code:literal $title:literal)*) => {
            $(pub(crate) const $name: Kind = Kind::new(StatusCode::$status, $code, $title);)*
        };
    }

    kinds! {
        MALFORMED_REQUEST BAD_REQUEST "malformed_request" "The request can't be understood"
        IDEMPOTENCY_KEY_REQUIRED BAD_REQUEST "idempotency_key_required" "The header Idempotency-Key is missing"
        UNAUTHENTICATED UNAUTHORIZED "unauthenticated" "A valid access token is needed"
        FORBIDDEN FORBIDDEN "forbidden" "This is not for your role"
        NOT_FOUND NOT_FOUND "not_found" "There is no such thing"
        METHOD_NOT_ALLOWED METHOD_NOT_ALLOWED "method_not_allowed" "The path doesn't know this method"
        REQUEST_TIMEOUT REQUEST_TIMEOUT "request_timeout" "The request didn't arrive in time"
        REQUEST_IN_PROGRESS CONFLICT "request_in_progress" "The first request with this key still runs"
        INSUFFICIENT_STOCK CONFLICT "insufficient_stock" "There is not enough stock"
        PRECONDITION_FAILED PRECONDITION_FAILED "precondition_failed" "It has changed since it was read"
        URI_TOO_LONG URI_TOO_LONG "uri_too_long" "The path and the query are too long"
        HEADERS_TOO_LARGE REQUEST_HEADER_FIELDS_TOO_LARGE "headers_too_large" "The headers are too large"
        RATE_LIMITED TOO_MANY_REQUESTS "rate_limited" "There were too many of these"
        PAYLOAD_TOO_LARGE PAYLOAD_TOO_LARGE "payload_too_large" "The body is too large"
        UNSUPPORTED_MEDIA_TYPE UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is not of a type that is read here"
        VALIDATION_FAILED UNPROCESSABLE_ENTITY "validation_failed" "Some of the input is not valid"
        IDEMPOTENCY_KEY_REUSED UNPROCESSABLE_ENTITY "idempotency_key_reused" "The key was used for another request"
        PRECONDITION_REQUIRED PRECONDITION_REQUIRED "precondition_required" "The header If-Match is missing"
        INSUFFICIENT_STORAGE INSUFFICIENT_STORAGE "insufficient_storage" "There is no room for it"
        INTERNAL INTERNAL_SERVER_ERROR "internal" "Something broke"
        UNAVAILABLE SERVICE_UNAVAILABLE "unavailable" "The shop can't answer now"
    }
}

/// What a client is told.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    more: Box<More>,
}

/// What few problems have.
#[derive(Clone, Debug, Default)]
struct More {
    errors: Vec<InvalidField>,
    members: Map<String, Value>,
    headers: HeaderMap,
}

/// One invalid field of a body, or parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct InvalidField {
    pointer: String,
    detail: String,
}

impl Problem {
    /// A problem of this kind; `detail` says to a person what is wrong here and what to do about it.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), more: Box::default() }
    }

    /// A problem of which its kind says all.
    pub(crate) fn of(kind: Kind) -> Self {
        let detail = match kind {
            kinds::INTERNAL => "This is our fault. Try again; if it stays, tell us the request_id.",
            kinds::UNAVAILABLE => "The shop is busy or its database is away. Try again soon.",
            kinds::NOT_FOUND => "There is none with this id that you may see.",
            _ => kind.title,
        };
        Self::new(kind, detail)
    }

    /// 404 `not_found`: also for what exists and is another's.
    pub(crate) fn not_found() -> Self {
        Self::of(kinds::NOT_FOUND)
    }

    /// 500 `internal`. The cause goes to the log, and nowhere else.
    pub(crate) fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = cause, "a request failed");
        Self::of(kinds::INTERNAL)
    }

    /// 422 `validation_failed` for one field, named by a JSON pointer; a query's parameter by `/name`.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Display) -> Self {
        Invalid(vec![InvalidField { pointer: pointer.into(), detail: detail.to_string() }]).into()
    }

    /// Adds a member that belongs to this kind of problem.
    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.more.members.insert(name.to_owned(), value);
                self
            }
            Err(error) => Self::internal(&error),
        }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.headers.insert(name, value);
        self
    }

    /// Says how to prove who one is, as every 401 has to (RFC 9110, section 15.5.2).
    pub(crate) fn challenge(self, challenge: &'static str) -> Self {
        self.header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// Says after how many seconds a repeat makes sense.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, seconds.into())
    }
}

/// What is written into an answer.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "<[InvalidField]>::is_empty")]
    errors: &'a [InvalidField],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl Problem {
    /// What it is as an answer to this request.
    pub(crate) fn into_parts(self, request_id: Option<String>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let document = Document {
            r#type: format!("urn:kassa:problem:{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status.as_u16(),
            detail: &self.detail,
            code: self.kind.code,
            request_id,
            errors: &self.more.errors,
            members: &self.more.members,
        };
        let body = serde_json::to_vec(&document).expect("strings and JSON values are JSON");
        let mut headers = self.more.headers;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        (self.kind.status, headers, body)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_parts(cause::request_id()).into_response()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        db::count_error(&error);
        if db::is_unavailable(&error) {
            tracing::warn!(error = &error as &dyn Error, "the database could not be used");
            return Self::of(kinds::UNAVAILABLE).retry_after(1);
        }
        Self::internal(&error)
    }
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Reused => Self::new(
                kinds::IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key came with another body before. A new request needs a new key.",
            ),
            ClaimError::InProgress => {
                Self::new(kinds::REQUEST_IN_PROGRESS, "Try again with the same key to learn what became of it.")
                    .retry_after(1)
            }
            ClaimError::Database(error) => error.into(),
        }
    }
}

impl From<BadCursor> for Problem {
    fn from(error: BadCursor) -> Self {
        Self::invalid("/cursor", error)
    }
}

/// Gathers what is wrong with a request's fields, so that a client mends all of it in one go.
#[derive(Debug, Default)]
pub(crate) struct Invalid(Vec<InvalidField>);

impl Invalid {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field, or a note of why it has none.
    pub(crate) fn field<T, E: Display>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.0.push(InvalidField { pointer: pointer.to_owned(), detail: why.to_string() })).ok()
    }

    /// The value of a field that may be left out: `Some(None)` where it was.
    pub(crate) fn optional<T, E: Display>(&mut self, pointer: &str, value: Option<Result<T, E>>) -> Option<Option<T>> {
        match value {
            None => Some(None),
            Some(value) => self.field(pointer, value).map(Some),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let mut problem = Self::new(kinds::VALIDATION_FAILED, "See `errors`.");
        problem.more.errors = invalid.0;
        problem
    }
}
