//! One thread through it all: a request's trace is in its logs, its jobs, their logs, the rows that tell what happened, and the calls
//! to Stripe, from the checkout to the mail.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, in_span, lines, text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A header of somebody whose trace this is.
fn traceparent(trace: &str) -> String {
    format!("00-{trace}-00f067aa0ba902b7-01")
}

async fn check_out(shopper: &Client, product: &Value, headers: &[(&str, &str)]) -> Value {
    shopper.put_in_cart(product, 1).await.expect(201);
    let headers: Vec<_> = [("prefer", "wait=10")].into_iter().chain(headers.iter().copied()).collect();
    shopper.call(Method::POST, "/checkout", None, &headers).await.expect(201)
}

/// The values of a column of a table that are part of a trace.
async fn told(shop: &Shop, query: &str, trace: &str) -> BTreeSet<String> {
    let told = sqlx::query_scalar::<_, String>(query).bind(trace).fetch_all(&shop.pool).await;
    told.expect("the query is right").into_iter().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const JOBS: &str = "SELECT job_type FROM jobs WHERE split_part(trace, '-', 2) = $1";
const TIMELINE: &str = "SELECT kind FROM order_events WHERE trace_id = $1";

#[tokio::test]
async fn one_search_by_its_trace_shows_a_purchase_from_the_checkout_to_the_mail() {
    let shop = Shop::with(&[("LOG", "debug"), ("LOG_FORMAT", "json")]).await;
    let product = shop.product(1999, 5).await;
    let shopper = shop.shopper().await;
    let order = check_out(&shopper, &product, &[("traceparent", &traceparent(TRACE))]).await;
    let other = check_out(&shopper, &product, &[]).await;
    shop.pay(&shopper, &order).await;
    shop.mails(&shopper.email, 1).await;
    shop.settle().await;

    let jobs = ["email.send", "inventory.decrement", "order.expire", "payment.create_intent", "webhook.process"];
    assert_eq!(told(&shop, JOBS, TRACE).await, set(&jobs));
    let found = told(&shop, TIMELINE, TRACE).await;
    assert!(found.is_superset(&set(&["order.awaiting_payment", "order.paid", "order.placed", "stock.decremented"])));
    assert_eq!(found, shop.timeline(&order).await.into_iter().collect(), "all of it, and nothing of another order's");
    let payments = "SELECT operation FROM payment_logs WHERE trace_id = $1";
    let operations = set(&["create_intent", "event:payment_intent.succeeded"]);
    assert_eq!(told(&shop, payments, TRACE).await, operations);
    let events = told(&shop, "SELECT type FROM webhook_logs WHERE trace_id = $1", TRACE).await;
    assert!(events.contains("payment_intent.succeeded"), "{events:?}");
    assert_eq!(told(&shop, "SELECT kind FROM stock_movements WHERE trace_id = $1", TRACE).await, set(&["sale"]));
    assert_eq!(told(&shop, "SELECT kind FROM emails WHERE trace_id = $1", TRACE).await, set(&["order_confirmed"]));

    eventually("the API's log tells of each request, Stripe's with a trace of its own", async || {
        let log = lines(&shop.api.log());
        let of_trace = |field: &str| -> BTreeSet<_> {
            let requests = log.iter().filter(|line| line["message"] == "request");
            requests
                .filter(|line| in_span(line, "request", field) == TRACE)
                .map(|line| text(&line["route"]).to_owned())
                .collect()
        };
        let told = (of_trace("trace_id"), of_trace("linked_trace_id"));
        (told == (set(&["/checkout"]), set(&["/webhooks/stripe"]))).then_some(())
    })
    .await;
    eventually("the worker's log tells of each job", async || {
        let log = lines(&shop.worker.log());
        let of_trace = log.iter().filter(|line| in_span(line, "job", "trace_id") == TRACE);
        let queues: BTreeSet<_> = of_trace.map(|line| in_span(line, "job", "queue").to_owned()).collect();
        queues
            .is_superset(&set(&["email.send", "inventory.decrement", "payment.create_intent", "webhook.process"]))
            .then_some(())
    })
    .await;

    let calls = shop.control().get("/requests?method=POST&path=/v1/payment_intents").await.expect(200);
    let created: Vec<_> =
        calls.as_array().into_iter().flatten().filter(|call| call["path"] == "/v1/payment_intents").collect();
    let [first, second] = created.as_slice() else { panic!("{calls}") };
    let caller = |call: &Value| text(&call["traceparent"]).to_owned();
    let of = |call: &Value| caller(call).split('-').nth(1).map(str::to_owned).expect("a traceparent");
    assert_eq!((text(&first["params"]["metadata[order_id]"]), of(first).as_str()), (text(&order["id"]), TRACE));
    assert_ne!(caller(first), traceparent(TRACE), "the call is a span of the job's");
    assert_eq!(second["params"]["metadata[order_id]"], other["id"]);
    assert_ne!(of(second), TRACE, "without a trace, one is made");
    assert!(told(&shop, TIMELINE, &of(second)).await.contains("order.placed"));
    shop.finish().await;
}

#[tokio::test]
async fn a_trace_that_is_none_is_replaced_and_told_to_nobody() {
    let shop = Shop::with(&[("LOG", "trace"), ("LOG_FORMAT", "json"), ("MAX_UNPAID_ORDERS", "100")]).await;
    let product = shop.product(500, 50).await;
    let shopper = shop.shopper().await;
    let valid = traceparent(TRACE);
    let hostile = [
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7".to_owned(),
        valid.to_uppercase(),
        format!("{valid}-hostile"),
        format!("ff{}", &valid[2..]),
        valid.replace(TRACE, &"0".repeat(32)),
        valid.replace("00f067aa0ba902b7", &"0".repeat(16)),
        valid.replace("4bf9", "../."),
        valid.replace("4bf9", "\u{1b}[31"),
        format!("hostile {}", "x".repeat(4000)),
        "hostile\"}{\"level\":\"ERROR\"".to_owned(),
        "hostile ünïcode".to_owned(),
    ];
    let orders = async |headers: &[(&str, &str)]| check_out(&shopper, &product, headers).await["id"].clone();
    let mut placed = Vec::new();
    for header in hostile.iter().filter(|header| reqwest::header::HeaderValue::from_str(header).is_ok()) {
        placed.push(orders(&[("traceparent", header)]).await);
    }
    assert!(placed.len() > 8);
    placed.push(orders(&[("traceparent", &valid), ("traceparent", &valid)]).await);
    shop.settle().await;

    let traces =
        "SELECT DISTINCT split_part(trace, '-', 2) FROM jobs WHERE job_type = 'payment.create_intent' AND $1 <> ''";
    let traces = told(&shop, traces, TRACE).await;
    assert_eq!(traces.len(), placed.len(), "each got a trace of its own");
    for trace in &traces {
        assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()) && trace != TRACE, "{trace}");
    }
    for log in shop.finish_with_logs().await {
        assert!(lines(&log).len() > 10);
        for hostile in [TRACE, "4BF92F35", "hostile", "f067aa0ba902b7", "..", "xxxx"] {
            assert!(!log.contains(hostile), "{hostile} is in the log");
        }
    }
}

