//! Money for an order that can't be completed by itself: it goes back, or waits for an operator; and a second payment always goes back.

use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, payment, text};

/// An order that was canceled and is paid all the same, after its last unit was sold to somebody else.
async fn paid_too_late(shop: &Shop, shopper: &Client) -> Value {
    let product = shop.product(500, 1).await;
    let order = shop.order(shopper, &product, 1).await;
    // Stripe says that the intent is canceled, and takes the money of another one of the same order.
    let late = shop.make_intent(&order, 2).await;
    shopper.cancel(&order).await.expect(202);
    let order = shopper.wait_for(&order, "canceled").await;
    shop.paid_order(&shop.shopper().await, &product, 1).await;
    shop.confirm_intent(&late, "pm_card_visa").await.expect(200);
    order
}

#[tokio::test]
async fn a_late_payment_whose_stock_is_gone_goes_back_by_itself() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = paid_too_late(&shop, &shopper).await;
    shopper.wait_for(&order, "refunded").await;
    let seen = admin.inspect(&order).await;
    assert_eq!((&seen["review_reason"], &seen["refunded_total"]), (&json!("late_payment"), &json!(500)));
    assert_eq!(seen["refunds"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&seen["refunds"][0]["origin"], &seen["refunds"][0]["reason"]),
        (&json!("policy"), &json!("late_payment"))
    );
    admin.accept(&order).await.problem(409, "not_acceptable");
    shop.finish().await;
}

#[tokio::test]
async fn a_late_payment_waits_for_an_operator_where_the_shop_wants_it_so() {
    let shop = Shop::with(&[("UNFULFILLABLE_POLICY", "manual")]).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = paid_too_late(&shop, &shopper).await;
    shopper.wait_for(&order, "payment_review").await;
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM refunds").await, 0);
    let refused = admin.accept(&order).await;
    assert_eq!(refused.body["lines"][0]["available"], 0);
    refused.problem(409, "insufficient_stock");

    // The goods come back, and the operator takes the money.
    let product = &order["items"][0]["product_id"];
    let path = format!("/products/{}", text(product));
    let mut now = admin.get(&path).await;
    let etag = now.headers["etag"].to_str().expect("ASCII").to_owned();
    now.body["stock"] = json!(1);
    admin.call(reqwest::Method::PUT, &path, Some(&now.body), &[("if-match", &etag)]).await.expect(200);
    let accepted = admin.accept(&order).await.expect(200);
    assert_eq!((&accepted["status"], &accepted["review_reason"]), (&json!("paid"), &Value::Null));
    shop.settle().await;
    assert_eq!(admin.get(&path).await.body["stock"], 0);
    assert!(shop.timeline(&order).await.contains(&"order.accepted".to_owned()));
    shop.finish().await;
}

#[tokio::test]
async fn a_late_payment_whose_stock_is_there_is_a_purchase() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    let late = shop.make_intent(&order, 2).await;
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    shop.confirm_intent(&late, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    assert_eq!(shop.count("SELECT count(*) FROM refunds").await, 0);
    shop.finish().await;
}

/// An order whose payment succeeds over another amount.
async fn paid_over(shop: &Shop, shopper: &Client, amount: i64) -> (Value, Value) {
    let product = shop.product(500, 5).await;
    let order = shop.order(shopper, &product, 1).await;
    let path = format!("/payment_intents/{}", payment(&order, "intent_id"));
    shop.control().post(&path, &json!({ "amount": amount })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    (order, product)
}

#[tokio::test]
async fn a_payment_of_another_amount_goes_back_and_so_does_the_stock() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let (order, product) = paid_over(&shop, &shopper, 499).await;
    let order = shopper.wait_for(&order, "refunded").await;
    assert_eq!(order["refunded_total"], 499);
    let order = admin.inspect(&order).await;
    assert_eq!(order["review_reason"], "amount_mismatch");
    assert_eq!(shop.stock(&product).await, (5, 5));
    shop.finish().await;
}

