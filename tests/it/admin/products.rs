//! A product's ledger, and corrections of its stock.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, all, by};
use crate::harness::{Client, Reply, Shop, id, text, time};

impl Client {
    /// Asks, as an admin, for a correction under a key of its own.
    async fn adjust(&self, product: &Value, body: &Value) -> Reply {
        self.adjust_under(&Uuid::new_v4().to_string(), product, body).await
    }

    async fn adjust_under(&self, key: &str, product: &Value, body: &Value) -> Reply {
        let path = format!("/admin/products/{}/stock", text(&product["id"]));
        self.call(Method::POST, &path, Some(body), &[("idempotency-key", key)]).await
    }
}

fn by_some(delta: i64) -> Value {
    json!({ "delta": delta, "reason": "counted" })
}

fn ledger(product: &Value) -> String {
    format!("/admin/products/{}/ledger", text(&product["id"]))
}

#[tokio::test]
async fn a_correction_is_booked_with_who_did_it_and_why() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 10).await;
    let adjusted =
        admin.adjust(&product, &json!({ "delta": -3, "reason": " Three were\nbroken. 🫖 " })).await.expect(201);
    insta::assert_json_snapshot!(adjusted, {
        ".id" => id(), ".product_id" => id(), ".created_at" => time(), ".actor" => "[actor]",
        ".request_id" => id(), ".trace_id" => "[trace]",
    }, @r#"
    {
      "actor": "[actor]",
      "available": 7,
      "created_at": "[time]",
      "delta": -3,
      "id": "[id]",
      "kind": "adjustment",
      "order_id": null,
      "order_item_id": null,
      "product_id": "[id]",
      "reason": "Three were\nbroken. 🫖",
      "request_id": "[id]",
      "stock": 7,
      "trace_id": "[trace]"
    }
    "#);
    assert_eq!((&adjusted["actor"], &adjusted["product_id"]), (&json!(by(&admin)), &product["id"]));
    assert_eq!(shop.stock(&product).await, (7, 7));
    admin.adjust(&product, &json!({ "delta": 5.0, "reason": "a delivery" })).await.expect(201);
    let acts = acts(&shop, &admin).await;
    let object = format!("product:{}", text(&product["id"]));
    let action = "product.stock_adjusted".to_owned();
    let act = |before: i64, after: i64, reason: &str| {
        let (before, after) = (json!({ "stock": before }), json!({ "stock": after, "reason": reason }));
        (action.clone(), object.clone(), before, after)
    };
    assert_eq!(acts, [act(10, 7, "Three were\nbroken. 🫖"), act(7, 12, "a delivery")]);
    shop.finish().await;
}

