//! Answers packed by gzip, for clients that ask for it. An entity tag stands for the bytes of an answer (RFC 9110, section
//! 8.8.3), so that of a packed one is another: `"x"` becomes `"x-gzip"`. Both name the same version: the suffix is taken off
//! whatever a client sends back, before anybody compares it.

use std::io::{self, Write as _};

use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::Request,
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::problem::Problem;

/// Smallest and largest body that is packed, in bytes. Less fits into one packet as it is; more would hold up others.
const SMALLEST: u64 = 1024;
const LARGEST: u64 = 1024 * 1024;

const SUFFIX: &str = "-gzip\"";

/// What a request says of how its answer may be packed.
pub(crate) struct Packing {
    is_read: bool,
    takes_gzip: bool,
    has_packed: bool,
}

impl Packing {
    /// Reads what the client takes, and takes the suffix off the tags that it sent: handlers see one tag for each version.
    pub(crate) fn take_from(request: &mut Request) -> Self {
        let is_read = request.method() == Method::GET;
        let headers = request.headers_mut();
        take_off_suffix(headers, header::IF_MATCH);
        let has_packed = take_off_suffix(headers, header::IF_NONE_MATCH);
        Self { is_read, takes_gzip: takes_gzip(headers), has_packed }
    }

    /// Packs the answer if that is worth it, and keeps the entity tags apart. Only what is read is packed: what is written is answered
    /// in short.
    pub(crate) async fn pack(self, mut response: Response) -> Response {
        let has_it_already = response.status() == StatusCode::NOT_MODIFIED;
        let can_be_packed = self.is_read && can_be_packed(&response);
        if can_be_packed || has_it_already {
            response.headers_mut().append(header::VARY, header::ACCEPT_ENCODING.into());
        }
        if has_it_already && self.has_packed {
            put_on_suffix(response.headers_mut());
        }
        if can_be_packed && self.takes_gzip { packed(response).await } else { response }
    }
}

/// Whether an answer is text, and neither too short nor too long.
fn can_be_packed(response: &Response) -> bool {
    let headers = response.headers();
    let is_text = || {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        content_type.starts_with("text/") || ["json", "javascript"].iter().any(|kind| content_type.contains(kind))
    };
    let size = response.body().size_hint().exact();
    size.is_some_and(|size| (SMALLEST..=LARGEST).contains(&size))
        && is_text()
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
}

async fn packed(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let packed = match to_bytes(body, usize::MAX).await {
        Ok(body) => gzip(&body).map_err(|error| Problem::internal(&error)),
        Err(error) => Err(Problem::internal(&error)),
    };
    match packed {
        Ok(packed) => {
            head.headers.remove(header::CONTENT_LENGTH);
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            put_on_suffix(&mut head.headers);
            Response::from_parts(head, Body::from(packed))
        }
        Err(problem) => problem.into_response(),
    }
}

/// At the fastest level, which takes off most of what the best one does, in a fraction of its time.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    gzip.write_all(bytes)?;
    gzip.finish()
}

/// RFC 9110, section 12.5.3, of which we heed what is said of gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut gzip = values.flat_map(|value| value.split(',')).filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip").then_some(weight.is_some_and(|weight| weight > 0.0))
    });
    gzip.next().unwrap_or(false)
}

/// Whether there was one.
fn take_off_suffix(headers: &mut HeaderMap, name: HeaderName) -> bool {
    let mut found = false;
    if let header::Entry::Occupied(mut values) = headers.entry(name) {
        for value in values.iter_mut() {
            let bare = value.to_str().ok().filter(|tags| tags.contains(SUFFIX)).map(|tags| tags.replace(SUFFIX, "\""));
            if let Some(bare) = bare.and_then(|bare| bare.try_into().ok()) {
                *value = bare;
                found = true;
            }
        }
    }
    found
}

/// A weak tag stands for either.
fn put_on_suffix(headers: &mut HeaderMap) {
    let strong = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()?.strip_prefix('"')?.strip_suffix('"'));
    if let Some(packed) = strong.and_then(|tag| format!("\"{tag}{SUFFIX}").try_into().ok()) {
        headers.insert(header::ETAG, packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_used_where_it_is_asked_for() {
        for asked in ["gzip", "br, gzip, deflate", "GZIP;q=0.5", "identity;q=0,gzip; q=1.0"] {
            assert!(takes_gzip(&headers(header::ACCEPT_ENCODING, asked)), "{asked}");
        }
        for other in ["", "br", "identity", "gzip;q=0", "gzip;q=0.000, *", "gzip;x", "xgzip", "*"] {
            assert!(!takes_gzip(&headers(header::ACCEPT_ENCODING, other)), "{other}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_packed_answers_tag_is_another_and_comes_back_as_the_same() {
        let mut answer = headers(header::ETAG, "\"a.1\"");
        put_on_suffix(&mut answer);
        assert_eq!(answer[header::ETAG], "\"a.1-gzip\"");
        let mut question = headers(header::IF_MATCH, "\"a.1-gzip\", W/\"b.2-gzip\",\"c.3\"");
        assert!(take_off_suffix(&mut question, header::IF_MATCH));
        assert_eq!(question[header::IF_MATCH], "\"a.1\", W/\"b.2\",\"c.3\"");
        assert!(!take_off_suffix(&mut question, header::IF_MATCH) && !take_off_suffix(&mut question, header::ETAG));
        for weak in ["W/\"a.1\"", "a.1"] {
            let mut answer = headers(header::ETAG, weak);
            put_on_suffix(&mut answer);
            assert_eq!(answer[header::ETAG], weak);
        }
    }
}
