//! Row 14: jobs that can't be done are given up and kept, and the others flow on.

use serde_json::json;
use uuid::Uuid;

use crate::harness::{Shop, eventually};

/// Puts a job into the queue behind the shop's back.
async fn enqueue(shop: &Shop, queue: &str, payload: &serde_json::Value) -> Uuid {
    let id = Uuid::now_v7();
    let insert = "INSERT INTO jobs (id, job_type, job, run_at, due_at) VALUES ($1, $2, $3, now(), now())";
    sqlx::query(insert).bind(id).bind(queue).bind(payload).execute(&shop.pool).await.expect("it is new");
    id
}

#[tokio::test]
async fn jobs_whose_payload_cannot_be_read_are_dead_at_once_and_the_others_flow_on() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let queues = [
        "payment.create_intent",
        "payment.cancel_intent",
        "payment.refund",
        "webhook.process",
        "inventory.decrement",
        "order.expire",
        "email.send",
        "image.process",
        "image.remove",
    ];
    for queue in queues {
        for payload in [json!({}), json!(null), json!({ "order_id": "no id" }), json!([1])] {
            enqueue(&shop, queue, &payload).await;
        }
    }
    let order = shop.paid_order(&shopper, &product, 1).await;
    assert_eq!(order["status"], "paid");
    let dead = "SELECT count(*) FROM jobs WHERE status = 'Killed' AND last_error IS NOT NULL";
    eventually("all of them are dead", async || (shop.count(dead).await == 36).then_some(())).await;
    eventually("what was bought leaves the stock", async || (shop.stock(&product).await.0 == 4).then_some(())).await;
    let listed = shop.database.kassa(&["jobs", "list", "--state", "dead"]).await;
    assert_eq!(listed.out.lines().count(), 37, "{listed:?}");
    shop.leave();
}

#[tokio::test]
async fn jobs_about_what_is_not_there_are_done() {
    let shop = Shop::start().await;
    for (queue, member) in [
        ("payment.create_intent", "order_id"),
        ("payment.cancel_intent", "payment_intent_id"),
        ("payment.refund", "refund_id"),
        ("webhook.process", "webhook_log_id"),
        ("inventory.decrement", "order_id"),
        ("order.expire", "order_id"),
        ("email.send", "email_id"),
        ("image.process", "image_id"),
        ("image.remove", "image_id"),
    ] {
        enqueue(&shop, queue, &json!({ member: Uuid::now_v7() })).await;
    }
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM jobs WHERE status = 'Done' AND attempts = 1").await, 9);
    shop.finish().await;
}

#[tokio::test]
async fn a_job_that_takes_its_worker_down_each_time_is_dead_after_ten_and_harms_no_other() {
    let mut shop = Shop::with(&[("JOB_LEASE_SECONDS", "0.3")]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    // Its call to Stripe is held; each time that it gets there, its worker is killed.
    let fault = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "arrival", "hold": true });
    let fault = shop.inject(&fault).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    shopper.post("/checkout", &json!({})).await.expect(202);
    let crashes = "SELECT max(crashes)::bigint FROM jobs WHERE job_type = 'payment.create_intent'";
    let running = "SELECT count(*) FROM jobs WHERE job_type = 'payment.create_intent' AND status = 'Running'";
    for crash in 1..=10 {
        eventually("it runs", async || (shop.count(running).await == 1).then_some(())).await;
        shop.kill_worker().await;
        shop.restart_worker().await;
        eventually("its crash is counted", async || (shop.count(crashes).await == crash).then_some(())).await;
    }
    assert_eq!(shop.count("SELECT count(*) FROM jobs WHERE status = 'Killed' AND attempts = 10").await, 1);
    shop.relieve(&fault).await;
    let other = shop.shopper().await;
    shop.paid_order(&other, &product, 1).await;
    // Run again at somebody's word, it does its work.
    let retried = shop.database.kassa(&["jobs", "retry", "--all"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    let order = shopper.get("/orders").await.expect(200)["items"][0].clone();
    shopper.wait_for(&order, "awaiting_payment").await;
    shop.finish().await;
}
