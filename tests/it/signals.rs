//! What operators and their machines are told: health, ids from request to job, and an end in order.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{Client, JWT_SECRET, Shop, WEBHOOK_SECRET, eventually, in_span, lines, text, url};

#[tokio::test]
async fn both_programs_are_alive_without_their_database_and_ready_again_with_it() {
    let (shop, proxy) = Shop::behind_a_proxy(&[]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let [api, worker] = shop.operations();
    let places = [api, worker, shop.visitor()];
    let health = async || {
        let status = async |place: &Client, path: &str| place.get(path).await.status;
        join_all(places.iter().map(async |p| (status(p, "/health/live").await, status(p, "/health/ready").await))).await
    };
    assert_eq!(health().await, [(200, 200); 3]);
    proxy.cut().await;
    assert_eq!(health().await, [(200, 503); 3]);
    let refused = shopper.put_in_cart(&product, 1).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(503, "unavailable");
    proxy.restore().await.expect("the port is still free");
    eventually("all are ready again", async || (health().await == [(200, 200); 3]).then_some(())).await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.pay(&shopper, &order).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_worker_that_does_not_hear_of_new_jobs_is_not_ready_until_it_does_again() {
    let shop = Shop::start().await;
    let [_, worker] = shop.operations();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND query = 'LISTEN \"jobs\"'";
    assert_eq!(shop.count(cut).await, 1);
    for status in [503, 200] {
        let what = format!("it says {status}");
        eventually(&what, async || (worker.get("/health/ready").await.status == status).then_some(())).await;
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_client_that_waits_is_answered_although_the_api_stopped_hearing_of_changes() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &shop.product(500, 1).await, 1).await;
    let listeners = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN \"orders\"%'";
    let path = format!("/orders/{}?status_not=awaiting_payment", text(&order["id"]));
    let began = Instant::now();
    let waiting = shopper.call(Method::GET, &path, None, &[("prefer", "wait=10")]);
    let cut_and_pay = async {
        assert_eq!(shop.count(&format!("SELECT count(pg_terminate_backend(pid)) {listeners}")).await, 1);
        shop.confirm(&order, "pm_card_visa").await.expect(200);
    };
    let (waited, ()) = tokio::join!(waiting, cut_and_pay);
    assert_eq!(waited.expect(200)["status"], "paid");
    assert!(began.elapsed() < Duration::from_secs(9), "its time was up: {:?}", began.elapsed());
    eventually("the API listens again", async || {
        (shop.count(&format!("SELECT count(*) {listeners}")).await == 1).then_some(())
    })
    .await;
    shop.finish().await;
}

#[tokio::test]
async fn what_is_for_operators_is_not_on_the_public_port() {
    let shop = Shop::start().await;
    shop.visitor().get("/metrics").await.problem(404, "not_found");
    for program in shop.operations() {
        assert_eq!(program.get("/metrics").await.status, 200);
        assert_eq!(program.get("/products").await.status, 404);
    }
    shop.finish().await;
}

/// Holds the next creation of an intent at Stripe; the fault that does so.
async fn hold_creation(shop: &Shop) -> String {
    shop.inject(&json!({ "method": "POST", "path": "/v1/payment_intents", "hold": true, "times": 1 })).await
}

#[tokio::test]
async fn an_api_that_is_told_to_stop_finishes_what_it_has_begun() {
    let mut shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let fault = hold_creation(&shop).await;
    let asked = tokio::spawn(async move { shopper.check_out().await });
    shop.wait_until_held(&fault).await;

    shop.api.ask_to_end();
    let address = shop.api.api;
    eventually("new connections are refused", async || TcpStream::connect(address).await.err().map(drop)).await;
    assert!(!asked.is_finished(), "the open request waits for its intent");
    shop.relieve(&fault).await;
    let order = asked.await.expect("it does not panic").expect(201);
    assert!(!text(&order["payment"]["client_secret"]).is_empty(), "{order}");
    assert_eq!(shop.api.exit_code().await, 0);
    shop.control().put("/webhooks", &json!({ "mode": "hold" })).await.expect(200); // nobody is there to take events
    shop.check().await;
    shop.leave();
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_its_job_and_takes_no_other() {
    let mut shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let [first, second] = [shop.shopper().await, shop.shopper().await];
    let fault = hold_creation(&shop).await;
    first.put_in_cart(&product, 1).await.expect(201);
    let order = first.post("/checkout", &json!({})).await.expect(202);
    shop.wait_until_held(&fault).await;

    shop.worker.ask_to_end();
    let log = || shop.worker.log().contains("no new jobs are taken").then_some(());
    eventually("it knows that it is to stop", async || log()).await;
    second.put_in_cart(&product, 1).await.expect(201);
    let left = second.post("/checkout", &json!({})).await.expect(202);
    shop.relieve(&fault).await;
    assert_eq!(shop.worker.exit_code().await, 0);
    assert_eq!(first.see(&order).await["status"], "awaiting_payment");
    assert_eq!(second.see(&left).await["status"], "pending");
    let attempts = "SELECT count(*) FROM jobs WHERE job_type = 'payment.create_intent'
                    AND (status, attempts, failures, crashes) IN (('Done', 1, 0, 0), ('Pending', 0, 0, 0))";
    assert_eq!(shop.count(attempts).await, 2);
    shop.leave();
}

#[tokio::test]
async fn a_requests_id_is_in_its_answer_its_log_and_the_log_of_its_jobs() {
    let shop = Shop::with(&[("LOG", "debug"), ("LOG_FORMAT", "json")]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let made = shopper.put_in_cart(&product, 1).await;
    assert!(made.header("x-request-id").parse::<uuid::Uuid>().is_ok());
    let headers = [("prefer", "wait=10"), ("x-request-id", "the-checkout-of-today")];
    let placed = shopper.call(Method::POST, "/checkout", None, &headers).await;
    assert_eq!(placed.header("x-request-id"), "the-checkout-of-today");
    let order = placed.expect(201);
    shop.settle().await;

    let requests = [("/cart/items", made.header("x-request-id")), ("/checkout", "the-checkout-of-today")];
    eventually("the requests are logged with their ids", async || {
        let lines = lines(&shop.api.log());
        let logged: BTreeSet<_> = lines
            .iter()
            .filter(|line| line["message"] == "request")
            .map(|line| (text(&line["route"]), in_span(line, "request", "request_id")))
            .collect();
        requests.iter().all(|request| logged.contains(request)).then_some(())
    })
    .await;
    let log = eventually("the job's end is logged", async || {
        let lines = lines(&shop.worker.log());
        lines.iter().any(|line| in_span(line, "job", "queue") == "payment.create_intent").then_some(lines)
    })
    .await;
    let job = "SELECT id::text FROM jobs WHERE job_type = 'payment.create_intent' AND dedupe_key = $1";
    let job = sqlx::query_scalar::<_, String>(job).bind(text(&order["id"])).fetch_one(&shop.pool).await;
    let job = job.expect("the intent was created by a job");
    let of_job: Vec<_> = log.iter().filter(|line| in_span(line, "job", "job_id") == job).collect();
    assert!(!of_job.is_empty());
    for line in of_job {
        assert_eq!(in_span(line, "job", "request_id"), "the-checkout-of-today", "{line}");
    }
    shop.finish().await;
}

const CARD: &str = "4242424242424242";

/// Sends a card's number to wherever a careless client could.
async fn mislay(shop: &Shop, shopper: &Client) {
    let card = json!({ "number": CARD, "cvc": "123" });
    shopper.post("/checkout", &json!({ "card": card })).await.problem(422, "validation_failed");
    shopper.post("/checkout", &json!({ "expected_total": CARD })).await.problem(422, "validation_failed");
    shopper.post("/cart/items", &json!({ "product_id": CARD, "quantity": 1 })).await.problem(422, "validation_failed");
    shopper.get(&format!("/products?q={CARD}")).await.expect(200);
    shopper.get(&format!("/products/{CARD}")).await.problem(404, "not_found");
    shopper.get(&format!("/orders/{CARD}")).await.problem(404, "not_found");
    let headers = [("cookie", CARD), ("authorization", CARD), ("x-card", CARD)];
    shop.visitor().call(Method::GET, "/auth/me", None, &headers).await.problem(401, "unauthenticated");
    let object = json!({ "id": "cus_1", "note": CARD });
    let event =
        json!({ "id": "evt_card", "object": "event", "type": "customer.created", "data": { "object": object } });
    shop.control().post("/webhooks/send", &json!({ "payload": event.to_string() })).await.expect(200);
}

#[tokio::test]
async fn no_secret_is_logged_even_where_everything_is() {
    let shop = Shop::with(&[("LOG", "trace"), ("LOG_FORMAT", "json")]).await;
    let password = "a password that nobody may read";
    let account = json!({ "email": "sam@kassa.example", "password": password });
    let session = shop.visitor().post("/auth/register", &account).await.expect(201);
    let wrong = json!({ "email": "sam@kassa.example", "password": "another one that nobody may read" });
    shop.visitor().post("/auth/login", &wrong).await.problem(401, "invalid_credentials");
    let again = shop.visitor().post("/auth/login", &account).await.expect(200);
    let number = json!({ "email": "sam@kassa.example", "password": 123_456_789_012_i64 });
    shop.visitor().post("/auth/login", &number).await.problem(422, "validation_failed");
    let next = shop.visitor().refresh(&again).await.expect(200);
    shop.visitor().refresh(&again).await.problem(401, "unauthenticated");
    shop.visitor().log_out(&next).await.expect(204);
    let shopper = shop.visitor().with_token(text(&session["access_token"]));
    let product = shop.product(500, 5).await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    let declined = shopper.wait_for(&order, "payment_failed").await;
    shop.pay(&shopper, &declined).await;
    mislay(&shop, &shopper).await;
    shop.admin().await.refund(&order, &json!({})).await.expect(202);
    let unsigned = shop.visitor().post("/webhooks/stripe", &json!({ "id": "evt_1" })).await;
    unsigned.problem(400, "invalid_signature");
    shop.mails("sam@kassa.example", 2).await;
    let link = shop.reset_token("sam@kassa.example", 4).await;
    let reset = "a new one that nobody may read";
    shop.visitor().reset_password(&link, reset).await.expect(204);
    shop.visitor().reset_password(&link, reset).await.problem(400, "invalid_reset_token");
    shop.settle().await;

    let hash: String = sqlx::query_scalar("SELECT password_hash FROM users WHERE email = 'sam@kassa.example'")
        .fetch_one(&shop.pool)
        .await
        .expect("the account");
    let database_url = url(&shop.database.options());
    let database_password = database_url.split([':', '@']).nth(2).expect("scheme, user, password");
    let secrets = [
        password,
        "another one that nobody may read",
        "123456789012",
        text(&session["access_token"]),
        text(&session["refresh_token"]),
        text(&again["access_token"]),
        text(&again["refresh_token"]),
        text(&next["access_token"]),
        text(&next["refresh_token"]),
        &link,
        link.split('.').nth(1).expect("a signature"),
        reset,
        text(&order["payment"]["client_secret"]),
        &hash,
        "$argon2id$",
        JWT_SECRET,
        WEBHOOK_SECRET,
        Shop::OLD_WEBHOOK_SECRET,
        "sk_test_",
        database_password,
        CARD,
    ];
    for log in shop.finish_with_logs().await {
        assert!(log.contains(r#""level":"DEBUG""#), "more is logged than is usual");
        for line in log.lines() {
            for secret in secrets {
                assert!(!secret.is_empty() && !line.contains(secret), "{secret} is in {line}");
            }
        }
    }
}
