//! Refunds and disputes.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Stripe};

async fn refund(stripe: &Stripe, intent: &str, amount: Option<&str>) -> Answer {
    let mut params = vec![("payment_intent", intent), ("metadata[refund_id]", "r-1")];
    params.extend(amount.map(|amount| ("amount", amount)));
    stripe.post("/v1/refunds", &params).await
}

#[tokio::test]
async fn a_charge_is_refunded_in_parts_and_never_beyond() {
    let stripe = Stripe::start().await;
    let paid = stripe.pay("pm_card_visa").await;
    let first = refund(&stripe, &paid.id(), Some("1000")).await;
    assert_eq!((&first.body["status"], &first.body["amount"]), (&json!("succeeded"), &json!(1000)));
    assert_eq!(first.body["metadata"]["refund_id"], "r-1");

    let too_much = refund(&stripe, &paid.id(), Some("1000")).await;
    assert_eq!((too_much.status, too_much.error("param")), (400, "amount"));
    assert!(too_much.error("message").contains("greater than unrefunded amount on charge ($9.99)"));

    let rest = refund(&stripe, &paid.id(), None).await;
    assert_eq!(rest.body["amount"], 999);
    let charge = paid.body["latest_charge"].as_str().unwrap();
    let shown = stripe.get(&format!("/v1/charges/{charge}")).await.body;
    assert_eq!((&shown["amount_refunded"], &shown["refunded"]), (&json!(1999), &json!(true)));
    assert_eq!(shown["refunds"]["data"].as_array().unwrap().len(), 2);
    assert_eq!(refund(&stripe, &paid.id(), Some("1")).await.error("code"), "charge_already_refunded");
    let types = stripe.event_types().await;
    assert_eq!(types[3..], ["refund.created", "charge.refunded", "refund.created", "charge.refunded"]);

    let listed = stripe.get(&format!("/v1/refunds?payment_intent={}", paid.id())).await.body;
    assert_eq!(listed["data"][0]["id"], rest.id());
    assert_eq!(listed["data"][1]["id"], first.id());
}

#[tokio::test]
async fn what_was_not_paid_is_not_refunded() {
    let stripe = Stripe::start().await;
    let id = stripe.intent().await.id();
    assert_eq!(refund(&stripe, &id, None).await.error("code"), "payment_intent_unexpected_state");
    assert_eq!(refund(&stripe, "pi_unknown", None).await.error("code"), "resource_missing");
    assert_eq!(stripe.post("/v1/refunds", &[]).await.error("code"), "parameter_missing");
}

#[tokio::test]
async fn a_pending_refund_settles_and_a_failing_one_gives_the_money_back() {
    let stripe = Stripe::start().await;
    stripe.control(Method::PUT, "/settings", &json!({ "refund_ms": 3_600_000 })).await;
    let paid = stripe.pay("pm_card_pendingRefund").await;
    let pending = refund(&stripe, &paid.id(), None).await;
    assert_eq!(pending.body["status"], "pending");
    stripe.control(Method::POST, "/clock", &json!({ "shift_ms": 3_600_000 })).await;
    let path = format!("/v1/refunds/{}", pending.id());
    crate::harness::until(async || (stripe.get(&path).await.body["status"] == "succeeded").then_some(())).await;

    let failed =
        stripe.control(Method::POST, &format!("/refunds/{}", pending.id()), &json!({ "status": "failed" })).await;
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("expired_or_canceled_card")));
    let charge = stripe.get(&format!("/v1/charges/{}", paid.body["latest_charge"].as_str().unwrap())).await.body;
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&json!(0), &json!(false)));
    let types = stripe.event_types().await;
    assert!(types.contains(&"refund.updated".to_owned()) && types.contains(&"refund.failed".to_owned()), "{types:?}");
    assert_eq!(refund(&stripe, &paid.id(), None).await.status, 200);
}

#[tokio::test]
async fn refunds_begin_with_the_status_that_was_set() {
    let stripe = Stripe::start().await;
    for status in ["pending", "requires_action", "failed"] {
        stripe.control(Method::PUT, "/settings", &json!({ "refunds": status })).await;
        let paid = stripe.pay("pm_card_visa").await.id();
        assert_eq!(refund(&stripe, &paid, None).await.body["status"], status);
    }
}

#[tokio::test]
async fn an_open_dispute_forbids_refunds_and_a_won_one_does_not() {
    let stripe = Stripe::start().await;
    let paid = stripe.pay("pm_card_createDispute").await;
    assert_eq!(paid.body["status"], "succeeded");
    let disputes = stripe.get(&format!("/v1/disputes?payment_intent={}", paid.id())).await.body;
    let dispute = disputes["data"][0]["id"].as_str().unwrap();
    assert_eq!(disputes["data"][0]["status"], "needs_response");
    assert_eq!(refund(&stripe, &paid.id(), None).await.error("code"), "charge_disputed");

    let won = stripe.control(Method::POST, &format!("/disputes/{dispute}"), &json!({ "status": "won" })).await;
    assert_eq!(won["status"], "won");
    assert_eq!(stripe.event_types().await.last().unwrap(), "charge.dispute.closed");
    assert_eq!(refund(&stripe, &paid.id(), None).await.status, 200);
}

#[tokio::test]
async fn an_inquiry_forbids_nothing_and_a_lost_dispute_does() {
    let stripe = Stripe::start().await;
    let paid = stripe.pay("pm_card_visa").await.id();
    let path = format!("/charges/{paid}/dispute");
    let inquiry = stripe.control(Method::POST, &path, &json!({ "inquiry": true, "reason": "general" })).await;
    assert_eq!(inquiry["status"], "warning_needs_response");
    assert_eq!(refund(&stripe, &paid, Some("100")).await.status, 200);
    let dispute = stripe.control(Method::POST, &path, &json!({})).await;
    let path = format!("/disputes/{}", dispute["id"].as_str().unwrap());
    stripe.control(Method::POST, &path, &json!({ "status": "lost" })).await;
    assert_eq!(refund(&stripe, &paid, Some("100")).await.error("code"), "charge_disputed");
}
