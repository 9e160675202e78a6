//! An operator cancels somebody's order.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{cancel, is_for_admins_alone, path};
use crate::{
    admin::acts,
    harness::{Shop, text},
};

#[tokio::test]
async fn an_unpaid_order_is_canceled_its_stock_free_and_its_lines_not_in_the_cart() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let order = shop.order(&shopper, &product, 2).await;
    let seen = cancel(&admin, &order).await.expect(202);
    assert!(["canceling", "canceled"].contains(&text(&seen["status"])), "{seen}");
    assert_eq!(seen["cancel_reason"], "operator");
    shopper.wait_for(&order, "canceled").await;
    assert_eq!(shop.stock(&product).await, (5, 5));
    assert_eq!(shopper.get("/cart").await.expect(200)["items"], json!([]), "they don't come back");
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails[0].0.contains("was canceled"), "{mails:?}");

    cancel(&admin, &order).await.expect(202);
    let acts = acts(&shop, &admin).await;
    let (action, object, before, after) = acts.first().expect("it is written down");
    assert_eq!(
        (action.as_str(), object.as_str()),
        ("order.canceled", format!("order:{}", text(&order["id"])).as_str())
    );
    assert_eq!((before, after), (&json!({ "status": "awaiting_payment" }), &json!({ "status": "canceling" })));
    assert_eq!(acts.len(), 1, "what is canceled already is left alone");
    shop.finish().await;
}

#[tokio::test]
async fn a_paid_order_is_not_canceled_and_nobody_else_cancels_for_the_shop() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    is_for_admins_alone(&shop, &shopper, &admin, Method::POST, &order, "/cancel").await;
    let before = shop.contents().await;
    let told = cancel(&admin, &order).await.problem(409, "not_cancelable");
    assert_eq!(told["order_status"], "paid");
    admin.post(&path(&order, "/cancel"), &json!({ "reason": "why not" })).await.invalid("/reason");
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}

#[tokio::test]
async fn a_shopper_and_operators_who_cancel_at_once_cancel_it_once() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let order = shop.order(&shopper, &product, 1).await;
    let (by_shopper, by_admins) =
        tokio::join!(shopper.cancel(&order), join_all((0..5).map(|_| cancel(&admin, &order))));
    by_shopper.expect(202);
    for reply in by_admins {
        reply.expect(202);
    }
    shopper.wait_for(&order, "canceled").await;
    let by_operator = admin.inspect(&order).await["cancel_reason"] == "operator";
    assert_eq!(acts(&shop, &admin).await.len(), usize::from(by_operator));
    let back = shopper.get("/cart").await.expect(200)["items"].as_array().map(Vec::len);
    assert_eq!(back, Some(usize::from(!by_operator)), "they come back at the shopper's wish alone");
    assert_eq!(shop.stock(&product).await, (5, 5));
    shop.finish().await;
}
