//! Comparisons with Stripe.

use serde_json::{Value, json};

use super::{acts, all};
use crate::harness::{Shop, eventually, text};

const RUN: &str = "/admin/reconciliation/run";

#[tokio::test]
async fn a_comparison_is_asked_for_and_its_differences_are_shown() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let order = shop.order(&shopper, &product, 1).await;
    // Stripe's word is lost on the way.
    shop.control().put("/webhooks", &json!({ "mode": "drop" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let nothing = json!({});
    shop.visitor().post(RUN, &nothing).await.problem(401, "unauthenticated");
    shopper.post(RUN, &nothing).await.problem(403, "forbidden");
    admin.post(RUN, &json!({ "now": true })).await.problem(422, "validation_failed");
    let asked = admin.post(RUN, &nothing).await.expect(202);
    assert_eq!(asked["enqueued"], true);
    shopper.wait_for(&order, "paid").await;
    let run = eventually("the comparison has come to its end", async || {
        let runs = all(&admin, "/admin/reconciliation", 1).await;
        runs.into_iter().next().filter(|run| !run["finished_at"].is_null())
    })
    .await;
    assert!(run["checked"].as_i64() > Some(0) && run["differences"].as_i64() > Some(0), "{run}");
    let path = format!("/admin/reconciliation/{}/differences", text(&run["id"]));
    let found = all(&admin, &path, 1).await;
    assert_eq!(i64::try_from(found.len()).ok(), run["differences"].as_i64());
    let left = found.iter().filter(|difference| difference["outcome"] == "left").count();
    assert_eq!(i64::try_from(left).ok(), run["unresolved"].as_i64());
    let paid = found.iter().find(|difference| difference["kind"] == "intent").expect("the payment was found");
    assert_eq!((&paid["stripe_object_id"], &paid["order_id"]), (&order["payment"]["intent_id"], &order["id"]));
    assert_eq!((&paid["outcome"], &paid["theirs"]), (&json!("healed"), &json!("succeeded, received 500")));
    let job = admin.get(&format!("/admin/jobs/{}", text(&asked["job_id"]))).await.expect(200);
    assert_eq!((&job["queue"], &job["payload"]), (&json!("maintenance.reconcile"), &json!({})));
    let act = (
        "reconciliation.requested".into(),
        format!("job:{}", text(&job["id"])),
        Value::Null,
        json!({ "enqueued": true }),
    );
    assert_eq!(acts(&shop, &admin).await, [act]);
    shop.finish().await;
}

#[tokio::test]
async fn one_comparison_that_waits_is_enough() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.database
        .run(
            "INSERT INTO jobs (id, job_type, job, run_at, due_at, dedupe_key)
             VALUES (gen_random_uuid(), 'maintenance.reconcile', '{}', now() + interval '1 h', now() + interval '1 h', 'the one')",
        )
        .await;
    let asked = admin.post(RUN, &json!({})).await.expect(202);
    assert_eq!(asked["enqueued"], false);
    // It does not wait for its hour.
    let done = "SELECT count(*) FROM jobs WHERE job_type = 'maintenance.reconcile' AND status = 'Done'";
    eventually("it is done", async || (shop.count(done).await == 1).then_some(())).await;
    let job = admin.get(&format!("/admin/jobs/{}", text(&asked["job_id"]))).await.expect(200);
    assert_eq!(job["state"], "done");
    shop.finish().await;
}
