//! Many at once: whatever the order in which they come, each wish is fulfilled once, and nothing is sold that isn't there.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Shop, eventually, text};

fn with_status(replies: &[Reply], status: u16) -> Vec<&Reply> {
    replies.iter().filter(|reply| reply.status == status).collect()
}

fn refused(replies: Vec<Reply>, code: &str) -> usize {
    let refusals: Vec<Reply> = replies.into_iter().filter(|reply| reply.status >= 400).collect();
    let count = refusals.len();
    for refusal in refusals {
        refusal.problem(409, code);
    }
    count
}

#[tokio::test]
async fn fifty_checkouts_under_one_key_are_one_order() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let replies = join_all((0..50).map(|_| shopper.check_out_under("double-click"))).await;
    let ids: HashSet<&str> = replies.iter().map(|reply| text(&reply.body["id"])).collect();
    assert_eq!(with_status(&replies, 201).len(), 50, "{:?}", replies.iter().map(|r| r.status).collect::<Vec<_>>());
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotency-replayed") == "true").count(), 49);
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(shop.count("SELECT count(*) FROM payment_intents").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn fifty_checkouts_of_one_cart_without_a_key_are_one_order() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let replies = join_all((0..50).map(|_| shopper.check_out())).await;
    assert_eq!(with_status(&replies, 201).len(), 1);
    assert_eq!(refused(replies, "cart_empty"), 49);
    assert_eq!(shop.stock(&product).await, (10, 9));
    shop.finish().await;
}

#[tokio::test]
async fn one_event_sent_twenty_times_at_once_is_applied_once() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let event = shop.event(&order, "payment_intent.succeeded").await;
    let sent = shop.control().post(&format!("/events/{}/send", text(&event["id"])), &json!({ "times": 20 })).await;
    let outcomes = sent.expect(200)["outcomes"].clone();
    assert_eq!(outcomes, Value::from(vec![200; 20]));
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM webhook_logs WHERE type = 'payment_intent.succeeded'").await, 1);
    assert_eq!(shop.stock(&product).await, (9, 9));
    assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    let paid = shop.timeline(&order).await.into_iter().filter(|kind| kind == "order.paid").count();
    assert_eq!(paid, 1);
    shop.finish().await;
}

#[tokio::test]
async fn two_hundred_shoppers_for_fifty_units_place_fifty_orders() {
    let shop = Shop::start().await;
    let product = shop.product(500, 50).await;
    let crowd = shop.crowd(200).await;
    for reply in join_all(crowd.iter().map(|shopper| shopper.put_in_cart(&product, 1))).await {
        reply.expect(201);
    }
    let nothing = json!({});
    let replies = join_all(crowd.iter().map(|shopper| shopper.post("/checkout", &nothing))).await;
    let orders = replies.iter().filter(|reply| reply.status < 300).count();
    assert_eq!(orders, 50);
    assert_eq!(refused(replies, "insufficient_stock"), 150);
    assert_eq!(shop.stock(&product).await, (50, 0));
    shop.finish().await;
}

#[tokio::test]
async fn carts_filled_in_opposite_order_do_not_lock_each_other_out() {
    let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "100")]).await;
    let products = [shop.product(500, 1000).await, shop.product(700, 1000).await, shop.product(900, 1000).await];
    let crowd = shop.crowd(30).await;
    for (place, shopper) in crowd.iter().enumerate() {
        for step in 0..products.len() {
            let next = if place % 2 == 0 { step } else { products.len() - 1 - step };
            shopper.put_in_cart(&products[next], 2).await.expect(201);
        }
    }
    for reply in join_all(crowd.iter().map(Client::check_out)).await {
        reply.expect(201);
    }
    assert_eq!(shop.stock(&products[0]).await, (1000, 940));
    shop.finish().await;
}

#[tokio::test]
async fn a_cancel_and_a_payment_at_once_leave_one_winner() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let shoppers = shop.crowd(8).await;
    let mut orders = Vec::new();
    for shopper in &shoppers {
        orders.push(shop.order(shopper, &product, 1).await);
    }
    let both = shoppers
        .iter()
        .zip(&orders)
        .map(async |(shopper, order)| tokio::join!(shopper.cancel(order), shop.confirm(order, "pm_card_visa")));
    join_all(both).await;
    shop.settle().await;
    for (shopper, order) in shoppers.iter().zip(&orders) {
        let status = shopper.see(order).await["status"].clone();
        assert!(["paid", "canceled"].contains(&text(&status)), "{status}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn no_haste_gets_a_shopper_more_unpaid_orders_than_are_allowed() {
    let shop = Shop::start().await;
    let (product, shopper) = (shop.product(500, 100).await, shop.shopper().await);
    let buy = async || {
        shopper.put_in_cart(&product, 1).await.expect(201);
        shopper.post("/checkout", &json!({})).await
    };
    join_all((0..20).map(|_| buy())).await;
    let last = eventually("no more are allowed", async || Some(buy().await).filter(|reply| reply.status == 409)).await;
    last.problem(409, "too_many_open_orders");
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 3);
    shop.finish().await;
}

#[tokio::test]
async fn a_checkout_that_loses_a_deadlock_is_done_again() {
    let shop = Shop::start().await;
    let (first, second) = (shop.product(500, 1).await, shop.product(500, 1).await);
    let shopper = shop.shopper().await;
    for product in [&first, &second] {
        shopper.put_in_cart(product, 1).await.expect(201);
    }
    let lock = |product: &Value| format!("SELECT FROM products WHERE id = '{}' FOR UPDATE", text(&product["id"]));
    let mut against_the_order = common::db::begin(&shop.pool).await.expect("the database answers");
    sqlx::query(&lock(&second)).execute(&mut *against_the_order).await.expect("nobody has it");
    let checkout = async { shopper.post("/checkout", &json!({})).await };
    let deadlock = async {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the checkout waits", async || (shop.count(waits).await > 0).then_some(())).await;
        sqlx::query(&lock(&first)).execute(&mut *against_the_order).await.expect("the other one is the victim");
        against_the_order.rollback().await.expect("the database answers");
    };
    let (reply, ()) = tokio::join!(checkout, deadlock);
    assert!([201, 202].contains(&reply.status), "{} {}", reply.status, reply.body); // its intent may be there already
    shop.finish().await;
}
