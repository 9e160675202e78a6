//! Row 8: each call that changes something at Stripe, answered in each way in which Stripe, or what lies before it, can fail. The call has
//! its effect once all the same. The times are printed, a line for each call.

use std::{fmt::Write as _, io::Write as _, time::Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, text};

/// A way to fail: when, and what is answered in the place of the genuine answer.
struct Failing {
    name: &'static str,
    at: &'static str,
    answer: Value,
}

fn ways() -> [Failing; 14] {
    let way = |name, at, answer| Failing { name, at, answer };
    let status = |status: u16| json!({ "kind": "status", "status": status });
    let saved = json!({ "kind": "status", "status": 500, "saved": true });
    [
        way("500", "before", status(500)),
        way("500, done all the same", "after", status(500)),
        way("500, saved", "before", saved.clone()),
        way("500, saved, done all the same", "after", saved),
        way("429", "arrival", json!({ "kind": "status", "status": 429, "retry_after": 1 })),
        way("401", "arrival", status(401)),
        way("503", "arrival", status(503)),
        way("502 in HTML", "before", json!({ "kind": "html", "status": 502 })),
        way("no answer", "before", json!({ "kind": "hang" })),
        way("no answer, done", "after", json!({ "kind": "hang" })),
        way("reset", "before", json!({ "kind": "reset" })),
        way("reset, done", "after", json!({ "kind": "reset" })),
        way("half a JSON", "after", json!({ "kind": "truncated" })),
        way("half an answer, reset", "after", json!({ "kind": "cut" })),
    ]
}

/// A call.
#[derive(Clone, Copy, Debug)]
enum Call {
    Create,
    Cancel,
    Refund,
}

impl Call {
    const fn path(self) -> &'static str {
        match self {
            Self::Create => "/v1/payment_intents",
            Self::Cancel => "/v1/payment_intents/*/cancel",
            Self::Refund => "/v1/refunds",
        }
    }
}

/// Those who take part.
struct Stage {
    shop: Shop,
    product: Value,
    shopper: Client,
    admin: Client,
}

impl Stage {
    /// The order whose call fails in this way; until then nothing did.
    async fn begin(&self, call: Call, fault: &Value) -> (Value, String) {
        let Self { shop, product, shopper, admin } = self;
        match call {
            Call::Create => {
                let fault = shop.inject(fault).await;
                shopper.put_in_cart(product, 1).await.expect(201);
                (shopper.post("/checkout", &json!({})).await.expect(202), fault)
            }
            Call::Cancel => {
                let order = shop.order(shopper, product, 1).await;
                let fault = shop.inject(fault).await;
                (shopper.cancel(&order).await.expect(202), fault)
            }
            Call::Refund => {
                let order = shop.paid_order(shopper, product, 1).await;
                let fault = shop.inject(fault).await;
                admin.refund(&order, &json!({})).await.expect(202);
                (order, fault)
            }
        }
    }

    /// Waits for what the call was for, and looks at Stripe's books.
    async fn end(&self, call: Call, order: &Value, name: &str) {
        let Self { shop, shopper, admin, .. } = self;
        let stripe = shop.stripe_api().with_token("sk_test_simulator");
        let intents = async |status: &str| {
            let all = stripe.get("/v1/payment_intents?limit=100").await.expect(200);
            let of_it = all["data"].as_array().into_iter().flatten();
            let of_it = of_it.filter(|intent| intent["metadata"]["order_id"] == order["id"]);
            of_it.map(|intent| text(&intent["status"]) == status).collect::<Vec<_>>()
        };
        match call {
            Call::Create => {
                let order = shopper.wait_for(order, "awaiting_payment").await;
                assert_eq!(intents("requires_payment_method").await, [true], "{name}");
                shop.pay(shopper, &order).await;
            }
            Call::Cancel => {
                shopper.wait_for(order, "canceled").await;
                assert_eq!(intents("canceled").await, [true], "{name}");
                // Its line is in the cart again.
                let cart = shopper.get("/cart").await.expect(200);
                shopper.delete(&format!("/cart/items/{}", text(&cart["items"][0]["id"]))).await.expect(204);
            }
            Call::Refund => {
                assert_eq!(shopper.wait_for(order, "refunded").await["refunded_total"], order["total"], "{name}");
                assert_eq!(shop.refunds_at_stripe(order).await.len(), 1, "{name}");
                let booked = admin.inspect(order).await["refunds"].as_array().map(Vec::len);
                assert_eq!(booked, Some(1), "{name}");
            }
        }
    }
}

