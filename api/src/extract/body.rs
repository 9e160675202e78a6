//! Bodies: JSON objects read strictly, or bytes as they came.

use std::{error::Error, fmt, iter, time::Duration};

use axum::{
    RequestExt as _,
    body::{Body as Incoming, Bytes},
    extract::{FromRequest, Request},
};
use bytes::BytesMut;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Unexpected, Visitor},
};
use serde_json::error::Category;
use utoipa::ToSchema;

use crate::{
    load,
    problem::{Problem, kinds},
};

/// Largest JSON body, in bytes. Routes with larger ones say so themselves.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;
/// Longest wait for a body to arrive whole.
const ARRIVAL: Duration = Duration::from_secs(15);

/// A JSON object. `T` says which fields there may be, with `#[serde(deny_unknown_fields)]`.
pub(crate) struct Body<T> {
    pub(crate) value: T,
    /// The bytes as they came: an idempotency key is bound to them.
    pub(crate) raw: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_announcement(request.headers(), BODY_LIMIT)?;
        check_content_type(request.headers())?;
        let RawBody(raw) = RawBody::from_request(request, state).await?;
        Ok(Self { value: parse(&raw)?, raw })
    }
}

/// As [`Body`], but nothing at all may be sent, too: `T::default()` then.
pub(crate) struct OptionalBody<T> {
    pub(crate) value: T,
    /// The bytes as they came: an idempotency key is bound to them.
    pub(crate) raw: Bytes,
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_announcement(request.headers(), BODY_LIMIT)?;
        let content_type = check_content_type(request.headers());
        let RawBody(raw) = RawBody::from_request(request, state).await?;
        if raw.is_empty() {
            return Ok(Self { value: T::default(), raw });
        }
        content_type?;
        Ok(Self { value: parse(&raw)?, raw })
    }
}

/// For an [`OptionalBody`] of which no member is known yet: what a client means by one must not be passed over.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoMembers {}

/// The bytes of a body, of whatever type.
pub(crate) struct RawBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let arrival = tokio::time::timeout(ARRIVAL, whole(request.into_limited_body()));
        match load::without_slot(arrival).await {
            Ok(body) => body.map(Self),
            Err(_) => Err(Problem::new(kinds::REQUEST_TIMEOUT, "The body took too long to arrive.")),
        }
    }
}

async fn whole(mut body: Incoming) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        if let Ok(bytes) = frame.into_data() {
            load::hold(bytes.len())?;
            whole.extend_from_slice(&bytes);
        }
    }
    Ok(whole.freeze())
}

fn unreadable(error: &axum::Error) -> Problem {
    let mut causes = iter::successors(Some(error as &dyn Error), |cause| (*cause).source());
    if causes.any(<dyn Error>::is::<LengthLimitError>) {
        Problem::new(kinds::PAYLOAD_TOO_LARGE, "The body is larger than is read here.")
    } else {
        Problem::new(kinds::MALFORMED_REQUEST, "The body broke off.")
    }
}

/// Refuses a body that says itself that it is too large before any of it is read, and one that would have to be unpacked.
pub(super) fn check_announcement(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(Problem::new(kinds::PAYLOAD_TOO_LARGE, format!("At most {limit} bytes are read here.")));
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Problem::new(kinds::UNSUPPORTED_MEDIA_TYPE, "Send the body without a `Content-Encoding`."))
        }
        _ => Ok(()),
    }
}

/// JSON is UTF-8 (RFC 8259, section 8.1): another charset is refused, none is needed.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || Problem::new(kinds::UNSUPPORTED_MEDIA_TYPE, "Send the body as `Content-Type: application/json`.");
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    let is_utf8 = parts.all(|parameter| match parameter.strip_prefix("charset=") {
        Some(charset) => charset.trim_matches('"') == "utf-8",
        None => true,
    });
    if is_json && is_utf8 { Ok(()) } else { Err(refused()) }
}

fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    // serde would take an array for a struct, field by field.
    let is_object = raw.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    if !is_object {
        return Err(match serde_json::from_slice::<de::IgnoredAny>(raw) {
            Ok(_) => Problem::invalid("", "must be an object"),
            Err(error) => not_json(&error),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = pointer(error.path());
        let error = error.into_inner();
        match error.classify() {
            Category::Data => misfit(path, &error),
            // serde_json takes `null` for broken where one of several words is expected.
            _ if serde_json::from_slice::<serde_json::Value>(raw).is_ok() => {
                Problem::invalid(path, "is of another type")
            }
            _ => not_json(&error),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(kinds::MALFORMED_REQUEST, format!("The body is not JSON: {error}."))
}

/// A field that is unknown, missing or of the wrong type. serde names the first two in its message only.
fn misfit(pointer: String, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let quoted = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("missing field") {
        Problem::invalid(format!("{pointer}/{}", escape(quoted)), "is missing")
    } else if message.starts_with("duplicate field") {
        Problem::invalid(format!("{pointer}/{}", escape(quoted)), "is there twice")
    } else if let Some((_, expected)) =
        message.strip_prefix("unknown field `").and_then(|message| message.split_once("`, expected "))
    {
        Problem::invalid(pointer, format!("is not known here; expected {expected}"))
    } else {
        let message = ["i64", "i32", "u64", "u32"].iter().fold(message.to_owned(), |message, number| {
            message.replace(&format!("expected {number}"), "expected a whole number")
        });
        Problem::invalid(pointer, message)
    }
}

/// A whole number, however it is written: JSON knows one kind of numbers, and some clients write `2.0` for 2.
pub(crate) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_i64(Whole)
}

/// The same for a field that may be left out, but is not to be `null`: who sends that means something else than who sends nothing.
/// To be named beside `default`.
pub(crate) fn whole_number_not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    whole_number(deserializer).map(Some)
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        /// Beyond 2^53 neighbouring whole numbers can't be told apart.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract().abs() > 0.0 || number.abs() > EXACT {
            return Err(E::invalid_type(Unexpected::Float(number), &self));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far from the ends of i64")]
        Ok(number as i64)
    }
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Seq { index } => format!("/{index}"),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

/// A name in a pointer (RFC 6901).
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[serde(deserialize_with = "whole_number")]
        quantity: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its type is of interest")]
        lines: Vec<Line>,
        #[expect(dead_code, reason = "only its type is of interest")]
        address: Option<String>,
        #[expect(dead_code, reason = "only its type is of interest")]
        note: Option<String>,
    }

    async fn refused(raw: &str) -> (u16, Value) {
        let response = parse::<Order>(raw.as_bytes()).expect_err("a refusal").into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn what_doesnt_fit_is_told_by_its_pointer() {
        for (raw, pointer, detail) in [
            (r#"{}"#, "/lines", "is missing"),
            (
                r#"{"lines": [], "role": "admin"}"#,
                "/role",
                "is not known here; expected one of `lines`, `address`, `note`",
            ),
            (r#"{"lines": [], "lines": []}"#, "/lines", "is there twice"),
            (r#"{"lines": [{}]}"#, "/lines/0/quantity", "is missing"),
            (r#"{"lines": [{"a/b`": 1}]}"#, "/lines/0/a~1b`", "is not known here; expected `quantity`"),
            (
                r#"{"lines": [{"quantity": 1}, {"quantity": "1"}]}"#,
                "/lines/1/quantity",
                "invalid type: string \"1\", expected a whole number",
            ),
            (
                r#"{"lines": [{"quantity": 9223372036854775808}]}"#,
                "/lines/0/quantity",
                "invalid value: integer `9223372036854775808`, expected a whole number",
            ),
            (
                r#"{"lines": [{"quantity": 1.5}]}"#,
                "/lines/0/quantity",
                "invalid type: floating point `1.5`, expected a whole number",
            ),
            (r#"{"lines": [{"quantity": null}]}"#, "/lines/0/quantity", "invalid type: null, expected a whole number"),
            (r#"[[]]"#, "", "must be an object"),
            (r#"7"#, "", "must be an object"),
        ] {
            let (status, body) = refused(raw).await;
            assert_eq!((status, &body["code"]), (422, &"validation_failed".into()), "{raw}: {body}");
            assert_eq!(body["errors"][0]["pointer"], pointer, "{raw}: {body}");
            assert_eq!(body["errors"][0]["detail"], detail, "{raw}: {body}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for (raw, number) in [("2", 2), ("2.0", 2), ("-0.0", 0), ("1e3", 1000), ("9007199254740992.0", 1 << 53)] {
            let line: Line = parse(format!(r#"{{"quantity": {raw}}}"#).as_bytes()).expect(raw);
            assert_eq!(line.quantity, number, "{raw}");
        }
        for raw in ["1e300", "-1e19", "9007199254740994.0", "0.1"] {
            assert!(parse::<Line>(format!(r#"{{"quantity": {raw}}}"#).as_bytes()).is_err(), "{raw}");
        }
    }

    #[tokio::test]
    async fn what_is_not_json_is_malformed() {
        for raw in ["", "{", "{\"lines\": []} x", "{'lines': []}", "nonsense", "\u{feff}{}"] {
            let (status, body) = refused(raw).await;
            assert_eq!((status, &body["code"]), (400, &"malformed_request".into()), "{raw}: {body}");
        }
    }

    #[test]
    fn json_is_told_by_its_content_type() {
        let headers =
            |value: &'static str| HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().expect("a value"))]);
        for fine in ["application/json", "Application/JSON; charset=UTF-8", "application/merge-patch+json"] {
            assert!(check_content_type(&headers(fine)).is_ok(), "{fine}");
        }
        for wrong in ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json"]
        {
            assert!(check_content_type(&headers(wrong)).is_err(), "{wrong}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_err());
    }
}
