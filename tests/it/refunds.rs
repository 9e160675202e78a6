//! Money that goes back: asked for once, made once, and booked whoever made it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, text};

/// A shop with a product of 500, its admin, a shopper and their paid order of so many units.
async fn paid(settings: &[(&str, &str)], quantity: i64) -> (Shop, Client, Client, Value, Value) {
    let shop = Shop::with(settings).await;
    let product = shop.product(500, 10).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &product, quantity).await;
    shop.settle().await;
    (shop, admin, shopper, product, order)
}

#[tokio::test]
async fn a_full_refund_gives_all_back_and_restocks_only_what_it_names() {
    let (shop, admin, shopper, product, order) = paid(&[], 3).await;
    let restock =
        json!({ "restock": [{ "order_item_id": order["items"][0]["id"], "quantity": 2 }], "reason": "too small" });
    let asked = admin.refund(&order, &restock).await.expect(202);
    assert_eq!((&asked["refunds"][0]["amount"], &asked["refunds"][0]["origin"]), (&json!(1500), &json!("operator")));
    let refunded = shopper.wait_for(&order, "refunded").await;
    assert_eq!(refunded["refunded_total"], 1500);
    assert_eq!(shop.stock(&product).await, (9, 9));
    let [refund] = &shop.refunds_at_stripe(&order).await[..] else { panic!("there is one refund") };
    assert_eq!((&refund["amount"], &refund["status"]), (&json!(1500), &json!("succeeded")));
    assert_eq!(refund["metadata"]["refund_id"], asked["refunds"][0]["id"]);
    admin.refund(&order, &json!({ "amount": 1 })).await.problem(409, "refund_too_large");
    shop.finish().await;
}

#[tokio::test]
async fn partial_refunds_add_up_to_what_was_paid_and_no_more() {
    let (shop, admin, shopper, product, order) = paid(&[], 2).await;
    admin.refund(&order, &json!({ "amount": 400 })).await.expect(202);
    let too_large = admin.refund(&order, &json!({ "amount": 601 })).await;
    assert_eq!(too_large.body["refundable"], 600);
    too_large.problem(409, "refund_too_large");
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    let partly = shopper.see(&order).await;
    assert_eq!((&partly["status"], &partly["refunded_total"]), (&json!("paid"), &json!(400)));
    admin.refund(&order, &json!({})).await.expect(202);
    let refunded = shopper.wait_for(&order, "refunded").await;
    assert_eq!(refunded["refunded_total"], 1000);
    assert_eq!(shop.stock(&product).await, (8, 8), "nothing was named as coming back");
    shop.finish().await;
}