/// Has a call fail in each way, one order after the other.
async fn has_its_effect_once(call: Call) {
    let shop = Shop::with(&[("STRIPE_TIMEOUT_SECONDS", "1")]).await;
    let (product, shopper, admin) = (shop.product(500, 50).await, shop.shopper().await, shop.admin().await);
    let stage = Stage { shop, product, shopper, admin };
    let mut row = format!("\n{:<8}", format!("{call:?}"));
    for Failing { name, at, answer } in ways() {
        let began = Instant::now();
        let fault = json!({ "method": "POST", "path": call.path(), "at": at, "times": 1, "answer": answer });
        let (order, fault) = stage.begin(call, &fault).await;
        let failed = format!(
            "SELECT count(*) FROM payment_logs WHERE order_id = '{}' AND outcome = 'error'",
            text(&order["id"])
        );
        eventually(&format!("{call:?} has failed by {name}"), async || {
            (stage.shop.count(&failed).await > 0).then_some(())
        })
        .await;
        stage.shop.relieve(&fault).await; // what hangs ends
        stage.end(call, &order, name).await;
        // A String takes all that is written.
        let _taken = write!(row, " | {name}: ✓ {:.1} s", began.elapsed().as_secs_f64());
    }
    let _nobody_reads_it = writeln!(std::io::stderr(), "{row}");
    let sold = if matches!(call, Call::Cancel) { 0 } else { 14 };
    stage.shop.settle().await;
    assert_eq!(stage.shop.stock(&stage.product).await, (50 - sold, 50 - sold));
    stage.shop.finish().await;
}

#[tokio::test]
async fn one_intent_is_made_whatever_stripe_answers() {
    has_its_effect_once(Call::Create).await;
}

#[tokio::test]
async fn one_cancel_is_enough_whatever_stripe_answers() {
    has_its_effect_once(Call::Cancel).await;
}

#[tokio::test]
async fn one_refund_is_made_whatever_stripe_answers() {
    has_its_effect_once(Call::Refund).await;
}

#[tokio::test]
async fn a_stripe_that_is_down_past_the_time_of_orders_keeps_no_stock_longer_than_it_must() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let (known, unknown, later) = (shop.shopper().await, shop.shopper().await, shop.shopper().await);
    let order = shop.order(&known, &product, 1).await;
    shop.settle().await;
    let down = shop.inject(&json!({ "path": "/v1/*", "answer": { "kind": "status", "status": 503 } })).await;
    unknown.put_in_cart(&product, 1).await.expect(201);
    let without_intent = unknown.post("/checkout", &json!({})).await.expect(202);
    let failing = "SELECT count(*) FROM jobs WHERE job_type = 'payment.create_intent' AND failures > 1";
    eventually("it was tried", async || (shop.count(failing).await == 1).then_some(())).await;
    shop.expire(&without_intent).await;
    shop.expire(&order).await;
    // Nobody can pay what has no intent: it ends at once. The other one could still be paid until Stripe has said otherwise.
    unknown.wait_for(&without_intent, "canceled").await;
    known.wait_for(&order, "canceling").await;
    let failing = "SELECT count(*) FROM jobs WHERE job_type = 'payment.cancel_intent' AND failures > 1";
    eventually("its cancel was tried", async || (shop.count(failing).await == 1).then_some(())).await;
    assert_eq!(shop.stock(&product).await, (5, 4));
    shop.relieve(&down).await;
    known.wait_for(&order, "canceled").await;
    shop.paid_order(&later, &product, 5).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn a_key_that_stripe_refuses_cancels_nothing_and_is_told_of() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let refused = shop.inject(&json!({ "path": "/v1/*", "answer": { "kind": "status", "status": 401 } })).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    let failing = "SELECT count(*) FROM jobs WHERE job_type = 'payment.create_intent' AND failures > 1";
    eventually("it was tried", async || (shop.count(failing).await == 1).then_some(())).await;
    assert_eq!(shopper.see(&order).await["status"], "pending");
    // Slowly: not by the backoff of 50 ms that the shop has here, but by its cap.
    let hasty = "SELECT count(*) FROM payment_logs a JOIN payment_logs b ON b.id > a.id
                 WHERE a.outcome = 'error' AND b.created_at < a.created_at + interval '0.9 s'";
    assert_eq!(shop.count(hasty).await, 0);
    assert!(shop.worker.log().contains("check STRIPE_SECRET_KEY"), "the operator is told");
    let [_, worker] = shop.operations();
    let metrics = worker.get("/metrics").await.raw;
    let counted = metrics.lines().any(|line| line.starts_with("kassa_stripe_requests_total") && line.contains("401"));
    assert!(counted, "an alert can be made of it: {metrics}");
    shop.relieve(&refused).await;
    shopper.wait_for(&order, "awaiting_payment").await;
    shop.finish().await;
}
