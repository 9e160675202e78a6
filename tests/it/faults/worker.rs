//! Rows 1 to 3: a worker that is killed again and again loses nothing, and its attempts are counted honestly; one that is asked to end in
//! the midst of its work ends in order.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{Shop, eventually};

const KILLS: usize = 20;

#[tokio::test]
async fn a_worker_killed_twenty_times_in_a_row_leaves_nothing_stuck() {
    let mut shop = Shop::with(&[("JOB_LEASE_SECONDS", "1"), ("MAX_UNPAID_ORDERS", "30")]).await;
    let product = shop.product(500, 50).await;
    let mut orders = Vec::new();
    for shopper in shop.crowd(KILLS).await {
        shopper.put_in_cart(&product, 1).await.expect(201);
        let order = shopper.post("/checkout", &json!({})).await.expect(202);
        orders.push((shopper, order));
        shop.kill_worker().await; // whatever it was about
        shop.restart_worker().await;
    }
    let paid = orders.iter().map(async |(shopper, order)| {
        let order = shopper.wait_for(order, "awaiting_payment").await;
        shop.confirm(&order, "pm_card_visa").await.expect(200);
        order
    });
    let paid = join_all(paid).await;
    shop.kill_worker().await;
    shop.restart_worker().await;
    for ((shopper, _), order) in orders.iter().zip(&paid) {
        shopper.wait_for(order, "paid").await;
    }
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (30, 30));
    // Each attempt has ended as done, put off, failed or crashed: there are at least as many as crashes and failures, and the last one.
    let dishonest = "SELECT count(*) FROM jobs WHERE status = 'Done' AND attempts < 1 + failures + crashes";
    assert_eq!(shop.count(dishonest).await, 0);
    let per_order =
        "SELECT count(*) FROM (SELECT order_id FROM payment_intents GROUP BY order_id HAVING count(*) > 1) twice";
    assert_eq!(shop.count(per_order).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn a_comparison_with_stripe_whose_worker_is_killed_begins_again_where_it_began() {
    let mut shop = Shop::with(&[("JOB_LEASE_SECONDS", "1"), ("RECONCILE_MINUTES", "0.02")]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    // Nothing tells of the payment but the comparison, and that is killed each time that it asks about the intent.
    let held = json!({ "method": "GET", "path": "/v1/payment_intents/*", "at": "arrival", "hold": true });
    let held = shop.inject(&held).await;
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let crashes = "SELECT coalesce(sum(crashes), 0)::bigint FROM jobs WHERE job_type = 'maintenance.reconcile'";
    shop.wait_until_held(&held).await;
    for crash in 1..=2 {
        let running = "SELECT count(*) FROM jobs WHERE job_type = 'maintenance.reconcile' AND status = 'Running'";
        eventually("it runs", async || (shop.count(running).await == 1).then_some(())).await;
        shop.kill_worker().await;
        shop.restart_worker().await;
        eventually("its crash is counted", async || (shop.count(crashes).await == crash).then_some(())).await;
    }
    assert_eq!(shopper.see(&order).await["status"], "awaiting_payment");
    shop.relieve(&held).await;
    shopper.wait_for(&order, "paid").await;
    let healed = "SELECT count(*) FROM reconciliation_differences WHERE outcome = 'healed'";
    eventually("what was mended is told of", async || (shop.count(healed).await == 1).then_some(())).await;
    shop.finish().await;
}

#[tokio::test]
async fn programs_that_are_asked_to_end_under_load_end_in_order_and_leave_nothing_half_done() {
    let mut shop = Shop::start().await;
    let product = shop.product(500, 100).await;
    let crowd = shop.crowd(40).await;
    let slow = json!({ "method": "POST", "path": "/v1/payment_intents", "delay_ms": 300, "times": 20 });
    shop.inject(&slow).await;
    join_all(crowd.iter().map(async |shopper| shopper.put_in_cart(&product, 1).await.expect(201))).await;
    let some = "SELECT count(*) FROM jobs WHERE job_type = 'payment.create_intent' AND status = 'Running'";
    let placing = join_all(crowd.iter().map(async |shopper| {
        let reply = shopper.post("/checkout", &json!({})).await;
        assert!(matches!(reply.status, 201 | 202), "{reply:?}"); // 201 where the intent was there sooner than the answer
        reply.body
    }));
    let (orders, ()) = tokio::join!(placing, async {
        eventually("jobs are under way", async || (shop.count(some).await >= 5).then_some(())).await;
        shop.worker.ask_to_end();
    });
    shop.api.ask_to_end();
    assert_eq!((shop.worker.exit_code().await, shop.api.exit_code().await), (0, 0));
    let unfinished = "SELECT count(*) FROM jobs WHERE status = 'Running' OR crashes > 0 OR failures > 0";
    assert_eq!(shop.count(unfinished).await, 0);
    assert!(
        shop.count("SELECT count(*) FROM jobs WHERE job_type = 'payment.create_intent' AND done_at IS NULL").await > 0
    );
    shop.restart_worker().await;
    shop.restart_api().await;
    for (shopper, order) in crowd.iter().zip(&orders) {
        shopper.at(&shop.api).wait_for(order, "awaiting_payment").await;
    }
    assert_eq!(shop.count("SELECT count(DISTINCT stripe_id) FROM payment_intents").await, 40);
    shop.finish().await;
}
