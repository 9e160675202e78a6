//! Orders: a shopper's own, seen, waited for and canceled.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, Reply, Shop, text};

fn path(order: &Value) -> String {
    format!("/orders/{}", text(&order["id"]))
}

async fn get_with(client: &Client, path: &str, headers: &[(&str, &str)]) -> Reply {
    client.call(Method::GET, path, None, headers).await
}

/// All pages of the caller's orders.
async fn pages(client: &Client, query: &str) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/orders?{query}{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn a_shopper_lists_own_orders_the_newest_first() {
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "100")]).await;
    let product = shop.product(500, 100).await;
    let (shopper, other) = (shop.shopper().await, shop.shopper().await);
    let nothing = json!({ "items": [], "next_cursor": null });
    assert_eq!(shopper.get("/orders").await.expect(200), nothing);
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.insert(0, shop.order(&shopper, &product, 1).await);
        shop.order(&other, &product, 1).await;
    }
    shop.pay(&shopper, &orders[1]).await;
    shop.pay(&shopper, &orders[4]).await;
    shopper.cancel(&orders[2]).await.expect(202);
    shopper.wait_for(&orders[2], "canceled").await;
    shop.settle().await;
    for order in &mut orders {
        *order = shopper.see(order).await;
    }
    for limit in [1, 2, 5, 100] {
        assert_eq!(pages(&shopper, &format!("limit={limit}")).await, orders, "limit={limit}");
    }
    assert_eq!(shopper.get("/orders").await.expect(200)["items"], json!(orders));
    for (status, places) in
        [("paid", vec![1, 4]), ("canceled", vec![2]), ("awaiting_payment", vec![0, 3]), ("fulfilled", vec![])]
    {
        let expected: Vec<&Value> = places.into_iter().map(|place| &orders[place]).collect();
        assert_eq!(json!(pages(&shopper, &format!("status={status}&limit=1")).await), json!(expected), "{status}");
    }
    assert_eq!(shop.admin().await.get("/orders").await.expect(200), nothing, "an admin has own orders only, too");
    shop.finish().await;
}

#[tokio::test]
async fn anothers_order_is_told_like_none() {
    let shop = Shop::start().await;
    let (owner, stranger, admin) = (shop.shopper().await, shop.shopper().await, shop.admin().await);
    let order = shop.order(&owner, &shop.product(500, 1).await, 1).await;
    let unknown = format!("/orders/{}", Uuid::now_v7());
    let before = shop.contents().await;
    for other in [&stranger, &admin] {
        for (method, tail) in [(Method::GET, ""), (Method::GET, "?status_not=paid"), (Method::POST, "/cancel")] {
            let answer = async |order: &str| {
                let headers = [("prefer", "wait=1"), ("if-none-match", "*")];
                let reply = other.call(method.clone(), &format!("{order}{tail}"), None, &headers).await;
                let mut answer = reply.problem(404, "not_found");
                answer["request_id"].take();
                answer
            };
            assert_eq!(answer(&path(&order)).await, answer(&unknown).await, "{tail}");
        }
    }
    for (method, path) in
        [(Method::GET, "/orders".to_owned()), (Method::GET, path(&order)), (Method::POST, path(&order) + "/cancel")]
    {
        shop.visitor().call(method, &path, None, &[]).await.problem(401, "unauthenticated");
    }
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}

#[tokio::test]
async fn an_order_is_sent_again_only_when_it_has_changed() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &shop.product(500, 1).await, 1).await;
    let first = shopper.get(&path(&order)).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    assert_eq!(first.header("cache-control"), "no-store", "it holds a client secret");
    assert_eq!(first.expect(200), order);
    let same = get_with(&shopper, &path(&order), &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.raw.as_str(), same.header("etag")), (304, "", etag.as_str()));
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    let declined = shopper.wait_for(&order, "payment_failed").await;
    let changed = get_with(&shopper, &path(&order), &[("if-none-match", &etag)]).await;
    assert_ne!(changed.header("etag"), etag);
    assert_eq!(changed.expect(200), declined);
    shop.finish().await;
}

