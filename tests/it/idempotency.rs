//! Idempotency keys: two requests under one key are one request, whichever of the endpoints they go to.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use crate::harness::{Client, Reply, Shop, eventually, text};

const ENDPOINTS: [&str; 3] = ["/products", "/cart/items", "/checkout"];

/// A body that the endpoint takes.
fn body(endpoint: &str, product: &Value) -> Value {
    match endpoint {
        "/products" => json!({ "name": "Mug", "price": 500, "stock": 1 }),
        "/cart/items" => json!({ "product_id": product["id"], "quantity": 1 }),
        _ => json!({}),
    }
}

async fn post(client: &Client, endpoint: &str, body: &Value, key: &str) -> Reply {
    client.call(Method::POST, endpoint, Some(body), &[("idempotency-key", key), ("prefer", "wait=10")]).await
}

#[tokio::test]
async fn a_request_repeated_under_its_key_gives_what_it_made() {
    let shop = Shop::start().await;
    let (admin, product) = (shop.admin().await, shop.product(500, 100).await);
    for (endpoint, keys) in ENDPOINTS.into_iter().zip(1..) {
        let good = body(endpoint, &product);
        let mut other = good.clone();
        match endpoint {
            "/products" => other["price"] = json!(501),
            "/cart/items" => other["quantity"] = json!(2),
            _ => other["expected_total"] = json!(500),
        }
        admin.put_in_cart(&product, 1).await.expect(201);
        let first = post(&admin, endpoint, &good, "key").await;
        assert_eq!(first.header("idempotency-replayed"), "");
        let (location, made) = (first.header("location").to_owned(), first.expect(201));
        let before = shop.contents().await;

        let again = post(&admin, endpoint, &good, "key").await;
        assert_eq!((again.header("idempotency-replayed"), again.header("location")), ("true", location.as_str()));
        assert_eq!(again.expect(201), made, "{endpoint}");
        post(&admin, endpoint, &other, "key").await.problem(422, "idempotency_key_reused");
        let replies = join_all((0..5).map(|_| post(&admin, endpoint, &good, "key"))).await;
        assert!(replies.iter().all(|reply| reply.header("idempotency-replayed") == "true"), "{replies:?}");
        assert_eq!(shop.contents().await, before, "{endpoint}");

        // The key is this user's, for this path, for a day.
        assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys WHERE key = 'key'").await, keys);
        let until = "SELECT count(*) FROM idempotency_keys WHERE expires_at - created_at = interval '24 h'";
        assert_eq!(shop.count(until).await, keys);
    }
    let another = shop.admin().await;
    another.put_in_cart(&product, 1).await.expect(201);
    for endpoint in ENDPOINTS {
        let fresh = post(&another, endpoint, &body(endpoint, &product), "key").await;
        assert_eq!(fresh.header("idempotency-replayed"), "", "another user's key is another key");
    }
    shop.finish().await;
}

#[tokio::test]
async fn only_successes_are_kept_and_for_a_day() {
    let shop = Shop::start().await;
    let (admin, product) = (shop.admin().await, shop.product(500, 1).await);
    post(&admin, "/checkout", &json!({}), "k").await.problem(409, "cart_empty");
    let two = json!({ "product_id": product["id"], "quantity": 2 });
    post(&admin, "/cart/items", &two, "k").await.problem(409, "insufficient_stock");
    let taken = json!({ "name": "x", "price": 1, "stock": 1, "slug": product["slug"] });
    post(&admin, "/products", &taken, "k").await.problem(409, "slug_taken");
    post(&admin, "/products", &json!({ "name": "x" }), "k").await.problem(422, "validation_failed");
    assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys").await, 0);

    post(&admin, "/cart/items", &body("/cart/items", &product), "k").await.expect(201);
    let order = post(&admin, "/checkout", &json!({}), "k").await.expect(201);
    sqlx::query("UPDATE idempotency_keys SET expires_at = now()").execute(&shop.pool).await.expect("it is known");
    post(&admin, "/checkout", &json!({}), "k").await.problem(409, "cart_empty");
    admin.cancel(&order).await.expect(202);
    admin.wait_for(&order, "canceled").await;
    let next = post(&admin, "/checkout", &json!({ "expected_total": 500 }), "k").await.expect(201);
    assert_ne!(next["id"], order["id"], "a key of yesterday is a new one, whatever the body");

    for (key, why) in [("", "empty"), (" ", "blank"), (&*"k".repeat(256), "too long"), ("é", "not ASCII")] {
        let reply = post(&admin, "/products", &body("/products", &product), key).await;
        assert_eq!(text(&reply.body["code"]), "malformed_request", "{why}: {}", reply.raw);
        reply.problem(400, "malformed_request");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    admin.call(Method::POST, "/products", Some(&taken), &twice).await.problem(400, "malformed_request");
    post(&admin, "/products", &body("/products", &product), &"k".repeat(255)).await.expect(201);
    shop.finish().await;
}

/// A transaction that has the user's keys for all endpoints, as a request that is still running.
async fn running(shop: &Shop, client: &Client) -> Transaction<'static, Postgres> {
    let mut tx = common::db::begin(&shop.pool).await.expect("the database answers");
    for endpoint in ENDPOINTS {
        let insert = sqlx::query(
            "INSERT INTO idempotency_keys (user_id, endpoint, key, request_hash, expires_at)
             VALUES ($1, 'POST ' || $2, 'key', '', now() + interval '1 day')",
        );
        insert.bind(client.user).bind(endpoint).execute(&mut *tx).await.expect("the keys are free");
    }
    tx
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_request_but_not_for_long() {
    let shop = Shop::start().await;
    let (admin, product) = (shop.admin().await, shop.product(500, 100).await);
    admin.put_in_cart(&product, 1).await.expect(201);
    let repeat = async |endpoint| post(&admin, endpoint, &body(endpoint, &product), "key").await;

    let first = running(&shop, &admin).await;
    let began = std::time::Instant::now();
    for reply in join_all(ENDPOINTS.map(&repeat)).await {
        assert_ne!(reply.header("retry-after"), "");
        reply.problem(409, "request_in_progress");
    }
    let waited = began.elapsed().as_secs();
    assert!((4..30).contains(&waited), "waited {waited} s");

    let repeats = join_all(ENDPOINTS.map(&repeat));
    let fail = async {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the repeats wait", async || (shop.count(waiting).await == 3).then_some(())).await;
        first.rollback().await.expect("the database answers");
    };
    let (replies, ()) = tokio::join!(repeats, fail);
    for reply in replies {
        assert_eq!(reply.header("idempotency-replayed"), "", "the first has made nothing");
        reply.expect(201);
    }
    shop.finish().await;
}
