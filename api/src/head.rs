//! What can be wrong with a request's head although it can be parsed: too long, or without a word of whom it asks.
//! What can't be parsed is refused by [`crate::stream`].

use axum::extract::Request;
use http::{HeaderMap, Version, header, uri::Authority};

use crate::problem::{Problem, kinds};

/// Longest path and query, in bytes: what any server is to take at least (RFC 9110, section 4.1).
const TARGET_LIMIT: usize = 8000;

/// Largest names and values of all headers together, in bytes.
pub(crate) const HEADERS_LIMIT: usize = 32 * 1024;

/// Refuses a request whose head is not in order.
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_LIMIT {
        return Err(Problem::new(kinds::URI_TOO_LONG, format!("At most {TARGET_LIMIT} bytes are read here.")));
    }
    if request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > HEADERS_LIMIT {
        return Err(Problem::new(kinds::HEADERS_TOO_LARGE, format!("At most {HEADERS_LIMIT} bytes are read here.")));
    }
    if request.version() >= Version::HTTP_11 && !has_one_host(request.headers()) {
        return Err(Problem::new(
            kinds::MALFORMED_REQUEST,
            "There must be one header `Host`, and it must name a host.",
        ));
    }
    Ok(())
}

/// RFC 9112, section 3.2. Which host it is makes no difference: nothing is made of its name.
fn has_one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_once_and_is_one() {
        let names = |hosts: &[&str]| {
            has_one_host(&hosts.iter().map(|host| (header::HOST, host.parse().expect("a value"))).collect())
        };
        for fine in ["shop.example", "shop.example:8080", "192.0.2.1", "[2001:db8::1]:80", "xn--bcher-kva.example"] {
            assert!(names(&[fine]), "{fine}");
        }
        for wrong in ["", "a b", "shop.example/path", "eve@shop.example", "a:b:c", "http://shop.example", "ä"] {
            assert!(!names(&[wrong]), "{wrong}");
        }
        assert!(!names(&[]) && !names(&["shop.example", "shop.example"]));
    }
}
