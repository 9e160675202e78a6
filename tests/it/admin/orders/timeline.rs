//! What happened to an order, in one list: by HTTP, and by `kassa order show`.

use common::jobs::Queue;
use reqwest::Method;
use serde_json::{Value, json};

use super::{fulfil, is_for_admins_alone, path};
use crate::{
    admin::all,
    harness::{Client, Shop, eventually, payment, text},
};

/// The timeline once nothing is on its way.
async fn timeline(shop: &Shop, admin: &Client, order: &Value) -> Vec<Value> {
    shop.settle().await;
    all(admin, &path(order, "/timeline"), 100).await
}

/// Where an entry stands.
fn place(entries: &[Value], source: &str, kind: &str) -> usize {
    let found = entries.iter().position(|entry| entry["source"] == source && entry["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {source} {kind}: {entries:#?}"))
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A purchase from the checkout to the parcel and some money back, under one trace from its shopper.
async fn purchase(shop: &Shop, admin: &Client, shopper: &Client) -> Value {
    shopper.put_in_cart(&shop.product(500, 5).await, 2).await.expect(201);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("prefer", "wait=10"), ("traceparent", traceparent.as_str()), ("x-request-id", "the-checkout")];
    let order = shopper.call(Method::POST, "/checkout", None, &headers).await.expect(201);
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    shopper.wait_for(&order, "payment_failed").await;
    let order = shop.pay(shopper, &order).await;
    shop.settle().await;
    fulfil(admin, &order, &json!({ "carrier": "DHL" })).await.expect(200);
    let item = &order["items"][0]["id"];
    let back = json!({ "amount": 100, "restock": [{ "order_item_id": item, "quantity": 1 }] });
    admin.refund(&order, &back).await.expect(202);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    order
}

#[tokio::test]
async fn all_that_happened_to_an_order_stands_in_one_list() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = purchase(&shop, &admin, &shopper).await;
    let other = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    let entries = timeline(&shop, &admin, &order).await;
    let at = |source, kind| place(&entries, source, kind);
    let story = [
        at("order", "order.placed"),
        at("payment", "create_intent"),
        at("order", "order.payment_failed"),
        at("order", "order.paid"),
        at("stock", "sale"),
        at("order", "order.fulfilled"),
        at("audit", "order.refund_requested"),
        at("order", "refund.succeeded"),
    ];
    assert!(story.is_sorted(), "{story:?}: {entries:#?}");
    for queue in [
        "payment.create_intent",
        "order.expire",
        "webhook.process",
        "inventory.decrement",
        "payment.refund",
        "email.send",
    ] {
        let job = &entries[at("job", queue)];
        let state = if queue == "order.expire" { "pending" } else { "done" };
        assert_eq!((&job["data"]["state"], &job["actor"]), (&json!(state), &json!("system")), "{job}");
    }
    for kind in ["order_confirmed", "payment_failed", "shipped", "refunded"] {
        let mail = &entries[at("mail", kind)];
        let status = text(&mail["data"]["status"]);
        assert!(status == "sent" || (kind == "payment_failed" && status == "withdrawn"), "{mail}");
    }
    let event = &entries[at("webhook", "payment_intent.succeeded")];
    assert_eq!((&event["data"]["status"], &event["actor"]), (&json!("processed"), &json!("stripe")));
    let call = &entries[at("payment", "create_intent")];
    assert_eq!(call["data"]["stripe_object_id"], payment(&order, "intent_id"));
    assert_eq!((&call["data"]["amount"], &call["data"]["currency"]), (&json!(1000), &json!("usd")));
    let sale = &entries[at("stock", "sale")];
    assert_eq!((&sale["data"]["delta"], &sale["data"]["order_item_id"]), (&json!(-2), &order["items"][0]["id"]));
    assert_eq!(entries[at("stock", "return")]["data"]["delta"], 1);
    let act = &entries[at("audit", "order.fulfilled")];
    assert_eq!(act["actor"], format!("user:{}", admin.user));
    assert_eq!(act["data"]["after"]["carrier"], "DHL");
    let times: Vec<&str> = entries.iter().map(|entry| text(&entry["created_at"])).collect();
    assert!(times.is_sorted(), "{times:?}");
    let told = json!(entries).to_string();
    for secret in [shopper.email.as_str(), "_secret_", text(&other["id"])] {
        assert!(!told.contains(secret), "{secret}");
    }
    // What one transaction wrote has one time: first what happened, then what follows.
    let rank = |entry: &Value| match text(&entry["source"]) {
        "job" => 2,
        "mail" => 1,
        _ => 0,
    };
    for at_once in entries.chunk_by(|one, next| one["created_at"] == next["created_at"]) {
        assert!(at_once.is_sorted_by_key(rank), "{at_once:#?}");
    }
    for (cause, effect) in [
        (at("order", "order.placed"), at("job", "payment.create_intent")),
        (at("order", "order.placed"), at("job", "order.expire")),
        (at("order", "order.paid"), at("job", "inventory.decrement")),
        (at("order", "refund.requested"), at("job", "payment.refund")),
        (at("order", "order.fulfilled"), at("mail", "shipped")),
    ] {
        assert!(cause < effect, "{effect} before {cause}: {entries:#?}");
    }
    for limit in [1, 7] {
        assert_eq!(all(&admin, &path(&order, "/timeline"), limit).await, entries, "limit={limit}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_live_job_is_told_of_whichever_queue_it_is_in() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.settle().await;
    let queues: Vec<&str> =
        Queue::ALL.iter().map(|queue| queue.name()).filter(|name| *name != "order.expire").collect();
    let insert = sqlx::query(
        "INSERT INTO jobs (id, job_type, job, dedupe_key, status, run_at, due_at)
         SELECT gen_random_uuid(), name, '{}', $2, 'Pending', now() + interval '1 day', now() + interval '1 day' FROM unnest($1::text[]) name",
    );
    insert.bind(&queues).bind(text(&order["id"])).execute(&shop.pool).await.expect("they are enqueued");
    let entries = all(&admin, &path(&order, "/timeline"), 100).await;
    for queue in queues {
        let is_told = |entry: &Value| entry["kind"] == queue && entry["data"]["state"] == "pending";
        assert!(entries.iter().any(is_told), "{queue}: {entries:#?}");
    }
    shop.leave(); // these jobs are about nothing
}

#[tokio::test]
async fn a_purchase_is_found_by_its_request_and_its_trace() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = purchase(&shop, &admin, &shopper).await;
    let entries = timeline(&shop, &admin, &order).await;
    for (source, kind) in [
        ("order", "order.placed"),
        ("job", "payment.create_intent"),
        ("payment", "create_intent"),
        ("order", "order.paid"),
        ("job", "inventory.decrement"),
        ("stock", "sale"),
        ("mail", "order_confirmed"),
        ("webhook", "payment_intent.succeeded"),
    ] {
        assert_eq!(entries[place(&entries, source, kind)]["trace_id"], TRACE, "{source} {kind}");
    }
    for (source, kind) in [("order", "order.placed"), ("job", "payment.create_intent"), ("payment", "create_intent")] {
        assert_eq!(entries[place(&entries, source, kind)]["request_id"], "the-checkout", "{source} {kind}");
    }
    let act = &entries[place(&entries, "audit", "order.fulfilled")];
    assert!(text(&act["trace_id"]).len() == 32 && act["trace_id"] != TRACE, "an operator's request is its own: {act}");
    assert!(!text(&act["request_id"]).is_empty());
    shop.finish().await;
}

