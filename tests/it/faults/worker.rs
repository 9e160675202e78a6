//! Row 2: a worker that is killed again and again loses nothing, and its attempts are counted honestly.

use futures::future::join_all;

use crate::harness::Shop;

const KILLS: usize = 20;

#[tokio::test]
async fn a_worker_killed_twenty_times_in_a_row_leaves_nothing_stuck() {
    let mut shop = Shop::with(&[("JOB_LEASE_SECONDS", "1"), ("MAX_UNPAID_ORDERS", "30")]).await;
    let product = shop.product(500, 50).await;
    let mut orders = Vec::new();
    for shopper in shop.crowd(KILLS).await {
        shopper.put_in_cart(&product, 1).await.expect(201);
        let order = shopper.post("/checkout", &serde_json::json!({})).await.expect(202);
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
    // Each attempt has ended as done, put off, failed or crashed: crashes and errors account for all but the last one.
    let dishonest = "SELECT count(*) FROM jobs WHERE status = 'Done' AND attempts < 1 + failures + crashes";
    assert_eq!(shop.count(dishonest).await, 0);
    let per_order =
        "SELECT count(*) FROM (SELECT order_id FROM payment_intents GROUP BY order_id HAVING count(*) > 1) twice";
    assert_eq!(shop.count(per_order).await, 0);
    shop.finish().await;
}
