//! Events on their way to the shop.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Stripe, Target, until};
use dev::stripe::SimulatorOptions;

const SECRET: &str = "whsec_simulator";

async fn with_target(refuse: u32) -> (Stripe, Target) {
    let target = Target::start(refuse).await;
    let options = SimulatorOptions { webhook_target: Some(target.url.clone()), ..SimulatorOptions::default() };
    (Stripe::start_with(options).await, target)
}

async fn undelivered(stripe: &Stripe) -> usize {
    stripe.get("/v1/events?delivery_success=false").await.body["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_event_is_signed_and_sent_again_until_it_is_taken() {
    let (stripe, target) = with_target(2).await;
    stripe.intent().await;
    assert_eq!(undelivered(&stripe).await, 1);
    let received = target.received(3).await;
    let now = chrono::Utc::now().timestamp();
    for one in &received {
        let signed_at = one.verified(SECRET).expect("each try is signed");
        assert!((now - signed_at).abs() < 30);
        assert!(one.verified("whsec_other").is_none());
    }
    assert_eq!(received.iter().map(|one| one.taken).collect::<Vec<_>>(), [false, false, true]);
    let event = received[2].event();
    assert_eq!((&event["type"], &event["object"]), (&json!("payment_intent.created"), &json!("event")));
    assert_eq!(event["data"]["object"]["metadata"]["order_id"], "o-1");
    assert_eq!(event["pending_webhooks"], 1);
    until(async || (undelivered(&stripe).await == 0).then_some(())).await;
    let told = stripe.get("/v1/events?delivery_success=true").await.body;
    assert_eq!(told["data"][0]["pending_webhooks"], 0);
}

#[tokio::test]
async fn a_target_that_is_down_gets_its_events_when_it_is_up() {
    let stripe = Stripe::start().await;
    stripe.simulator.set_webhook_target(Some("http://127.0.0.1:9/nobody".parse().unwrap()));
    stripe.pay("pm_card_visa").await;
    let target = Target::start(0).await;
    stripe.simulator.set_webhook_target(Some(target.url.clone()));
    let mut types: Vec<String> =
        target.received(3).await.iter().map(|one| one.event()["type"].as_str().unwrap().to_owned()).collect();
    types.sort();
    assert_eq!(types, ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]);
}

#[tokio::test]
async fn held_events_are_released_in_the_order_asked_for() {
    let (stripe, target) = with_target(0).await;
    stripe.control(Method::PUT, "/webhooks", &json!({ "mode": "hold" })).await;
    stripe.pay("pm_card_visa").await;
    assert!(target.so_far().is_empty());
    stripe.control(Method::POST, "/webhooks/release", &json!({ "reverse": true })).await;
    let types: Vec<_> = target.so_far().iter().map(|one| one.event()["type"].clone()).collect();
    assert_eq!(types, ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]);
    stripe.control(Method::PUT, "/webhooks", &json!({ "mode": "deliver" })).await;
    assert_eq!(undelivered(&stripe).await, 0);
}

#[tokio::test]
async fn lost_events_stay_undelivered_and_pretended_ones_do_not() {
    let (stripe, target) = with_target(0).await;
    stripe.control(Method::PUT, "/webhooks", &json!({ "mode": "drop" })).await;
    stripe.intent().await;
    stripe.control(Method::PUT, "/webhooks", &json!({ "mode": "pretend" })).await;
    stripe.intent().await;
    stripe.control(Method::PUT, "/webhooks", &json!({ "mode": "deliver" })).await;
    stripe.intent().await;
    assert_eq!(target.received(1).await.len(), 1);
    until(async || (undelivered(&stripe).await == 1).then_some(())).await;
}

#[tokio::test]
async fn an_event_can_be_sent_twenty_times_at_once() {
    let (stripe, target) = with_target(0).await;
    stripe.intent().await;
    let event = target.received(1).await[0].event();
    let path = format!("/events/{}/send", event["id"].as_str().unwrap());
    let sent = stripe.control(Method::POST, &path, &json!({ "times": 20 })).await;
    assert_eq!(sent["outcomes"], json!(vec![200; 20]));
    assert_eq!(target.so_far().len(), 21);
}

#[tokio::test]
async fn events_of_any_type_and_any_signature_can_be_sent() {
    let (stripe, target) = with_target(0).await;
    let invented =
        json!({ "type": "invented.happened", "object": { "object": "unheard_of" }, "api_version": "2099-01-01" });
    stripe.control(Method::POST, "/events", &invented).await;
    let event = target.received(1).await[0].event();
    assert_eq!((&event["type"], &event["api_version"]), (&json!("invented.happened"), &json!("2099-01-01")));

    let send = async |forgery| stripe.control(Method::POST, "/webhooks/send", &forgery).await;
    send(json!({ "raw": "{}", "secret": "whsec_wrong" })).await;
    send(json!({ "raw": "{}", "age_seconds": 600 })).await;
    send(json!({ "payload": { "a": 1 }, "signature": "t=1,v1=00" })).await;
    let received = target.so_far();
    assert!(received[1].verified(SECRET).is_none() && received[1].verified("whsec_wrong").is_some());
    assert!(chrono::Utc::now().timestamp() - received[2].verified(SECRET).unwrap() >= 600);
    assert_eq!(received[3].signature, "t=1,v1=00");
    stripe.control(Method::PUT, "/webhooks", &json!({ "secrets": ["whsec_new", "whsec_old"] })).await;
    send(json!({ "raw": "{}" })).await;
    let rolled = &target.so_far()[4];
    assert!(rolled.verified("whsec_new").is_some() && rolled.verified("whsec_old").is_some());
}
