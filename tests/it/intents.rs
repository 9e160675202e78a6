//! One order, one intent: whatever becomes of the calls that create it, and whatever its metadata say.

use common::{
    db,
    id::PaymentIntentId,
    jobs::{self, CancelIntent},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::harness::{Client, Shop, eventually, payment, send_form, text};

/// All intents at Stripe.
async fn intents(shop: &Shop) -> Vec<Value> {
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    stripe.get("/v1/payment_intents?limit=100").await.expect(200)["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_try_whose_first_one_still_runs_at_stripe_makes_no_second_intent() {
    let shop = Shop::with(&[("STRIPE_TIMEOUT_SECONDS", "0.5")]).await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let held = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "before", "hold": true, "times": 1 });
    let held = shop.inject(&held).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    let in_use =
        "SELECT count(*) FROM payment_logs WHERE operation = 'create_intent' AND error_type = 'idempotency_error'";
    eventually("the second try met the first one", async || (shop.count(in_use).await > 0).then_some(())).await;
    assert_eq!(intents(&shop).await.len(), 0);

    shop.relieve(&held).await;
    let order = shopper.wait_for(&order, "awaiting_payment").await;
    shop.pay(&shopper, &order).await;
    assert_eq!(intents(&shop).await.len(), 1);
    shop.finish().await;
}

#[tokio::test]
async fn an_intent_of_an_earlier_try_that_turns_up_late_can_be_paid() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    // The first key is spent on an error, and nothing is found; the second try is held.
    let path = "/v1/payment_intents";
    let spent = json!({ "kind": "status", "status": 500, "saved": true });
    shop.inject(&json!({ "method": "POST", "path": path, "at": "before", "times": 1, "answer": spent })).await;
    let held = json!({ "method": "POST", "path": path, "at": "before", "skip": 1, "times": 1, "hold": true });
    let held = shop.inject(&held).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&held).await;

    let late = shop.make_intent(&order, 1).await;
    shop.confirm_intent(&late, "pm_card_visa_chargeDeclined").await.expect(402);
    let order = shopper.wait_for(&order, "payment_failed").await;
    assert_eq!(payment(&order, "intent_id"), text(&late["id"]));
    shop.pay(&shopper, &order).await;

    shop.relieve(&held).await;
    shop.settle().await;
    assert_eq!(shopper.see(&order).await["status"], "paid");
    shop.finish().await;
}

#[tokio::test]
async fn an_intent_belongs_to_the_order_that_it_was_made_for_whatever_its_metadata_say() {
    let shop = Shop::start().await;
    let product = shop.product(500, 9).await;
    let (shopper, other) = (shop.shopper().await, shop.shopper().await);
    let (order, others) = (shop.order(&shopper, &product, 1).await, shop.order(&other, &product, 1).await);
    for order_id in [text(&others["id"]), "", "nonsense"] {
        let path = format!("/payment_intents/{}", payment(&order, "intent_id"));
        shop.control().post(&path, &json!({ "metadata": { "order_id": order_id } })).await.expect(200);
        shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
        shop.settle().await;
        assert_eq!(other.see(&others).await["status"], "awaiting_payment");
        assert_eq!(shopper.see(&order).await["status"], "payment_failed");
    }
    shop.pay(&shopper, &order).await;
    assert_eq!(other.see(&others).await["status"], "awaiting_payment");
    assert_eq!(shop.count("SELECT count(*) FROM webhook_logs WHERE status NOT IN ('processed', 'ignored')").await, 0);
    shop.finish().await;
}

/// So many intents of others.
async fn crowd(shop: &Shop, count: usize) {
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    for _ in 0..count {
        let of_others = [("amount", "500"), ("currency", "usd"), ("metadata[order_id]", "42")];
        send_form(&stripe, "/v1/payment_intents", &of_others).await.expect(200);
    }
}

#[tokio::test]
async fn an_intent_whose_answer_was_an_error_is_found_among_many_and_taken() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    let answer = json!({ "kind": "status", "status": 500, "saved": true });
    let made = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "after", "times": 1, "hold": true, "answer": answer });
    let made = shop.inject(&made).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&made).await;
    crowd(&shop, 105).await; // more than a page
    shop.relieve(&made).await;
    let order = shopper.wait_for(&order, "awaiting_payment").await;
    assert_eq!(shop.count("SELECT max(generation)::bigint FROM payment_intents").await, 1);
    shop.control().put("/webhooks", &json!({ "mode": "deliver" })).await.expect(200);
    shop.pay(&shopper, &order).await;
    shop.finish().await;
}

