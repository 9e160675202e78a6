//! The cart: what a shopper means to buy, at today's prices and stock.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, Reply, Shop, id, text};

/// The path of a cart's first line.
fn first_line(cart: &Value) -> String {
    format!("/cart/items/{}", text(&cart["items"][0]["id"]))
}

async fn set(shopper: &Client, line: &str, quantity: i64) -> Reply {
    shopper.put(line, &json!({ "quantity": quantity })).await
}

#[tokio::test]
async fn a_cart_is_filled_changed_and_emptied() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    assert_eq!(shopper.get("/cart").await.expect(200), json!({ "items": [], "total": 0, "currency": "usd" }));

    let mug = json!({ "name": "Mug", "slug": "mug", "price": 1250, "stock": 5 });
    let mug = shop.admin().await.post("/products", &mug).await.expect(201);
    let jug = shop.product(99_999_999, 999).await;
    let cart = shopper.put_in_cart(&mug, 2).await.expect(201);
    insta::assert_json_snapshot!(cart, { ".items[].id" => id(), ".items[].product.id" => id() }, @r#"
    {
      "currency": "usd",
      "items": [
        {
          "id": "[id]",
          "line_total": 2500,
          "problem": null,
          "product": {
            "available": 5,
            "currency": "usd",
            "id": "[id]",
            "name": "Mug",
            "price": 1250,
            "slug": "mug",
            "thumbnail_url": null
          },
          "quantity": 2
        }
      ],
      "total": 2500
    }
    "#);
    let both = shopper.put_in_cart(&jug, 999).await.expect(201);
    assert_eq!(both["total"], json!(2500 + 99_999_999_i64 * 999), "more than can be charged at once");
    let more = shopper.put_in_cart(&mug, 3).await.expect(201);
    assert_eq!((&more["items"][0]["quantity"], &more["items"][0]["id"]), (&json!(5), &cart["items"][0]["id"]));
    let line = first_line(&more);
    let one = set(&shopper, &line, 1).await.expect(200);
    assert_eq!((&one["items"][0]["quantity"], &one["items"][0]["line_total"]), (&json!(1), &json!(1250)));
    assert_eq!(shopper.get("/cart").await.expect(200), one);
    assert_eq!(shop.stock(&mug).await, (5, 5), "a cart reserves nothing");

    let removed = shopper.delete(&line).await;
    assert_eq!((removed.status, removed.raw.as_str()), (204, ""));
    shopper.delete(&line).await.problem(404, "not_found");
    set(&shopper, &line, 1).await.problem(404, "not_found");
    assert_eq!(shopper.get("/cart").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
    shop.finish().await;
}

#[tokio::test]
async fn a_cart_never_holds_more_than_could_be_bought() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let (few, many, sold_out) = (shop.product(500, 5).await, shop.product(500, 5000).await, shop.product(500, 0).await);
    let archived = shop.product(500, 5).await;
    admin.delete(&format!("/products/{}", text(&archived["id"]))).await.expect(204);
    let line = first_line(&shopper.put_in_cart(&few, 3).await.expect(201));
    shopper.put_in_cart(&many, 998).await.expect(201);
    let before = shop.contents().await;

    for (reply, available) in [
        (shopper.put_in_cart(&few, 3).await, 5),
        (set(&shopper, &line, 6).await, 5),
        (shopper.put_in_cart(&sold_out, 1).await, 0),
    ] {
        assert_eq!(reply.problem(409, "insufficient_stock")["available"], available);
    }
    shopper.put_in_cart(&many, 2).await.invalid("/quantity");
    for quantity in [0, -1, 1000, i64::MAX, i64::MIN] {
        shopper.put_in_cart(&few, quantity).await.invalid("/quantity");
        set(&shopper, &line, quantity).await.invalid("/quantity");
    }
    for product in [&archived, &json!({ "id": Uuid::new_v4() })] {
        shopper.put_in_cart(product, 1).await.problem(404, "not_found");
    }
    let addition = json!({ "product_id": few["id"], "quantity": 1, "price": 1 });
    shopper.post("/cart/items", &addition).await.invalid("/price");
    shopper.put(&line, &json!({ "quantity": 1, "product_id": few["id"] })).await.invalid("/product_id");
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}

#[tokio::test]
async fn a_cart_tells_what_checkout_would_refuse() {
    let shop = Shop::start().await;
    let (admin, shopper, faster) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    let products = [shop.product(500, 3).await, shop.product(600, 3).await, shop.product(700, 3).await];
    for product in &products {
        shopper.put_in_cart(product, 3).await.expect(201);
    }
    faster.put_in_cart(&products[0], 1).await.expect(201);
    shop.order(&faster, &products[1], 3).await;
    admin.delete(&format!("/products/{}", text(&products[2]["id"]))).await.expect(204);
    let cart = shopper.get("/cart").await.expect(200);
    for (n, (problem, available)) in
        [("insufficient_stock", 2), ("out_of_stock", 0), ("unavailable", 0)].iter().enumerate()
    {
        let line = &cart["items"][n];
        assert_eq!((text(&line["problem"]), &line["product"]["available"]), (*problem, &json!(available)));
    }
    set(&shopper, &format!("/cart/items/{}", text(&cart["items"][2]["id"])), 1)
        .await
        .problem(409, "insufficient_stock");

    let dearer = json!({ "name": "x", "slug": "x", "description": "", "price": 550, "status": "active" });
    admin.put(&format!("/products/{}", text(&products[0]["id"])), &dearer).await.expect(200);
    let line = &shopper.get("/cart").await.expect(200)["items"][0];
    assert_eq!((&line["product"]["name"], &line["line_total"]), (&json!("x"), &json!(1650)), "at today's price");
    shop.finish().await;
}

#[tokio::test]
async fn a_cart_is_its_shoppers_own() {
    let shop = Shop::start().await;
    let (owner, stranger, admin) = (shop.shopper().await, shop.shopper().await, shop.admin().await);
    let product = shop.product(500, 5).await;
    let line = first_line(&owner.put_in_cart(&product, 2).await.expect(201));
    let unknown = format!("/cart/items/{}", Uuid::now_v7());
    let before = shop.contents().await;
    for other in [&stranger, &admin] {
        assert_eq!(other.get("/cart").await.expect(200)["items"], json!([]));
        for (method, body) in [(Method::PUT, Some(json!({ "quantity": 1 }))), (Method::DELETE, None)] {
            let answer = async |path: &str| {
                let mut answer = other.call(method.clone(), path, body.as_ref(), &[]).await.problem(404, "not_found");
                answer["request_id"].take();
                answer
            };
            assert_eq!(answer(&line).await, answer(&unknown).await, "another's line is told like none");
        }
    }
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}
