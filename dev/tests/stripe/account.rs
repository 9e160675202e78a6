//! The account, its endpoint, and keys that may not do everything.

use dev::stripe::SimulatorOptions;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Stripe, Target, send};

#[tokio::test]
async fn the_endpoint_is_the_target_of_webhooks_and_takes_what_it_is_set_to() {
    let stripe = Stripe::start().await;
    let list = stripe.get("/v1/webhook_endpoints").await.body;
    assert_eq!((&list["data"], &list["url"]), (&json!([]), &json!("/v1/webhook_endpoints")));

    let target = Target::start(0).await;
    stripe.simulator.set_webhook_target(Some(target.url.clone()));
    let endpoint = stripe.get("/v1/webhook_endpoints?limit=1").await.body["data"][0].clone();
    assert_eq!((&endpoint["url"], &endpoint["status"]), (&json!(target.url.as_str()), &json!("enabled")));
    assert_eq!(endpoint["enabled_events"], json!(["*"]));
    let id = endpoint["id"].as_str().unwrap();
    assert_eq!(stripe.get(&format!("/v1/webhook_endpoints/{id}")).await.body["object"], "webhook_endpoint");
    assert_eq!(stripe.get("/v1/webhook_endpoints/we_other").await.error("code"), "resource_missing");
    for param in ["starting_after", "ending_before"] {
        for list in ["webhook_endpoints", "payment_intents", "refunds", "disputes", "events"] {
            let refused = stripe.get(&format!("/v1/{list}?{param}=xx_other")).await;
            assert_eq!((refused.error("code"), refused.error("param")), ("resource_missing", param), "{list}");
        }
    }
    assert_eq!(stripe.get("/v1/webhook_endpoints?customer=cus_1").await.error("code"), "parameter_unknown");

    let only = json!({ "enabled_events": ["payment_intent.succeeded"] });
    stripe.control(Method::PUT, "/webhooks", &only).await;
    stripe.pay("pm_card_visa").await;
    let received = target.received(1).await;
    assert_eq!(received[0].event()["type"], "payment_intent.succeeded", "the others are not for it");
    stripe.control(Method::PUT, "/webhooks", &json!({ "status": "disabled" })).await;
    stripe.pay("pm_card_visa").await;
    let waiting = stripe.control(Method::GET, "/webhooks", &json!({})).await["waiting"].clone();
    assert_eq!((waiting, target.received(1).await.len()), (json!(0), 1), "nothing is sent to one that is disabled");
    let endpoint = stripe.get(&format!("/v1/webhook_endpoints/{id}")).await.body;
    assert_eq!(endpoint["status"], "disabled");
}

#[tokio::test]
async fn the_account_is_shown_to_its_key() {
    let stripe = Stripe::start_with(SimulatorOptions::default()).await;
    let account = stripe.get("/v1/account").await;
    assert_eq!((account.status, &account.body["object"]), (200, &json!("account")));
    let stranger =
        stripe.client.get(format!("{}/v1/account", stripe.simulator.base_url())).bearer_auth("sk_test_nobody");
    assert_eq!(send(stranger).await.status, 401);
}

#[tokio::test]
async fn a_restricted_key_may_do_what_it_was_given_and_is_told_what_is_lacking() {
    let stripe = Stripe::start().await;
    let restricted =
        json!({ "key": "rk_test_abcdefghij", "permissions": ["rak_payment_intent_write", "rak_charge_read"] });
    stripe.control(Method::PUT, "/restricted_keys", &restricted).await;
    let ask = async |method: Method, path: &str| {
        let url = format!("{}{path}", stripe.simulator.base_url());
        send(stripe.client.request(method, url).bearer_auth("rk_test_abcdefghij")).await
    };
    assert_eq!(ask(Method::GET, "/v1/payment_intents").await.status, 200, "who may write may read");
    assert_eq!(ask(Method::GET, "/v1/refunds").await.status, 200);
    assert_eq!(ask(Method::POST, "/v1/payment_intents").await.error("code"), "parameter_missing");
    for (method, path, permission) in [
        (Method::POST, "/v1/refunds", "rak_charge_write"),
        (Method::GET, "/v1/disputes", "rak_dispute_read"),
        (Method::GET, "/v1/webhook_endpoints", "rak_webhook_read"),
    ] {
        let refused = ask(method, path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.error("message").contains(permission), "{refused:?}");
        assert!(!refused.error("message").contains("abcdefghij"), "the key is masked");
    }
    stripe.control(Method::POST, "/reset", &json!({})).await;
    assert_eq!(ask(Method::GET, "/v1/refunds").await.status, 401);
}