#[tokio::test]
async fn a_client_waits_until_the_status_differs() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &shop.product(500, 1).await, 1).await;
    let timed = async |tail: &str, prefer: &str| {
        let began = Instant::now();
        let reply = get_with(&shopper, &(path(&order) + tail), &[("prefer", prefer)]).await;
        (reply.expect(200)["status"].clone(), began.elapsed())
    };
    let second = Duration::from_secs(1);
    let (status, took) = timed("?status_not=awaiting_payment", "wait=1").await;
    assert_eq!(status, "awaiting_payment");
    assert!((second..second * 5).contains(&took), "it waited {took:?} of 1 s");
    for (tail, prefer) in
        [("?status_not=pending", "wait=10"), ("", "wait=10"), ("?status_not=awaiting_payment", "respond-async")]
    {
        let (status, took) = timed(tail, prefer).await;
        assert_eq!(status, "awaiting_payment");
        assert!(took < second * 5, "{tail} {prefer}: nothing to wait for, but it took {took:?}");
    }
    let (waited, _) =
        tokio::join!(timed("?status_not=awaiting_payment", "wait=10"), shop.confirm(&order, "pm_card_visa"));
    assert_eq!(waited.0, "paid");
    assert!(waited.1 < second * 9, "it returned when its time was up, not when the status changed: {:?}", waited.1);
    shop.finish().await;
}

#[tokio::test]
async fn an_order_without_an_intent_is_canceled_at_once() {
    let shop = Shop::start().await;
    let (shopper, product) = (shop.shopper().await, shop.product(500, 2).await);
    let fault = json!({ "path": "/v1/payment_intents", "hold": true });
    let fault = text(&shop.control().post("/faults", &fault).await.body["id"]).to_owned();
    shopper.put_in_cart(&product, 2).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shopper.post(&(path(&order) + "/cancel"), &json!({ "reason": "no" })).await.invalid("/reason");
    assert_eq!(shopper.see(&order).await["status"], "pending");
    let canceled = shopper.post(&(path(&order) + "/cancel"), &json!({})).await.expect(202);
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(shopper.cancel(&order).await.expect(202), canceled, "again: the same");
    assert_eq!(shop.stock(&product).await, (2, 2));
    assert_eq!(shopper.get("/cart").await.expect(200)["items"][0]["quantity"], 2);
    shop.control().delete(&format!("/faults/{fault}")).await;
    shop.settle().await;
    assert_eq!(shopper.see(&order).await["status"], "canceled", "an intent that comes late changes nothing");
    shop.finish().await;
}

#[tokio::test]
async fn a_cancel_adds_the_lines_to_what_is_in_the_cart() {
    let shop = Shop::start().await;
    let (shopper, admin) = (shop.shopper().await, shop.admin().await);
    let (many, few, archived) = (shop.product(1, 2000).await, shop.product(500, 5).await, shop.product(500, 5).await);
    for (product, quantity) in [(&many, 998), (&few, 2), (&archived, 1)] {
        shopper.put_in_cart(product, quantity).await.expect(201);
    }
    let order = shopper.check_out().await.expect(201);
    shopper.put_in_cart(&many, 2).await.expect(201);
    admin.delete(&format!("/products/{}", text(&archived["id"]))).await.expect(204);
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    let cart = shopper.get("/cart").await.expect(200);
    let line = |product: &Value| {
        let found = cart["items"].as_array().into_iter().flatten().find(|line| line["product"]["id"] == product["id"]);
        found.map(|line| (line["quantity"].as_i64(), line["problem"].as_str())).expect("it is in the cart")
    };
    assert_eq!(line(&many), (Some(999), None), "999 at most");
    assert_eq!(line(&few), (Some(2), None));
    assert_eq!(line(&archived), (Some(1), Some("unavailable")));
    shop.finish().await;
}
