//! Sold more than there was.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{Shop, text};

/// [vendurehq/vendure#3508](https://github.com/vendurehq/vendure/issues/3508): two shoppers checked out the last unit at the same time;
/// both passed the check before either had reserved it.
#[tokio::test]
async fn the_last_unit_was_sold_to_everybody_who_checked_out_at_once() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let crowd = shop.crowd(8).await;
    join_all(crowd.iter().map(async |shopper| shopper.put_in_cart(&product, 1).await.expect(201))).await;
    let replies = join_all(crowd.iter().map(async |shopper| shopper.check_out().await)).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    for reply in replies.into_iter().filter(|reply| reply.status != 201) {
        reply.problem(409, "insufficient_stock");
    }
    assert_eq!(shop.stock(&product).await, (1, 0));
    shop.finish().await;
}

/// [vendurehq/vendure#1738](https://github.com/vendurehq/vendure/issues/1738): what had been put into a cart before it was sold out could
/// be bought all the same, and the stock fell below zero.
#[tokio::test]
async fn what_lay_in_a_cart_was_bought_after_it_was_sold_out() {
    let shop = Shop::start().await;
    let product = shop.product(500, 20).await;
    let (early, late) = (shop.shopper().await, shop.shopper().await);
    early.put_in_cart(&product, 5).await.expect(201);
    shop.paid_order(&late, &product, 20).await;
    shop.settle().await;
    let refused = early.check_out().await.problem(409, "insufficient_stock");
    assert_eq!(refused["lines"][0]["available"], 0);
    assert_eq!(early.get("/cart").await.expect(200)["items"][0]["problem"], "out_of_stock");
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

/// [medusajs/medusa#16502](https://github.com/medusajs/medusa/issues/16502): a cart had two lines of one item. Each passed the check
/// alone, and only their sum was more than there was.
#[tokio::test]
async fn two_lines_of_one_item_were_each_checked_alone() {
    let shop = Shop::start().await;
    let product = shop.product(500, 120).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 115).await.expect(201);
    let refused = shopper.put_in_cart(&product, 12).await.problem(409, "insufficient_stock");
    assert_eq!(refused["available"], 120);
    // However it got there, a cart has one line of a product, and checkout sees all of it.
    let cart = shopper.get("/cart").await.expect(200);
    assert_eq!((cart["items"].as_array().map(Vec::len), &cart["items"][0]["quantity"]), (Some(1), &json!(115)));
    let half = join_all((0..2).map(|_| shopper.put_in_cart(&product, 5))).await;
    assert_eq!(half.iter().filter(|reply| reply.status == 201).count(), 1);
    shop.database.run("UPDATE cart_items SET quantity = 127").await;
    let refused = shopper.check_out().await.problem(409, "insufficient_stock");
    assert_eq!((&refused["lines"][0]["requested"], &refused["lines"][0]["available"]), (&json!(127), &json!(120)));
    assert_eq!(shop.stock(&product).await, (120, 120));
    shop.finish().await;
}

/// [woocommerce/woocommerce#67354](https://github.com/woocommerce/woocommerce/issues/67354): a shopper came back to the checkout with
/// unpaid orders that held the last units, and was told that there were none, until the hold was over days later.
#[tokio::test]
async fn a_shopper_was_kept_from_buying_by_what_their_own_orders_held() {
    let shop = Shop::start().await;
    let product = shop.product(500, 2).await;
    let shopper = shop.shopper().await;
    let first = shop.order(&shopper, &product, 1).await;
    let second = shop.order(&shopper, &product, 1).await;
    shop.database.run("UPDATE products SET stock = stock + 1").await; // for the cart to take it
    shopper.put_in_cart(&product, 1).await.expect(201);
    shop.database.run("UPDATE products SET stock = stock - 1").await;
    let refused = shopper.check_out().await.problem(409, "insufficient_stock");
    assert_eq!(refused["lines"][0]["held_by_your_orders"], 2);
    let mut own: Vec<_> = refused["orders"].as_array().expect("a list").iter().map(|o| text(&o["id"])).collect();
    own.sort_unstable();
    assert_eq!(own, [text(&first["id"]), text(&second["id"])]);
    // Each can be paid, or given up at once: its line is back in the cart, and can be bought.
    shopper.cancel(&first).await.expect(202);
    shopper.wait_for(&first, "canceled").await;
    shop.pay(&shopper, &second).await;
    let cart = shopper.get("/cart").await.expect(200);
    let line = text(&cart["items"][0]["id"]);
    shopper.put(&format!("/cart/items/{line}"), &json!({ "quantity": 1 })).await.expect(200);
    let order = shopper.check_out().await.expect(201);
    shop.pay(&shopper, &order).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}
