//! What Stripe tells the shop: who is believed, what is applied, and what is left alone.

use serde_json::{Value, json};

use crate::harness::{Client, Reply, Shop, eventually, text};

/// Sends an event to the shop, as the simulator is told to sign it; the status of the answer.
async fn send(shop: &Shop, message: &Value) -> Value {
    let sent = shop.control().post("/webhooks/send", message).await.expect(200);
    sent["outcomes"][0].clone()
}

/// An event about nothing that the shop knows.
fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({ "id": id, "object": "event", "api_version": "2025-01-01.future", "created": 1_800_000_000, "livemode": false,
            "type": kind, "data": { "object": object }, "pending_webhooks": 1, "something_new": { "a": [1] } })
}

/// Waits until an event has this status in the inbox.
async fn filed(shop: &Shop, id: &str, status: &str) {
    eventually(&format!("{id} is {status}"), async || {
        let now =
            sqlx::query_scalar::<_, String>("SELECT status FROM webhook_logs WHERE stripe_event_id = $1").bind(id);
        let now = now.fetch_optional(&shop.pool).await.expect("the database answers");
        (now.as_deref() == Some(status)).then_some(())
    })
    .await;
}

/// An order whose payment has succeeded at Stripe, of which the shop hasn't heard; with the event that says so.
async fn paid_in_silence(shop: &Shop, shopper: &Client, product: &Value) -> (Value, Value) {
    let order = shop.order(shopper, product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let event = shop.event(&order, "payment_intent.succeeded").await;
    (order, event)
}

#[tokio::test]
async fn only_what_stripe_signed_lately_is_taken() {
    let shop = Shop::start().await;
    let good = event("evt_signed", "customer.created", &json!({ "id": "cus_1", "object": "customer" }));
    let forged = [
        json!({ "payload": good, "secret": "whsec_of_a_stranger" }),
        json!({ "payload": good, "signature": "t=1,v1=00" }),
        json!({ "payload": good, "signature": "" }),
        json!({ "payload": good, "signature": "nonsense" }),
        json!({ "payload": good, "age_seconds": 301 }),
    ];
    for message in forged {
        assert_eq!(send(&shop, &message).await, 400, "{message}");
    }
    let unsigned = shop.visitor().post("/webhooks/stripe", &good).await;
    unsigned.problem(400, "invalid_signature");
    assert_eq!(shop.count("SELECT count(*) FROM webhook_logs").await, 0);

    assert_eq!(send(&shop, &json!({ "payload": good, "secret": Shop::OLD_WEBHOOK_SECRET })).await, 200);
    assert_eq!(send(&shop, &json!({ "payload": good, "age_seconds": 290 })).await, 200, "a duplicate");
    filed(&shop, "evt_signed", "ignored").await;
    assert_eq!(shop.count("SELECT count(*) FROM webhook_logs").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn an_event_changed_on_its_way_is_refused() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, event) = paid_in_silence(&shop, &shopper, &product).await;
    let body = serde_json::to_string(&event).expect("JSON");
    let signature = sign(&body, Shop::now());
    let tampered = body.replace("500", "501");
    let request = shop.visitor().request(reqwest::Method::POST, "/webhooks/stripe").body(tampered);
    Reply::read(request.header("stripe-signature", &signature)).await.problem(400, "invalid_signature");
    let request = shop.visitor().request(reqwest::Method::POST, "/webhooks/stripe").body(body);
    Reply::read(request.header("stripe-signature", &signature)).await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

#[tokio::test]
async fn what_is_too_large_or_too_deep_is_refused() {
    let shop = Shop::start().await;
    let large = event("evt_large", "customer.created", &json!({ "id": "cus_1", "note": "x".repeat(1024 * 1024) }));
    assert_eq!(send(&shop, &json!({ "payload": large })).await, 413);
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep =
        format!(r#"{{"id":"evt_deep","object":"event","type":"x","livemode":false,"data":{{"object":{deep}}}}}"#);
    assert_eq!(send(&shop, &json!({ "raw": deep })).await, 400);
    for raw in ["", "null", "[]", "{}", "\"evt\"", r#"{"id":1}"#, "{\"id\":\"evt_1\""] {
        assert_eq!(send(&shop, &json!({ "raw": raw })).await, 400, "{raw}");
    }
    assert_eq!(shop.count("SELECT count(*) FROM webhook_logs").await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn what_is_not_for_the_shop_is_stored_and_ignored() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, succeeded) = paid_in_silence(&shop, &shopper, &product).await;
    let unknown = event("evt_unknown", "some.new_thing", &json!({ "id": "thing_1", "text": "a \u{0} in it" }));
    let mut foreign = succeeded.clone();
    foreign["id"] = json!("evt_foreign");
    foreign["data"]["object"]["id"] = json!("pi_foreign");
    foreign["data"]["object"]["metadata"] = json!({});
    let mut live = succeeded.clone();
    live["id"] = json!("evt_live");
    live["livemode"] = json!(true);
    for event in [unknown, foreign, live] {
        assert_eq!(send(&shop, &json!({ "payload": event })).await, 200);
        filed(&shop, text(&event["id"]), "ignored").await;
    }
    assert_eq!(shopper.see(&order).await["status"], "awaiting_payment");
    shop.control().post("/webhooks/release", &json!({})).await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

#[tokio::test]
async fn an_event_of_an_unknown_order_is_parked() {
    let shop = Shop::start().await;
    let intent = json!({ "id": "pi_other", "object": "payment_intent", "amount": 500, "amount_received": 500, "currency": "usd",
                         "status": "succeeded", "metadata": { "order_id": "01890000-0000-7000-8000-000000000000" } });
    assert_eq!(send(&shop, &json!({ "payload": event("evt_early", "payment_intent.succeeded", &intent) })).await, 200);
    filed(&shop, "evt_early", "parked").await;
    shop.leave();
}

/// Gives an order another id behind everybody's back, its items and intents excepted.
async fn rename(shop: &Shop, from: &str, to: &str) {
    let rename = format!("UPDATE orders SET id = '{to}' WHERE id = '{from}'");
    let unchecked = format!("SET session_replication_role = replica; {rename}; RESET session_replication_role");
    shop.database.run(&unchecked).await;
}

#[tokio::test]
async fn a_parked_event_is_applied_once_its_order_is_there() {
    const ELSEWHERE: &str = "01890000-0000-7000-8000-000000000000";
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, succeeded) = paid_in_silence(&shop, &shopper, &product).await;
    let event = text(&succeeded["id"]);
    rename(&shop, text(&order["id"]), ELSEWHERE).await;
    shop.control().post(&format!("/events/{event}/send"), &json!({})).await.expect(200);
    filed(&shop, event, "parked").await;
    rename(&shop, ELSEWHERE, text(&order["id"])).await;
    filed(&shop, event, "processed").await;
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    shop.finish().await;
}

#[tokio::test]
async fn an_unreadable_intent_that_names_no_order_is_ignored() {
    let shop = Shop::start().await;
    let objects = [
        json!(null),
        json!([]),
        json!({ "id": "pi_1", "object": "payment_intent" }),
        json!({ "id": "pi_1", "status": "succeeded", "amount": "a lot", "currency": "usd", "metadata": { "cart": "7" } }),
    ];
    for (n, object) in objects.iter().enumerate() {
        let id = format!("evt_unreadable_{n}");
        let kind = ["payment_intent.succeeded", "payment_intent.canceled"][n % 2];
        assert_eq!(send(&shop, &json!({ "payload": event(&id, kind, object) })).await, 200);
        filed(&shop, &id, "ignored").await;
    }
    shop.finish().await;
}

#[tokio::test]
async fn stripe_is_asked_where_an_event_about_an_order_cannot_be_read() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, succeeded) = paid_in_silence(&shop, &shopper, &product).await;
    let mut object = succeeded["data"]["object"].clone();
    object["amount"] = json!({ "value": 500 });
    assert_eq!(send(&shop, &json!({ "payload": event("evt_odd", "payment_intent.succeeded", &object) })).await, 200);
    shopper.wait_for(&order, "paid").await;
    filed(&shop, "evt_odd", "processed").await;
    shop.finish().await;
}

#[tokio::test]
async fn an_event_about_an_order_that_nobody_can_make_sense_of_is_kept_as_failed() {
    let shop = Shop::with(&[("JOB_GIVE_UP_HOURS", "0.0003")]).await;
    let product = shop.product(500, 1).await;
    let order = shop.order(&shop.shopper().await, &product, 1).await;
    let object = json!({ "object": "payment_intent", "metadata": { "order_id": order["id"] } });
    assert_eq!(send(&shop, &json!({ "payload": event("evt_odd", "payment_intent.succeeded", &object) })).await, 200);
    filed(&shop, "evt_odd", "failed").await;
    let retried = "SELECT count(*) FROM webhook_logs JOIN jobs ON dedupe_key = webhook_logs.id::text
                   WHERE stripe_event_id = 'evt_odd' AND webhook_logs.attempts > 1 AND error LIKE '%no id%'
                     AND jobs.status = 'Killed' AND failures > 1 AND last_error = error";
    assert_eq!(shop.count(retried).await, 1);
    shop.leave(); // its job is dead
}

#[tokio::test]
async fn a_late_decline_does_not_undo_a_payment() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shop.control().post("/webhooks/release", &json!({ "reverse": true })).await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.settle().await;
    assert_eq!(shopper.see(&order).await["status"], "paid");
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn a_success_that_comes_before_the_intent_is_stored_brings_the_intent() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let fault = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "after", "hold": true, "times": 1 });
    let fault = text(&shop.control().post("/faults", &fault).await.body["id"]).to_owned();
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.control().get(&format!("/faults/{fault}/held?count=1&timeout_ms=10000")).await.expect(200);
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    let intent = stripe.get("/v1/payment_intents").await.expect(200)["data"][0].clone();
    let known = json!({ "payment": { "intent_id": intent["id"], "client_secret": intent["client_secret"],
                                     "publishable_key": "pk_test_simulator" } });
    shop.confirm(&known, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.control().delete(&format!("/faults/{fault}")).await;
    shop.settle().await;
    let paid = shopper.see(&order).await;
    assert_eq!((&paid["status"], &paid["payment"]["intent_id"]), (&json!("paid"), &intent["id"]));
    shop.finish().await;
}

