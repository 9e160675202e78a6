//! Checkout: the cart becomes an order, or is left as it was.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Shop, id, text, time};

async fn check_out_for(shopper: &Client, total: i64) -> Reply {
    let headers = [("prefer", "wait=10")];
    shopper.call(Method::POST, "/checkout", Some(&json!({ "expected_total": total })), &headers).await
}

/// A product at this price, straight from the database: the API would not take every price.
async fn priced(shop: &Shop, price: i64) -> Value {
    let product = shop.product(500, 1000).await;
    let update = sqlx::query("UPDATE products SET price = $2 WHERE slug = $1");
    update.bind(text(&product["slug"])).bind(price).execute(&shop.pool).await.expect("a product can have any price");
    product
}

#[tokio::test]
async fn an_order_shows_what_was_bought_and_how_to_pay_it() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    let admin = shop.admin().await;
    let mug = json!({ "name": "Mug", "price": 1250, "stock": 5 });
    let mug = admin.post("/products", &mug).await.expect(201);
    let jug = admin.post("/products", &json!({ "name": "Jug", "price": 300, "stock": 5 })).await.expect(201);
    shopper.put_in_cart(&jug, 1).await.expect(201);
    shopper.put_in_cart(&mug, 2).await.expect(201);
    let placed = check_out_for(&shopper, 2800).await;
    let location = placed.header("location").to_owned();
    assert_eq!(placed.header("retry-after"), "");
    let order = placed.expect(201);
    assert_eq!(location, format!("/orders/{}", text(&order["id"])));
    assert_eq!(shopper.get(&location).await.expect(200), order);
    assert!(text(&order["payment"]["client_secret"]).starts_with(text(&order["payment"]["intent_id"])));
    insta::assert_json_snapshot!(order, {
        ".id" => id(), ".items[].id" => id(), ".items[].product_id" => id(),
        ".created_at" => time(), ".updated_at" => time(), ".expires_at" => time(),
        ".payment.intent_id" => "[pi_…]", ".payment.client_secret" => "[pi_…_secret_…]",
    }, @r#"
    {
      "created_at": "[time]",
      "currency": "usd",
      "expires_at": "[time]",
      "id": "[id]",
      "items": [
        {
          "id": "[id]",
          "line_total": 2500,
          "name": "Mug",
          "price": 1250,
          "product_id": "[id]",
          "quantity": 2
        },
        {
          "id": "[id]",
          "line_total": 300,
          "name": "Jug",
          "price": 300,
          "product_id": "[id]",
          "quantity": 1
        }
      ],
      "number": 1001,
      "payment": {
        "client_secret": "[pi_…_secret_…]",
        "intent_id": "[pi_…]",
        "last_error": null,
        "publishable_key": "pk_test_simulator"
      },
      "refunded_total": 0,
      "status": "awaiting_payment",
      "total": 2800,
      "updated_at": "[time]"
    }
    "#);

    let changed = json!({ "name": "Bowl", "slug": "bowl", "description": "", "price": 9, "status": "archived" });
    admin.put(&format!("/products/{}", text(&mug["id"])), &changed).await.expect(200);
    assert_eq!(shopper.see(&order).await, order, "an order keeps the names and prices that it was placed at");
    shop.finish().await;
}

#[tokio::test]
async fn a_checkout_waits_for_the_intent_no_longer_than_the_client_would() {
    let shop = Shop::start().await;
    let (shopper, product) = (shop.shopper().await, shop.product(500, 5).await);
    let fault = json!({ "path": "/v1/payment_intents", "hold": true });
    let fault = text(&shop.control().post("/faults", &fault).await.body["id"]).to_owned();
    shopper.put_in_cart(&product, 1).await.expect(201);
    let check_out = async |wait: &str| {
        let headers = [("prefer", wait), ("idempotency-key", "key")];
        shopper.call(Method::POST, "/checkout", None, &headers).await
    };
    let mut placed = Vec::new();
    // The longest wait is ten seconds: half of that tells them apart on the busiest machine.
    for (wait, least) in [("wait=1", 1), ("wait=0", 0), ("wait=soon", 0), ("respond-async", 0)] {
        let began = Instant::now();
        let reply = check_out(wait).await;
        let took = began.elapsed();
        assert!((Duration::from_secs(least)..Duration::from_secs(5)).contains(&took), "{wait}: {took:?}");
        assert_eq!(reply.header("retry-after"), "1");
        let headers = ["idempotency-replayed", "location"].map(|name| reply.header(name).to_owned());
        placed.push((headers, reply.expect(202)));
    }
    for (n, ([replayed, location], order)) in placed.iter().enumerate() {
        assert_eq!(replayed, if n == 0 { "" } else { "true" });
        assert_eq!(location, &format!("/orders/{}", text(&order["id"])));
        let payment = &order["payment"];
        assert_eq!((&order["status"], &payment["intent_id"]), (&json!("pending"), &json!(null)), "{order}");
        assert_eq!(payment["client_secret"], json!(null));
        assert_eq!(order["id"], placed[0].1["id"]);
    }
    let release = async { shop.control().delete(&format!("/faults/{fault}")).await };
    let (replayed, _) = tokio::join!(check_out("handling=lenient, wait=10"), release);
    assert_eq!(replayed.header("idempotency-replayed"), "true");
    assert_eq!(replayed.expect(201)["status"], "awaiting_payment");
    check_out("").await.expect(201);
    shop.finish().await;
}