#[tokio::test]
async fn an_operator_takes_too_much_but_not_too_little() {
    let shop = Shop::with(&[("UNFULFILLABLE_POLICY", "manual")]).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let (less, product) = paid_over(&shop, &shopper, 499).await;
    shopper.wait_for(&less, "payment_review").await;
    admin.accept(&less).await.problem(409, "not_acceptable");
    assert_eq!(shop.stock(&product).await, (5, 4), "it holds its stock meanwhile");
    let (more, product) = paid_over(&shop, &shopper, 600).await;
    shopper.wait_for(&more, "payment_review").await;
    shopper.accept(&more).await.problem(403, "forbidden");
    admin.accept(&more).await.expect(200);
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (4, 4));
    // What was too much can go back; what would leave it underpaid can too, once it is paid.
    admin.refund(&more, &json!({ "amount": 100 })).await.expect(202);
    admin.wait_for_refunds(&more, &["succeeded"]).await;
    admin.refund(&less, &json!({})).await.expect(202);
    shopper.wait_for(&less, "refunded").await;
    shop.finish().await;
}

#[tokio::test]
async fn an_order_whose_refund_by_policy_fails_waits_for_an_operator() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    shop.control().put("/settings", &json!({ "refunds": "failed" })).await.expect(200);
    let order = paid_too_late(&shop, &shopper).await;
    let seen = admin.wait_for_refunds(&order, &["failed"]).await;
    assert_eq!((&seen["status"], &seen["review_reason"]), (&json!("payment_review"), &json!("refund_failed")));
    shop.settle().await;
    assert_eq!(admin.inspect(&order).await["refunds"].as_array().map(Vec::len), Some(1), "it isn't tried for ever");
    shop.control().put("/settings", &json!({ "refunds": "succeeded" })).await.expect(200);
    admin.refund(&order, &json!({})).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_second_payment_of_one_order_goes_back_in_full() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    let second = shop.make_intent(&order, 2).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shop.confirm_intent(&second, "pm_card_visa").await.expect(200);
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    let seen = admin.wait_for_refunds(&order, &["succeeded"]).await;
    assert_eq!(
        (&seen["refunds"][0]["origin"], &seen["refunds"][0]["reason"]),
        (&json!("duplicate"), &json!("duplicate_payment"))
    );
    assert_eq!((&seen["status"], &seen["refunded_total"]), (&json!("paid"), &json!(0)), "what paid for it stays");
    let at_stripe = shop.stripe_api().with_token("sk_test_simulator").get("/v1/refunds").await.expect(200);
    let intents: Vec<_> = at_stripe["data"].as_array().expect("a list").iter().map(|r| &r["payment_intent"]).collect();
    assert_eq!(intents, [&second["id"]]);
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (4, 4));
    shop.finish().await;
}

#[tokio::test]
async fn a_second_payment_that_could_not_go_back_by_itself_is_what_an_operator_gives_back_first() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    let second = shop.make_intent(&order, 2).await;
    shop.control().put("/settings", &json!({ "refunds": "failed" })).await.expect(200);
    shop.pay(&shopper, &order).await;
    shop.confirm_intent(&second, "pm_card_visa").await.expect(200);
    admin.wait_for_refunds(&order, &["failed"]).await;
    let verified = shop.database.kassa(&["verify"]).await;
    assert!(verified.code == 1 && verified.out.contains("nothing of it goes back"), "{verified:?}");
    shop.control().put("/settings", &json!({ "refunds": "succeeded" })).await.expect(200);
    admin.refund(&order, &json!({})).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["failed", "succeeded"]).await;
    assert_eq!((&seen["status"], &seen["refunded_total"]), (&json!("paid"), &json!(0)), "what paid for it stays");
    let at_stripe = shop.stripe_api().with_token("sk_test_simulator").get("/v1/refunds").await.expect(200);
    let all = at_stripe["data"].as_array().expect("a list");
    assert!(all.len() == 2 && all.iter().all(|refund| refund["payment_intent"] == second["id"]), "{all:?}");
    shop.finish().await;
}

#[tokio::test]
async fn an_order_of_which_units_came_back_is_not_taken_for_paid_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &product, 2).await;
    let units = json!([{ "order_item_id": order["items"][0]["id"], "quantity": 2 }]);
    admin.refund(&order, &json!({ "restock": units })).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    assert_eq!(shop.stock(&product).await, (5, 5));
    let refunds = admin.inspect(&order).await["refunds"].clone();
    let path = format!("/refunds/{}", text(&refunds[0]["stripe_refund_id"]));
    shop.control().post(&path, &json!({ "status": "failed" })).await.expect(200);
    shopper.wait_for(&order, "payment_review").await;
    admin.accept(&order).await.problem(409, "not_acceptable");
    assert_eq!(shop.stock(&product).await, (5, 5));
    shop.finish().await;
}

