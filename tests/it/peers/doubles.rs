//! One wish, fulfilled or charged more than once.

use std::collections::BTreeSet;

use common::jobs::{self, Reconcile};
use futures::future::join_all;
use serde_json::json;

use super::{all, charged, orders};
use crate::harness::{Shop, payment, text};

/// [openfoodfoundation/openfoodnetwork#3925](https://github.com/openfoodfoundation/openfoodnetwork/issues/3925): a shopper who tried again
/// and again paid three times for one order.
#[tokio::test]
async fn three_tries_at_paying_were_three_charges_for_one_order() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    // Stripe makes the payment three times over as far as the shop can tell: each answer is lost.
    let lost = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "after", "times": 3, "answer": { "kind": "reset" } });
    shop.inject(&lost).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.check_out_under("k").await.body;
    let order = shopper.wait_for(&order, "awaiting_payment").await;
    // And the shopper confirms it three times, by three cards.
    let cards = ["pm_card_visa", "pm_card_mastercard", "pm_card_amex"];
    let tries = join_all(cards.map(|card| shop.confirm(&order, card))).await;
    assert_eq!(tries.iter().filter(|reply| reply.status == 200).count(), 1, "{tries:?}");
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!((all(&shop, "/v1/payment_intents").await.len(), all(&shop, "/v1/charges").await.len()), (1, 1));
    assert_eq!(charged(&shop).await[0]["amount_received"], 500);
    shop.finish().await;
}

/// [saleor/saleor#11133](https://github.com/saleor/saleor/issues/11133): a payment could be created several times at once for one checkout,
/// which then had several that were active.
#[tokio::test]
async fn payments_that_were_created_at_once_were_all_active() {
    let shop = Shop::start().await;
    let (_other_worker, other_api) = tokio::join!(shop.another_worker(), shop.another_api());
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let elsewhere = shopper.at(&other_api);
    let replies = join_all((0..12).map(|n| {
        let client = if n % 2 == 0 { &shopper } else { &elsewhere };
        client.check_out_under("pay")
    }))
    .await;
    let intents: BTreeSet<_> =
        replies.into_iter().map(|reply| payment(&reply.expect(201), "intent_id").to_owned()).collect();
    assert_eq!(intents.len(), 1);
    assert_eq!(all(&shop, "/v1/payment_intents").await.len(), 1);
    assert_eq!(orders(&shopper).await, 1);
    shop.finish().await;
}

/// [saleor/saleor#19220](https://github.com/saleor/saleor/issues/19220): the same payment was counted twice. Here the same success is found
/// by reconciliation, told by its event many times at once, and told by other events.
#[tokio::test]
async fn one_payment_told_of_twice_was_counted_twice() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let mut tx = common::db::begin(&shop.pool).await.expect("the database answers");
    jobs::enqueue(&mut tx, &Reconcile {}).await.expect("the database answers");
    tx.commit().await.expect("it commits");
    shopper.wait_for(&order, "paid").await;
    let mut event = shop.event(&order, "payment_intent.succeeded").await;
    let path = format!("/events/{}/send", text(&event["id"]));
    shop.control().post(&path, &json!({ "times": 10 })).await.expect(200);
    for other in ["evt_of_another_endpoint", "evt_of_a_third"] {
        event["id"] = json!(other);
        let sent = shop.control().post("/webhooks/send", &json!({ "payload": event, "times": 5 })).await.expect(200);
        assert_eq!(sent["outcomes"], json!([200, 200, 200, 200, 200]));
    }
    shop.settle().await;
    let applied = "SELECT count(*) FROM webhook_logs WHERE type = 'payment_intent.succeeded' AND status = 'processed'";
    assert_eq!(shop.count(applied).await, 3, "it was told by three events");
    let timeline = shop.timeline(&order).await;
    for once in ["order.paid", "stock.decremented", "mail.sent"] {
        assert_eq!(timeline.iter().filter(|kind| *kind == once).count(), 1, "{once}: {timeline:?}");
    }
    assert_eq!(shop.count("SELECT sum(amount_received)::bigint FROM payment_intents").await, 500);
    assert_eq!(shop.stock(&product).await, (8, 8));
    let [_, worker] = shop.operations();
    let metrics = worker.get("/metrics").await.raw;
    assert!(metrics.contains(r#"kassa_orders_paid_total{currency="usd"} 1"#), "{metrics}");
    shop.finish().await;
}

/// [woocommerce/woocommerce#62659](https://github.com/woocommerce/woocommerce/issues/62659): checkouts of one cart that came at once each
/// made an order.
#[tokio::test]
async fn checkouts_at_once_made_an_order_each() {
    let shop = Shop::start().await;
    let other_api = shop.another_api().await;
    let product = shop.product(500, 50).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let elsewhere = shopper.at(&other_api);
    let replies = join_all((0..10).map(|n| if n % 2 == 0 { shopper.check_out() } else { elsewhere.check_out() })).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    for reply in replies.into_iter().filter(|reply| reply.status != 201) {
        reply.problem(409, "cart_empty");
    }
    assert_eq!(orders(&shopper).await, 1);
    assert_eq!(shop.stock(&product).await, (50, 49));
    shop.finish().await;
}
