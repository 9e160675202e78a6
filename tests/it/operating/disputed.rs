//! A payment is disputed.

use reqwest::Method;
use serde_json::json;

use super::{Watched, an_order, kinds};
use crate::harness::{payment, text};

#[tokio::test]
async fn a_disputed_order_is_seen_held_and_let_go_once_it_is_won() {
    let watched = Watched::start().await;
    let shop = &watched.shop;
    watched
        .under_load(async {
            let admin = shop.admin().await;
            let (shopper, order) = an_order(shop).await;
            shop.pay(&shopper, &order).await;
            shop.mails(&shopper.email, 1).await; // its units have left the stock by then, or are about to
            let path = format!("/charges/{}/dispute", payment(&order, "intent_id"));
            let dispute = shop.control().post(&path, &json!({})).await.expect(200);
            let runbook = watched.fires("KassaDisputeOpen").await;

            let shown = watched.shown(&order).await;
            assert_eq!((text(&shown["status"]), text(&shown["disputes"][0]["status"])), ("paid", "open"));
            assert!(kinds(&shown, "order").contains(&"dispute.open"), "{shown}");
            admin.refund(&order, &json!({})).await.problem(409, "disputed");
            let fulfil = format!("/admin/orders/{}/fulfill", text(&order["id"]));
            let send = async || admin.call(Method::POST, &fulfil, Some(&json!({})), &[]).await;
            send().await.problem(409, "disputed");

            // It is won, and the event gets lost.
            shop.control().put("/webhooks", &json!({ "mode": "drop" })).await.expect(200);
            let path = format!("/disputes/{}", text(&dispute["id"]));
            shop.control().post(&path, &json!({ "status": "won" })).await.expect(200);
            runbook.kassa(&["reconcile"]).await;
            shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
            runbook.kassa(&["reconcile"]).await; // what others were not told of meanwhile
            watched.resolves("KassaDisputeOpen").await;
            assert!(kinds(&watched.shown(&order).await, "order").contains(&"dispute.won"));
            send().await.expect(200);
            assert!(watched.firing("KassaDisputeLost").await.is_none());
        })
        .await;
    watched.finish_without_events().await;
}