#[tokio::test]
async fn an_intent_is_looked_for_once_stripe_may_have_forgotten_its_key() {
    let shop = Shop::with(&[("RESERVATION_MINUTES", "3000")]).await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    let lost = json!({ "kind": "reset" });
    let made = json!({ "method": "POST", "path": "/v1/payment_intents", "at": "after", "times": 1, "hold": true, "answer": lost });
    let made = shop.inject(&made).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&made).await;
    shop.database.run("UPDATE orders SET created_at = created_at - interval '24 hours'").await;
    shop.control().delete("/idempotency_keys").await;
    shop.relieve(&made).await;
    shopper.wait_for(&order, "awaiting_payment").await;
    assert_eq!(intents(&shop).await.len(), 1);
    shop.finish().await;
}

#[tokio::test]
async fn stripe_is_left_alone_for_as_long_as_it_asks() {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let busy = json!({ "kind": "status", "status": 429, "retry_after": 2 });
    shop.inject(&json!({ "method": "POST", "path": "/v1/payment_intents", "times": 1, "answer": busy })).await;
    let order = shop.order(&shopper, &product, 1).await;
    assert_eq!(order["status"], "awaiting_payment");
    let pause =
        "SELECT count(*) FROM payment_logs a JOIN payment_logs b ON b.created_at >= a.created_at + interval '2 s'
                 WHERE a.outcome = 'error' AND b.operation = 'create_intent' AND b.outcome <> 'error'";
    assert_eq!(shop.count(pause).await, 1);
    shop.finish().await;
}

/// Asserts that the shop's one order ended for this reason: nothing is held, and the shopper was told.
async fn ended(shop: &Shop, shopper: &Client, order: &Value, product: &Value, reason: &str) {
    shopper.wait_for(order, "canceled").await;
    shop.settle().await;
    assert_eq!(shop.stock(product).await, (1, 1));
    let told =
        format!("SELECT count(*) FROM order_events WHERE kind = 'order.canceled' AND data->>'reason' = '{reason}'");
    assert_eq!(shop.count(&told).await, 1);
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails.len() == 1 && mails[0].0.contains("canceled"), "{mails:?}");
}

