//! Payments that no event told of.

use serde_json::json;

use super::Exposition;
use crate::harness::Shop;

#[tokio::test]
async fn payments_that_no_event_told_of_are_counted_by_what_found_them() {
    let shop = Shop::start().await;
    let (product, shopper) = (shop.product(500, 9).await, shop.shopper().await);
    let told = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &told).await;
    let slow = shop.order(&shopper, &product, 1).await;
    shop.confirm(&slow, "pm_usBankAccount_processing").await.expect(200);
    shopper.wait_for(&slow, "processing").await;
    shop.settle().await;

    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    let [expired, canceled] = [shop.order(&shopper, &product, 1).await, shop.order(&shopper, &product, 1).await];
    for order in [&expired, &canceled] {
        shop.confirm(order, "pm_card_visa").await.expect(200);
    }
    shop.steer(&slow, "settle", &json!({})).await;
    shopper.cancel(&canceled).await.expect(202);
    for order in [&expired, &slow] {
        shop.expire(order).await;
    }
    for order in [&canceled, &expired, &slow] {
        shopper.wait_for(order, "paid").await;
    }
    shop.settle().await;
    // Events that come all the same, and comparisons, find nothing more.
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    assert_eq!(shop.reconcile(&[]).await.code, 0);
    shop.settle().await;
    let [_, worker] = shop.operations();
    let worker = Exposition::of(&worker).await;
    for (by, count) in [("cancel", "1"), ("expiry", "2")] {
        let found = worker.get("kassa_payments_found_total", &[("by", by)]);
        assert_eq!(found.map(|count| count.to_string()).as_deref(), Some(count), "{by}");
    }
    shop.finish().await;
}
