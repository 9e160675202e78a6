//! What a request has to be: keys, parameters, limits.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Stripe, send};

#[tokio::test]
async fn a_key_is_needed_and_has_to_be_the_accounts() {
    let stripe = Stripe::start().await;
    let url = format!("{}/v1/payment_intents", stripe.simulator.base_url());
    let none = send(stripe.client.get(&url)).await;
    assert_eq!((none.status, none.headers["www-authenticate"].as_str()), (401, "Basic realm=\"Stripe\""));
    assert!(none.error("message").starts_with("You did not provide an API key."));
    let wrong = send(stripe.client.get(&url).bearer_auth("sk_test_wrong1234")).await;
    assert_eq!((wrong.status, wrong.error("message")), (401, "Invalid API Key provided: sk_test_*****1234"));
    assert_eq!(send(stripe.client.get(&url).basic_auth("sk_test_simulator", Some(""))).await.status, 200);
}

#[tokio::test]
async fn unknown_parameters_are_refused_by_name() {
    let stripe = Stripe::start().await;
    let base = [("amount", "500"), ("currency", "usd")];
    let cases = [
        (("foo", "1"), "foo"),
        (("automatic_payment_methods[enable]", "true"), "automatic_payment_methods[enable]"),
        (("shipping[address][street]", "x"), "shipping[address][street]"),
    ];
    for (extra, name) in cases {
        let refused = stripe.post("/v1/payment_intents", &[base[0], base[1], extra]).await;
        assert_eq!((refused.status, refused.error("code"), refused.error("param")), (400, "parameter_unknown", name));
        assert_eq!(refused.error("message"), format!("Received unknown parameter: {name}"));
    }
    let two = stripe.post("/v1/refunds", &[("b", "1"), ("a", "1")]).await;
    assert_eq!(two.error("message"), "Received unknown parameters: a, b");
    assert_eq!(stripe.get("/v1/events?page=2").await.error("code"), "parameter_unknown");
}

#[tokio::test]
async fn amounts_and_metadata_have_limits() {
    let stripe = Stripe::start().await;
    let long_key = format!("metadata[{}]", "k".repeat(41));
    let long_value = "v".repeat(501);
    let cases = [
        (vec![("amount", "49"), ("currency", "usd")], "amount_too_small"),
        (vec![("amount", "100000000"), ("currency", "usd")], "amount_too_large"),
        (vec![("amount", "12.5"), ("currency", "usd")], "parameter_invalid_integer"),
        (vec![("amount", "-1"), ("currency", "usd")], "parameter_invalid_integer"),
        (vec![("amount", ""), ("currency", "usd")], "parameter_invalid_empty"),
        (vec![("amount", "500")], "parameter_missing"),
        (vec![("amount", "500"), ("currency", "XXX")], ""),
        (vec![("amount", "500"), ("currency", "usd"), (&long_key, "1")], ""),
        (vec![("amount", "500"), ("currency", "usd"), ("metadata[a]", &long_value)], ""),
    ];
    for (params, code) in cases {
        let refused = stripe.post("/v1/payment_intents", &params).await;
        assert_eq!((refused.status, refused.error("code")), (400, code), "{params:?}");
    }
    let keys: Vec<String> = (0..51).map(|number| format!("metadata[k{number}]")).collect();
    let mut params = vec![("amount", "500"), ("currency", "usd")];
    params.extend(keys.iter().map(|key| (key.as_str(), "v")));
    assert_eq!(stripe.post("/v1/payment_intents", &params).await.error("param"), "metadata");
    assert_eq!(stripe.post("/v1/payment_intents", &[("amount", "50"), ("currency", "jpy")]).await.status, 200);
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let stripe = Stripe::start().await;
    for path in
        ["/v1/payment_intents/pi_x", "/v1/refunds/re_x", "/v1/charges/ch_x", "/v1/events/evt_x", "/v1/disputes/dp_x"]
    {
        let missing = stripe.get(path).await;
        assert_eq!((missing.status, missing.error("code")), (404, "resource_missing"), "{path}");
    }
    let unknown = stripe.get("/v1/customers").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.error("message").starts_with("Unrecognized request URL (GET: /v1/customers)."));
}

#[tokio::test]
async fn json_and_strange_versions_are_refused() {
    let stripe = Stripe::start().await;
    let json = send(stripe.request(Method::POST, "/v1/payment_intents").json(&json!({ "amount": 500 }))).await;
    assert_eq!((json.status, json.error("type")), (400, "invalid_request_error"));
    let strange = stripe.request(Method::GET, "/v1/payment_intents").header("Stripe-Version", "newest");
    assert_eq!(send(strange).await.status, 400);
    let known = stripe.request(Method::GET, "/v1/payment_intents").header("Stripe-Version", "2024-06-20");
    assert_eq!(send(known).await.headers["stripe-version"], "2024-06-20");
}

#[tokio::test]
async fn the_log_of_requests_shows_no_secret() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    let secret = intent.body["client_secret"].as_str().unwrap();
    let path = format!("/v1/payment_intents/{}", intent.id());
    stripe.get(&format!("{path}?client_secret={secret}")).await;
    let log = stripe.control(Method::GET, "/requests?method=get", &json!({})).await;
    assert_eq!((&log[0]["path"], &log[0]["status"]), (&json!(path), &json!(200)));
    assert_eq!(log[0]["params"]["client_secret"], "[hidden]");
    assert!(!log.to_string().contains("sk_test"));
}
