//! What no webhook told: found by comparing the books, and healed in one run.

use std::time::Duration;

use common::jobs::{self, Reconcile};
use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, payment, send_form, text};

/// What differs: the kind, what our books said, what Stripe's say, and what became of it; events aside, of which there are many.
fn differences(report: &Value) -> Vec<(&str, &str, &str, &str)> {
    let all = report["differences"].as_array().expect("a list").iter().filter(|d| d["kind"] != "event");
    let mut all: Vec<_> =
        all.map(|d| (text(&d["kind"]), text(&d["ours"]), text(&d["theirs"]), text(&d["outcome"]))).collect();
    all.sort_unstable();
    all
}

/// A shop of which Stripe's webhooks do what `mode` says, with orders of which it hasn't heard: what became of each at Stripe, and where
/// it should stand.
async fn unheard_of(mode: &str) -> (Shop, Vec<(Client, Value, &'static str)>, Value) {
    let shop = Shop::start().await;
    let product = shop.product(500, 20).await;
    let mut crowd = shop.crowd(7).await.into_iter();
    let mut next = async || {
        let shopper = crowd.next().expect("one for each order");
        let order = shop.order(&shopper, &product, 1).await;
        (shopper, order)
    };
    let (paid, declined, processing, canceled) = (next().await, next().await, next().await, next().await);
    let (refunded, disputed, twice) = (next().await, next().await, next().await);
    let second = shop.make_intent(&twice.1, 2).await;
    shop.settle().await;
    shop.control().put("/webhooks", &json!({ "mode": mode })).await.expect(200);

    shop.confirm(&paid.1, "pm_card_visa").await.expect(200);
    shop.confirm(&declined.1, "pm_card_visa_chargeDeclined").await.expect(402);
    shop.confirm(&processing.1, "pm_usBankAccount_processing").await.expect(200);
    let path = format!("/v1/payment_intents/{}/cancel", payment(&canceled.1, "intent_id"));
    send_form(&shop.stripe_api().with_token("sk_test_simulator"), &path, &[]).await.expect(200);
    shop.confirm(&refunded.1, "pm_card_visa").await.expect(200);
    shop.refund_at_stripe(&refunded.1, 500).await;
    shop.confirm(&disputed.1, "pm_card_visa").await.expect(200);
    let path = format!("/charges/{}/dispute", payment(&disputed.1, "intent_id"));
    shop.control().post(&path, &json!({})).await.expect(200);
    shop.confirm(&twice.1, "pm_card_visa").await.expect(200);
    shop.confirm_intent(&second, "pm_card_visa").await.expect(200);

    let with = |(shopper, order), status| (shopper, order, status);
    let orders = vec![
        with(paid, "paid"),
        with(declined, "payment_failed"),
        with(processing, "processing"),
        with(canceled, "canceled"),
        with(refunded, "refunded"),
        with(disputed, "paid"),
        with(twice, "paid"),
    ];
    (shop, orders, product)
}

async fn one_run_heals_all(mode: &str) {
    let (shop, orders, product) = unheard_of(mode).await;
    let before = shop.contents().await;
    let dry = shop.compared(&["--dry-run"], 1).await;
    assert_eq!(shop.contents().await, before, "a dry run changes nothing");
    assert!(differences(&dry).iter().all(|(.., outcome)| *outcome == "left"), "{dry:#}");

    let report = shop.compared(&[], 0).await;
    let waiting = "requires_payment_method";
    assert_eq!(
        differences(&report),
        [
            ("dispute", "unknown", "open", "healed"),
            ("intent", waiting, "canceled", "healed"),
            ("intent", waiting, "processing", "healed"),
            ("intent", waiting, "requires_payment_method, declined: generic_decline", "healed"),
            ("intent", waiting, "succeeded, received 500", "healed"),
            ("intent", waiting, "succeeded, received 500", "healed"),
            ("intent", waiting, "succeeded, received 500", "healed"),
            ("intent", waiting, "succeeded, received 500", "healed"),
            ("intent", "unknown", "succeeded, received 500", "healed"),
            ("refund", "unknown", "succeeded", "healed"),
        ],
        "{report:#}"
    );
    for (shopper, order, status) in &orders {
        assert_eq!(shopper.see(order).await["status"], *status);
    }
    shop.settle().await;
    let stored = shop.count("SELECT count(*) FROM reconciliation_differences WHERE outcome = 'healed'").await;
    assert_eq!(stored, i64::try_from(report["differences"].as_array().expect("a list").len()).expect("few"));
    // 20 units: four are sold, two are held by the orders that may yet be paid.
    assert_eq!(shop.stock(&product).await, (16, 14));
    let again = shop.compared(&[], 0).await;
    let none: Vec<(&str, &str, &str, &str)> = vec![];
    // The refund of the second payment was made meanwhile, and nobody was told of it; it was booked as it was made.
    assert_eq!(differences(&again), none, "{again:#}");
    shop.finish().await;
}

#[tokio::test]
async fn with_every_webhook_lost_one_run_brings_every_order_to_its_true_state() {
    one_run_heals_all("drop").await;
}

#[tokio::test]
async fn webhooks_that_stripe_takes_for_delivered_are_not_missed_either() {
    one_run_heals_all("pretend").await;
}

#[tokio::test]
async fn the_worker_compares_by_itself() {
    let shop = Shop::with(&[("RECONCILE_MINUTES", "0.02")]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "paid").await;
    let finished = "SELECT count(*) FROM reconciliation_runs WHERE finished_at IS NOT NULL AND checked > 0";
    eventually("a run came to its end", async || (shop.count(finished).await > 0).then_some(())).await;
    let [_, worker] = shop.operations();
    let metrics = worker.get("/metrics").await.raw;
    assert!(
        metrics.contains(r#"kassa_reconciliation_differences_total{kind="intent",outcome="healed"} 1"#),
        "{metrics}"
    );
    shop.finish().await;
}

#[tokio::test]
async fn a_schedule_fires_once_however_many_workers_keep_it() {
    let mut shop = Shop::start().await;
    shop.worker.ask_to_end();
    shop.worker.exit_code().await;
    let hour = Duration::from_secs(3600);
    let fired = async || {
        let keep = || async {
            let mut tx = common::db::begin(&shop.pool).await.expect("the database answers");
            let fired = jobs::enqueue_on_schedule(&mut tx, &Reconcile {}, hour).await.expect("the database answers");
            tx.commit().await.expect("it commits");
            usize::from(fired)
        };
        futures::future::join_all((0..8).map(|_| keep())).await.into_iter().sum::<usize>()
    };
    assert_eq!(fired().await, 0, "the first time is an hour from now");
    shop.database.run("UPDATE schedules SET next_at = now() WHERE queue = 'maintenance.reconcile'").await;
    assert_eq!(fired().await, 1);
    assert_eq!(fired().await, 0);
    let live = "SELECT count(*) FROM jobs WHERE job_type = 'maintenance.reconcile' AND done_at IS NULL";
    assert_eq!(shop.count(live).await, 1);
    shop.leave();
}

#[tokio::test]
async fn what_stripe_does_not_know_is_told_of_and_left() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shop.order(&shopper, &product, 1).await;
    shop.database.run("UPDATE payment_intents SET stripe_id = 'pi_of_another_account'").await;
    let report = shop.compared(&[], 1).await;
    // What Stripe has in its place is booked as another payment of the order's.
    let found = report["differences"].as_array().expect("a list").iter().find(|d| d["theirs"] == "missing");
    let found = found.expect("it is told of");
    assert_eq!(found["outcome"], "left");
    assert!(text(&found["detail"]).contains("STRIPE_SECRET_KEY"), "{report:#}");
    let told = shop.reconcile(&[]).await;
    assert!(told.out.contains("pi_of_another_account") && told.out.contains("1 do still"), "{told:?}");
    shop.leave();
}

#[tokio::test]
async fn what_cannot_be_read_is_told_of_and_keeps_nothing_else_from_being_healed() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let [odd, other] = [shop.shopper().await, shop.shopper().await];
    let (first, second) = (shop.order(&odd, &product, 1).await, shop.order(&other, &product, 1).await);
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    for order in [&first, &second] {
        shop.confirm(order, "pm_card_visa").await.expect(200);
    }
    let path = format!("/v1/payment_intents/{}", payment(&first, "intent_id"));
    let garbled = |path: &str| json!({ "method": "GET", "path": path, "answer": { "kind": "truncated" } });
    let (object, list) = (shop.inject(&garbled(&path)).await, shop.inject(&garbled("/v1/payment_intents")).await);

    // Even a list that can't be read keeps nobody from asking about what is open; but a run that hasn't seen it isn't finished.
    let cut_off = shop.reconcile(&[]).await;
    assert!(cut_off.code == 2 && cut_off.err.contains("not what its API says"), "{cut_off:?}");
    assert_eq!(other.see(&second).await["status"], "paid");
    let unfinished = "SELECT count(*) FROM reconciliation_runs WHERE finished_at IS NULL";
    assert_eq!(shop.count(unfinished).await, 1);

    shop.relieve(&list).await;
    let report = shop.compared(&[], 1).await;
    assert_eq!(differences(&report), [("intent", "unknown", "unreadable", "left")], "{report:#}");
    assert_eq!(report["differences"][0]["order_id"], first["id"]);
    shop.relieve(&object).await;
    let report = shop.compared(&[], 0).await;
    assert_eq!(differences(&report).len(), 1, "{report:#}");
    assert_eq!(odd.see(&first).await["status"], "paid");
    shop.settle().await;
    shop.finish().await;
}

