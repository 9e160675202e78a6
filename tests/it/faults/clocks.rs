//! Row 12: a clock that is off is told of. What else it does, or rather does not do, is a recorded run: see docs/faults.md.

use crate::harness::{Shop, eventually};

#[tokio::test]
async fn a_clock_that_is_not_the_databases_is_told_of() {
    let shop = Shop::start().await;
    let [api, worker] = shop.operations();
    assert_eq!((api.get("/health/ready").await.status, worker.get("/health/ready").await.status), (200, 200));
    // To all who connect from now on it is an hour later than they think.
    shop.database
        .run(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
               'SELECT pg_catalog.clock_timestamp() + interval ''1 hour''';
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    eventually("the API is not ready", async || {
        let told = api.get("/health/ready").await;
        (told.status == 503 && told.raw.contains("clock is off")).then_some(())
    })
    .await;
    eventually("the worker is ready, and says so", async || {
        let told = worker.get("/health/ready").await;
        (told.status == 200 && told.body["clock_off_by_seconds"].as_i64()? <= -3590).then_some(())
    })
    .await;
    assert_eq!(api.get("/health/live").await.status, 200);
    shop.leave();
}

/// Programs under [libfaketime](https://github.com/wolfcw/libfaketime): `KASSA_FAKETIME` names its library.
fn fake(offset: &str) -> [(&'static str, String); 3] {
    let library = std::env::var("KASSA_FAKETIME").expect("KASSA_FAKETIME names libfaketimeMT.so.1");
    [("LD_PRELOAD", library), ("FAKETIME", offset.to_owned()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned())]
}

#[tokio::test]
#[ignore = "needs libfaketime; docs/faults.md has a run of it"]
async fn workers_an_hour_early_and_an_hour_late_steal_nothing_and_keep_nobody_waiting() {
    let mut shop = Shop::with(&[("JOB_LEASE_SECONDS", "2"), ("RESERVATION_MINUTES", "0.1")]).await;
    shop.kill_worker().await;
    shop.worker = shop.another_worker_with(&fake("+3600s")).await;
    let late = shop.another_worker_with(&fake("-3600s")).await;
    let product = shop.product(500, 40).await;
    let crowd = shop.crowd(20).await;
    // A call that takes longer than a lease, of whichever worker has it: nobody takes it for abandoned.
    let slow = serde_json::json!({ "method": "POST", "path": "/v1/payment_intents", "delay_ms": 4000, "times": 2 });
    shop.inject(&slow).await;
    let mut paid = 0;
    for (n, shopper) in crowd.iter().enumerate() {
        let order = shop.order(shopper, &product, 1).await;
        if n % 2 == 0 {
            shop.pay(shopper, &order).await;
            paid += 1;
        }
    }
    for (n, shopper) in crowd.iter().enumerate() {
        let order = shopper.get("/orders").await.expect(200)["items"][0].clone();
        shopper.wait_for(&order, if n % 2 == 0 { "paid" } else { "canceled" }).await;
    }
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM jobs WHERE crashes > 0 OR failures > 0").await, 0);
    let waited = "SELECT count(*) FROM jobs WHERE done_at - due_at > interval '7 s'";
    assert_eq!(shop.count(waited).await, 0, "nothing waits, nor comes before its time");
    let early = "SELECT count(*) FROM orders WHERE status = 'canceled' AND updated_at < expires_at";
    assert_eq!(shop.count(early).await, 0, "no order expires before its time");
    assert_eq!(shop.stock(&product).await, (40 - paid, 40 - paid));
    drop(late);
    shop.finish().await;
}

#[tokio::test]
#[ignore = "needs libfaketime; docs/faults.md has a run of it"]
async fn an_api_an_hour_late_takes_no_event_and_loses_none() {
    let mut shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    let wrong = shop.another_api_with(&fake("-3600s")).await;
    let right = std::mem::replace(&mut shop.api, wrong);
    let [api, _] = shop.operations();
    let opened =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%orders%'";
    eventually("it listens, and would answer", async || (shop.count(opened).await == 2).then_some(())).await;
    assert_eq!(api.get("/health/ready").await.status, 503);
    shop.stripe_tells_the_api();
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let undelivered = shop.stripe_api().with_token("sk_test_simulator");
    eventually("the event is refused", async || {
        let events = undelivered.get("/v1/events?delivery_success=false&type=payment_intent.succeeded").await;
        (!events.body["data"].as_array()?.is_empty()).then_some(())
    })
    .await;
    assert_eq!(shop.count("SELECT count(*) FROM webhook_logs WHERE type = 'payment_intent.succeeded'").await, 0);
    shop.api = right; // the clock is set right
    shop.stripe_tells_the_api();
    shopper.wait_for(&order, "paid").await; // Stripe sends again what was refused
    shop.finish().await;
}
