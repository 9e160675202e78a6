//! The goods of a paid order are sent: once, while nothing stands in the way.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{fulfil, fulfil_under, is_for_admins_alone, path};
use crate::{
    admin::acts,
    harness::{Client, Shop, eventually, payment, text},
};

/// An order that is paid, whose units have left the stock.
async fn paid(shop: &Shop) -> (Client, Client, Value) {
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.settle().await;
    (admin, shopper, order)
}

#[tokio::test]
async fn a_paid_order_is_fulfilled_and_its_shopper_told_where_it_is() {
    let shop = Shop::start().await;
    let (admin, shopper, order) = paid(&shop).await;
    let shipment = json!({ "carrier": " DHL ", "tracking_number": "JD014600003828" });
    let seen = fulfil(&admin, &order, &shipment).await.expect(200);
    assert_eq!(seen["status"], "fulfilled");
    assert_eq!(seen["shipment"]["carrier"], "DHL");
    assert_eq!(seen["shipment"]["tracking_number"], "JD014600003828");
    assert_eq!(seen, admin.inspect(&order).await);
    assert_eq!(shopper.see(&order).await["status"], "fulfilled");
    let mails = shop.mails(&shopper.email, 2).await;
    let (subject, text) = &mails[1];
    assert_eq!(subject, &format!("Kassa: your order {} is on its way", order["number"]));
    assert!(text.contains("Carrier: DHL") && text.contains("Tracking number: JD014600003828"), "{text}");
    let after = json!({ "status": "fulfilled", "carrier": "DHL", "tracking_number": "JD014600003828" });
    let object = format!("order:{}", crate::harness::text(&order["id"]));
    let act = ("order.fulfilled".to_owned(), object, json!({ "status": "paid" }), after);
    assert_eq!(acts(&shop, &admin).await, [act]);
    assert!(shop.timeline(&order).await.contains(&"order.fulfilled".to_owned()));
    shop.finish().await;
}

#[tokio::test]
async fn nothing_need_be_known_of_a_shipment() {
    let shop = Shop::start().await;
    let (admin, _, order) = paid(&shop).await;
    let seen = admin.call(Method::POST, &path(&order, "/fulfill"), None, &[]).await.expect(200);
    assert_eq!((&seen["shipment"]["carrier"], &seen["shipment"]["tracking_number"]), (&Value::Null, &Value::Null));
    shop.finish().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_writes_nothing() {
    let shop = Shop::start().await;
    let (admin, shopper, order) = paid(&shop).await;
    is_for_admins_alone(&shop, &shopper, &admin, Method::POST, &order, "/fulfill").await;
    let before = shop.contents().await;
    for (shipment, pointer) in [
        (json!({ "carrier": "" }), "/carrier"),
        (json!({ "carrier": "a\nb" }), "/carrier"),
        (json!({ "tracking_number": "x".repeat(101) }), "/tracking_number"),
        (json!({ "tracking_number": 17 }), "/tracking_number"),
        (json!({ "carier": "DHL" }), "/carier"),
    ] {
        fulfil(&admin, &order, &shipment).await.invalid(pointer);
    }
    let path = path(&order, "/fulfill");
    admin
        .send(Method::POST, &path, "{", &[("content-type", "application/json")])
        .await
        .problem(400, "malformed_request");
    let wrong = [("content-type", "text/plain")];
    admin.send(Method::POST, &path, "{}", &wrong).await.problem(415, "unsupported_media_type");
    assert_eq!(shop.contents().await, before);
    shop.finish().await;
}

#[tokio::test]
async fn a_repeat_under_its_key_is_the_same_and_without_one_is_told_so() {
    let shop = Shop::start().await;
    let (admin, shopper, order) = paid(&shop).await;
    let shipment = json!({ "carrier": "DHL" });
    let first = fulfil_under("sent", &admin, &order, &shipment).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    first.expect(200);
    let again = fulfil_under("sent", &admin, &order, &shipment).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(200)["status"], "fulfilled");
    fulfil_under("sent", &admin, &order, &json!({ "carrier": "UPS" })).await.problem(422, "idempotency_key_reused");
    let refused = fulfil(&admin, &order, &json!({ "carrier": "UPS" })).await.problem(409, "not_fulfillable");
    assert_eq!(refused["order_status"], "fulfilled");
    assert_eq!(admin.inspect(&order).await["shipment"]["carrier"], "DHL");
    shop.settle().await;
    assert_eq!(acts(&shop, &admin).await.len(), 1);
    assert_eq!(shop.mails(&shopper.email, 2).await.len(), 2);
    shop.finish().await;
}

