//! Intents from creation to their end: success, decline, 3-D Secure, debits, cancels, browsers.

use reqwest::Method;
use serde_json::json;

use crate::harness::{RETURN_URL, Stripe, send};

#[tokio::test]
async fn a_card_pays_an_intent() {
    let stripe = Stripe::start().await;
    let created = stripe.intent().await;
    assert_eq!(created.body["status"], "requires_payment_method");
    assert_eq!(created.body["metadata"]["order_id"], "o-1");
    assert!(created.body["client_secret"].as_str().unwrap().starts_with(&format!("{}_secret_", created.id())));
    assert!(created.headers["request-id"].starts_with("req_"));

    let paid = stripe.confirm(&created.id(), "pm_card_visa").await;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    assert_eq!(paid.body["amount_received"], 1999);
    let types = stripe.event_types().await;
    assert_eq!(types, ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]);

    let again = stripe.confirm(&created.id(), "pm_card_visa").await;
    assert_eq!((again.status, again.error("code")), (400, "payment_intent_unexpected_state"));
    assert_eq!(again.body["error"]["payment_intent"]["id"], created.id());
}

#[tokio::test]
async fn an_intent_is_created_and_confirmed_at_once() {
    let stripe = Stripe::start().await;
    let params = [
        ("amount", "500"),
        ("currency", "eur"),
        ("confirm", "true"),
        ("payment_method", "pm_card_mastercard"),
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
        ("expand[]", "latest_charge"),
    ];
    let paid = stripe.post("/v1/payment_intents", &params).await;
    assert_eq!(paid.body["status"], "succeeded", "{:?}", paid.body);
    assert_eq!(paid.body["latest_charge"]["payment_method_details"]["card"]["brand"], "mastercard");
}

#[tokio::test]
async fn every_declining_card_says_why_and_leaves_the_intent_payable() {
    let stripe = Stripe::start().await;
    let expected = [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
    ];
    let id = stripe.intent().await.id();
    for (method, code, decline_code) in expected {
        let declined = stripe.confirm(&id, method).await;
        assert_eq!((declined.status, declined.error("type")), (402, "card_error"), "{method}");
        assert_eq!((declined.error("code"), declined.error("decline_code")), (code, decline_code));
        let inside = &declined.body["error"]["payment_intent"];
        assert_eq!(inside["status"], "requires_payment_method");
        assert_eq!(inside["last_payment_error"]["decline_code"], decline_code);
        assert_eq!(inside["latest_charge"], declined.body["error"]["charge"]);
    }
    assert_eq!(
        stripe.event_types().await[..3],
        ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    );
    let paid = stripe.confirm(&id, "pm_card_visa").await;
    assert_eq!(paid.body["status"], "succeeded");
    assert!(paid.body["last_payment_error"].is_null());
}