#[tokio::test]
async fn a_timeline_is_for_admins_and_its_cursor_its_own() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &shop.product(500, 5).await, 1).await;
    is_for_admins_alone(&shop, &shopper, &admin, Method::GET, &order, "/timeline").await;
    for (query, pointer) in [
        ("limit=101", "/limit"),
        ("cursor=nonsense", "/cursor"),
        // A time that no database knows, and a rank that no entry has.
        ("cursor=W1stOTAwMDAwMDAwMDAwMDAwMDAwMCwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIl0sMF0", "/cursor"),
        ("cursor=W1swLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXSw5XQ", "/cursor"),
    ] {
        admin.get(&path(&order, &format!("/timeline?{query}"))).await.invalid(pointer);
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_job_that_was_given_up_says_why() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    shop.refuse_mails();
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    let dead = async || {
        let entries = all(&admin, &path(&order, "/timeline"), 100).await;
        entries.into_iter().find(|entry| entry["kind"] == "email.send" && entry["data"]["state"] == "dead")
    };
    let dead = eventually("the mail's job is dead", dead).await;
    assert!(text(&dead["data"]["last_error"]).contains("550"), "{dead}");
    assert_eq!(dead["data"]["attempts"], 1);
    assert!(dead["data"]["payload"]["email_id"].is_string(), "{dead}");
    let shown = shop.database.kassa(&["order", "show", &order["number"].to_string()]).await;
    assert!(shown.out.contains("state=dead"), "{}", shown.out);
    shop.leave();
}

#[tokio::test]
async fn kassa_shows_an_order_by_number_or_id_for_people_and_machines() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = purchase(&shop, &admin, &shopper).await;
    let entries = timeline(&shop, &admin, &order).await;
    let (number, id) = (order["number"].to_string(), text(&order["id"]));
    let shown = shop.database.kassa(&["order", "show", &number]).await;
    assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{shown:?}");
    for told in [
        &format!("order {number}, fulfilled"),
        id,
        &shopper.email,
        "2 × Product",
        "10.00 USD, given back 1.00 USD",
        payment(&order, "intent_id"),
        "1.00 USD, succeeded, asked for by operator",
        "DHL",
        "TOLD BY",
        "order.placed",
        "the-checkout",
        TRACE,
        "delta=-2",
    ] {
        assert!(shown.out.contains(told), "{told} is missing:\n{}", shown.out);
    }
    assert_eq!(shop.database.kassa(&["order", "show", id]).await.out, shown.out);
    assert_eq!(shop.database.kassa(&["order", "show", &format!("#{number}")]).await.out, shown.out);

    let json = shop.database.kassa(&["order", "show", &number, "--json"]).await;
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(json["timeline"], json!(entries));
    assert_eq!((&json["id"], &json["shipment"]["carrier"]), (&order["id"], &json!("DHL")));
    assert_eq!(json["payment"].get("client_secret"), None);
    let refused = shop.database.kassa(&["order", "show", "999999"]).await;
    assert_eq!((refused.code, refused.err.as_str()), (2, "kassa: there is no order 999999\n"));
    let refused = shop.database.kassa(&["order", "show", "the-last"]).await;
    assert!(refused.code == 2 && refused.err.contains("must be a number such as 1002"), "{refused:?}");
    shop.finish().await;
}
