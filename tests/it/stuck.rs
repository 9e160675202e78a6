//! What once kept an order, or its stock, for ever: each comes to an end.

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, payment, send_form, text};

const CANCEL: &str = "/v1/payment_intents/*/cancel";

async fn ordered(shop: &Shop) -> (Value, Client, Value) {
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    (product, shopper, order)
}

/// Waits until so many calls of this operation have failed.
async fn failed(shop: &Shop, operation: &str, count: i64) {
    let query = format!("SELECT count(*) FROM payment_logs WHERE operation = '{operation}' AND outcome = 'error'");
    eventually("the call has failed", async || (shop.count(&query).await >= count).then_some(())).await;
}

async fn ends_canceled(shop: Shop, shopper: &Client, order: &Value, product: &Value) {
    shopper.wait_for(order, "canceled").await;
    assert_eq!(shop.stock(product).await, (1, 1));
    shop.finish().await;
}

#[tokio::test]
async fn a_cancel_is_tried_anew_after_an_error_that_stripe_has_saved() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    let saved = json!({ "kind": "status", "status": 500, "saved": true });
    shop.inject(&json!({ "method": "POST", "path": CANCEL, "at": "before", "times": 1, "answer": saved })).await;
    shopper.cancel(&order).await.expect(202);
    ends_canceled(shop, &shopper, &order, &product).await;
}

#[tokio::test]
async fn a_payment_under_way_at_the_cancel_that_fails_later_is_canceled_then() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    shopper.cancel(&order).await.expect(202);
    failed(&shop, "cancel_intent", 2).await;
    shop.steer(&order, "settle", &json!({ "outcome": "failed" })).await;
    ends_canceled(shop, &shopper, &order, &product).await;
}

#[tokio::test]
async fn a_payment_under_way_at_the_cancel_that_succeeds_later_pays_the_order() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    shopper.cancel(&order).await.expect(202);
    failed(&shop, "cancel_intent", 1).await;
    shop.steer(&order, "settle", &json!({ "outcome": "succeeded" })).await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn a_debit_of_which_no_event_comes_is_asked_about_when_its_time_is_over() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    shopper.wait_for(&order, "processing").await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    shop.steer(&order, "settle", &json!({ "outcome": "succeeded" })).await;
    shop.expire(&order).await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn a_debit_that_failed_before_another_payment_was_begun_and_left_expires() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    shopper.wait_for(&order, "processing").await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.steer(&order, "settle", &json!({ "outcome": "failed" })).await;
    shop.confirm(&order, "pm_card_authenticationRequired").await.expect(200);
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shop.expire(&order).await;
    ends_canceled(shop, &shopper, &order, &product).await;
}

#[tokio::test]
async fn what_stripe_said_before_something_newer_was_booked_is_not_booked() {
    let shop = Shop::start().await;
    let (_, shopper, order) = ordered(&shop).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    let look = json!({ "method": "GET", "path": "/v1/payment_intents/*", "at": "after", "hold": true, "times": 1 });
    let look = shop.inject(&look).await;
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    let send = async |kind: &str| {
        let event = shop.event(&order, kind).await;
        let path = format!("/events/{}/send", text(&event["id"]));
        shop.control().post(&path, &json!({})).await.expect(200);
    };
    send("payment_intent.processing").await;
    shop.wait_until_held(&look).await;
    shop.steer(&order, "settle", &json!({ "outcome": "failed" })).await;
    send("payment_intent.payment_failed").await;
    shopper.wait_for(&order, "payment_failed").await;
    shop.relieve(&look).await;
    shop.settle().await;
    assert_eq!(shopper.see(&order).await["status"], "payment_failed");
    assert!(!shop.timeline(&order).await.contains(&"order.processing".to_owned()));
    shop.finish().await;
}

#[tokio::test]
async fn every_intent_that_a_shopper_was_shown_is_canceled_with_the_order() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    let beside = shop.make_intent(&order, 2).await;
    shop.confirm_intent(&beside, "pm_card_visa_chargeDeclined").await.expect(402);
    let newer = shopper.wait_for(&order, "payment_failed").await;
    assert_eq!(payment(&newer, "intent_id"), text(&beside["id"]));
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    for intent in [payment(&order, "intent_id"), text(&beside["id"])] {
        let now = stripe.get(&format!("/v1/payment_intents/{intent}")).await.expect(200);
        assert_eq!(now["status"], "canceled");
    }
    ends_canceled(shop, &shopper, &order, &product).await;
}

#[tokio::test]
async fn an_intent_that_comes_after_its_order_was_canceled_is_canceled() {
    let shop = Shop::start().await;
    let (product, shopper) = (shop.product(500, 1).await, shop.shopper().await);
    let create = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "after", "hold": true, "times": 1 });
    let create = shop.inject(&create).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&create).await;
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    shop.relieve(&create).await;
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    eventually("the intent is canceled at Stripe", async || {
        let intents = stripe.get("/v1/payment_intents").await.expect(200);
        (intents["data"][0]["status"] == "canceled").then_some(())
    })
    .await;
    ends_canceled(shop, &shopper, &order, &product).await;
}

#[tokio::test]
async fn a_worker_that_froze_does_not_keep_its_locks() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let (shopper, other) = (shop.shopper().await, shop.shopper().await);
    other.put_in_cart(&product, 1).await.expect(201);
    let order = shop.order(&shopper, &product, 1).await;
    let mut tx = common::db::begin(&shop.pool).await.expect("the database answers");
    sqlx::query("SELECT FROM products FOR UPDATE").execute(&mut *tx).await.expect("nobody has them");
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query LIKE 'UPDATE products SET stock%'";
    eventually("the decrement waits", async || (shop.count(waits).await > 0).then_some(())).await;
    shop.worker.signal(Signal::SIGSTOP);
    tx.rollback().await.expect("the database answers");
    other.call(Method::POST, "/checkout", None, &[]).await.expect(202);
    shop.worker.signal(Signal::SIGCONT);
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

#[tokio::test]
async fn an_order_whose_current_intent_is_canceled_at_stripe_ends_though_it_had_others() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    let newer = shop.make_intent(&order, 2).await;
    shop.confirm_intent(&newer, "pm_card_visa_chargeDeclined").await.expect(402);
    shopper.wait_for(&order, "payment_failed").await;
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    send_form(&stripe, &format!("/v1/payment_intents/{}/cancel", text(&newer["id"])), &[]).await.expect(200);
    ends_canceled(shop, &shopper, &order, &product).await;
}

#[tokio::test]
async fn an_order_all_of_whose_intents_have_ended_ends_with_its_time() {
    let shop = Shop::start().await;
    let (product, shopper, order) = ordered(&shop).await;
    shop.settle().await;
    shop.database.run("UPDATE payment_intents SET status = 'canceled'").await; // and nothing came of it
    shop.expire(&order).await;
    ends_canceled(shop, &shopper, &order, &product).await;
}