#[tokio::test]
async fn an_intent_that_is_canceled_at_stripe_cancels_its_order() {
    let shop = Shop::start().await;
    let (product, shopper) = (shop.product(500, 1).await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    let path = format!("/v1/payment_intents/{}/cancel", payment(&order, "intent_id"));
    send_form(&stripe, &path, &[]).await.expect(200);
    ended(&shop, &shopper, &order, &product, "intent_canceled").await;
    shop.finish().await;
}

#[tokio::test]
async fn an_order_that_stripe_refuses_is_canceled_and_one_that_is_only_answered_badly_is_not() {
    let shop = Shop::start().await;
    let (product, shopper) = (shop.product(500, 1).await, shop.shopper().await);
    // Our key, our haste, and somebody's proxy are not the order's fault.
    let error = |kind: &str| json!({ "error": { "type": kind, "message": "No." } });
    for answer in [
        json!({ "kind": "status", "status": 401, "body": error("invalid_request_error") }),
        json!({ "kind": "status", "status": 429, "body": error("invalid_request_error") }),
        json!({ "kind": "html", "status": 400 }),
        json!({ "kind": "status", "status": 400, "body": error("invalid_request_error") }),
    ] {
        let path = "/v1/payment_intents";
        shop.inject(&json!({ "method": "POST", "path": path, "at": "arrival", "times": 1, "answer": answer })).await;
    }
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.post("/checkout", &json!({})).await.expect(202);
    ended(&shop, &shopper, &order, &product, "refused").await;
    let replayed = shopper.see(&order).await;
    assert_eq!(replayed["payment"]["last_error"]["code"], "payment_refused", "the shopper is told why");
    let asked = "SELECT count(*) FROM payment_logs WHERE operation = 'create_intent' AND outcome = 'error'";
    assert_eq!(shop.count(asked).await, 4);
    shop.finish().await;
}

/// Whether so many sessions wait for a lock to go on with what contains this.
async fn wait(shop: &Shop, sessions: i64, part: &str) -> bool {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND position($1 IN query) > 0";
    sqlx::query_scalar::<_, i64>(waiting).bind(part).fetch_one(&shop.pool).await.expect(waiting) == sessions
}

/// Parts of the shop's statements: the order's lock, the job's look at its intent, and its end in a transaction.
const LOCK: &str = "FROM orders WHERE id = $1 FOR NO KEY UPDATE";
const LOOK: &str = "FROM payment_intents p JOIN orders";
const END: &str = "UPDATE jobs SET status = 'Done', done_at = clock_timestamp(), lease_until";

/// A cancel and a job of the order's intent, which finds nothing to do as the order may yet be paid: both want the order, one before the
/// other, and the job can't end before the cancel has enqueued what is one job with it.
async fn cancel_beside_a_job(cancel_is_first: bool) {
    let shop = Shop::start().await;
    let product = shop.product(500, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    let intent =
        sqlx::query_scalar("SELECT id FROM payment_intents").fetch_one(&shop.pool).await.expect("there is one");
    let hold = async |what: &str| {
        let mut tx = db::begin(&shop.pool).await.expect("the database answers");
        tx.execute(what).await.expect("nobody else has it");
        tx
    };
    let cancel = || {
        let (shopper, order) = (shopper.clone(), order.clone());
        tokio::spawn(async move { shopper.cancel(&order).await })
    };
    let waits = async |sessions, part: &str| {
        eventually(part, async || wait(&shop, sessions, part).await.then_some(())).await;
    };

    let order_held = hold("SELECT FROM orders FOR UPDATE").await;
    let mut canceling = None;
    if cancel_is_first {
        canceling = Some(cancel());
        waits(1, LOCK).await;
    }
    let intents_held = hold("LOCK TABLE payment_intents IN ACCESS EXCLUSIVE MODE").await;
    let mut tx = db::begin(&shop.pool).await.expect("the database answers");
    jobs::enqueue(&mut tx, &CancelIntent { payment_intent_id: PaymentIntentId(intent) }).await.expect("it is new");
    tx.commit().await.expect("the database answers");
    waits(1, LOOK).await;
    let job_held = hold("SELECT FROM jobs WHERE job_type = 'payment.cancel_intent' FOR UPDATE").await;
    intents_held.rollback().await.expect("the database answers");
    waits(if cancel_is_first { 2 } else { 1 }, LOCK).await;
    let canceling = canceling.unwrap_or_else(cancel);
    waits(2, LOCK).await;
    order_held.rollback().await.expect("the database answers");
    // Whoever is first has the order now. Where it is the job, its end waits for the job's row.
    eventually("the cancel is through, or the job is about to end", async || {
        let ends = wait(&shop, 1, END).await;
        (ends || canceling.is_finished()).then_some(())
    })
    .await;
    job_held.rollback().await.expect("the database answers");
    canceling.await.expect("it does not panic").expect(202);
    ended(&shop, &shopper, &order, &product, "shopper").await;
    shop.finish().await;
}

#[tokio::test]
async fn a_job_that_finds_nothing_to_do_swallows_no_cancel_that_was_before_it() {
    cancel_beside_a_job(true).await;
}

#[tokio::test]
async fn a_job_that_finds_nothing_to_do_swallows_no_cancel_that_comes_after_it() {
    cancel_beside_a_job(false).await;
}

#[tokio::test]
async fn a_cancel_whose_job_is_gone_is_mended_by_another_or_by_the_orders_time() {
    for by_time in [false, true] {
        let shop = Shop::start().await;
        let product = shop.product(500, 1).await;
        let shopper = shop.shopper().await;
        let order = shop.order(&shopper, &product, 1).await;
        shop.settle().await;
        shop.worker.signal(Signal::SIGSTOP);
        assert_eq!(shopper.cancel(&order).await.expect(202)["status"], "canceling");
        shop.database.run("DELETE FROM jobs WHERE job_type = 'payment.cancel_intent'").await;
        shop.worker.signal(Signal::SIGCONT);
        if by_time {
            shop.expire(&order).await;
        } else {
            shopper.cancel(&order).await.expect(202);
        }
        ended(&shop, &shopper, &order, &product, "shopper").await;
        shop.finish().await;
    }
}