#[tokio::test]
async fn a_success_that_does_not_say_how_much_was_received_is_asked_about() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, mut event) = paid_in_silence(&shop, &shopper, &product).await;
    event["data"]["object"].as_object_mut().expect("an intent").remove("amount_received");
    assert_eq!(send(&shop, &json!({ "payload": event })).await, 200);
    shopper.wait_for(&order, "paid").await;
    assert_eq!(shop.count("SELECT count(*) FROM payment_intents WHERE amount_received = 500").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn an_event_that_was_given_up_is_applied_when_stripe_sends_it_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, succeeded) = paid_in_silence(&shop, &shopper, &product).await;
    let id = text(&succeeded["id"]);
    let given_up = format!(
        "INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status, error)
         VALUES (gen_random_uuid(), '{id}', 'payment_intent.succeeded', '{succeeded}', false, 'failed', 'some fault')"
    );
    shop.database.run(&given_up).await;
    for outcome in [200, 200] {
        let sent = shop.control().post(&format!("/events/{id}/send"), &json!({})).await.expect(200);
        assert_eq!(sent["outcomes"][0], outcome);
    }
    filed(&shop, id, "processed").await;
    shopper.wait_for(&order, "paid").await;
    assert_eq!(
        shop.count("SELECT count(*) FROM jobs WHERE job_type = 'webhook.process'").await,
        1 + other_events(&shop).await
    );
    shop.finish().await;
}

/// How many events came beside the payment's success.
async fn other_events(shop: &Shop) -> i64 {
    shop.count("SELECT count(*) FROM webhook_logs WHERE type <> 'payment_intent.succeeded'").await
}

#[tokio::test]
async fn an_event_that_cannot_be_stored_is_not_taken_and_comes_again() {
    let (shop, proxy) = Shop::behind_a_proxy(&[]).await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let (order, succeeded) = paid_in_silence(&shop, &shopper, &product).await;
    let send_again = async || {
        let path = format!("/events/{}/send", text(&succeeded["id"]));
        shop.control().post(&path, &json!({})).await.expect(200)["outcomes"][0].clone()
    };
    proxy.cut().await;
    assert_eq!(send_again().await, 503);
    proxy.restore().await.expect("the port is still free");
    eventually("the event is taken", async || (send_again().await == 200).then_some(())).await;
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

/// `Stripe-Signature`, made here and not by the simulator: the test is whether the shop computes the same.
fn sign(body: &str, timestamp: i64) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let secret = crate::harness::WEBHOOK_SECRET.as_bytes();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    format!("t={timestamp},v1={}", hex::encode(mac.finalize().into_bytes()))
}
