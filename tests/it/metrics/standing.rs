//! What the figures are before anything has happened, while the database is away, and after the books were compared.

use std::time::Duration;

use serde_json::json;

use super::{Exposition, Figure};
use crate::harness::{Shop, eventually, within};

/// What somebody is woken for.
const FIRST_TIMES: [&[Figure<'_>]; 2] = [
    &[
        ("kassa_http_requests_total", &[("method", "POST"), ("route", "/checkout"), ("status", "500")], 0),
        ("kassa_http_requests_total", &[("method", "GET"), ("route", "/products/{id}"), ("status", "503")], 0),
        ("kassa_requests_shed_total", &[("full", "requests")], 0),
        ("kassa_rate_limited_total", &[("limit", "checkout")], 0),
        ("kassa_webhook_events_received_total", &[("outcome", "invalid_signature")], 0),
        ("kassa_webhook_events_received_total", &[("outcome", "not_stored")], 0),
        ("kassa_object_store_failures_total", &[("operation", "put")], 0),
        ("kassa_db_errors_total", &[("kind", "pool_timed_out")], 0),
    ],
    &[
        ("kassa_jobs", &[("queue", "payment.refund"), ("state", "dead")], 0),
        ("kassa_jobs_oldest_due_age_seconds", &[("queue", "webhook.process")], 0),
        ("kassa_jobs_total", &[("queue", "payment.create_intent"), ("outcome", "dead")], 0),
        ("kassa_stripe_requests_total", &[("operation", "create_intent"), ("outcome", "401")], 0),
        ("kassa_stripe_requests_total", &[("operation", "create_refund"), ("outcome", "unanswered")], 0),
        ("kassa_emails_total", &[("kind", "order_confirmed"), ("outcome", "refused")], 0),
        ("kassa_emails_unsent", &[("status", "failed")], 0),
        ("kassa_orders", &[("status", "payment_review")], 0),
        ("kassa_order_transitions_total", &[("from", "canceled"), ("to", "payment_review")], 0),
        ("kassa_refunds_total", &[("origin", "policy"), ("status", "failed")], 0),
        ("kassa_reconciliation_differences_total", &[("kind", "intent"), ("outcome", "healed")], 0),
        ("kassa_webhook_events_unsettled", &[("status", "failed")], 0),
        ("kassa_db_errors_total", &[("kind", "unavailable")], 0),
    ],
];

/// After a look that took a second the next one is two minutes away at most, and may itself take ten seconds.
const BETWEEN_LOOKS: Duration = Duration::from_secs(150);

#[tokio::test]
async fn what_somebody_is_woken_for_is_there_before_it_happens_for_the_first_time() {
    let shop = Shop::start().await;
    for (program, figures) in shop.operations().iter().zip(FIRST_TIMES) {
        let read = eventually("the tables are counted", async || {
            let read = Exposition::of(program).await;
            figures.iter().all(|(name, labels, _)| read.get(name, labels).is_some()).then_some(read)
        })
        .await;
        for (name, labels, value) in figures {
            assert_eq!(read.get(name, labels).map(|v| v.to_string()), Some(value.to_string()), "{name} {labels:?}");
        }
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_database_that_goes_away_is_counted_and_the_figures_of_its_tables_stand_still() {
    let (shop, proxy) = Shop::behind_a_proxy(&[]).await;
    let [api, worker] = shop.operations();
    let sampled = "kassa_standing_sampled_timestamp_seconds";
    let counted = async || Exposition::of(&worker).await.get(sampled, &[]).filter(|at| *at > 0.0);
    eventually("the tables are counted", counted).await;
    proxy.cut().await;
    let errors = "kassa_db_errors_total";
    let shopper = shop.crowd(1).await.remove(0);
    shopper.get("/cart").await.problem(503, "unavailable");
    assert!(Exposition::of(&api).await.get(errors, &[]) >= Some(1.0));
    eventually("the queue meets an error, too", async || {
        (Exposition::of(&worker).await.get(errors, &[]) >= Some(1.0)).then_some(())
    })
    .await;
    let before = Exposition::of(&worker).await.get(sampled, &[]).expect("it is told");
    let failed = async || shop.worker.log().contains("figures can't be counted").then_some(());
    within(BETWEEN_LOOKS, "a look has failed", failed).await;
    assert_eq!(Exposition::of(&worker).await.get(sampled, &[]), Some(before), "it stands still");
    proxy.restore().await.expect("the port is still free");
    eventually("the tables are counted again", async || {
        (Exposition::of(&worker).await.get(sampled, &[]) > Some(before)).then_some(())
    })
    .await;
    let begun = Exposition::of(&worker).await.get("kassa_db_transaction_begin_seconds_count", &[]);
    assert!(begun >= Some(2.0), "{begun:?}");
    shop.finish().await;
}

#[tokio::test]
async fn where_postgres_does_not_tell_of_itself_the_shops_figures_go_on() {
    let shop = Shop::start().await;
    let [_, worker] = shop.operations();
    let (product, shopper) = (shop.product(500, 5).await, shop.shopper().await);
    // The size of a table that somebody has for themselves can't be told; no figure of the shop's is about this one.
    let mut tx = common::db::begin(&shop.pool).await.expect("the database answers");
    for statement in
        ["SET LOCAL idle_in_transaction_session_timeout = 0", "LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE"]
    {
        sqlx::query(statement).execute(&mut *tx).await.expect("it is free");
    }
    let failed = async || shop.worker.log().contains("Postgres does not tell").then_some(());
    within(BETWEEN_LOOKS, "a look has failed", failed).await;
    shop.order(&shopper, &product, 2).await;
    let waiting = ("kassa_orders", [("status", "awaiting_payment")]);
    eventually("the order is counted all the same", async || {
        (Exposition::of(&worker).await.get(waiting.0, &waiting.1) == Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(Exposition::of(&worker).await.get("kassa_stock_reserved_units", &[]), Some(2.0));
    tx.rollback().await.expect("the database answers");
    let [_, log] = shop.finish_with_logs().await;
    assert!(!log.contains("figures can't be counted"));
}

#[tokio::test]
async fn products_are_low_on_stock_from_the_configured_number_of_units_on() {
    let shop = Shop::with(&[("LOW_STOCK_THRESHOLD", "2")]).await; // and nobody is mailed
    for stock in [1, 2, 3, 5] {
        shop.product(500, stock).await;
    }
    let [_, worker] = shop.operations();
    eventually("1 and 2 are few", async || {
        let read = Exposition::of(&worker).await;
        let all = read.get("kassa_products", &[("status", "active")])?.to_string();
        let low = read.get("kassa_products_low_on_stock", &[])?.to_string();
        (all == "4").then(|| assert_eq!(low, "2"))
    })
    .await;
    shop.finish().await;
}

#[tokio::test]
async fn a_comparison_with_stripe_tells_when_it_ended_and_what_it_found() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let began = Shop::now();
    assert_eq!(shop.reconcile(&[]).await.code, 0);
    let [_, worker] = shop.operations();
    let (ended, found) = eventually("the comparison is told of", async || {
        let read = Exposition::of(&worker).await;
        let ended = read.get("kassa_reconciliation_last_finished_timestamp_seconds", &[])?;
        let found = read.get("kassa_reconciliation_last_differences", &[("outcome", "healed")])?;
        (found > 0.0).then_some((ended, found))
    })
    .await;
    let differences = shop.count("SELECT count(*) FROM reconciliation_differences").await;
    assert_eq!(found.to_string(), differences.to_string());
    assert!(ended >= began as f64 && ended <= Shop::now() as f64 + 1.0, "{ended}");
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}