#[tokio::test]
async fn the_ledger_tells_all_that_came_and_went_as_of_any_time() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 10).await;
    let order = shop.paid_order(&shopper, &product, 3).await;
    shop.settle().await;
    let restock = json!({ "restock": [{ "order_item_id": order["items"][0]["id"], "quantity": 1 }] });
    admin.refund(&order, &restock).await.expect(202);
    admin.adjust(&product, &by_some(5)).await.expect(201);
    shop.settle().await;

    let whole = admin.get(&ledger(&product)).await.expect(200);
    assert_eq!((&whole["product_id"], &whole["stock"]), (&product["id"], &json!(13)));
    let rows = all(&admin, &ledger(&product), 100).await;
    let told: Vec<_> = rows.iter().map(|row| (text(&row["kind"]), row["delta"].as_i64().expect("a number"))).collect();
    assert_eq!(told, [("adjustment", 5), ("return", 1), ("sale", -3), ("initial", 10)]);
    assert_eq!(all(&admin, &ledger(&product), 1).await, rows);
    assert_eq!((&rows[1]["order_id"], &rows[1]["actor"]), (&order["id"], &json!(by(&admin))));
    assert_eq!((&rows[2]["order_item_id"], &rows[2]["actor"]), (&order["items"][0]["id"], &json!("system")));

    // As it was in the moment of each row, and just before it.
    let stocks = [13, 8, 7, 10];
    for (place, row) in rows.iter().enumerate() {
        let at = text(&row["created_at"]);
        let then = admin.get(&format!("{}?as_of={at}", ledger(&product))).await.expect(200);
        assert_eq!((&then["stock"], &then["as_of"]), (&json!(stocks[place]), &json!(at)));
        assert_eq!(then["items"].as_array(), Some(&rows[place..].to_vec()));
        let zoned = at.replace('Z', "%2B00:00");
        assert_eq!(admin.get(&format!("{}?as_of={zoned}", ledger(&product))).await.expect(200)["stock"], stocks[place]);
        let before = at.parse::<DateTime<Utc>>().expect("a time") - TimeDelta::microseconds(1);
        let before = before.to_rfc3339_opts(SecondsFormat::Micros, true);
        let then = admin.get(&format!("{}?as_of={before}", ledger(&product))).await.expect(200);
        assert_eq!(then["stock"], stocks.get(place + 1).copied().unwrap_or(0), "just before {}", row["kind"]);
        assert_eq!(then["items"].as_array(), Some(&rows[place + 1..].to_vec()));
    }
    let before = admin.get(&format!("{}?as_of=2000-01-01T00:00:00Z", ledger(&product))).await.expect(200);
    assert_eq!((&before["stock"], &before["items"]), (&json!(0), &json!([])));
    let later = admin.get(&format!("{}?as_of=9999-12-31T23:59:59Z", ledger(&product))).await.expect(200);
    assert_eq!((&later["stock"], &later["items"]), (&json!(13), &json!(rows)));
    let sales = admin.get(&format!("{}?kind=sale", ledger(&product))).await.expect(200);
    assert_eq!((&sales["stock"], &sales["items"]), (&json!(13), &json!([rows[2]])));
    let empty = shop.product(500, 0).await;
    let none = admin.get(&ledger(&empty)).await.expect(200);
    assert_eq!((&none["stock"], &none["items"], &none["next_cursor"]), (&json!(0), &json!([]), &Value::Null));
    shop.finish().await;
}

#[tokio::test]
async fn a_ledger_is_refused_to_others_and_with_what_is_wrong_about_the_wish() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let path = ledger(&product);
    shop.visitor().get(&path).await.problem(401, "unauthenticated");
    shopper.get(&path).await.problem(403, "forbidden");
    for unknown in [&Uuid::new_v4().to_string(), "no-id"] {
        admin.get(&format!("/admin/products/{unknown}/ledger")).await.problem(404, "not_found");
    }
    for (query, pointer) in [
        ("as_of=yesterday", "/as_of"),
        ("as_of=2026-11-23T18:42:44", "/as_of"),
        ("kind=theft", "/kind"),
        ("limit=0", "/limit"),
        ("cursor=nonsense", "/cursor"),
        // A place outside all times that Postgres knows: (-9e18, nil).
        ("cursor=Wy05MDAwMDAwMDAwMDAwMDAwMDAwLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ", "/cursor"),
    ] {
        admin.get(&format!("{path}?{query}")).await.invalid(pointer);
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_correction_needs_a_key_under_which_it_is_made_once() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 10).await;
    let path = format!("/admin/products/{}/stock", text(&product["id"]));
    admin.post(&path, &by_some(1)).await.problem(400, "idempotency_key_required");
    let two = by_some(2);
    let replies = join_all((0..10).map(|_| admin.adjust_under("k", &product, &two))).await;
    let replayed = replies.iter().filter(|reply| reply.header("idempotency-replayed") == "true").count();
    assert_eq!(replayed, 9);
    let bodies: Vec<Value> = replies.into_iter().map(|reply| reply.expect(201)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    admin.adjust(&product, &by_some(1)).await.expect(201);
    let again = admin.adjust_under("k", &product, &by_some(2)).await.expect(201);
    assert_eq!((&again["id"], &again["delta"], &again["stock"]), (&bodies[0]["id"], &json!(2), &json!(13)));
    admin.adjust_under("k", &product, &by_some(3)).await.problem(422, "idempotency_key_reused");
    assert_eq!(acts(&shop, &admin).await.len(), 2, "a replay is no act");
    shop.finish().await;
}

