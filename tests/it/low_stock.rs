//! The operator is told of products of which few are left: once, whichever way they became few.

use serde_json::json;

use crate::harness::{Shop, text};

const OPERATOR: &str = "ops@kassa.example";
const TOLD_OF_FEW: &str = "SELECT count(*) FROM emails WHERE kind = 'low_stock'";

#[tokio::test]
async fn an_operator_is_told_of_low_stock_once_each_time_it_is_reached() {
    let settings = [("OPERATOR_EMAIL", "Ops <ops@kassa.example>"), ("LOW_STOCK_THRESHOLD", "3")];
    let shop = Shop::with(&settings).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 6).await;
    let buy = async |quantity| {
        shop.paid_order(&shopper, &product, quantity).await;
        shop.settle().await;
    };
    buy(2).await;
    assert_eq!(shop.count(TOLD_OF_FEW).await, 0, "4 are enough");
    buy(1).await;
    let (subject, body) = shop.mails(OPERATOR, 1).await.remove(0);
    assert_eq!(subject, format!("Kassa: 3 left of {}", text(&product["name"])));
    assert!(body.contains("there are 3 left in stock; 3 can still be bought."), "{body}");
    buy(1).await;
    assert_eq!(shop.mails(OPERATOR, 1).await.len(), 1, "few are few");
    // More come in, and are sold.
    let path = format!("/products/{}", text(&product["id"]));
    let now = admin.get(&path).await;
    let etag = now.header("etag").to_owned();
    let mut more = now.expect(200);
    more["stock"] = json!(5);
    admin.call(reqwest::Method::PUT, &path, Some(&more), &[("if-match", &etag)]).await.expect(200);
    buy(4).await;
    assert_eq!(shop.mails(OPERATOR, 2).await[1].0, format!("Kassa: 1 left of {}", text(&product["name"])));
    shop.finish().await;
}

/// A shop that books no sale until it is told to.
async fn patient() -> Shop {
    let shop = Shop::with(&[("OPERATOR_EMAIL", OPERATOR), ("LOW_STOCK_THRESHOLD", "3")]).await;
    shop.hold_back_sales().await;
    shop
}

#[tokio::test]
async fn few_are_told_of_where_a_refund_was_faster_than_the_sale() {
    let shop = patient().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 6).await;
    let order = shop.paid_order(&shopper, &product, 5).await;
    let restock = json!([{ "order_item_id": order["items"][0]["id"], "quantity": 1 }]);
    admin.refund(&order, &json!({ "amount": 500, "restock": restock })).await.expect(202);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    shop.sell().await;
    shop.settle().await;
    assert_eq!(shop.mails(OPERATOR, 1).await[0].0, format!("Kassa: 2 left of {}", text(&product["name"])));
    shop.paid_order(&shopper, &product, 2).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    assert_eq!(shop.count(TOLD_OF_FEW).await, 1, "few are few");
    shop.finish().await;
}

#[tokio::test]
async fn few_are_told_of_where_all_was_given_back_before_the_sale() {
    let shop = patient().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 6).await;
    let order = shop.paid_order(&shopper, &product, 4).await;
    admin.refund(&order, &json!({})).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    shop.sell().await;
    shop.settle().await;
    assert_eq!(shop.mails(OPERATOR, 1).await[0].0, format!("Kassa: 2 left of {}", text(&product["name"])));
    assert_eq!(shop.count(TOLD_OF_FEW).await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn of_many_sales_at_once_one_reaches_low_stock() {
    let shop = Shop::with(&[("OPERATOR_EMAIL", OPERATOR), ("LOW_STOCK_THRESHOLD", "5")]).await;
    let product = shop.product(500, 12).await;
    let crowd = shop.crowd(10).await;
    futures::future::join_all(crowd.iter().map(|shopper| shop.paid_order(shopper, &product, 1))).await;
    shop.settle().await;
    assert_eq!(shop.count(TOLD_OF_FEW).await, 1);
    assert_eq!(shop.stock(&product).await, (2, 2));
    shop.finish().await;
}

#[tokio::test]
async fn where_no_operator_is_named_nobody_is_told_of_low_stock() {
    let shop = Shop::start().await;
    shop.paid_order(&shop.shopper().await, &shop.product(500, 1).await, 1).await;
    shop.settle().await;
    assert_eq!(shop.count(TOLD_OF_FEW).await, 0);
    shop.finish().await;
}