#[tokio::test]
async fn of_many_at_once_one_sends_it() {
    let shop = Shop::start().await;
    let (admin, shopper, order) = paid(&shop).await;
    let shipment = json!({ "carrier": "DHL" });
    let replies = join_all((0..10).map(|_| fulfil(&admin, &order, &shipment))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for refused in replies.into_iter().filter(|reply| reply.status != 200) {
        refused.problem(409, "not_fulfillable");
    }
    let other = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.settle().await;
    let replies = join_all((0..10).map(|_| fulfil_under("one", &admin, &other, &shipment))).await;
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotency-replayed") == "true").count(), 9);
    assert!(replies.iter().all(|reply| reply.status == 200));
    shop.settle().await;
    assert_eq!(acts(&shop, &admin).await.len(), 2);
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE kind = 'shipped' AND status = 'sent'").await, 2);
    shop.finish().await;
}

#[tokio::test]
async fn an_order_that_is_refunded_meanwhile_is_sent_before_or_not_at_all() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 20).await;
    for _ in 0..5 {
        let order = shop.paid_order(&shopper, &product, 1).await;
        shop.settle().await;
        let nothing = json!({});
        let (sent, refunded) = tokio::join!(fulfil(&admin, &order, &nothing), admin.refund(&order, &nothing));
        refunded.expect(202);
        shopper.wait_for(&order, "refunded").await;
        let sent = match sent.status {
            200 => true,
            _ => sent.problem(409, "not_fulfillable").is_null(),
        };
        assert_eq!(admin.inspect(&order).await["shipment"].is_object(), sent);
        assert_eq!(shop.timeline(&order).await.contains(&"order.fulfilled".to_owned()), sent);
    }
    shop.finish().await;
}

#[tokio::test]
async fn nothing_is_sent_of_an_order_that_is_not_paid() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &shop.product(500, 5).await, 1).await;
    let told = fulfil(&admin, &order, &json!({})).await.problem(409, "not_fulfillable");
    assert_eq!(told["order_status"], "awaiting_payment");
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    fulfil(&admin, &order, &json!({})).await.problem(409, "not_fulfillable");
    assert_eq!(shop.count("SELECT count(*) FROM shipments").await, 0);
    assert_eq!(acts(&shop, &admin).await, []);
    shop.finish().await;
}

#[tokio::test]
async fn nothing_is_sent_while_its_units_are_still_in_stock() {
    let shop = Shop::start().await;
    // Paid, as the worker left it before its next job.
    shop.hold_back_sales().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    let told = fulfil(&admin, &order, &json!({})).await.problem(409, "not_fulfillable");
    assert!(text(&told["detail"]).contains("leave the stock"), "{told}");
    shop.sell().await;
    eventually("it is sent", async || (fulfil(&admin, &order, &json!({})).await.status == 200).then_some(())).await;
    shop.finish().await;
}

#[tokio::test]
async fn nothing_is_sent_while_money_goes_back_or_a_dispute_is_open_or_lost() {
    let shop = Shop::start().await;
    let (admin, shopper, order) = paid(&shop).await;
    shop.control().put("/settings", &json!({ "refunds": "pending" })).await.expect(200);
    admin.refund(&order, &json!({ "amount": 100 })).await.expect(202);
    let told = fulfil(&admin, &order, &json!({})).await.problem(409, "not_fulfillable");
    assert!(text(&told["detail"]).contains("on its way back"), "{told}");
    let known = async || admin.inspect(&order).await["refunds"][0]["stripe_refund_id"].as_str().map(str::to_owned);
    let refund = eventually("Stripe knows of the refund", known).await;
    shop.control().post(&format!("/refunds/{refund}"), &json!({ "status": "succeeded" })).await.expect(200);
    admin.wait_for_refunds(&order, &["succeeded"]).await;

    let other = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.settle().await;
    for (order, outcome) in [(&order, "won"), (&other, "lost")] {
        let path = format!("/charges/{}/dispute", payment(order, "intent_id"));
        let opened = shop.control().post(&path, &json!({})).await.expect(200);
        let disputed = async |status: &str| {
            eventually("the dispute is known", async || {
                (admin.inspect(order).await["disputes"][0]["status"] == status).then_some(())
            })
            .await;
        };
        disputed("open").await;
        fulfil(&admin, order, &json!({})).await.problem(409, "disputed");
        let dispute = format!("/disputes/{}", text(&opened["id"]));
        shop.control().post(&dispute, &json!({ "status": outcome })).await.expect(200);
        disputed(outcome).await;
    }
    fulfil(&admin, &order, &json!({})).await.expect(200);
    fulfil(&admin, &other, &json!({})).await.problem(409, "disputed");
    assert_eq!(shop.count("SELECT count(*) FROM shipments").await, 1);
    shop.finish().await;
}