#[tokio::test]
async fn what_a_refund_in_review_does_not_name_goes_back_to_the_shelf() {
    let shop = Shop::with(&[("UNFULFILLABLE_POLICY", "manual")]).await;
    let (named, other) = (shop.product(500, 5).await, shop.product(500, 5).await);
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    shopper.put_in_cart(&named, 1).await.expect(201);
    let order = shop.order(&shopper, &other, 1).await;
    let path = format!("/payment_intents/{}", payment(&order, "intent_id"));
    shop.control().post(&path, &json!({ "amount": 999 })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "payment_review").await;
    let item = order["items"].as_array().expect("a list").iter().find(|item| item["product_id"] == named["id"]);
    let units = json!([{ "order_item_id": item.expect("it was ordered")["id"], "quantity": 1 }]);
    admin.refund(&order, &json!({ "restock": units })).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    assert_eq!((shop.stock(&named).await, shop.stock(&other).await), ((5, 5), (5, 5)));
    shop.finish().await;
}

/// Waits until the order's disputes are these.
async fn disputes(admin: &Client, order: &Value, statuses: &[&str]) {
    eventually(&format!("the disputes are {statuses:?}"), async || {
        let order = admin.inspect(order).await;
        let now: Vec<_> = order["disputes"].as_array().expect("a list").iter().map(|d| &d["status"]).collect();
        (now == statuses).then_some(())
    })
    .await;
}

/// Opens a dispute over an order's payment, and gives its id.
async fn dispute(shop: &Shop, order: &Value, inquiry: bool) -> String {
    let path = format!("/charges/{}/dispute", payment(order, "intent_id"));
    let opened = shop.control().post(&path, &json!({ "inquiry": inquiry })).await.expect(200);
    text(&opened["id"]).to_owned()
}

#[tokio::test]
async fn an_open_dispute_blocks_refunds_until_it_is_won() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &product, 1).await;
    let inquiry = dispute(&shop, &order, true).await;
    disputes(&admin, &order, &["warning"]).await;
    admin.refund(&order, &json!({ "amount": 100 })).await.expect(202);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    let path = format!("/disputes/{inquiry}");
    shop.control().post(&path, &json!({ "status": "warning_closed" })).await.expect(200);

    let open = dispute(&shop, &order, false).await;
    disputes(&admin, &order, &["warning", "open"]).await;
    admin.refund(&order, &json!({ "amount": 100 })).await.problem(409, "disputed");
    assert_eq!(shopper.see(&order).await["status"], "paid", "a dispute moves nothing");
    shop.control().post(&format!("/disputes/{open}"), &json!({ "status": "won" })).await.expect(200);
    disputes(&admin, &order, &["warning", "won"]).await;
    admin.refund(&order, &json!({})).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_dispute_that_is_lost_stays_lost_whatever_comes_late() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &product, 1).await;
    shop.settle().await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    let id = dispute(&shop, &order, false).await;
    shop.control().post(&format!("/disputes/{id}"), &json!({ "status": "lost" })).await.expect(200);
    shop.control().post("/webhooks/release", &json!({ "reverse": true })).await.expect(200);
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    disputes(&admin, &order, &["lost"]).await;
    shop.settle().await;
    disputes(&admin, &order, &["lost"]).await;
    admin.refund(&order, &json!({})).await.problem(409, "disputed");
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_a_dispute_overtakes_ends_with_stripes_reason() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &product, 1).await;
    let held = json!({ "method": "POST", "path": "/v1/refunds", "at": "arrival", "hold": true, "times": 1 });
    let held = shop.inject(&held).await;
    admin.refund(&order, &json!({})).await.expect(202);
    shop.wait_until_held(&held).await;
    dispute(&shop, &order, false).await;
    shop.relieve(&held).await;
    let seen = admin.wait_for_refunds(&order, &["failed"]).await;
    assert!(text(&seen["refunds"][0]["failure_reason"]).contains("charge_disputed"), "{seen}");
    assert_eq!(seen["status"], "paid");
    shop.finish().await;
}
