//! What is refused before an endpoint looks at it: bodies, paths and methods that make no sense, and callers who aren't let in.
//! Each refusal is a problem with a code, and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use crate::harness::Shop;

const JSON: (&str, &str) = ("content-type", "application/json");

/// Each path with the methods that it knows.
const PATHS: [(&str, &str); 18] = [
    ("/auth/register", "POST"),
    ("/auth/login", "POST"),
    ("/auth/refresh", "POST"),
    ("/auth/logout", "POST"),
    ("/auth/password/forgot", "POST"),
    ("/auth/password/reset", "POST"),
    ("/auth/me", "GET,HEAD"),
    ("/products", "GET,HEAD,POST"),
    ("/products/{id}", "GET,HEAD,PUT,DELETE"),
    ("/cart", "GET,HEAD"),
    ("/cart/items", "POST"),
    ("/cart/items/{id}", "PUT,DELETE"),
    ("/checkout", "POST"),
    ("/orders", "GET,HEAD"),
    ("/orders/{id}", "GET,HEAD"),
    ("/orders/{id}/cancel", "POST"),
    ("/webhooks/stripe", "POST"),
    ("/health/live", "GET,HEAD"),
];

/// The endpoints that take a JSON body, with one that each would take if its id were known.
fn bodies() -> [(Method, &'static str, Value); 6] {
    let id = json!(Uuid::nil());
    let product =
        json!({ "name": "Mug", "slug": "mug", "description": "", "price": 1, "stock": 1, "status": "active" });
    let mut new = product.clone();
    new.as_object_mut().expect("an object").remove("status");
    [
        (Method::POST, "/auth/login", json!({ "email": "ada@kassa.example", "password": "x" })),
        (Method::POST, "/products", new),
        (Method::PUT, "/products/00000000-0000-0000-0000-000000000000", product),
        (Method::POST, "/cart/items", json!({ "product_id": id, "quantity": 1 })),
        (Method::PUT, "/cart/items/00000000-0000-0000-0000-000000000000", json!({ "quantity": 1 })),
        (Method::POST, "/checkout", json!({ "expected_total": 1 })),
    ]
}

fn sorted(methods: &str) -> Vec<&str> {
    let mut methods: Vec<&str> = methods.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let shop = Shop::start().await;
    let (admin, visitor) = (shop.admin().await, shop.visitor());
    let before = shop.contents().await;
    for unknown in
        ["/", "/nope", "/products/", "/orders/1/cancel/2", "/metrics", "/admin/orders/..", "/%00", "//products"]
    {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            admin.call(method, unknown, None, &[]).await.problem(404, "not_found");
        }
    }
    for (path, known) in PATHS {
        let path = path.replace("{id}", &Uuid::nil().to_string());
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if !known.split(',').any(|other| other == method) {
                let method = method.parse().expect("a method");
                let reply = visitor.call(method, &path, None, &[]).await;
                assert_eq!(sorted(reply.header("allow")), sorted(known), "{path}");
                reply.problem(405, "method_not_allowed");
            }
        }
    }
    assert_eq!(shop.contents().await, before);

    for path in ["/health/live", "/health/ready"] {
        let healthy = visitor.get(path).await;
        assert!(!healthy.header("x-request-id").is_empty());
        healthy.expect(200);
    }
    for (own, kept) in
        [("checkout-17_a.b", true), (&"x".repeat(128), true), (&"x".repeat(129), false), ("a b", false), ("é", false)]
    {
        let reply = visitor.call(Method::GET, "/nope", None, &[("x-request-id", own)]).await;
        assert_eq!(reply.header("x-request-id") == own, kept, "{own}");
        reply.problem(404, "not_found");
        let reply = visitor.call(Method::GET, "/products", None, &[("x-request-id", own)]).await;
        assert_eq!(reply.header("x-request-id") == own, kept, "{own}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn bodies_that_are_not_the_json_that_is_wanted_are_problems() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.product(500, 1).await;
    let before = shop.contents().await;
    for (method, path, good) in bodies() {
        let raw = good.to_string();
        let member = good.as_object().and_then(|members| members.keys().next()).expect("it has members");
        let send = async |body: Vec<u8>| admin.send(method.clone(), path, body, &[JSON]).await;
        let twice = format!("{},\"{member}\":{}}}", &raw[..raw.len() - 1], good[member]);
        send(twice.into()).await.invalid(&format!("/{member}"));
        send(format!("{{\"a~/b\":1,{}", &raw[1..]).into()).await.invalid("/a~0~1b");
        for other in ["[]", "null", "7", "\"text\"", "[{}]", "true"] {
            send(other.into()).await.invalid("");
        }
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for malformed in [
            " ".into(),
            "{".into(),
            "nonsense".into(),
            "{'a':1}".into(),
            format!("\u{feff}{raw}"),
            format!("{raw} x"),
            format!("{raw}{raw}"),
            format!("{},}}", &raw[..raw.len() - 1]),
            format!("/**/{raw}"),
            "[".repeat(60_000),
        ] {
            send(malformed.into()).await.problem(400, "malformed_request");
        }
        send(raw.encode_utf16().flat_map(u16::to_le_bytes).collect()).await.problem(400, "malformed_request");
        send(b"{\"\xff\":1}".to_vec()).await.problem(400, "malformed_request");
        send(nested(30_000).into()).await.invalid("");
        let name = format!("{{\"{member}\":{}}}", nested(30_000));
        send(name.into()).await.invalid(&format!("/{member}"));

        let wrong_types =
            ["text/plain", "application/x-www-form-urlencoded", "json", "application/json; charset=latin1", "é", ""];
        for wrong in wrong_types {
            let reply = admin.send(method.clone(), path, raw.clone(), &[("content-type", wrong)]).await;
            reply.problem(415, "unsupported_media_type");
        }
        admin.send(method.clone(), path, raw.clone(), &[]).await.problem(415, "unsupported_media_type");
        let packed = admin.send(method.clone(), path, raw.clone(), &[JSON, ("content-encoding", "gzip")]).await;
        packed.problem(415, "unsupported_media_type");

        let large = format!("{raw}{}", " ".repeat(64 * 1024));
        for how in [&[JSON][..], &[JSON, ("transfer-encoding", "chunked")]] {
            admin.send(method.clone(), path, large.clone(), how).await.problem(413, "payload_too_large");
        }
    }
    for (method, path, _) in &bodies()[..5] {
        admin.send(method.clone(), path, "", &[JSON]).await.problem(400, "malformed_request");
    }
    assert_eq!(shop.contents().await, before);
    let charset = [("content-type", "Application/JSON; charset=\"UTF-8\"")];
    let good = r#" { "name": "Mug", "price": 1, "stock": 1 } "#;
    admin.send(Method::POST, "/products", good, &charset).await.expect(201);
    assert_ne!(shop.contents().await, before, "what is written is seen");
    shop.finish().await;
}

#[tokio::test]
async fn a_body_that_announces_itself_as_too_large_is_refused_before_it_is_sent() {
    let shop = Shop::start().await;
    let mut connection = TcpStream::connect(shop.api.api).await.expect("it listens");
    let head = "POST /auth/login HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
                content-length: 70000\r\nexpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).await.expect("it reads");
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.expect("it answers");
    assert_eq!(str::from_utf8(&answer), Ok("HTTP/1.1 413"));
    shop.finish().await;
}

