//! Answers packed by gzip, for clients that ask for it. An entity tag stands for the bytes of an answer (RFC 9110, section
//! 8.8.3), so that of a packed one is another: `"x"` becomes `"x-gzip"`. Both name the same version: the suffix is taken off
//! whatever a client sends back, before anybody compares it.

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{And, NotForContentType, Predicate as _, SizeAbove},
    },
};

/// Smallest body that is packed, in bytes: less fits into one packet as it is.
const WORTHWHILE: u64 = 1024;

const SUFFIX: &str = "-gzip\"";

/// Packs what is worth it. To be used inside [`negotiate`].
pub(crate) fn layer() -> CompressionLayer<And<SizeAbove, NotForContentType>> {
    // Half of what the best level takes off is taken off by the fastest, in a fraction of its time.
    let worthwhile = SizeAbove::new(WORTHWHILE).and(NotForContentType::IMAGES);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worthwhile)
}

/// Decides whether the answer may be packed, and keeps the entity tags apart. Only what is read is packed: what is written is
/// answered in short.
pub(crate) async fn negotiate<F: Future<Output = Response>>(
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let may_be_packed = request.method() == Method::GET && takes_gzip(request.headers());
    let headers = request.headers_mut();
    // The layer would answer 406 to who takes nothing at all, after the work was done.
    headers.remove(header::ACCEPT_ENCODING);
    if may_be_packed {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    take_off_suffix(headers, header::IF_MATCH);
    let has_packed = take_off_suffix(headers, header::IF_NONE_MATCH);

    let mut response = next(request).await;
    let has_it_already = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING) || has_it_already && has_packed {
        put_on_suffix(headers);
    }
    if has_it_already {
        headers.append(header::VARY, header::ACCEPT_ENCODING.into()); // as it was when the client got it
    }
    response
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
