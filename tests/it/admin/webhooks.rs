//! What Stripe has told the shop, and its replay.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, all, members};
use crate::harness::{Client, Shop, eventually, text};

/// Sends an event to the shop, signed, and waits until it stands there.
async fn told(shop: &Shop, id: &str, kind: &str, object: Value, status: &str) {
    let event = json!({ "id": id, "object": "event", "created": 1_800_000_000, "livemode": false, "type": kind, "data": { "object": object } });
    shop.control().post("/webhooks/send", &json!({ "payload": event })).await.expect(200);
    stands(shop, id, status).await;
}

async fn stands(shop: &Shop, id: &str, status: &str) {
    let query = format!("SELECT count(*) FROM webhook_logs WHERE stripe_event_id = '{id}' AND status = '{status}'");
    eventually(&format!("{id} is {status}"), async || (shop.count(&query).await == 1).then_some(())).await;
}

fn replay(id: &str) -> String {
    format!("/admin/webhooks/{id}/replay")
}

/// The only event of this type, as the list tells of it.
async fn only(admin: &Client, kind: &str) -> Value {
    let mut found = all(admin, &format!("/admin/webhooks?type={kind}"), 100).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test]
async fn events_are_listed_by_status_and_type_and_shown_without_secrets() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &order).await;
    let stranger = json!({ "id": "cus_1", "object": "customer", "note": "x" });
    told(&shop, "evt_stranger", "customer.created", stranger, "ignored").await;
    shop.settle().await;

    let paid = only(&admin, "payment_intent.succeeded").await;
    assert_eq!((&paid["status"], &paid["order_id"]), (&json!("processed"), &order["id"]));
    let ignored = all(&admin, "/admin/webhooks?status=ignored&type=customer.created", 1).await;
    assert_eq!(members(&ignored, "stripe_event_id"), ["evt_stranger"]);
    assert_eq!(all(&admin, "/admin/webhooks?status=failed", 1).await, Vec::<Value>::new());
    let processed = all(&admin, "/admin/webhooks?status=processed", 1).await;
    assert!(members(&processed, "status").iter().all(|status| *status == "processed") && !processed.is_empty());

    let secret = text(&order["payment"]["client_secret"]);
    assert!(secret.contains("_secret_"));
    for id in [text(&paid["id"]), text(&paid["stripe_event_id"])] {
        let shown = admin.get(&format!("/admin/webhooks/{id}")).await;
        assert!(!shown.raw.contains(secret), "{}", shown.raw);
        let shown = shown.expect(200);
        assert_eq!(shown["payload"]["data"]["object"]["client_secret"], "(withheld)");
        assert_eq!(shown["payload"]["data"]["object"]["id"], order["payment"]["intent_id"]);
        assert_eq!(shown["status"], "processed");
    }
    for nobody in ["evt_no_such", &Uuid::new_v4().to_string(), "a%00b"] {
        admin.get(&format!("/admin/webhooks/{nobody}")).await.problem(404, "not_found");
    }
    shop.visitor().get("/admin/webhooks/evt_stranger").await.problem(401, "unauthenticated");
    shopper.get("/admin/webhooks/evt_stranger").await.problem(403, "forbidden");
    shop.finish().await;
}

#[tokio::test]
async fn an_event_is_looked_at_again_unless_it_was_applied() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    shop.paid_order(&shopper, &product, 1).await;
    told(&shop, "evt_stranger", "customer.created", json!({ "id": "cus_1", "object": "customer" }), "ignored").await;
    shop.settle().await;
    let before = shop.contents().await;
    let nothing = json!({});
    let paid = only(&admin, "payment_intent.succeeded").await;
    admin.post(&replay(text(&paid["id"])), &nothing).await.problem(409, "already_applied");
    for nobody in ["evt_no_such", &Uuid::new_v4().to_string()] {
        admin.post(&replay(nobody), &nothing).await.problem(404, "not_found");
    }
    shop.visitor().post(&replay("evt_stranger"), &nothing).await.problem(401, "unauthenticated");
    shopper.post(&replay("evt_stranger"), &nothing).await.problem(403, "forbidden");
    admin.post(&replay("evt_stranger"), &json!({ "force": true })).await.problem(422, "validation_failed");
    assert_eq!(shop.contents().await, before);

    let stranger = only(&admin, "customer.created").await;
    let replayed = admin.post(&replay("evt_stranger"), &nothing).await.expect(202);
    assert_eq!((&replayed["id"], &replayed["stripe_event_id"]), (&stranger["id"], &json!("evt_stranger")));
    assert_eq!(replayed["payload"]["type"], "customer.created", "it is told of as a whole, as a job is");
    stands(&shop, "evt_stranger", "ignored").await;
    let done = "SELECT count(*) FROM jobs WHERE job_type = 'webhook.process' AND status = 'Done'";
    assert_eq!(shop.count(&format!("{done} AND job->>'webhook_log_id' = '{}'", text(&stranger["id"]))).await, 2);
    let object = format!("webhook:{}", text(&stranger["id"]));
    let change = (json!({ "status": "ignored" }), json!({ "status": "received" }));
    assert_eq!(acts(&shop, &admin).await, [("webhook.replayed".into(), object, change.0, change.1)]);
    shop.finish().await;
}

#[tokio::test]
async fn an_event_that_is_being_looked_at_is_left_to_it() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let unknown = json!({ "id": "pi_1", "object": "payment_intent", "metadata": { "order_id": Uuid::new_v4() }, "status": "succeeded",
                          "amount": 500, "amount_received": 500, "currency": "usd" });
    told(&shop, "evt_parked", "payment_intent.succeeded", unknown, "parked").await;
    // Some worker has it in hand, for as long as the test takes.
    let held = "UPDATE jobs SET status = 'Running', lock_by = 'somebody', lock_at = now(), lease_until = now() + interval '1 hour'
                WHERE job_type = 'webhook.process' AND status = 'Pending'";
    eventually("it is held", async || {
        let held = sqlx::query(held).execute(&shop.pool).await.expect("the database answers");
        (held.rows_affected() == 1).then_some(())
    })
    .await;
    admin.post(&replay("evt_parked"), &json!({})).await.problem(409, "under_way");
    assert_eq!(acts(&shop, &admin).await, []);
    let told = shop.database.kassa(&["webhooks", "replay", "evt_parked"]).await;
    assert!(told.code == 0 && told.out.contains("right now"), "{told:?}");
    shop.database
        .run(
            "UPDATE jobs SET status = 'Pending', lock_by = NULL, lease_until = NULL, run_at = now() + interval '1 hour'
                       WHERE status = 'Running'",
        )
        .await;
    // It waits for an hour, and is brought forward.
    admin.post(&replay("evt_parked"), &json!({})).await.expect(202);
    stands(&shop, "evt_parked", "parked").await;
    shop.leave();
}
