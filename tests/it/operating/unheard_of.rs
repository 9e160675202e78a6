//! Webhooks are lost: one, or all.

use serde_json::json;

use super::{Watched, an_order, kinds};
use crate::harness::{eventually, text};

#[tokio::test]
async fn a_lost_webhook_is_found_by_a_comparison_and_healed() {
    let watched = Watched::start().await;
    let shop = &watched.shop;
    watched
        .under_load(async {
            let (shopper, order) = an_order(shop).await;
            shop.control().put("/webhooks", &json!({ "mode": "drop" })).await.expect(200);
            shop.confirm(&order, "pm_card_visa").await.expect(200);
            let differs = shop.reconcile(&["--dry-run"]).await;
            assert!(differs.code == 1 && differs.out.contains(text(&order["id"])), "{differs:?}");
            assert_eq!(shopper.see(&order).await["status"], "awaiting_payment", "it only told");
            assert!(watched.firing("KassaReconciliationHealed").await.is_none());

            assert_eq!(shop.reconcile(&[]).await.code, 0);
            let runbook = watched.fires("KassaReconciliationHealed").await;
            shopper.wait_for(&order, "paid").await;
            let shown = watched.shown(&order).await;
            assert!(kinds(&shown, "payment").contains(&"reconcile"), "{:?}", kinds(&shown, "payment"));
            assert!(watched.firing("KassaReconciliationLeft").await.is_none());

            shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
            eventually("a comparison finds nothing", async || {
                let told = runbook.kassa(&["reconcile"]).await; // the first finds what others were not told of meanwhile
                told.contains("compared: 0 differed, 0 do still").then_some(())
            })
            .await;
            watched.resolves("KassaReconciliationHealed").await;
        })
        .await;
    watched.finish_without_events().await;
}

#[tokio::test]
async fn that_no_event_comes_is_seen_by_what_was_due_and_by_what_is_found_paid() {
    let watched = Watched::start().await;
    let shop = &watched.shop;
    watched
        .under_load(async {
            let mut orders = Vec::new();
            for _ in 0..4 {
                orders.push(an_order(shop).await);
            }
            assert!(watched.firing("KassaWebhooksSilent").await.is_none());
            assert!(watched.firing("KassaEventsLost").await.is_none());
            shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
            for (_, order) in &orders {
                shop.confirm(order, "pm_card_visa").await.expect(200);
            }
            let runbook = watched.fires("KassaWebhooksSilent").await;
            assert!(runbook.text.contains("kassa doctor"));
            assert!(watched.firing("KassaEventsLost").await.is_none(), "nothing was found yet");

            // Three are found paid at their end, the fourth by the command of the runbook.
            let (last, expired) = orders.split_last().expect("four orders");
            for (_, order) in expired {
                shop.expire(order).await;
            }
            watched.fires("KassaEventsLost").await;
            runbook.kassa(&["reconcile"]).await;
            for (shopper, order) in expired.iter().chain([last]) {
                shopper.wait_for(order, "paid").await;
            }

            shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
            let (shopper, order) = an_order(shop).await;
            shop.pay(&shopper, &order).await;
            watched.resolves("KassaWebhooksSilent").await;
            watched.resolves("KassaEventsLost").await;
        })
        .await;
    watched.finish_without_events().await;
}
