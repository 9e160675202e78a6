//! What goes wrong when it is told to.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Params, Stripe, send};

const PATH: &str = "/v1/payment_intents";
const PARAMS: Params<'_> = &[("amount", "1999"), ("currency", "usd")];

async fn count(stripe: &Stripe) -> usize {
    stripe.get(PATH).await.body["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn faults_meet_the_calls_that_they_name_and_as_many() {
    let stripe = Stripe::start().await;
    let fault = json!({ "method": "POST", "path": "/v1/payment_intents/*/cancel", "skip": 1, "times": 2,
        "answer": { "kind": "status", "status": 503 } });
    stripe.fault(fault).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let id = stripe.intent().await.id();
        statuses.push(stripe.post(&format!("{PATH}/{id}/cancel"), &[]).await.status);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
}

#[tokio::test]
async fn a_reset_before_the_effect_leaves_none_and_one_after_it_leaves_it() {
    let stripe = Stripe::start().await;
    let post = |key: &'static str| stripe.request(Method::POST, PATH).header("Idempotency-Key", key).form(PARAMS);
    stripe.fault(json!({ "method": "POST", "times": 1, "answer": { "kind": "reset" } })).await;
    assert!(post("k1").send().await.is_err());
    assert_eq!(count(&stripe).await, 0);

    stripe.fault(json!({ "method": "POST", "times": 1, "at": "after", "answer": { "kind": "reset" } })).await;
    assert!(post("k2").send().await.is_err());
    assert_eq!(count(&stripe).await, 1);
    let replayed = send(post("k2")).await;
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
    assert_eq!(count(&stripe).await, 1);
}

#[tokio::test]
async fn answers_can_be_a_proxys_page_half_a_json_or_none() {
    let stripe = Stripe::start().await;
    stripe.fault(json!({ "times": 1, "answer": { "kind": "html", "status": 502 } })).await;
    let page = stripe.get(PATH).await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (502, "text/html"));

    stripe.fault(json!({ "method": "POST", "times": 1, "answer": { "kind": "truncated" } })).await;
    let half = stripe.post_under("k1", PATH, PARAMS).await;
    assert!(half.status == 200 && half.body.as_str().unwrap().starts_with('{'), "no whole JSON: {half:?}");
    assert_eq!(stripe.post_under("k1", PATH, PARAMS).await.headers["idempotent-replayed"], "true");

    stripe.fault(json!({ "times": 1, "answer": { "kind": "cut" } })).await;
    let cut = stripe.request(Method::GET, PATH).send().await.unwrap();
    assert!(cut.bytes().await.is_err());

    let fault = stripe.fault(json!({ "answer": { "kind": "hang" } })).await;
    let waiting = stripe.request(Method::GET, PATH).timeout(Duration::from_millis(100)).send().await;
    assert!(waiting.unwrap_err().is_timeout());
    stripe.control(Method::DELETE, &format!("/faults/{fault}"), &json!({})).await;
    assert_eq!(stripe.get(PATH).await.status, 200);

    stripe.fault(json!({ "times": 1, "answer": { "kind": "status", "status": 401 } })).await;
    assert_eq!(stripe.get(PATH).await.status, 401);
}

#[tokio::test]
async fn a_call_is_held_after_its_effect_even_if_its_caller_goes_away() {
    let stripe = Stripe::start().await;
    let fault = stripe.fault(json!({ "method": "POST", "at": "after", "hold": true })).await;
    let call = stripe.request(Method::POST, PATH).header("Idempotency-Key", "k1").form(PARAMS);
    let calling = tokio::spawn(call.send());
    let held = stripe.control(Method::GET, &format!("/faults/{fault}/held?count=1"), &json!({})).await;
    assert_eq!((&held[0]["method"], held.as_array().unwrap().len()), (&json!("POST"), 1));
    assert_eq!(count(&stripe).await, 1);
    calling.abort();
    stripe.control(Method::DELETE, &format!("/faults/{fault}"), &json!({})).await;
    assert_eq!(stripe.post_under("k1", PATH, PARAMS).await.headers["idempotent-replayed"], "true");
}

#[tokio::test]
async fn a_reset_of_the_simulator_forgets_everything() {
    let stripe = Stripe::start().await;
    stripe.pay("pm_card_visa").await;
    stripe.fault(json!({ "answer": { "kind": "status", "status": 500 } })).await;
    stripe.control(Method::POST, "/reset", &json!({})).await;
    assert_eq!(count(&stripe).await, 0);
    assert!(stripe.event_types().await.is_empty());
}