#[tokio::test]
async fn a_run_that_is_cut_off_has_noted_what_it_healed() {
    let shop = Shop::start().await;
    let product = shop.product(500, 20).await;
    let mut orders = vec![];
    for shopper in shop.crowd(6).await {
        orders.push(shop.order(&shopper, &product, 1).await);
    }
    shop.settle().await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200);
    for order in &orders {
        shop.confirm(order, "pm_card_visa").await.expect(200);
    }
    // Stripe lists the newest first: it stumbles over the first one that is asked about.
    let path = format!("/v1/payment_intents/{}", payment(&orders[5], "intent_id"));
    let fault = shop.inject(&json!({ "path": path, "answer": { "kind": "status", "status": 500 } })).await;
    let cut_off = shop.reconcile(&[]).await;
    assert_eq!(cut_off.code, 2, "{cut_off:?}");
    assert_eq!(shop.count("SELECT count(*) FROM orders WHERE status = 'paid'").await, 5);
    assert_eq!(shop.count("SELECT count(*) FROM reconciliation_differences WHERE outcome = 'healed'").await, 5);
    shop.relieve(&fault).await;
    let report = shop.compared(&[], 0).await;
    assert_eq!(differences(&report).len(), 1, "{report:#}");
    shop.settle().await;
    shop.finish().await;
}

