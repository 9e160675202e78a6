//! Events that came too early, too late, at once, or for nothing.

use futures::future::join_all;
use serde_json::json;

use super::{all, charged};
use crate::harness::{Shop, eventually, text};

/// [medusajs/medusa#4798](https://github.com/medusajs/medusa/issues/4798): Stripe was answered 409 where the event and the shopper's request
/// met, sent the event again and again, and had the endpoint disabled in the end.
#[tokio::test]
async fn stripe_was_answered_with_a_conflict_where_an_event_met_a_request() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let event = shop.event(&order, "payment_intent.succeeded").await;
    let path = format!("/events/{}/send", text(&event["id"]));
    let (control, copies) = (shop.control(), json!({ "times": 8 }));
    let (sent, canceled, looked) = tokio::join!(
        control.post(&path, &copies),
        shopper.cancel(&order),
        join_all((0..8).map(|_| shopper.see(&order))),
    );
    let outcomes = sent.expect(200)["outcomes"].as_array().expect("a list").clone();
    assert!(outcomes.iter().all(|outcome| *outcome == 200), "{outcomes:?}");
    assert!([202, 409].contains(&canceled.status), "{canceled:?}");
    assert!(looked.iter().all(|seen| seen["id"] == order["id"]));
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

/// [medusajs/medusa#2948](https://github.com/medusajs/medusa/issues/2948): event and request changed the same rows, and one of them ended
/// with "could not serialize access due to concurrent update".
#[tokio::test]
async fn event_and_request_failed_each_other_in_the_database() {
    let shop = Shop::start().await;
    let _other_worker = shop.another_worker().await;
    let product = shop.product(500, 99).await;
    let crowd = shop.crowd(10).await;
    let mut bought = Vec::new();
    for shopper in &crowd {
        bought.push(shop.order(shopper, &product, 1).await);
    }
    // All of them pay at once, for one product, and buy more of it meanwhile.
    let at_once = crowd.iter().zip(&bought).map(async |(shopper, order)| {
        let buy_more = async {
            shopper.put_in_cart(&product, 1).await.expect(201);
            shopper.check_out().await
        };
        let (paid, placed) = tokio::join!(shop.confirm(order, "pm_card_visa"), buy_more);
        paid.expect(200);
        placed.expect(201);
    });
    join_all(at_once).await;
    for (shopper, order) in crowd.iter().zip(&bought) {
        shopper.wait_for(order, "paid").await;
    }
    shop.settle().await;
    assert_eq!(
        shop.count("SELECT count(*) FROM webhook_logs WHERE error IS NOT NULL AND status <> 'ignored'").await,
        0
    );
    assert_eq!(shop.count("SELECT count(*) FROM jobs WHERE failures > 0").await, 0, "no job lost against another");
    assert_eq!(shop.stock(&product).await, (89, 79));
    shop.finish().await;
}

/// [medusajs/medusa#16569](https://github.com/medusajs/medusa/issues/16569): events of one payment that were worked on at once overwrote what
/// the others had written.
#[tokio::test]
async fn events_of_one_payment_overwrote_each_other() {
    let shop = Shop::start().await;
    let _other_worker = shop.another_worker().await;
    let product = shop.product(500, 9).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    let send = async |kind: &str| {
        let events = all(&shop, &format!("/v1/events?type={kind}")).await;
        join_all(events.iter().map(async |event| {
            let path = format!("/events/{}/send", text(&event["id"]));
            shop.control().post(&path, &json!({ "times": 2 })).await.expect(200);
        }))
        .await;
    };
    // One card is declined and another one is not, which the shop is told of in one moment.
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    tokio::join!(send("payment_intent.payment_failed"), send("payment_intent.succeeded"));
    shopper.wait_for(&order, "paid").await;
    // Two refunds are, too: the shop has asked Stripe about both before it has written either.
    shop.refund_at_stripe(&order, 200).await;
    shop.refund_at_stripe(&order, 100).await;
    let held = json!({ "method": "GET", "path": "/v1/refunds/*", "at": "after", "hold": true });
    let held = shop.inject(&held).await;
    send("refund.created").await;
    let both = shop.control().get(&format!("/faults/{held}/held?count=2&timeout_ms=10000")).await.expect(200);
    assert_eq!(both.as_array().map(Vec::len), Some(2), "{both}");
    shop.relieve(&held).await;
    shop.settle().await;
    let booked = async || {
        admin.wait_for_refunds(&order, &["succeeded", "succeeded"]).await;
        let now = shopper.see(&order).await;
        assert_eq!((&now["status"], &now["refunded_total"]), (&json!("paid"), &json!(300)));
    };
    booked().await;
    // What is left to be told changes nothing.
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shop.settle().await;
    booked().await;
    shop.finish().await;
}

/// [medusajs/medusa#14205](https://github.com/medusajs/medusa/issues/14205): an event that said that a payment was under way completed the
/// order, before there was any money.
#[tokio::test]
async fn an_order_was_completed_before_its_payment_was() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    let told = "SELECT count(*) FROM webhook_logs WHERE type = 'payment_intent.processing' AND status = 'processed'";
    eventually("the event is applied", async || (shop.count(told).await == 1).then_some(())).await;
    shop.settle().await;
    assert_eq!(shopper.see(&order).await["status"], "processing");
    assert_eq!(shop.stock(&product).await, (9, 8), "held, not sold");
    assert!(shop.mail.messages().is_empty(), "nothing is confirmed");
    assert!(charged(&shop).await.is_empty());
    shop.steer(&order, "settle", &json!({ "outcome": "succeeded" })).await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (8, 8));
    shop.finish().await;
}

/// [duncanmcclean/statamic-cargo#191](https://github.com/duncanmcclean/statamic-cargo/pull/191): the event came before the order was saved, was
/// answered 200 and forgotten; the order waited for ever.
#[tokio::test]
async fn an_event_that_came_before_the_order_was_saved_was_forgotten() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    // Stripe has made the payment, the shop has not heard of it, and the shopper pays.
    let held = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "after", "hold": true, "times": 1 });
    let held = shop.inject(&held).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&held).await;
    let intent = all(&shop, "/v1/payment_intents").await[0].clone();
    shop.confirm_intent(&intent, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "paid").await; // by the event alone: the shop's own call is still held
    shop.relieve(&held).await;
    shop.settle().await;
    assert_eq!(shopper.see(&order).await["status"], "paid");
    assert_eq!(shop.stock(&product).await, (8, 8));
    shop.finish().await;
}
