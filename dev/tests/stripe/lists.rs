//! Lists and their cursors.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Stripe;

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_are_newest_first_and_can_be_walked_both_ways() {
    let stripe = Stripe::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.insert(0, stripe.intent().await.id());
    }
    let first = stripe.get("/v1/payment_intents?limit=2").await.body;
    assert_eq!(
        (&first["object"], &first["has_more"], &first["url"]),
        (&json!("list"), &json!(true), &json!("/v1/payment_intents"))
    );
    assert_eq!(ids(&first), made[..2]);
    let next = stripe.get(&format!("/v1/payment_intents?limit=3&starting_after={}", made[1])).await.body;
    assert_eq!((ids(&next).as_slice(), &next["has_more"]), (&made[2..], &json!(false)));
    let back = stripe.get(&format!("/v1/payment_intents?limit=2&ending_before={}", made[3])).await.body;
    assert_eq!((ids(&back).as_slice(), &back["has_more"]), (&made[1..3], &json!(true)));
    assert_eq!(ids(&stripe.get("/v1/payment_intents?customer=cus_1").await.body).len(), 0);
    assert_eq!(stripe.get("/v1/payment_intents?limit=101").await.error("param"), "limit");
    assert_eq!(stripe.get("/v1/payment_intents?starting_after=pi_nope").await.error("code"), "resource_missing");
}

#[tokio::test]
async fn lists_can_be_narrowed_to_a_time() {
    let stripe = Stripe::start().await;
    let old = stripe.intent().await;
    stripe.control(Method::POST, "/clock", &json!({ "shift_ms": 3_600_000 })).await;
    let new = stripe.intent().await;
    let between = old.body["created"].as_i64().unwrap() + 60;
    let since = stripe.get(&format!("/v1/payment_intents?created[gte]={between}")).await.body;
    assert_eq!(ids(&since), [new.id()]);
    let before = stripe.get(&format!("/v1/payment_intents?created[lt]={between}")).await.body;
    assert_eq!(ids(&before), [old.id()]);
    let exactly = stripe.get(&format!("/v1/payment_intents?created={}", new.body["created"])).await.body;
    assert_eq!(ids(&exactly), [new.id()]);
}

#[tokio::test]
async fn events_are_listed_by_type() {
    let stripe = Stripe::start().await;
    stripe.pay("pm_card_visa").await;
    let one = stripe.get("/v1/events?type=charge.succeeded").await.body;
    assert_eq!(one["data"][0]["data"]["object"]["object"], "charge");
    let event = one["data"][0]["id"].as_str().unwrap();
    assert_eq!(stripe.get(&format!("/v1/events/{event}")).await.body, one["data"][0]);
    assert_eq!(ids(&stripe.get("/v1/events?type=payment_intent.*").await.body).len(), 2);
    let two = stripe.get("/v1/events?types[]=charge.succeeded&types[]=payment_intent.created").await.body;
    assert_eq!(ids(&two).len(), 2);
    stripe.control(Method::POST, "/clock", &json!({ "shift_ms": 31_i64 * 24 * 3_600_000 })).await;
    assert_eq!(ids(&stripe.get("/v1/events").await.body).len(), 0, "they are listed for 30 days");
}

#[tokio::test]
async fn what_refers_to_an_object_can_be_expanded() {
    let stripe = Stripe::start().await;
    let paid = stripe.pay("pm_card_visa").await;
    let refund =
        stripe.post("/v1/refunds", &[("payment_intent", &paid.id()), ("expand[]", "charge.payment_intent")]).await;
    assert_eq!(refund.body["charge"]["payment_intent"]["id"], paid.id());
    let list = stripe.get("/v1/payment_intents?expand[]=data.latest_charge").await.body;
    assert_eq!(list["data"][0]["latest_charge"]["object"], "charge");
    let nonsense = stripe.get(&format!("/v1/payment_intents/{}?expand[]=nonsense", paid.id())).await;
    assert_eq!((nonsense.status, nonsense.error("param")), (400, "expand"));
}