#[tokio::test]
async fn a_parameter_that_is_there_twice_is_named() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    for parameter in ["limit", "cursor", "sort", "status"] {
        visitor.get(&format!("/products?{parameter}=1&{parameter}=2")).await.invalid(&format!("/{parameter}"));
    }
    shop.finish().await;
}

#[tokio::test]
async fn nobody_is_let_in_without_a_token() {
    let shop = Shop::start().await;
    let (admin, visitor) = (shop.admin().await, shop.visitor());
    let before = shop.contents().await;
    for (method, path) in [
        (Method::GET, "/auth/me"),
        (Method::POST, "/products"),
        (Method::PUT, "/products/mug"),
        (Method::DELETE, "/products/mug"),
        (Method::GET, "/cart"),
        (Method::POST, "/cart/items"),
        (Method::PUT, "/cart/items/1"),
        (Method::DELETE, "/cart/items/1"),
        (Method::POST, "/checkout"),
        (Method::GET, "/orders"),
        (Method::GET, "/orders/1"),
        (Method::POST, "/orders/1/cancel"),
    ] {
        let reply = visitor.send(method, path, "{", &[]).await;
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"kassa\"", "{path}");
        reply.problem(401, "unauthenticated");
    }

    let token = admin.token.clone().expect("an admin has one");
    for good in [format!("Bearer {token}"), format!("bearer  {token}"), format!("BEARER {token}")] {
        visitor.call(Method::GET, "/auth/me", None, &[("authorization", &good)]).await.expect(200);
    }
    let no_bearer = ["", "Bearer", "Bearer ", "Basic YTpi", &token, "é", &format!("Bearer\t{token}")];
    for value in no_bearer {
        for path in ["/auth/me", "/products"] {
            let reply = visitor.call(Method::GET, path, None, &[("authorization", value)]).await;
            assert!(reply.header("www-authenticate").starts_with("Bearer realm="), "{value}");
            reply.problem(401, "unauthenticated");
        }
    }
    let bearer = format!("Bearer {token}");
    let twice = [("authorization", bearer.as_str()), ("authorization", &bearer)];
    visitor.call(Method::GET, "/auth/me", None, &twice).await.problem(401, "unauthenticated");
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}
