//! Row 16: more shoppers than units.

use std::time::{Duration, Instant};

use futures::future::join_all;
use uuid::Uuid;

use crate::harness::{Client, Reply, Shop, eventually};

/// What becomes of somebody's checkout, who asks again under the same key for as long as the shop has too much to do. On a busy machine the
/// intent may come after the answer, which is 202 then.
async fn outcome(shopper: &Client) -> Reply {
    let key = Uuid::new_v4().to_string();
    eventually("the shop has time", async || {
        let reply = shopper.check_out_under(&key).await;
        (reply.status != 503).then_some(reply)
    })
    .await
}

/// What a checkout takes when nobody else wants anything.
async fn alone(shop: &Shop) -> Duration {
    const SHOPPERS: u32 = 10;
    let product = shop.product(500, i64::from(SHOPPERS)).await;
    let shoppers = shop.crowd(SHOPPERS as usize).await;
    for shopper in &shoppers {
        shopper.put_in_cart(&product, 1).await.expect(201);
    }
    let began = Instant::now();
    for shopper in &shoppers {
        outcome(shopper).await;
    }
    began.elapsed() / SHOPPERS
}

#[tokio::test]
async fn a_hundred_units_for_three_hundred_shoppers_are_sold_a_hundred_times_sooner_than_one_after_the_other() {
    let shop = Shop::start().await;
    let product = shop.product(500, 100).await;
    let crowd = shop.crowd(300).await;
    for carts in crowd.chunks(50) {
        join_all(carts.iter().map(async |shopper| shopper.put_in_cart(&product, 1).await.expect(201))).await;
    }
    let before = alone(&shop).await;
    let began = Instant::now();
    let replies = join_all(crowd.iter().map(async |shopper| (shopper, outcome(shopper).await))).await;
    let took = began.elapsed();
    let (sold, told): (Vec<_>, Vec<_>) = replies.into_iter().partition(|(_, reply)| reply.status < 300);
    assert_eq!((sold.len(), told.len()), (100, 200));
    for (_, reply) in told {
        assert_eq!(reply.body["lines"][0]["available"], 0);
        reply.problem(409, "insufficient_stock");
    }
    // The machine may be slow, or busy with something else for a while: with one as with many.
    let one = before.max(alone(&shop).await);
    assert!(took < one * 300, "{took:?}, where one alone takes {one:?}");
    join_all(sold.iter().map(async |(shopper, reply)| {
        let order = shopper.wait_for(&reply.body, "awaiting_payment").await;
        shop.pay(shopper, &order).await
    }))
    .await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn carts_of_many_products_with_cancels_and_expiries_between_sell_what_is_there() {
    const PRODUCTS: usize = 50;
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let mut products = Vec::new();
    for n in 0..PRODUCTS {
        let product = serde_json::json!({ "name": format!("Thing {n}"), "price": 100 + n, "stock": 3 });
        products.push(admin.post("/products", &product).await.expect(201));
    }
    let crowd = shop.crowd(40).await;
    let outcomes = join_all(crowd.iter().enumerate().map(async |(n, shopper)| {
        // Each wants some of the same few, in an order and a quantity of its own.
        for k in 0..4 {
            let product = &products[(n * 7 + k * 13) % PRODUCTS];
            shopper.put_in_cart(product, i64::try_from(1 + (n + k) % 2).expect("few")).await;
        }
        let reply = shopper.check_out().await;
        if reply.status == 409 {
            return "refused";
        }
        let order = reply.expect(201);
        match n % 3 {
            0 => {
                shopper.cancel(&order).await.expect(202);
                shopper.wait_for(&order, "canceled").await;
                "canceled"
            }
            1 => {
                shop.expire(&order).await;
                shopper.wait_for(&order, "canceled").await;
                "expired"
            }
            _ => {
                shop.pay(shopper, &order).await;
                "paid"
            }
        }
    }))
    .await;
    for outcome in ["canceled", "expired", "paid"] {
        assert!(outcomes.contains(&outcome), "{outcomes:?}");
    }
    shop.settle().await;
    assert_eq!(shop.count("SELECT sum(reserved)::bigint FROM products").await, 0);
    let sold = "SELECT coalesce(sum(quantity), 0)::bigint FROM order_items WHERE reservation = 'consumed'";
    let left = shop.count("SELECT sum(stock)::bigint FROM products").await;
    assert_eq!(shop.count(sold).await + left, 150);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(shop.count(deadlocks).await, 0, "carts are locked in one order");
    shop.finish().await;
}