#[tokio::test]
async fn what_stripe_tells_of_an_order_later_goes_on_with_its_checkouts_trace() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = check_out(&shopper, &product, &[("traceparent", &traceparent(TRACE))]).await;
    shop.pay(&shopper, &order).await;
    shop.settle().await;
    let refund = shop.refund_at_stripe(&order, 200).await;
    shop.admin().await.wait_for_refunds(&order, &["succeeded"]).await;
    shop.settle().await;
    let about = "SELECT operation FROM payment_logs WHERE trace_id = $1";
    let told = told(&shop, about, TRACE).await;
    assert!(told.iter().any(|operation| operation.starts_with("event:refund.")), "{told:?} of {refund}");

    let foreign = json!({ "id": "evt_foreign", "type": "payment_intent.succeeded", "livemode": false, "data": { "object": {
        "id": "pi_\u{0}", "payment_intent": 7, "metadata": { "order_id": "none" } } } });
    shop.control().post("/webhooks/send", &json!({ "payload": foreign })).await.expect(200);
    let own = "SELECT count(*) FROM webhook_logs WHERE stripe_event_id = 'evt_foreign' AND length(trace_id) = 32
               AND trace_id <> '4bf92f3577b34da6a3ce929d0e0e4736'";
    eventually("it has a trace of its own", async || (shop.count(own).await == 1).then_some(())).await;
    shop.leave(); // the foreign event is looked at for a day
}

#[tokio::test]
async fn what_an_operator_types_is_a_trace_of_its_own() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shop.control().put("/webhooks", &json!({ "mode": "drop" })).await.expect(200);
    let order = check_out(&shopper, &product, &[("traceparent", &traceparent(TRACE))]).await;
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let stripe = shop.reconcile(&[]).await;
    assert_eq!(stripe.code, 0, "{stripe:?}");
    let found = "SELECT split_part(j.trace, '-', 2) FROM jobs j WHERE j.job_type = 'inventory.decrement' AND $1 <> ''";
    let found = told(&shop, found, TRACE).await;
    assert_eq!(found.len(), 1);
    let trace = found.first().expect("it is one");
    assert_ne!(trace, TRACE);
    assert!(told(&shop, TIMELINE, trace).await.contains("order.paid"));
    shop.finish().await;
}
