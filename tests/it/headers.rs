//! What is in every answer, and what no request gets past: headers, and requests that are hardly any.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Reply, Shop, ask, text};

const ORIGIN: &str = "https://shop.example";

#[track_caller]
fn is_guarded(header: impl Fn(&str) -> String) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", ""), // not over plain HTTP: RFC 6797, section 7.2
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    assert!(!header("cache-control").is_empty() && !header("x-request-id").is_empty());
}

#[tokio::test]
async fn every_answer_guards_itself_and_lets_no_stranger_in() {
    let shop = Shop::start().await;
    let (admin, visitor) = (shop.admin().await, shop.visitor());
    shop.product(500, 1).await;
    let stranger = [("origin", ORIGIN), ("access-control-request-method", "POST")];
    for (client, method, path, status) in [
        (&visitor, Method::GET, "/products", 200),
        (&visitor, Method::GET, "/health/live", 200),
        (&admin, Method::GET, "/auth/me", 200),
        (&visitor, Method::GET, "/auth/me", 401),
        (&visitor, Method::GET, "/nowhere", 404),
        (&visitor, Method::DELETE, "/products", 405),
        (&visitor, Method::OPTIONS, "/products", 405),
        (&admin, Method::POST, "/products", 415),
        (&visitor, Method::POST, "/webhooks/stripe", 400),
    ] {
        let reply = client.call(method, path, None, &stranger).await;
        assert_eq!(reply.status, status, "{reply:?}");
        is_guarded(|name| reply.header(name).to_owned());
        assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{reply:?}");
    }
    let refused = ask(shop.api.api, b"nonsense\r\n\r\n").await;
    is_guarded(|name| refused.header(name).to_owned());
    let public = "public, max-age=0, must-revalidate";
    assert_eq!(shop.visitor().get("/products").await.header("cache-control"), public);
    assert_eq!(admin.get("/auth/me").await.header("cache-control"), "no-store");
    shop.finish().await;
}