#[tokio::test]
async fn a_shopper_authenticates_on_the_simulators_page() {
    let stripe = Stripe::start().await;
    let waiting = stripe.pay("pm_card_threeDSecure2Required").await;
    assert_eq!(waiting.body["status"], "requires_action");
    assert_eq!(waiting.body["next_action"]["type"], "redirect_to_url");
    let page = waiting.body["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
    let shown = send(stripe.client.get(page)).await;
    assert!(shown.body.as_str().unwrap().contains("$19.99"));

    let sent_back = send(stripe.client.post(page).form(&[("outcome", "succeeded")])).await;
    assert_eq!(sent_back.status, 303);
    assert!(sent_back.headers["location"].starts_with(RETURN_URL));
    assert!(sent_back.headers["location"].ends_with("redirect_status=succeeded"));
    let paid = stripe.get(&format!("/v1/payment_intents/{}?expand[]=latest_charge", waiting.id())).await;
    assert_eq!(paid.body["status"], "succeeded");
    let details = &paid.body["latest_charge"]["payment_method_details"]["card"];
    assert_eq!(details["three_d_secure"]["result"], "authenticated");
    assert_eq!(send(stripe.client.get(page)).await.status, 404, "it can be done once");
}

#[tokio::test]
async fn a_failed_authentication_leaves_the_intent_payable() {
    let stripe = Stripe::start().await;
    let waiting = stripe.pay("pm_card_authenticationRequired").await;
    let path = format!("/payment_intents/{}/authenticate", waiting.id());
    let failed = stripe.control(Method::POST, &path, &json!({ "outcome": "failed" })).await;
    assert_eq!(failed["status"], "requires_payment_method");
    assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");
    assert_eq!(stripe.event_types().await.last().unwrap(), "payment_intent.payment_failed");
    assert_eq!(stripe.confirm(&waiting.id(), "pm_card_visa").await.body["status"], "succeeded");
}

#[tokio::test]
async fn nobody_authenticates_off_session() {
    let stripe = Stripe::start().await;
    let id = stripe.intent().await.id();
    let params = [("payment_method", "pm_card_authenticationRequired"), ("off_session", "true")];
    let declined = stripe.post(&format!("/v1/payment_intents/{id}/confirm"), &params).await;
    assert_eq!((declined.status, declined.error("code")), (402, "authentication_required"));
}

#[tokio::test]
async fn a_debit_is_processing_and_then_succeeds_or_fails_by_itself() {
    let stripe = Stripe::start().await;
    stripe.control(Method::PUT, "/settings", &json!({ "processing_ms": 50 })).await;
    let good = stripe.pay("pm_usBankAccount_success").await;
    assert_eq!(good.body["status"], "processing");
    let canceled = stripe.post(&format!("/v1/payment_intents/{}/cancel", good.id()), &[]).await;
    assert_eq!((canceled.status, canceled.error("code")), (400, "payment_intent_unexpected_state"));
    stripe.until_status(&good.id(), "succeeded").await;

    let bad = stripe.pay("pm_usBankAccount_accountClosed").await;
    let failed = stripe.until_status(&bad.id(), "requires_payment_method").await;
    assert_eq!(failed.body["last_payment_error"]["code"], "account_closed");
    let types = stripe.event_types().await;
    let of_the_good = ["charge.pending", "payment_intent.processing", "charge.succeeded", "payment_intent.succeeded"];
    assert_eq!(types[1..5], of_the_good);
    assert_eq!(types[types.len() - 2..], ["charge.failed", "payment_intent.payment_failed"]);
}

#[tokio::test]
async fn a_debit_settles_when_the_clock_or_a_control_call_says_so() {
    let stripe = Stripe::start().await;
    stripe.control(Method::PUT, "/settings", &json!({ "processing_ms": 3_600_000 })).await;
    let by_clock = stripe.pay("pm_usBankAccount_success").await.id();
    stripe.control(Method::POST, "/clock", &json!({ "shift_ms": 3_600_000 })).await;
    stripe.until_status(&by_clock, "succeeded").await;

    let by_call = stripe.pay("pm_usBankAccount_processing").await.id();
    let path = format!("/payment_intents/{by_call}/settle");
    let failed = stripe.control(Method::POST, &path, &json!({ "outcome": "failed" })).await;
    assert_eq!(failed["status"], "requires_payment_method");
}

#[tokio::test]
async fn an_intent_that_is_not_paid_can_be_canceled_once() {
    let stripe = Stripe::start().await;
    let id = stripe.intent().await.id();
    let path = format!("/v1/payment_intents/{id}/cancel");
    let canceled = stripe.post(&path, &[("cancellation_reason", "abandoned")]).await;
    assert_eq!(
        (&canceled.body["status"], &canceled.body["cancellation_reason"]),
        (&json!("canceled"), &json!("abandoned"))
    );
    let again = stripe.post(&path, &[]).await;
    assert_eq!((again.status, again.error("code")), (400, "payment_intent_unexpected_state"));
    assert_eq!(again.body["error"]["payment_intent"]["status"], "canceled");
    assert_eq!(stripe.confirm(&id, "pm_card_visa").await.error("code"), "payment_intent_unexpected_state");
    let paid = stripe.pay("pm_card_visa").await.id();
    let refused = stripe.post(&format!("/v1/payment_intents/{paid}/cancel"), &[]).await;
    assert_eq!(refused.body["error"]["payment_intent"]["status"], "succeeded");
}

#[tokio::test]
async fn a_browser_confirms_with_the_client_secret_and_sees_less() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    let secret = intent.body["client_secret"].as_str().unwrap().to_owned();
    let url = format!("{}/v1/payment_intents/{}", stripe.simulator.base_url(), intent.id());
    let pay = |secret: &str, method: &str| {
        let form = [
            ("key", "pk_test_simulator"),
            ("client_secret", secret),
            ("payment_method", method),
            ("return_url", RETURN_URL),
        ];
        stripe.client.post(format!("{url}/confirm")).form(&form)
    };
    let wrong = send(pay(&format!("{}_secret_guess", intent.id()), "pm_card_visa")).await;
    assert_eq!((wrong.status, wrong.error("param")), (400, "client_secret"));

    let declined = send(pay(&secret, "pm_card_chargeDeclined")).await;
    assert_eq!(declined.status, 402);
    assert!(declined.body["error"]["payment_intent"].get("metadata").is_none());

    let paid = send(pay(&secret, "pm_card_visa")).await;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    assert!(paid.body.get("metadata").is_none());
    assert_eq!(paid.headers["access-control-allow-origin"], "*");

    let as_browser = |path: &str| stripe.client.get(format!("{url}{path}")).bearer_auth("pk_test_simulator");
    let seen = send(as_browser(&format!("?client_secret={secret}"))).await;
    assert_eq!(seen.body["status"], "succeeded");
    assert_eq!(send(as_browser("")).await.error("code"), "parameter_missing");
    let create = stripe.client.post(format!("{}/v1/payment_intents", stripe.simulator.base_url()));
    let refused = send(create.bearer_auth("pk_test_simulator").form(&[("amount", "1"), ("currency", "usd")])).await;
    assert_eq!((refused.status, refused.error("code")), (403, "secret_key_required"));
    let preflight = send(stripe.client.request(Method::OPTIONS, format!("{url}/confirm"))).await;
    assert_eq!((preflight.status, preflight.headers["access-control-allow-origin"].as_str()), (200, "*"));
}

#[tokio::test]
async fn redirecting_payment_methods_need_somewhere_to_return_to() {
    let stripe = Stripe::start().await;
    let id = stripe.intent().await.id();
    let path = format!("/v1/payment_intents/{id}/confirm");
    let refused = stripe.post(&path, &[("payment_method", "pm_card_visa")]).await;
    assert_eq!((refused.status, refused.error("param")), (400, "return_url"));
    let params = [("payment_method", "pm_card_threeDSecure2Required"), ("use_stripe_sdk", "true")];
    let waiting = stripe.post(&path, &params).await;
    assert_eq!(waiting.body["next_action"]["type"], "use_stripe_sdk");
}

#[tokio::test]
async fn an_intent_can_be_made_to_differ_from_what_was_asked_for() {
    let stripe = Stripe::start().await;
    let id = stripe.intent().await.id();
    stripe.control(Method::POST, &format!("/payment_intents/{id}"), &json!({ "amount": 1, "metadata": {} })).await;
    let paid = stripe.confirm(&id, "pm_card_visa").await;
    assert_eq!((&paid.body["amount_received"], &paid.body["metadata"]), (&json!(1), &json!({})));
}
