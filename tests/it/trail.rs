//! From whatever an operator has in hands to the order that it belongs to, by `kassa order show`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Shop, payment, text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What `kassa order show` answers: the number of the order, or why there is none.
async fn leads_to(shop: &Shop, clue: &str) -> Result<Value, String> {
    let shown = shop.database.kassa(&["order", "show", clue, "--json"]).await;
    match shown.code {
        0 => Ok(serde_json::from_str::<Value>(&shown.out).expect("JSON")["number"].clone()),
        _ => Err(shown.err),
    }
}

/// One value from the database, as text.
async fn one(shop: &Shop, query: &str) -> String {
    sqlx::query_scalar(query).fetch_one(&shop.pool).await.unwrap_or_else(|error| panic!("{error}: {query}"))
}

#[tokio::test]
async fn an_order_is_found_by_whatever_belongs_to_it() {
    let shop = Shop::start().await;
    let (admin, shopper, other) = (shop.admin().await, shop.shopper().await, shop.shopper().await);
    let product = shop.product(500, 10).await;
    shop.paid_order(&other, &product, 1).await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("prefer", "wait=10"), ("traceparent", traceparent.as_str())];
    let order = shopper.call(Method::POST, "/checkout", None, &headers).await.expect(201);
    let order = shop.pay(&shopper, &order).await;
    admin.refund(&order, &json!({ "amount": 100 })).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["succeeded"]).await;
    let path = format!("/charges/{}/dispute", payment(&order, "intent_id"));
    shop.control().post(&path, &json!({ "inquiry": true })).await.expect(200);
    shop.settle().await;
    shop.paid_order(&other, &product, 1).await;
    shop.settle().await;

    let id = text(&order["id"]);
    let of_order = |select: &str| format!("SELECT {select} WHERE order_id = '{id}' LIMIT 1");
    let about = |queue: &str, key: &str| {
        format!("SELECT id::text FROM jobs WHERE job_type = '{queue}' AND dedupe_key = {key} LIMIT 1")
    };
    let event = shop.event(&order, "payment_intent.succeeded").await;
    let clues = [
        order["number"].to_string(),
        id.to_owned(),
        payment(&order, "intent_id").to_owned(),
        text(&event["data"]["object"]["latest_charge"]).to_owned(),
        text(&event["id"]).to_owned(),
        text(&seen["refunds"][0]["stripe_refund_id"]).to_owned(),
        text(&seen["refunds"][0]["id"]).to_owned(),
        one(&shop, &of_order("stripe_dispute_id FROM disputes")).await,
        one(&shop, &of_order("id::text FROM disputes")).await,
        one(&shop, &of_order("id::text FROM payment_intents")).await,
        one(&shop, &of_order("id::text FROM webhook_logs")).await,
        one(&shop, &of_order("stripe_request_id FROM payment_logs")).await,
        one(&shop, &format!("SELECT id::text FROM emails WHERE kind = 'order_confirmed' AND object_id = '{id}'")).await,
        one(&shop, "SELECT id::text FROM emails WHERE kind = 'refunded'").await,
        one(&shop, &about("payment.create_intent", &format!("'{id}'"))).await,
        one(&shop, &about("payment.refund", "(SELECT id::text FROM refunds)")).await,
        one(&shop, &about("email.send", "(SELECT id::text FROM emails WHERE kind = 'refunded')")).await,
        one(
            &shop,
            &about(
                "webhook.process",
                &format!("(SELECT id::text FROM webhook_logs WHERE type = 'refund.created' AND order_id = '{id}')"),
            ),
        )
        .await,
        TRACE.to_owned(),
    ];
    for clue in &clues {
        assert_eq!(leads_to(&shop, clue).await, Ok(order["number"].clone()), "{clue} of {clues:?}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn what_leads_to_no_order_or_to_several_is_told() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    let product = shop.product(500, 10).await;
    let mut numbers = Vec::new();
    for _ in 0..2 {
        shopper.put_in_cart(&product, 1).await.expect(201);
        let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let headers = [("prefer", "wait=10"), ("traceparent", traceparent.as_str())];
        numbers.push(shopper.call(Method::POST, "/checkout", None, &headers).await.expect(201)["number"].to_string());
    }
    shop.reset_token(&shopper.email, 1).await;
    let event = json!({ "id": "evt_stranger", "object": "event", "created": 1_800_000_000, "livemode": false,
                        "type": "customer.created", "data": { "object": { "id": "cus_1" } } });
    shop.control().post("/webhooks/send", &json!({ "payload": event })).await.expect(200);
    shop.settle().await;
    let mail = one(&shop, "SELECT id::text FROM emails WHERE kind = 'password_reset'").await;
    let job = one(&shop, &format!("SELECT id::text FROM jobs WHERE dedupe_key = '{mail}'")).await;
    let unknown = "01890000-0000-7000-8000-000000000000";
    for (clue, told) in [
        ("999999", "there is no order 999999"),
        (unknown, "nor anything of one"),
        ("pi_unknown", "no order is known by pi_unknown; `kassa reconcile`"),
        ("ch_unknown", "no order is known by ch_unknown"),
        ("0123456789abcdef0123456789abcdef", "no order is part of the trace"),
        (&mail, "a mail that is about no order"),
        (&job, &format!("is about no order; see `kassa jobs show {job}`")),
        ("evt_stranger", "is about no order; see `kassa webhooks show evt_stranger`"),
        (TRACE, &format!("several orders: name one of {}", numbers.join(", "))),
        ("the-last", "must be a number such as 1002"),
        ("cus_1", "must be a number such as 1002"),
    ] {
        let refused = leads_to(&shop, clue).await.expect_err(clue);
        assert!(refused.contains(told), "{clue}: {refused}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_dead_job_says_whose_order_it_is_about_and_what_to_type_next() {
    let shop = Shop::with(&[("JOB_GIVE_UP_HOURS", "0.00001")]).await;
    shop.refuse_mails();
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 10).await;
    let order = shop.paid_order(&shopper, &product, 1).await;
    shop.dead(1).await;
    shop.mail.remove_faults();
    // An event about another order that could not be applied: only what Stripe has sent says whose it is.
    let other = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    let down = shop.inject(&json!({ "method": "GET", "answer": { "kind": "status", "status": 500 } })).await;
    shop.confirm(&other, "pm_card_visa_chargeDeclined").await.expect(402);
    shop.dead(2).await;
    let dead = admin.get("/admin/jobs?state=dead").await.expect(200)["items"].take();
    let told = |job: &Value| (job["queue"].clone(), job["order_id"].clone(), job["order_number"].clone());
    let expected = [
        (json!("webhook.process"), other["id"].clone(), other["number"].clone()),
        (json!("email.send"), order["id"].clone(), order["number"].clone()),
    ];
    assert_eq!(dead.as_array().expect("a list").iter().map(told).collect::<Vec<_>>(), expected);
    let listed = shop.database.kassa(&["jobs", "list", "--state", "dead"]).await;
    for (job, of) in [(&dead[0], &other), (&dead[1], &order)] {
        let (id, number) = (text(&job["id"]), &of["number"]);
        assert_eq!(admin.get(&format!("/admin/jobs/{id}")).await.expect(200)["order_number"], *number);
        let shown = shop.database.kassa(&["jobs", "show", id]).await;
        let next = format!("{number} ({}): see `kassa order show {number}`", text(&of["id"]));
        assert!(shown.out.contains(&next), "{shown:?}");
        assert!(listed.out.contains(&format!("order {number}")), "{listed:?}");
        assert_eq!(leads_to(&shop, id).await, Ok(number.clone()));
    }
    let event = text(&dead[0]["payload"]["webhook_log_id"]);
    assert_eq!(leads_to(&shop, event).await, Ok(other["number"].clone()));

    let chore = "INSERT INTO jobs (id, job_type, job, status, run_at, due_at, done_at)
                 VALUES (gen_random_uuid(), 'maintenance.prune', '{}', 'Killed', now(), now(), now()),
                        (gen_random_uuid(), 'test.odd', '[\"x\", 7]', 'Killed', now(), now(), now())";
    shop.database.run(chore).await;
    for queue in ["maintenance.prune", "test.odd"] {
        let job = admin.get(&format!("/admin/jobs?queue={queue}")).await.expect(200)["items"][0].take();
        assert_eq!((&job["order_id"], &job["order_number"]), (&Value::Null, &Value::Null));
        let shown = shop.database.kassa(&["jobs", "show", text(&job["id"])]).await;
        assert!(shown.code == 0 && !shown.out.contains("order show"), "{shown:?}");
    }
    shop.database
        .run("DELETE FROM jobs WHERE job_type IN ('maintenance.prune', 'test.odd') AND status = 'Killed'")
        .await;
    shop.relieve(&down).await;
    for job in [&dead[0], &dead[1]] {
        admin.post(&format!("/admin/jobs/{}/retry", text(&job["id"])), &json!({})).await.expect(202);
    }
    shopper.wait_for(&other, "payment_failed").await;
    shop.finish().await;
}