#[tokio::test]
async fn scripts_of_the_shops_own_pages_may_call_it_and_those_of_others_may_not() {
    let origins = format!("http://localhost:3000,{ORIGIN}");
    let limits = [("RATE_LIMITS", "on"), ("RATE_LIMIT_LOGIN", "1")];
    let shop = Shop::with(&[&[("CORS_ORIGINS", origins.as_str())][..], &limits].concat()).await;
    let visitor = shop.visitor();
    let preflight = async |origin: &str| {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "authorization,if-match,content-type,idempotency-key,prefer"),
        ];
        visitor.call(Method::OPTIONS, "/products/mug", None, &asked).await
    };
    let list = |reply: &Reply, name: &str| reply.header(name).to_lowercase();
    for origin in ["http://localhost:3000", ORIGIN] {
        let allowed = preflight(origin).await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, origin), "{allowed:?}");
        assert!(list(&allowed, "access-control-allow-methods").contains("put"), "{allowed:?}");
        for header in ["authorization", "if-match", "content-type", "idempotency-key", "prefer", "traceparent"] {
            assert!(list(&allowed, "access-control-allow-headers").contains(header), "{header}: {allowed:?}");
        }
        assert_eq!(allowed.header("access-control-allow-credentials"), "");
    }
    for stranger in ["https://shop.example.evil", "http://shop.example", "https://shop.example:8443", "null"] {
        let refused = preflight(stranger).await;
        assert_eq!(refused.header("access-control-allow-origin"), "", "{refused:?}");
    }
    let credentials = json!({ "email": "nobody@kassa.example", "password": "a guess" });
    for status in [401, 429] {
        let refused = visitor.call(Method::POST, "/auth/login", Some(&credentials), &[("origin", ORIGIN)]).await;
        assert_eq!(
            (refused.status, refused.header("access-control-allow-origin")),
            (status, ORIGIN),
            "a page can read it"
        );
        assert!(list(&refused, "access-control-expose-headers").contains("retry-after"), "{refused:?}");
        let varies =
            refused.headers.get_all("vary").iter().any(|vary| vary.to_str().is_ok_and(|vary| vary.contains("origin")));
        assert!(varies, "{refused:?}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn what_can_not_be_parsed_is_told_so() {
    let shop = Shop::start().await;
    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nhost: shop\r\n{headers}\r\n");
    let long = |length: usize| "x".repeat(length);
    let before = shop.contents().await;
    for (request, status, code) in [
        ("nonsense\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /products\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /products HTTP/7.0\r\nhost: shop\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /a b HTTP/1.1\r\nhost: shop\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{7f}".to_owned(), 400, "malformed_request"),
        (get("/products", "a b: c\r\n"), 400, "malformed_request"),
        (get("/products", "x: a\0b\r\n"), 400, "malformed_request"),
        (get("/products", "x: a\rinjected: b\r\n"), 400, "malformed_request"),
        (get("/products", "x: a\r\n injected: b\r\n"), 400, "malformed_request"),
        (get("/products", "content-length: 1\r\ncontent-length: 2\r\n"), 400, "malformed_request"),
        (get("/products", "content-length: -1\r\n"), 400, "malformed_request"),
        (get("/products", "transfer-encoding: rot13\r\n"), 400, "malformed_request"),
        (get("/products", &"x: y\r\n".repeat(150)), 431, "headers_too_large"),
        (get("/products", &format!("connection: close\r\nx: {}\r\n", long(33 * 1024))), 431, "headers_too_large"),
        (get("/products", &format!("x: {}\r\n", long(2 * 1024 * 1024))), 431, "headers_too_large"),
        (get(&format!("/{}", long(70_000)), ""), 414, "uri_too_long"),
    ] {
        let answer = ask(shop.api.api, request.as_bytes()).await;
        let shown = &request[..request.len().min(80)];
        assert_eq!(answer.status, status, "{shown:?}: {answer:?}");
        answer.problem(status, code);
        assert!(!answer.header("date").is_empty(), "{shown:?}");
    }
    assert_eq!(shop.contents().await, before);
    let [api, _] = shop.operations();
    let counted = r#"kassa_http_requests_total{method="other",route="unmatched",status="431"} 2"#;
    let exposed = api.get("/metrics").await.raw;
    assert!(exposed.contains(counted), "{exposed}");
    shop.finish().await;
}

#[tokio::test]
async fn what_can_be_parsed_but_makes_no_sense_is_told_so() {
    let shop = Shop::start().await;
    let close = "connection: close\r\n\r\n";
    let asked = async |request: String| ask(shop.api.api, request.as_bytes()).await;
    for host in
        ["", "host: \r\n", "host: a b\r\n", "host: shop\r\nhost: shop\r\n", "host: eve@shop\r\n", "host: shop/a\r\n"]
    {
        asked(format!("GET /products HTTP/1.1\r\n{host}{close}")).await.problem(400, "malformed_request");
    }
    for fine in ["HTTP/1.1\r\nhost: [::1]:8080\r\n", "HTTP/1.1\r\nHOST: anything.example\r\n", "HTTP/1.0\r\n"] {
        let answer: Answer = asked(format!("GET /products {fine}{close}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let target = |length: usize| format!("/{}", "x".repeat(length - 1));
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: shop\r\n{close}");
    asked(get(&target(8001))).await.problem(414, "uri_too_long");
    asked(get(&target(8000))).await.problem(404, "not_found");
    shop.finish().await;
}

#[tokio::test]
async fn hostile_queries_and_values_are_answered_soon_and_become_no_header() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.product(500, 1).await;
    let evil = [
        "%0d%0aset-cookie:%20a=b",
        "%00",
        "%ff%fe",
        "%",
        "'%20OR%201=1;--",
        "%22%3E%3Cscript%3E",
        "../../etc/passwd",
        "9999999999999999999999",
        "-1",
        "1e9",
        "NaN",
        "%F0%9F%AB%96",
        "((((((((((((((((((((((",
        "%25%25%25_%5c%5c",
        &"a%20%26%20".repeat(600),
        &"%28".repeat(2000),
    ];
    for value in evil {
        for name in ["q", "sort", "cursor", "limit", "status", "min_price", "max_price", "in_stock", "status_not"] {
            for path in ["/products", "/orders"] {
                let began = Instant::now();
                let reply = admin.get(&format!("{path}?{name}={value}")).await;
                assert!(reply.status == 200 || (400..500).contains(&reply.status), "{reply:?}");
                assert!(began.elapsed() < Duration::from_secs(2), "{:?}: {reply:?}", began.elapsed());
                assert!(!reply.headers.contains_key("set-cookie"), "{reply:?}");
            }
        }
        for path in ["/products/", "/orders/", "/"] {
            let reply = admin.get(&format!("{path}{value}")).await;
            assert!((400..500).contains(&reply.status) && !reply.headers.contains_key("set-cookie"), "{reply:?}");
        }
    }
    let many: String = (0..1000).map(|n| format!("a{n}=1&")).collect();
    admin.get(&format!("/products?{many}limit=1")).await.expect(200);
    let name = "Mug\r\nset-cookie: a=b";
    let product = json!({ "name": name, "price": 1, "stock": 1, "slug": "mug\r\nset-cookie: a=b" });
    let refused = admin.post("/products", &product).await;
    assert!(!refused.headers.contains_key("set-cookie") && refused.status == 422, "{refused:?}");
    shop.finish().await;
}

#[tokio::test]
async fn a_refused_body_leaves_a_connection_on_which_the_next_request_is_heard() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    for size in [10, 1000, 60_000, 100_000, 3_000_000] {
        for (path, status) in [("/checkout", 401), ("/nowhere", 404), ("/auth/login", 415)] {
            let reply = visitor.send(Method::POST, path, "x".repeat(size), &[]).await;
            // One that announces that it is too large is refused for that first.
            assert!(reply.status == status || path == "/auth/login" && reply.status == 413, "{reply:?}");
            if size <= 60_000 {
                assert_eq!(reply.header("connection"), "", "{size}: {reply:?}");
            }
            visitor.get("/health/live").await.expect(200);
        }
    }
    shop.finish().await;
}

#[tokio::test]
async fn long_answers_are_packed_for_those_who_ask_and_their_tags_still_name_a_version() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = json!({ "name": "Mug", "price": 500, "stock": 1, "description": "A mug for tea. ".repeat(200) });
    let product = admin.post("/products", &product).await.expect(201);
    let (path, list) = (format!("/products/{}", text(&product["id"])), "/products");
    let gzip = ("accept-encoding", "gzip");
    let get = async |path: &str, headers: &[(&str, &str)]| admin.call(Method::GET, path, None, headers).await;
    for path in [path.as_str(), list] {
        let plain = get(path, &[]).await;
        assert_eq!(plain.header("content-encoding"), "");
        let (packed, bytes) = get_bytes(&shop, path, gzip.1).await;
        assert_eq!(packed["content-encoding"], "gzip");
        assert!(bytes.len() * 2 < plain.raw.len(), "{} of {}", bytes.len(), plain.raw.len());
        assert_eq!(unpacked(&bytes), plain.raw);
        for headers in [&plain.headers, &packed] {
            let vary: Vec<_> = headers.get_all("vary").iter().filter_map(|value| value.to_str().ok()).collect();
            assert!(vary.contains(&"accept-encoding") && vary.contains(&"authorization"), "{vary:?}");
        }
        let (tag, packed_tag) = (plain.header("etag").to_owned(), packed["etag"].to_str().expect("a tag").to_owned());
        assert_eq!(packed_tag, format!("{}-gzip\"", tag.trim_end_matches('"')), "other bytes, another strong tag");
        for known in [&tag, &packed_tag] {
            let unchanged = get(path, &[gzip, ("if-none-match", known)]).await;
            assert_eq!((unchanged.status, unchanged.header("etag")), (304, known.as_str()), "{unchanged:?}");
        }
    }
    for (path, coding) in [(&*path, "gzip;q=0"), (&path, "br"), (&path, "identity;q=0, *;q=0"), ("/cart", "gzip")] {
        let reply = get(path, &[("accept-encoding", coding)]).await;
        assert_eq!((reply.status, reply.header("content-encoding")), (200, ""), "{coding}: {reply:?}");
    }

    let (headers, _) = get_bytes(&shop, &path, gzip.1).await;
    let read = headers["etag"].to_str().expect("a tag");
    let edit = json!({ "name": "Cup", "slug": "cup", "description": "", "price": 500, "status": "active", "stock": 2 });
    let put = async |tag: &str| admin.call(Method::PUT, &path, Some(&edit), &[gzip, ("if-match", tag)]).await;
    put(read).await.expect(200);
    put(read).await.problem(412, "precondition_failed");
    shop.finish().await;
}

/// An answer as it comes, packed or not.
async fn get_bytes(shop: &Shop, path: &str, coding: &str) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let request = shop.visitor().request(Method::GET, path).header("accept-encoding", coding);
    let answer = request.send().await.expect("it answers");
    (answer.headers().clone(), answer.bytes().await.expect("all of it comes").to_vec())
}

fn unpacked(bytes: &[u8]) -> String {
    std::io::read_to_string(flate2::read::GzDecoder::new(bytes)).expect("it is packed by gzip")
}