#[tokio::test]
async fn what_falls_short_is_told_line_by_line() {
    let shop = Shop::start().await;
    let (admin, shopper, other) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    let [fine, held, sold, archived] = [
        shop.product(500, 5).await,
        shop.product(500, 5).await,
        shop.product(500, 5).await,
        shop.product(500, 5).await,
    ];
    let holding = shop.order(&shopper, &held, 3).await;
    shopper.put_in_cart(&held, 2).await.expect(201);
    for product in [&fine, &sold, &archived] {
        shopper.put_in_cart(product, 5).await.expect(201);
    }
    other.put_in_cart(&held, 1).await.expect(201);
    shop.order(&other, &sold, 1).await;
    admin.delete(&format!("/products/{}", text(&archived["id"]))).await.expect(204);

    let before = shop.contents().await;
    let refused = shopper.check_out().await.problem(409, "insufficient_stock");
    let line = |product: &Value, requested: i64, available: i64, held: i64| json!({ "product_id": product["id"], "requested": requested, "available": available, "held_by_your_orders": held });
    let mut expected = vec![line(&held, 2, 1, 3), line(&sold, 5, 4, 0), line(&archived, 5, 0, 0)];
    expected.sort_by_key(|line| text(&line["product_id"]).to_owned());
    assert_eq!(refused["lines"], json!(expected));
    assert_eq!(refused["orders"].as_array().map(Vec::len), Some(1));
    assert_eq!(refused["orders"][0]["id"], holding["id"]);
    assert_eq!(shop.contents().await, before, "the cart is as it was, and nothing is reserved");
    shop.finish().await;
}

#[tokio::test]
async fn a_checkout_that_is_refused_leaves_the_cart_as_it_was() {
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "2")]).await;
    let product = shop.product(500, 1000).await;
    let shopper = shop.shopper().await;
    shop.visitor().check_out().await.problem(401, "unauthenticated");
    for body in [None, Some(json!({})), Some(json!({ "expected_total": 0 }))] {
        shopper.call(Method::POST, "/checkout", body.as_ref(), &[]).await.problem(409, "cart_empty");
    }
    shopper.put_in_cart(&product, 3).await.expect(201);
    let before = shop.contents().await;
    for expected in [1499, 1501, 0, i64::MAX] {
        let refused = check_out_for(&shopper, expected).await.problem(409, "total_changed");
        assert_eq!(refused["total"], 1500);
    }
    assert_eq!(shop.contents().await, before);

    for (price, quantity) in [(0, 1), (49, 1), (99_999_999, 2), (100_000_000, 1), (i64::MAX, 1), (i64::MAX, 999)] {
        let extreme = priced(&shop, price).await;
        let buyer = shop.shopper().await;
        buyer.put_in_cart(&extreme, quantity).await.expect(201);
        buyer.get("/cart").await.expect(200);
        let before = shop.contents().await;
        buyer.check_out().await.problem(422, "total_out_of_range");
        assert_eq!(shop.contents().await, before, "{price} × {quantity}");
    }
    for price in [50, 99_999_999] {
        shop.order(&shop.shopper().await, &priced(&shop, price).await, 1).await;
    }

    let first = check_out_for(&shopper, 1500).await.expect(201);
    let second = shop.order(&shopper, &product, 1).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let before = shop.contents().await;
    let refused = shopper.check_out().await.problem(409, "too_many_open_orders");
    let open: Vec<&Value> = refused["orders"].as_array().expect("a list").iter().map(|order| &order["id"]).collect();
    assert_eq!(open, [&first["id"], &second["id"]]);
    assert_eq!(shop.contents().await, before);
    shop.pay(&shopper, &second).await;
    shopper.check_out().await.expect(201);
    shop.finish().await;
}