#[tokio::test]
async fn several_objects_are_asked_about_at_once() {
    let shop = Shop::start().await;
    let product = shop.product(500, 10).await;
    for shopper in shop.crowd(10).await {
        shop.order(&shopper, &product, 1).await;
    }
    shop.settle().await;
    let held = shop.inject(&json!({ "method": "GET", "path": "/v1/payment_intents/*", "hold": true })).await;
    let asked = async {
        let calls = shop.control().get(&format!("/faults/{held}/held?count=8&timeout_ms=10000")).await.expect(200);
        shop.relieve(&held).await;
        calls.as_array().map(Vec::len)
    };
    let (report, asked) = tokio::join!(shop.compared(&[], 0), asked);
    assert_eq!(asked, Some(8), "as many as Stripe bears, and no more");
    assert_eq!(report["checked"], 20, "each in the list, and each that is open");
    shop.finish().await;
}

#[tokio::test]
async fn a_stripe_that_cannot_be_asked_ends_the_run_with_the_reason() {
    let shop = Shop::start().await;
    let refused = json!({ "path": "/v1/*", "answer": { "kind": "status", "status": 401 } });
    let refused = shop.inject(&refused).await;
    let ended = shop.reconcile(&[]).await;
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(ended.err.contains("401"), "{ended:?}");
    let unfinished = "SELECT count(*) FROM reconciliation_runs WHERE finished_at IS NULL";
    assert_eq!(shop.count(unfinished).await, 1);
    let unset = shop.database.kassa(&["reconcile"]).await;
    assert!(unset.code == 2 && unset.err.contains("STRIPE_SECRET_KEY"), "{unset:?}");
    shop.relieve(&refused).await;
    shop.finish().await;
}

#[tokio::test]
async fn what_was_left_is_asked_about_by_each_comparison_until_it_is_dismissed() {
    let shop = Shop::start().await;
    // As after a restore: long ago, in no list any more, and in none of our tables.
    shop.database
        .run(
            "INSERT INTO reconciliation_runs (id, since, started_at, finished_at)
             VALUES ('01890000-0000-7000-8000-000000000001', now() - interval '9 d', now() - interval '8 d', now() - interval '8 d');
             INSERT INTO reconciliation_differences (id, run_id, kind, stripe_object_id, ours, theirs, outcome, detail)
             VALUES ('01890000-0000-7000-8000-000000000002', '01890000-0000-7000-8000-000000000001', 'intent', 'pi_lost', 'unknown',
                     'succeeded, received 500', 'left', 'it names an order that we don''t know')",
        )
        .await;
    for _ in 0..2 {
        let report = shop.compared(&[], 1).await;
        assert_eq!(differences(&report), [("intent", "unknown", "missing", "left")], "{report:#}");
    }
    let counted = "SELECT count(*) FROM reconciliation_differences WHERE outcome = 'left' AND settled_at IS NULL";
    assert_eq!(shop.count(counted).await, 1);
    assert_eq!(shop.reconcile(&["--dismiss", "pi_lost"]).await.code, 0);
    assert_eq!(shop.reconcile(&["--dismiss", "pi_lost"]).await.code, 2, "once");
    assert_eq!(differences(&shop.compared(&[], 0).await), []);
    assert_eq!(shop.count("SELECT count(*) FROM reconciliation_differences").await, 3);
    shop.finish().await;
}
