//! Stripe fails.

use serde_json::json;

use super::{Watched, an_order, kinds};
use crate::harness::text;

#[tokio::test]
async fn a_stripe_that_refuses_each_order_is_seen_and_understood() {
    let watched = Watched::start().await;
    let shop = &watched.shop;
    watched
        .under_load(async {
            an_order(shop).await;
            assert!(watched.firing("KassaStripeRefusesOrders").await.is_none());
            let error = json!({ "type": "invalid_request_error", "code": "amount_too_large", "message": "No." });
            let answer = json!({ "kind": "status", "status": 400, "body": { "error": error } });
            let fault = json!({ "method": "POST", "path": "/v1/payment_intents", "answer": answer });
            let fault = shop.inject(&fault).await;
            let (product, shopper) = (shop.product(1999, 5).await, shop.shopper().await);
            shopper.put_in_cart(&product, 1).await.expect(201);
            let order = shopper.post("/checkout", &json!({})).await.body;
            watched.fires("KassaStripeRefusesOrders").await;
            shopper.wait_for(&order, "canceled").await;
            let shown = watched.shown(&order).await;
            assert!(kinds(&shown, "order").contains(&"payment.refused"), "{shown}");
            assert!(shown["timeline"].to_string().contains("amount_too_large"), "{shown}");
            assert!(watched.firing("KassaStripeErrors").await.is_none(), "it answers");
            shop.relieve(&fault).await;
            watched.resolves("KassaStripeRefusesOrders").await;
            let (shopper, order) = an_order(shop).await;
            shop.pay(&shopper, &order).await;
        })
        .await;
    watched.finish().await;
}

#[tokio::test]
async fn a_stripe_that_fails_is_seen_waited_for_and_over() {
    let watched = Watched::start().await;
    let shop = &watched.shop;
    watched
        .under_load(async {
            let fault = json!({ "path": "/v1/*", "answer": { "kind": "status", "status": 500 } });
            let fault = shop.inject(&fault).await;
            let runbook = watched.fires("KassaStripeErrors").await;
            let waiting = runbook.asked(&["jobs", "list", "--state", "retrying"]).await;
            assert_eq!(waiting[0]["queue"], "payment.create_intent", "{waiting}");
            let id = text(&waiting[0]["id"]);
            let told = runbook.kassa(&["jobs", "show", id]).await;
            assert!(told.contains("500") && told.contains("trace"), "{told}");
            assert!(watched.firing("KassaStripeUnauthorized").await.is_none());
            shop.relieve(&fault).await;
            watched.resolves("KassaStripeErrors").await;

            let refused = json!({ "path": "/v1/*", "answer": { "kind": "status", "status": 401 } });
            let refused = shop.inject(&refused).await;
            let runbook = watched.fires("KassaStripeUnauthorized").await;
            assert!(runbook.text.contains("STRIPE_SECRET_KEY"));
            shop.relieve(&refused).await;
            watched.resolves("KassaStripeUnauthorized").await;
            let (shopper, order) = an_order(shop).await;
            shop.pay(&shopper, &order).await;
        })
        .await;
    watched.finish().await;
}
