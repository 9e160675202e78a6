//! Idempotency keys as Stripe documents them.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Params, Stripe};

const PATH: &str = "/v1/payment_intents";
const PARAMS: Params<'_> = &[("amount", "1999"), ("currency", "usd")];

#[tokio::test]
async fn the_same_call_under_a_key_gets_the_first_answer_again() {
    let stripe = Stripe::start().await;
    let first = stripe.post_under("k1", PATH, PARAMS).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = stripe.post_under("k1", PATH, PARAMS).await;
    assert_eq!(first.body, again.body);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.headers["original-request"], first.headers["request-id"]);
    assert_eq!(stripe.get(PATH).await.body["data"].as_array().unwrap().len(), 1);
    let events = stripe.get("/v1/events").await.body;
    assert_eq!(events["data"][0]["request"], json!({ "id": first.headers["request-id"], "idempotency_key": "k1" }));
}

#[tokio::test]
async fn other_parameters_or_another_endpoint_under_a_key_are_an_error() {
    let stripe = Stripe::start().await;
    let id = stripe.post_under("k1", PATH, PARAMS).await.id();
    let other = stripe.post_under("k1", PATH, &[("amount", "2000"), ("currency", "usd")]).await;
    assert_eq!((other.status, other.error("type")), (400, "idempotency_error"));
    let elsewhere = stripe.post_under("k1", &format!("{PATH}/{id}/cancel"), &[]).await;
    assert_eq!((elsewhere.status, elsewhere.error("type")), (400, "idempotency_error"));
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict() {
    let stripe = Stripe::start().await;
    let fault = stripe.fault(json!({ "method": "POST", "times": 1, "hold": true })).await;
    let held = async { stripe.post_under("k1", PATH, PARAMS).await };
    let meanwhile = async {
        let held = stripe.control(Method::GET, &format!("/faults/{fault}/held"), &json!({})).await;
        assert_eq!(held[0]["path"], PATH);
        let conflict = stripe.post_under("k1", PATH, PARAMS).await;
        assert_eq!((conflict.status, conflict.error("code")), (409, "idempotency_key_in_use"));
        stripe.control(Method::POST, &format!("/faults/{fault}/release"), &json!({})).await;
    };
    let (answer, ()) = tokio::join!(held, meanwhile);
    assert_eq!(answer.status, 200);
    assert_eq!(stripe.post_under("k1", PATH, PARAMS).await.id(), answer.id());
}

#[tokio::test]
async fn a_saved_500_is_replayed_and_a_429_is_not() {
    let stripe = Stripe::start().await;
    stripe.fault(json!({ "times": 1, "answer": { "kind": "status", "status": 500, "saved": true } })).await;
    assert_eq!(stripe.post_under("k1", PATH, PARAMS).await.status, 500);
    let again = stripe.post_under("k1", PATH, PARAMS).await;
    assert_eq!((again.status, again.headers["idempotent-replayed"].as_str()), (500, "true"));
    assert_eq!(again.error("type"), "api_error");
    assert_eq!(stripe.post_under("k2", PATH, PARAMS).await.status, 200);

    stripe.fault(json!({ "times": 1, "answer": { "kind": "status", "status": 429, "retry_after": 3 } })).await;
    let limited = stripe.post_under("k3", PATH, PARAMS).await;
    assert_eq!((limited.status, limited.headers["retry-after"].as_str()), (429, "3"));
    assert_eq!(stripe.post_under("k3", PATH, PARAMS).await.status, 200);
}

#[tokio::test]
async fn a_refused_parameter_leaves_the_key_free_and_a_decline_does_not() {
    let stripe = Stripe::start().await;
    assert_eq!(stripe.post_under("k1", PATH, &[("amount", "1999")]).await.error("code"), "parameter_missing");
    assert_eq!(stripe.post_under("k1", PATH, PARAMS).await.status, 200);

    let id = stripe.intent().await.id();
    let path = format!("{PATH}/{id}/confirm");
    let params = [("payment_method", "pm_card_chargeDeclined"), ("return_url", "https://shop.example")];
    let declined = stripe.post_under("k2", &path, &params).await;
    let again = stripe.post_under("k2", &path, &params).await;
    assert_eq!((again.status, &again.body), (402, &declined.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day_or_when_told() {
    let stripe = Stripe::start().await;
    let first = stripe.post_under("k1", PATH, PARAMS).await.id();
    stripe.control(Method::POST, "/clock", &json!({ "shift_ms": 23 * 3_600_000 })).await;
    assert_eq!(stripe.post_under("k1", PATH, PARAMS).await.id(), first);
    stripe.control(Method::POST, "/clock", &json!({ "shift_ms": 2 * 3_600_000 })).await;
    let second = stripe.post_under("k1", PATH, PARAMS).await.id();
    assert_ne!(second, first);
    stripe.control(Method::DELETE, "/idempotency_keys", &json!({})).await;
    assert_ne!(stripe.post_under("k1", PATH, PARAMS).await.id(), second);
}

#[tokio::test]
async fn a_key_has_at_most_255_characters() {
    let stripe = Stripe::start().await;
    assert_eq!(stripe.post_under(&"k".repeat(255), PATH, PARAMS).await.status, 200);
    assert_eq!(stripe.post_under(&"k".repeat(256), PATH, PARAMS).await.status, 400);
}
