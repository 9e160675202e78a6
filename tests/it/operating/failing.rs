//! Stripe fails.

use serde_json::json;

use super::{Watched, an_order};
use crate::harness::text;

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