#[tokio::test]
async fn a_correction_is_refused_with_what_is_wrong_about_it() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 10).await;
    shop.order(&shopper, &product, 4).await;
    let before = shop.contents().await;
    for (body, pointer) in [
        (json!({ "delta": 0, "reason": "x" }), "/delta"),
        (json!({ "delta": 1.5, "reason": "x" }), "/delta"),
        (json!({ "delta": "1", "reason": "x" }), "/delta"),
        (json!({ "delta": null, "reason": "x" }), "/delta"),
        (json!({ "delta": 1_000_000_001, "reason": "x" }), "/delta"),
        (json!({ "delta": i64::MIN, "reason": "x" }), "/delta"),
        (json!({ "delta": 9_223_372_036_854_775_808_u64, "reason": "x" }), "/delta"),
        (json!({ "delta": 1_000_000_000, "reason": "more than fits beside those that are there" }), "/delta"),
        (json!({ "reason": "x" }), "/delta"),
        (json!({ "delta": 1 }), "/reason"),
        (json!({ "delta": 1, "reason": " \n" }), "/reason"),
        (json!({ "delta": 1, "reason": "a\0b" }), "/reason"),
        (json!({ "delta": 1, "reason": "x".repeat(501) }), "/reason"),
        (json!({ "delta": 1, "reason": "x", "stock": 5 }), "/stock"),
    ] {
        admin.adjust(&product, &body).await.invalid(pointer);
    }
    for delta in [-7, -11, -1_000_000_000] {
        let short = admin.adjust(&product, &by_some(delta)).await;
        assert_eq!(short.body["reserved"], 4, "{delta}");
        short.problem(409, "stock_reserved");
    }
    shop.visitor().adjust(&product, &by_some(1)).await.problem(401, "unauthenticated");
    shopper.adjust(&product, &by_some(1)).await.problem(403, "forbidden");
    admin.adjust(&json!({ "id": Uuid::new_v4() }), &by_some(1)).await.problem(404, "not_found");
    assert_eq!(shop.contents().await, before);
    admin.adjust(&product, &by_some(-6)).await.expect(201);
    assert_eq!(shop.stock(&product).await, (4, 0));
    shop.finish().await;
}

#[tokio::test]
async fn corrections_and_checkouts_at_once_lose_no_unit() {
    let shop = Shop::start().await;
    let (admin, other) = (shop.admin().await, shop.admin().await);
    let product = shop.product(500, 20).await;
    let crowd = shop.crowd(16).await;
    for shopper in &crowd {
        shopper.put_in_cart(&product, 1).await.expect(201);
    }
    let (nothing, lost, found) = (json!({}), by_some(-2), by_some(3));
    let (bought, less, more) = tokio::join!(
        join_all(crowd.iter().map(|shopper| shopper.post("/checkout", &nothing))),
        join_all((0..10).map(|_| admin.adjust(&product, &lost))),
        join_all((0..4).map(|_| other.adjust(&product, &found))),
    );
    let orders = bought.iter().filter(|reply| reply.status < 300).count();
    let lost = less.iter().filter(|reply| reply.status == 201).count();
    for reply in bought.into_iter().filter(|reply| reply.status >= 300) {
        reply.problem(409, "insufficient_stock");
    }
    for reply in less.into_iter().filter(|reply| reply.status >= 300) {
        reply.problem(409, "stock_reserved");
    }
    for reply in more {
        reply.expect(201);
    }
    let left = 20 + 12 - 2 * i64::try_from(lost).expect("few");
    let reserved = i64::try_from(orders).expect("few");
    assert!(orders > 0 && lost > 0 && reserved <= left, "{orders} orders, {lost} losses");
    assert_eq!(shop.stock(&product).await, (left, left - reserved));
    assert_eq!(admin.get(&ledger(&product)).await.expect(200)["stock"], left);
    shop.finish().await;
}