/// Stripe refuses a refund with which so many units of the order's only line came back into the stock.
async fn restock_in_vain(shop: &Shop, admin: &Client, order: &Value, units: i64) -> Value {
    let fault = shop.refuse_refunds().await;
    let restock = json!([{ "order_item_id": order["items"][0]["id"], "quantity": units }]);
    admin.refund(order, &json!({ "amount": 100 * units, "restock": restock })).await.expect(202);
    let seen = admin.wait_for_refunds(order, &["failed"]).await;
    shop.relieve(&fault).await;
    seen
}

#[tokio::test]
async fn a_unit_that_came_back_into_stock_is_sent_to_its_next_buyer_alone_even_where_its_refund_failed() {
    let shop = Shop::start().await;
    let (admin, first, second) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    let product = shop.product(500, 1).await;
    let returned = shop.paid_order(&first, &product, 1).await;
    shop.settle().await;
    let seen = restock_in_vain(&shop, &admin, &returned, 1).await;
    assert_eq!((&seen["status"], &seen["items"][0]["restocked"]), (&json!("paid"), &json!(1)));
    let bought = shop.paid_order(&second, &product, 1).await;
    shop.settle().await;
    let told = fulfil(&admin, &returned, &json!({})).await.problem(409, "not_fulfillable");
    assert!(text(&told["detail"]).contains("came back into the stock"), "{told}");
    assert_eq!(fulfil(&admin, &bought, &json!({})).await.expect(200)["items"][0]["restocked"], 0);
    // Its money can still be given back.
    admin.refund(&returned, &json!({})).await.expect(202);
    first.wait_for(&returned, "refunded").await;
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE kind = 'shipped'").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn what_is_sent_of_an_order_is_what_did_not_come_back() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 3).await;
    shop.settle().await;
    restock_in_vain(&shop, &admin, &order, 1).await;
    let seen = fulfil(&admin, &order, &json!({})).await.expect(200);
    let item = &seen["items"][0];
    assert_eq!((&item["quantity"], &item["restocked"]), (&json!(3), &json!(1)));
    assert_eq!(shopper.see(&order).await["items"][0].get("restocked"), None, "that is the shop's affair");
    assert_eq!(shopper.get("/orders").await.expect(200)["items"][0]["items"][0].get("restocked"), None);
    let mail = shop.mails(&shopper.email, 2).await.remove(1).1;
    let line = format!("2 × {}: 10.00 USD", text(&item["name"]));
    assert!(mail.contains(&line) && mail.contains("Total: 10.00 USD"), "{mail}");
    shop.finish().await;
}

#[tokio::test]
async fn an_order_that_was_sent_and_refunded_in_vain_is_taken_for_paid_and_sent_again_without_another_mail() {
    let shop = Shop::start().await;
    let (admin, shopper, order) = paid(&shop).await;
    fulfil(&admin, &order, &json!({ "carrier": "DHL" })).await.expect(200);
    shop.refund_in_vain(&admin, &shopper, &order).await;
    admin.accept(&order).await.expect(200);
    let seen = fulfil(&admin, &order, &json!({ "tracking_number": "JD01" })).await.expect(200);
    assert_eq!((&seen["shipment"]["carrier"], &seen["shipment"]["tracking_number"]), (&json!("DHL"), &json!("JD01")));
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE kind = 'shipped'").await, 1);
    shop.finish().await;
}