#[tokio::test]
async fn two_admins_at_once_refund_no_more_than_was_received() {
    let (shop, admin, shopper, _, order) = paid(&[], 2).await;
    let other = shop.admin().await;
    let all = json!({ "amount": 700 });
    let mut answers = Vec::new();
    for _ in 0..4 {
        let (one, two) = tokio::join!(admin.refund(&order, &all), other.refund(&order, &all));
        answers.extend([one.status, two.status]);
    }
    answers.sort_unstable();
    assert_eq!(answers, [202, 409, 409, 409, 409, 409, 409, 409]);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    assert_eq!(shopper.see(&order).await["refunded_total"], 700);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_needs_a_key_under_which_it_is_made_once() {
    let (shop, admin, shopper, _, order) = paid(&[], 2).await;
    let path = format!("/admin/orders/{}/refund", text(&order["id"]));
    admin.post(&path, &json!({ "amount": 100 })).await.problem(400, "idempotency_key_required");
    let part = json!({ "amount": 100 });
    let (one, two) = tokio::join!(admin.refund_under("k", &order, &part), admin.refund_under("k", &order, &part));
    let replayed = [&one, &two].map(|r| r.headers.contains_key("idempotency-replayed"));
    assert_eq!((one.status, two.status, replayed[0] ^ replayed[1]), (202, 202, true));
    admin.refund_under("k", &order, &json!({ "amount": 200 })).await.problem(422, "idempotency_key_reused");
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    assert_eq!(shop.refunds_at_stripe(&order).await.len(), 1);
    assert_eq!(shopper.see(&order).await["refunded_total"], 100);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_is_refused_with_what_is_wrong_about_it() {
    let (shop, admin, shopper, product, order) = paid(&[], 1).await;
    let item = &order["items"][0]["id"];
    let elsewhere = json!("01890000-0000-7000-8000-000000000000");
    for (body, pointer) in [
        (json!({ "amount": 0 }), "/amount"),
        (json!({ "amount": -5 }), "/amount"),
        (json!({ "reason": "x".repeat(501) }), "/reason"),
        (json!({ "reason": " \n" }), "/reason"),
        (json!({ "restock": [{ "order_item_id": item, "quantity": 0 }] }), "/restock/0/quantity"),
        (
            json!({ "restock": [{ "order_item_id": item, "quantity": 1 }, { "order_item_id": item, "quantity": 1 }] }),
            "/restock/1/order_item_id",
        ),
        (json!({ "restock": [{ "order_item_id": elsewhere, "quantity": 1 }] }), "/restock"),
    ] {
        let refused = admin.refund(&order, &body).await;
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
        refused.problem(422, "validation_failed");
    }
    let too_many = json!({ "restock": [{ "order_item_id": item, "quantity": 2 }] });
    admin.refund(&order, &too_many).await.problem(409, "restock_too_large");
    shopper.refund(&order, &json!({})).await.problem(403, "forbidden");
    shop.visitor().refund(&order, &json!({})).await.problem(401, "unauthenticated");
    admin.refund(&json!({ "id": elsewhere }), &json!({})).await.problem(404, "not_found");
    let unpaid = shop.order(&shop.shopper().await, &product, 1).await;
    admin.refund(&unpaid, &json!({})).await.problem(409, "refund_too_large");
    assert_eq!(shop.count("SELECT count(*) FROM refunds").await, 0);
    assert_eq!(shop.stock(&product).await, (9, 8));
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_made_in_stripes_dashboard_is_booked_like_our_own() {
    let (shop, admin, shopper, _, order) = paid(&[], 1).await;
    shop.refund_at_stripe(&order, 200).await;
    let order = admin.wait_for_refunds(&order, &["succeeded"]).await;
    assert_eq!((&order["refunds"][0]["origin"], &order["refunded_total"]), (&json!("stripe"), &json!(200)));
    shop.refund_at_stripe(&order, 300).await;
    assert_eq!(shopper.wait_for(&order, "refunded").await["refunded_total"], 500);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_is_told_of_before_the_payment_is_booked_all_the_same() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shop.refund_at_stripe(&order, 500).await;
    shop.control().post("/webhooks/release", &json!({ "reverse": true })).await.expect(200);
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    shopper.wait_for(&order, "refunded").await;
    shop.settle().await;
    let order = admin.inspect(&order).await;
    assert_eq!((&order["status"], &order["refunded_total"]), (&json!("refunded"), &json!(500)));
    assert_eq!(shop.stock(&product).await, (9, 9), "what is not named as coming back has gone");
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_takes_its_time_is_under_way_until_stripe_says_otherwise() {
    let (shop, admin, shopper, _, order) = paid(&[], 1).await;
    shop.control().put("/settings", &json!({ "refunds": "pending" })).await.expect(200);
    admin.refund(&order, &json!({})).await.expect(202);
    let refund = eventually("Stripe knows of it", async || {
        let refund = admin.inspect(&order).await["refunds"][0].clone();
        (!refund["stripe_refund_id"].is_null()).then_some(refund)
    })
    .await;
    assert_eq!(refund["status"], "pending");
    assert_eq!(shopper.see(&order).await["refunded_total"], 0);
    admin.refund(&order, &json!({ "amount": 1 })).await.problem(409, "refund_too_large");
    let steer = format!("/refunds/{}", text(&refund["stripe_refund_id"]));
    shop.control().post(&steer, &json!({ "status": "requires_action" })).await.expect(200);
    admin.wait_for_refunds(&order, &["requires_action"]).await;
    shop.control().post(&steer, &json!({ "status": "succeeded" })).await.expect(200);
    shopper.wait_for(&order, "refunded").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_fails_after_it_succeeded_brings_its_order_into_review() {
    let (shop, admin, shopper, _, order) = paid(&[], 2).await;
    admin.refund(&order, &json!({ "amount": 400 })).await.expect(202);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    admin.refund(&order, &json!({})).await.expect(202);
    shopper.wait_for(&order, "refunded").await;
    let refunds = admin.inspect(&order).await["refunds"].clone();
    let fail = |n: usize| format!("/refunds/{}", text(&refunds[n]["stripe_refund_id"]));
    shop.control().post(&fail(1), &json!({ "status": "failed" })).await.expect(200);
    let order = shopper.wait_for(&order, "payment_review").await;
    assert_eq!(order["refunded_total"], 400);
    let order = admin.inspect(&order).await;
    assert_eq!(order["review_reason"], "refund_failed");
    assert_eq!(order["refunds"][1]["failure_reason"], "expired_or_canceled_card");
    // It waits for somebody, who asks for the rest again.
    admin.accept(&order).await.problem(409, "not_acceptable");
    admin.refund(&order, &json!({})).await.expect(202);
    assert_eq!(shopper.wait_for(&order, "refunded").await["refunded_total"], 1000);
    shop.finish().await;
}

#[tokio::test]
async fn a_partial_refund_that_fails_lowers_the_total_and_moves_nothing() {
    let (shop, admin, shopper, _, order) = paid(&[], 2).await;
    admin.refund(&order, &json!({ "amount": 400 })).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["succeeded"]).await;
    let path = format!("/refunds/{}", text(&seen["refunds"][0]["stripe_refund_id"]));
    shop.control().post(&path, &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(&order, &["failed"]).await;
    let order = shopper.see(&order).await;
    assert_eq!((&order["status"], &order["refunded_total"]), (&json!("paid"), &json!(0)));
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_whose_key_stripe_may_have_forgotten_is_looked_for_before_it_is_made_again() {
    let (shop, admin, shopper, _, order) = paid(&[], 1).await;
    // Stripe makes it, nobody hears of it, and a day goes by in which the events are lost as well.
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    let lost = json!({ "method": "POST", "path": "/v1/refunds", "at": "after", "answer": { "kind": "reset" } });
    let lost = shop.inject(&lost).await;
    admin.refund(&order, &json!({})).await.expect(202);
    eventually("it was tried", async || (shop.refunds_at_stripe(&order).await.len() == 1).then_some(())).await;
    shop.database.run("UPDATE refunds SET created_at = created_at - interval '23.5 hours'").await;
    shop.control().delete("/idempotency_keys").await;
    shop.relieve(&lost).await;
    shopper.wait_for(&order, "refunded").await;
    assert_eq!(shop.refunds_at_stripe(&order).await.len(), 1);
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_stripe_refuses_ends_with_its_reason() {
    let (shop, admin, shopper, _, order) = paid(&[], 2).await;
    // Somebody at Stripe was faster, and nobody has told us.
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.refund_at_stripe(&order, 1000).await;
    admin.refund(&order, &json!({})).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["failed"]).await;
    assert!(text(&seen["refunds"][0]["failure_reason"]).contains("charge_already_refunded"), "{seen}");
    assert_eq!(seen["status"], "paid");
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shopper.wait_for(&order, "refunded").await;
    let order = admin.inspect(&order).await;
    assert_eq!(order["refunds"].as_array().map(Vec::len), Some(2));
    shop.finish().await;
}

#[tokio::test]
async fn a_stripe_that_is_down_delays_a_refund_and_loses_none() {
    let (shop, admin, shopper, _, order) = paid(&[], 1).await;
    let down = shop.inject(&json!({ "path": "/v1/refunds*", "answer": { "kind": "status", "status": 401 } })).await;
    admin.refund(&order, &json!({})).await.expect(202);
    let failed = "SELECT count(*) FROM jobs WHERE job_type = 'payment.refund' AND failures > 0";
    eventually("it was tried", async || (shop.count(failed).await > 0).then_some(())).await;
    assert_eq!(admin.inspect(&order).await["refunds"][0]["status"], "pending");
    shop.relieve(&down).await;
    shopper.wait_for(&order, "refunded").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_of_an_order_that_is_not_there_for_its_caller_tells_nothing() {
    let (shop, _, shopper, _, order) = paid(&[], 1).await;
    let path = format!("/admin/orders/{}", text(&order["id"]));
    shopper.get(&path).await.problem(403, "forbidden");
    shop.visitor().call(Method::GET, &path, None, &[]).await.problem(401, "unauthenticated");
    let admin = shop.admin().await;
    let seen = admin.inspect(&order).await;
    assert_eq!(seen["user"]["email"], shopper.email);
    assert_eq!(seen["payment"]["client_secret"], Value::Null, "it is the owner's alone");
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_failed_is_counted_until_it_is_asked_for_again_or_dismissed() {
    let (shop, admin, _, _, order) = paid(&[], 2).await;
    let told = async |labels: &str, count: i64| {
        let line = format!("{labels} {count}");
        eventually(&line, async || {
            let [_, worker] = shop.operations();
            worker.get("/metrics").await.raw.lines().any(|read| read == line).then_some(())
        })
        .await;
    };
    let waits = "kassa_refunds_unsettled{status=\"failed\"}";
    told(waits, 0).await;
    let fault = shop.refuse_refunds().await;
    admin.refund(&order, &json!({ "amount": 100 })).await.expect(202);
    admin.wait_for_refunds(&order, &["failed"]).await;
    told("kassa_refunds_total{origin=\"operator\",status=\"failed\"}", 1).await;
    told(waits, 1).await;
    shop.relieve(&fault).await;
    admin.refund(&order, &json!({ "amount": 100 })).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["failed", "succeeded"]).await;
    told(waits, 0).await;

    // The bank sends the second one back: both wait again, until somebody says that they don't.
    let path = format!("/refunds/{}", text(&seen["refunds"][1]["stripe_refund_id"]));
    shop.control().post(&path, &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(&order, &["failed", "failed"]).await;
    told(waits, 2).await;
    for (at, left) in [(0, 1), (1, 0)] {
        let id = text(&seen["refunds"][at]["id"]);
        assert_eq!(shop.database.kassa(&["order", "dismiss-refund", id]).await.code, 0);
        told(waits, left).await;
        assert_eq!(shop.database.kassa(&["order", "dismiss-refund", id]).await.code, 2, "once");
    }
    assert_eq!(shop.count("SELECT count(*) FROM audit_log WHERE action = 'order.refund_dismissed'").await, 2);
    assert_eq!(admin.inspect(&order).await["refunds"].as_array().map(Vec::len), Some(2));
    shop.finish().await;
}
